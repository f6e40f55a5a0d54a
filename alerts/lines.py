"""Lines that are bad."""

from typing import Final

from alerts import windows
from alerts.promql import increase
from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import BAD_LINES, BAD_LINES_FACTOR, BAD_LINES_FAXES, BAD_LINES_USUAL

DASHBOARD: Final = "asterisk-fax-line-quality"
SIGNIFICANCE: Final = 5
"""A share p of n faxes, and of m, differs so much by chance only once in tens of thousands of times
where the square of the difference is 5 (1/n + 1/m) 4 p (1 - p); whatever the noise is."""
MARGIN: Final = 0.1
"""What is usual is known as exactly as that."""
WEEKS: Final = 3
"""Of so many weeks' faxes is what is usual."""
TAKEN_FOR_USUAL: Final = {'{le="10.0"}': 0.25, '{le="100.0"}': 0.05}
"""The share of faxes with more than 10 bad lines, or 100, that is at most taken for usual."""

BUCKETS: Final = "pbx:asterisk_fax_session_bad_lines_bucket:increase"
LINES: Final = "pbx:asterisk_fax_bad_lines:increase"
PAGES: Final = "pbx:asterisk_fax_pages_received_or_rejected:increase"
FAXES: Final = "pbx:asterisk_fax_session_bad_lines_count:increase"
PER_PAGE: Final = "pbx:asterisk_fax_bad_lines_per_page:ratio"
SHARE: Final = "pbx:asterisk_fax_sessions_with_more_bad_lines:ratio"
GROWTH: Final = "pbx:asterisk_fax_sessions_with_more_bad_lines:growth"
DISTANCE: Final = "pbx:asterisk_fax_sessions_with_more_bad_lines:distance"
SHOWN: Final = "pbx:asterisk_fax_bad_lines:shown"
VERDICT: Final = "pbx:asterisk_fax_bad_lines:verdict"
_USUAL_PER_PAGE: Final = windows.usual(PER_PAGE).name
_USUAL_SHARE: Final = windows.usual(SHARE).name
_ALLOWED_PER_PAGE: Final = "pbx:asterisk_fax_bad_lines_per_page:allowed"
_ALLOWED_SHARE: Final = "pbx:asterisk_fax_sessions_with_more_bad_lines:allowed"
_HOUR: Final = {"window": "1h"}


def _per_page(window: str) -> Record:
    of = f'{{window="{window}"}}'
    return Record(PER_PAGE, f"{LINES}{of} / ({PAGES}{of} >= 1)", labels={"window": window})


def _share(window: str, least: int) -> Record:
    of = f'window="{window}"'
    return Record(
        SHARE,
        f"""\
  1
-
  {BUCKETS}{{{of}, le!="+Inf"}}
/ ignoring (le) group_left ()
  ({BUCKETS}{{{of}, le="+Inf"}} >= {least})
""",
        labels={"window": window},
    )


def _worse(part: float) -> str:
    """Windows in which a share of faxes has more bad lines than usual, and a page has; or a `part`
    of so many more."""
    of = "" if part == 1 else f"{part} * "
    return f"""\
      {GROWTH} >= {of}{BAD_LINES_FAXES}
    and
      {windows.last(PER_PAGE)} > {of}{BAD_LINES}
    and
      {windows.last(PER_PAGE)}
      > ignoring (window) group_left ()
        {of}{BAD_LINES_FACTOR} * {_ALLOWED_PER_PAGE}"""


USUAL: Final = Group(
    "asterisk-fax-lines-usual",
    (
        *(windows.week(one) for one in (BUCKETS, LINES, PAGES, FAXES)),
        _per_page("1w"),
        _share("1w", windows.ENOUGH),
        windows.usual(PER_PAGE),
        windows.usual(SHARE),
    ),
    comment="What is usual at a PBX, from its last four weeks.",
    interval="1h",
)

