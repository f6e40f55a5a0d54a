"""Lines that get slower: pages that take longer, data rates that fall back."""

from typing import Final

from alerts import windows
from alerts.promql import increase
from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import PAGE_DURATION_FACTOR, RATE_FALLBACKS

DASHBOARD: Final = "asterisk-fax-line-quality"
CAUTION: Final = 7
"""Of n faxes a figure must be 1 + 7 / sqrt(n) times as high as usual: a few long pages, or one old
machine that falls back with each fax, are no line that got slower."""
HALF_HOURS: Final = 12
"""In so many half hours of a day there must have been a page."""

PAGE: Final = "asterisk_fax_page_duration_seconds"
FAXES: Final = "pbx_operation:asterisk_fax_sessions_ended:increase"
FALLBACKS: Final = "pbx_operation:asterisk_fax_rate_fallbacks:increase"
PER_FAX: Final = "pbx_operation:asterisk_fax_rate_fallbacks_per_session:ratio"
FALLING_SHOWN: Final = "pbx_operation:asterisk_fax_rate_fallbacks:shown"
FALLING: Final = "pbx_operation:asterisk_fax_rate_fallbacks:verdict"
MEAN: Final = "pbx_operation:asterisk_fax_page_duration_seconds:mean"
LOW: Final = "pbx_operation:asterisk_fax_page_duration_seconds:low"
SLOW_SHOWN: Final = "pbx_operation:asterisk_fax_page_duration_seconds:shown"
SLOW: Final = "pbx_operation:asterisk_fax_page_duration_seconds:verdict"
_USUAL_LOW: Final = windows.usual(LOW).name
_USUAL_PER_FAX: Final = windows.usual(PER_FAX).name
_ALLOWED: Final = "pbx_operation:asterisk_fax_rate_fallbacks_per_session:allowed"
_ENDED: Final = 'asterisk_fax_sessions_ended_total{operation=~"send|receive|gateway"}'
_HOUR: Final = {"window": "1h"}


def _per_fax(window: str, least: int) -> Record:
    of = f'{{window="{window}"}}'
    return Record(PER_FAX, f"{FALLBACKS}{of} / ({FAXES}{of} >= {least})", labels={"window": window})


def _factor(least: str) -> str:
    return f"clamp_min(1 + {CAUTION} / sqrt({windows.last(FAXES)}), {least})"


USUAL: Final = Group(
    "asterisk-fax-slow-usual",
    (
        windows.week(FAXES),
        windows.week(FALLBACKS),
        Record(
            LOW,
            f"""\
  quantile_over_time(0.25, {MEAN}{{window="1h"}}[1w:1h])
and ignoring (window)
  {FAXES}{{window="1w"}} >= {windows.ENOUGH}
""",
            labels={"window": "1w"},
        ),
        _per_fax("1w", windows.ENOUGH),
        windows.usual(LOW),
        windows.usual(PER_FAX),
    ),
    comment="How long pages take, and how often rates fall back, in good weeks of a PBX.",
    interval="1h",
)

GROUP: Final = Group(
    "asterisk-fax-slow",
    (
        Record(
            FAXES,
            increase(_ENDED, "1h"),
            labels=_HOUR,
        ),
        windows.day(FAXES),
        Record(
            MEAN,
            f"""\
  {increase(f"{PAGE}_sum", "1h")}
/
  ({increase(f"{PAGE}_count", "1h")} >= 1)
""",
            labels=_HOUR,
        ),
        Record(
            LOW,
            f"""\
  quantile_over_time(0.25, {MEAN}{{window="1h"}}[1d:30m])
and
  count_over_time({MEAN}{{window="1h"}}[1d:30m]) >= {HALF_HOURS}
""",
            """
Of the hours with a page three quarters take at least so long for one: a fax of many photographs
makes its own hour long and no other. When a night or a weekend has left few of a day's hours, they
say nothing.
""",
            labels={"window": "1d"},
        ),
        windows.shown(
            SLOW_SHOWN,
            f"""
      {windows.last(LOW)}
    / ignoring (window) group_left ()
      {windows.last(_USUAL_LOW)}
    >
      {_factor(str(PAGE_DURATION_FACTOR))}
    and
      {windows.last(FAXES)} >= {windows.ENOUGH}
""",
            f"""
      {windows.last(LOW)}
    > ignoring (window) group_left ()
      (1 + {PAGE_DURATION_FACTOR}) / 2 * {windows.last(_USUAL_LOW)}
""",
            windows.last(LOW),
        ),
        windows.verdict(SLOW, SLOW_SHOWN, FAXES, ("1d", "1w")),
        Record(FALLBACKS, increase("asterisk_fax_rate_fallbacks_total", "1h"), labels=_HOUR),
        windows.day(FALLBACKS),
        *(_per_fax(one, windows.FEW) for one in ("1h", "1d")),
        Record(
            _ALLOWED,
            f"""\
  clamp(2 * {windows.last(_USUAL_PER_FAX)}, {RATE_FALLBACKS}, 2 * {RATE_FALLBACKS})
or
  max without (window) (0 * {FAXES}) + {RATE_FALLBACKS}
""",
            """
Where rates always fall back it is twice what is usual, but no more than twice the threshold.
""",
        ),
        windows.shown(
            FALLING_SHOWN,
            f"""
      {windows.last(PER_FAX)}
    / ignoring (window) group_left ()
      {_ALLOWED}
    >
      {_factor("1")}
    and
      {windows.last(FAXES)} >= {windows.ENOUGH}
""",
            f"""
      {windows.last(PER_FAX)}
    > ignoring (window) group_left ()
      0.75 * {_ALLOWED}
""",
            windows.enough(FAXES),
        ),
        windows.verdict(FALLING, FALLING_SHOWN, FAXES, ("1h", "1d", "1w")),
        Alert(
            "AsteriskFaxRatesFallingBack",
            f"{FALLING} == 1",
            wait="10m",
            severity="warning",
            summary="Data rates fall back at {labels.instance}: {labels.operation}",
            description="The data rate went down {times} times in {sessions} sessions "
            "({labels.operation}) of the past day, {hour} times in the {sessions_hour} of the past "
            "hour. It is an alert above {allowed:.2f} a session.",
            figures={
                "times": Figure(f'{FALLBACKS}{{window="1d"}}'),
                "sessions": Figure(f'{FAXES}{{window="1d"}}'),
                "hour": Figure(f'{FALLBACKS}{{window="1h"}}'),
                "sessions_hour": Figure(f'{FAXES}{{window="1h"}}'),
                "allowed": Figure(_ALLOWED),
            },
            dashboard=DASHBOARD,
        ),
        Alert(
            "AsteriskFaxPagesSlow",
            f"{SLOW} == 1",
            wait="30m",
            severity="warning",
            summary="Pages take longer at {labels.instance}: {labels.operation}",
            description="Three quarters of the time a page ({labels.operation}) took at least "
            "{day:.1f} s in the past day, {week:.1f} s in the past week; {usual:.1f} s is usual.",
            figures={
                "day": Figure(f'{LOW}{{window="1d"}}'),
                "week": Figure(windows.last(f'{LOW}{{window="1w"}}')),
                "usual": Figure(windows.last(_USUAL_LOW)),
            },
            dashboard=DASHBOARD,
        ),
    ),
    comment="Lines that get slower.",
    interval="2m",
)
