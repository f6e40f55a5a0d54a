"""One peer among others whose pages are bad: needs --metrics.peer-label."""

from typing import Final

from alerts import windows
from alerts.peers import DASHBOARD as PEERS
from alerts.promql import increase
from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import BAD_LINES, BAD_LINES_FACTOR

LINES: Final = "pbx_peer:asterisk_fax_peer_bad_lines:increase"
PAGES: Final = "pbx_peer:asterisk_fax_peer_pages_received:increase"
FAXES: Final = "pbx_peer:asterisk_fax_peer_received:increase"
BAD_FAXES: Final = "pbx_peer:asterisk_fax_peer_sessions_with_bad_lines:increase"
SUMS: Final = (LINES, PAGES, FAXES, BAD_FAXES)
OTHERS_PER_PAGE: Final = "pbx_peer:asterisk_fax_other_peers_bad_lines_per_page:ratio"
PER_PAGE: Final = "pbx_peer:asterisk_fax_peer_bad_lines_per_page:ratio"
LOW: Final = "pbx_peer:asterisk_fax_peer_bad_lines_per_page:low"
SHOWN: Final = "pbx_peer:asterisk_fax_peer_bad_lines:shown"
VERDICT: Final = "pbx_peer:asterisk_fax_peer_bad_lines:verdict"


def _grown(counter: str, range_: str = "1h") -> str:
    return increase(f'asterisk_fax_peer_{counter}{{operation="receive"}}', range_, "operation")


def _hour(name: str, counter: str) -> Record:
    return Record(name, _grown(counter), labels={"window": "1h"})


def _others(name: str) -> str:
    return f"(sum without (peer) ({name}) - ignoring (peer) group_right () {name})"


USUAL: Final = Group(
    "asterisk-fax-peer-lines-week",
    (windows.week(FAXES),),
    comment="Which peers had faxes within a week.",
    interval="1h",
)

GROUP: Final = Group(
    "asterisk-fax-peer-lines",
    (
        _hour(LINES, "bad_lines_total"),
        _hour(PAGES, "pages_total"),
        _hour(FAXES, "finished_total"),
        _hour(BAD_FAXES, "sessions_with_bad_lines_total"),
        *(windows.day(one) for one in SUMS),
        Record(
            OTHERS_PER_PAGE,
            f"""\
  {_others(LINES)}
/
  ({_others(PAGES)} >= 1)
and
  {_others(FAXES)} >= {windows.ENOUGH}
""",
            "Every peer is compared with all others together.",
        ),
        Record(
            PER_PAGE,
            f"{_grown('bad_lines_total', '10m')} / ({_grown('pages_total', '10m')} > 0)",
            labels={"window": "10m"},
        ),
        Record(
            PER_PAGE,
            f'{LINES}{{window="1h"}} / ({PAGES}{{window="1h"}} >= 1)',
            labels={"window": "1h"},
        ),
        Record(
            LOW,
            f'quantile_over_time(0.25, {PER_PAGE}{{window="10m"}}[1h:2m])',
            """
In three quarters of the time with a page, pages had at least so many: one fax, however bad, is in a
few minutes of an hour and in one hour of a day. How many faxes have any bad line tells less: at
some sites nearly all have.
""",
            labels={"window": "1h"},
        ),
        Record(
            LOW,
            f'quantile_over_time(0.25, {PER_PAGE}{{window="1h"}}[1d:30m])',
            labels={"window": "1d"},
        ),
        windows.shown(
            SHOWN,
            f"""
      {LOW} > {BAD_LINES_FACTOR} * clamp_min({OTHERS_PER_PAGE}, {BAD_LINES})
    and
      {FAXES} >= {windows.ENOUGH}
  """,
            f"""
      {LOW} > 0.5 * {BAD_LINES_FACTOR} * clamp_min({OTHERS_PER_PAGE}, {BAD_LINES})
  """,
            windows.enough(FAXES + '{window=~"1h|1d"}'),
        ),
        windows.verdict(VERDICT, SHOWN, FAXES, ("1h", "1d")),
        Alert(
            "AsteriskFaxPeerBadLines",
            f"{VERDICT} == 1",
            wait="10m",
            severity="warning",
            summary="Faxes from {labels.peer} at {labels.instance} have many bad lines",
            description="{lines} bad lines on {pages} pages of {faxes} faxes from this peer in the "
            "past hour, {bad} of them with bad lines; {lines_day} on {pages_day} pages in the day "
            "until its last full hour. All other peers have {others:.1f} a page.",
            figures={
                "lines": Figure(f'{LINES}{{window="1h"}}'),
                "pages": Figure(f'{PAGES}{{window="1h"}}'),
                "faxes": Figure(f'{FAXES}{{window="1h"}}'),
                "bad": Figure(f'{BAD_FAXES}{{window="1h"}}'),
                "lines_day": Figure(f'{LINES}{{window="1d"}} or 0 * {LINES}{{window="1h"}}'),
                "pages_day": Figure(f'{PAGES}{{window="1d"}} or 0 * {PAGES}{{window="1h"}}'),
                "others": Figure(f'{OTHERS_PER_PAGE}{{window="1h"}}'),
            },
            dashboard=PEERS,
        ),
    ),
    comment="One peer whose lines are worse than those of the others.",
    interval="2m",
)