GROUP: Final = Group(
    "asterisk-fax-lines",
    (
        Record(
            BUCKETS,
            increase(
                'asterisk_fax_session_bad_lines_bucket{le=~"0.0|10.0|100.0|.Inf"}',
                "1h",
                "operation",
            ),
            labels=_HOUR,
        ),
        Record(
            LINES,
            increase("asterisk_fax_bad_lines_total", "1h", "operation", "state"),
            labels=_HOUR,
        ),
        Record(
            PAGES,
            f"""\
  {increase("asterisk_fax_pages_received_total", "1h", "operation", "state")}
+
  {increase("asterisk_fax_pages_rejected_total", "1h", "operation")}
""",
            "A rejected page has bad lines and does not count as received.",
            labels=_HOUR,
        ),
        Record(FAXES, f'sum without (le) ({BUCKETS}{{window="1h", le="+Inf"}})', labels=_HOUR),
        *(windows.day(one) for one in (BUCKETS, LINES, PAGES, FAXES)),
        *(_per_page(one) for one in ("1h", "1d")),
        *(_share(one, 1) for one in ("1h", "1d")),
        Record(
            _ALLOWED_PER_PAGE,
            f"""\
  clamp_max({windows.last(_USUAL_PER_PAGE)}, {BAD_LINES_USUAL})
or
  max without (window) (0 * {FAXES}) + {BAD_LINES_USUAL}
""",
        ),
        Record(
            _ALLOWED_SHARE,
            "".join(
                f"  clamp_max({windows.last(_USUAL_SHARE + le)}, {share})\nor\n"
                for le, share in TAKEN_FOR_USUAL.items()
            )
            + f"  {windows.last(_USUAL_SHARE)}\n"
            + "".join(
                f"or\n  max without (window) (0 * {SHARE}{le}) + {share}\n"
                for le, share in TAKEN_FOR_USUAL.items()
            ),
        ),
        Record(
            GROWTH,
            f"""\
max without (le) (
    {windows.last(SHARE)}
  - ignoring (window) group_left ()
    {_ALLOWED_SHARE}
)
""",
        ),
        Record(
            DISTANCE,
            f"""\
max without (le) (
    clamp_min(
        {windows.last(SHARE)}
      - ignoring (window) group_left ()
        {_ALLOWED_SHARE},
      0
    )
    ^ 2
  / ignoring (window) group_left ()
    (1 - (1 - 2 * clamp_max({_ALLOWED_SHARE} + {MARGIN}, 0.5)) ^ 2)
)
""",
        ),
        windows.shown(
            SHOWN,
            f"""
{_worse(1)}
    unless
      ({GROWTH}{{window="1h"}} < 2 * {BAD_LINES_FAXES} or {FAXES}{{window="1h"}} < {windows.ENOUGH})
    and
      {DISTANCE}
      >=
        {SIGNIFICANCE} / {windows.last(FAXES)}
      + ignoring (window) group_left ()
        {SIGNIFICANCE} / ({WEEKS} * {windows.last(FAXES + '{window="1w"}')})
  """,
            f"""
{_worse(0.25)}
    or
      (
          {windows.last(PER_PAGE)}
        > ignoring (window) group_left ()
          clamp_min({BAD_LINES_FACTOR} * {_ALLOWED_PER_PAGE}, {BAD_LINES})
      )
      > ignoring (window) group_left ()
        0.5 * {windows.last(PER_PAGE + '{window="1w"}')}
  """,
            windows.enough(FAXES),
        ),
        windows.verdict(VERDICT, SHOWN, FAXES, ("1h", "1d", "1w")),
        Alert(
            "AsteriskFaxBadLinesRising",
            f"{VERDICT} == 1",
            wait="10m",
            severity="warning",
            summary="Faxes received at {labels.instance} have many bad lines",
            description="{lines} bad lines on {pages} pages in the past day, {lines_hour} on "
            "{pages_hour} in the past hour; {usual:.1f} a page are usual. Of the day's {faxes} "
            "faxes {bad} have more than ten.",
            figures={
                "lines": Figure(f'{LINES}{{window="1d"}}'),
                "pages": Figure(f'{PAGES}{{window="1d"}}'),
                "lines_hour": Figure(f'{LINES}{{window="1h"}}'),
                "pages_hour": Figure(f'{PAGES}{{window="1h"}}'),
                "usual": Figure(_ALLOWED_PER_PAGE),
                "faxes": Figure(f'{FAXES}{{window="1d"}}'),
                "bad": Figure(
                    f'{FAXES}{{window="1d"}} - ignoring (le) {BUCKETS}{{window="1d", le="10.0"}}'
                ),
            },
            dashboard=DASHBOARD,
        ),
    ),
    comment="Lines that are bad.",
    interval="2m",
)
