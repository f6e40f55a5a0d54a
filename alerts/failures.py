"""Faxes that fail."""

from collections.abc import Iterator
from typing import Final

from alerts.burn import COUNTED, PAGE, Counts, counted
from alerts.promql import increase
from alerts.rules import Alert, Group, Listing, Record
from alerts.thresholds import FAILURES_OBJECTIVE, THEIRS_SHARE
from exporter import fax

THEIRS: Final = "|".join(fax.THEIRS)
"""Reasons that are the other end's."""

FAILED: Final = "asterisk_fax_failures_total"
_ENDED: Final = "pbx_operation:asterisk_fax_ended"
_FAILURES: Final = "pbx_operation:asterisk_fax_failures"
_COUNTED: Final = "|".join(COUNTED)
_REASONS: Final = "pbx_operation_reason:asterisk_fax_failures:increase1h"

OURS: Final = Counts(_ENDED, "ours", "succeeded", FAILURES_OBJECTIVE, 'result!="theirs"')
OTHERS: Final = Counts(_ENDED, "theirs", "succeeded", THEIRS_SHARE)


def _not_failed(window: str) -> str:
    """What ended well where nothing counts it: else every one of few failures would be all."""
    finished = counted("asterisk_fax_finished_total", window, "transport")
    return f"""\
clamp_min(
  {finished}
- ignoring (rules, result, window)
  sum without (result) ({_ENDED}:increase{{result=~"ours|theirs", window="{window}"}}),
  0
)"""


def _ended() -> Iterator[Record]:
    counters = {
        "ours": (f'{FAILED}{{reason!~"{THEIRS}"}}', "reason"),
        "theirs": (f'{FAILED}{{reason=~"{THEIRS}"}}', "reason"),
        "succeeded": ("asterisk_fax_succeeded_total", "transport"),
    }
    for result, (counter, away) in counters.items():
        for window in COUNTED:
            made = counted(counter, window, away)
            if result == "succeeded":
                made = f"{made}\nor\n{_not_failed(window)}"
            yield Record(f"{_ENDED}:increase", made, labels={"result": result, "window": window})
    yield Record(
        f"{_ENDED}:increase",
        f'sum without (operation) ({_ENDED}:increase{{operation!="all", window=~"{_COUNTED}"}})',
        "Of both operations together: a PBX of which half the faxes fail has an outage of one of "
        "them.",
        {"operation": "all"},
    )
    yield from OURS.longer("2h", "6h", "1d", "3d")


def _by(counts: Counts, window: str, result: str = "") -> Listing:
    return Listing(counts.count(window, result), by="operation")


_LISTED: Final = Listing(f"sum without (operation) ({_REASONS}) >= 0.5", by="reason", none="none")
_OF_PEERS: Final = f'asterisk_fax_peer_failures_total{{reason!~"{THEIRS}"}}'
_PEERS: Final = Listing(
    f"topk(3, {increase(_OF_PEERS, '1h', 'operation', 'reason')} >= 0.5)",
    by="peer",
    none="not told",
)

GROUP: Final = Group(
    "asterisk-fax-failures",
    (
        *_ended(),
        *OURS.records("outage", "burn"),
        *OTHERS.records(),
        Record(_REASONS, increase(FAILED, "1h")),
        Record(
            f"{_FAILURES}:outage",
            OURS.outage(),
            """
Nearly all fail, in the window that tells it first. Where many succeeded until now, four in a row
are enough; else it takes ten, or six that are spread over hours: one number that is tried
again and again is no outage.
""",
        ),
        Record(
            f"{_FAILURES}:burn",
            OURS.burn(*PAGE),
            """
More fail than five times the objective, now as well as before: so what is over does not go on, and
a burst is not taken for a state.
""",
        ),
        Record(
            f"{_FAILURES}:nothing_works",
            f"""\
sum without (result) ({_ENDED}:increase{{window="20m"}}) >= 29.5
and
sum without (result) ({OURS.count("20m", "succeeded")}) < 0.5
""",
            """
Thirty in a row fail, and be it that nobody at the other end speaks fax: sound that goes one way
only looks like that.
""",
        ),
        Alert(
            "AsteriskFaxFailureRatioHigh",
            f"""\
max without (operation, window, result) (
    {_FAILURES}:outage
  or
    {_FAILURES}:burn
  or
    {_FAILURES}:nothing_works ^ 0
)
""",
            wait="",
            linger="7m",
            severity="critical",
            summary="Faxes fail at {labels.instance}",
            description="{value:percent} fail. Failed in the past 10 minutes for reasons of this "
            "side or the line:{bad10m}; ended well:{good10m}. In the past hour failed:{bad1h}; "
            "ended well:{good1h}. All failures of the hour:{reasons}. Peers with most of "
            "them:{peers}.",
            figures={
                "bad10m": _by(OURS, "10m"),
                "good10m": _by(OURS, "10m", "succeeded"),
                "bad1h": _by(OURS, "1h"),
                "good1h": _by(OURS, "1h", "succeeded"),
                "reasons": _LISTED,
                "peers": _PEERS,
            },
        ),
        Record(
            f"{_FAILURES}:slow_burn",
            OURS.slow_burn(
                ("6h", "1h", 2), ("1d", "6h", 1.5), ("3d", "1d", 1), but_worst_hour=True
            ),
            """
More fail than the objective, over hours or days, and not in one hour alone: no page, and not
nothing.
""",
        ),
        Alert(
            "AsteriskFaxFailureBudgetBurning",
            f"max without (operation, window, result) ({_FAILURES}:slow_burn)",
            wait="15m",
            linger="2h",
            severity="warning",
            summary="More faxes fail at {labels.instance} than may",
            description="{value:percent} fail. Failed in the past 6 hours for reasons of this "
            "side or the line:{bad6h}; ended well:{good6h}. In the past 3 days failed:{bad3d}; "
            "ended well:{good3d}. All failures of the past hour:{reasons}. Peers with most of "
            "them:{peers}.",
            figures={
                "bad6h": _by(OURS, "6h"),
                "good6h": _by(OURS, "6h", "succeeded"),
                "bad3d": _by(OURS, "3d"),
                "good3d": _by(OURS, "3d", "succeeded"),
                "reasons": _LISTED,
                "peers": _PEERS,
            },
        ),
        Record(
            f"{_ENDED}:slow_burn",
            OTHERS.slow_burn(("1h", "20m", 1), ("6h", "1h", 1)),
            "Many meet no fax at the other end, or one that refuses.",
        ),
        Alert(
            "AsteriskFaxNoFaxRatioHigh",
            f"max without (operation, window, result) ({_ENDED}:slow_burn)",
            wait="15m",
            linger="30m",
            severity="warning",
            summary="Many faxes at {labels.instance} meet no fax at the other end",
            description="{value:percent} end so. no_fax or not_accepted in the past hour:{bad1h}; "
            "ended well:{good1h}. In the past 6 hours:{bad6h}; ended well:{good6h}. All failures "
            "of the past hour:{reasons}.",
            figures={
                "bad1h": _by(OTHERS, "1h"),
                "good1h": _by(OTHERS, "1h", "succeeded"),
                "bad6h": _by(OTHERS, "6h"),
                "good6h": _by(OTHERS, "6h", "succeeded"),
                "reasons": _LISTED,
            },
        ),
    ),
    comment="Faxes that fail.",
)
