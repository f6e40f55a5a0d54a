"""One peer that is bad among many: faxes that fail at it."""

from collections.abc import Iterator, Mapping
from typing import Final

from alerts.burn import Counts, Window, counted
from alerts.failures import THEIRS
from alerts.promql import increase
from alerts.rules import Alert, Figure, Group, Listing, Record
from alerts.thresholds import FAILURES_OBJECTIVE, THEIRS_SHARE

DASHBOARD: Final = "asterisk-fax-peers"

FAILED: Final = "asterisk_fax_peer_failures_total"
_ENDED: Final = "pbx_peer:asterisk_fax_ended"
_FAILURES: Final = "pbx_peer:asterisk_fax_failures"

OURS: Final = Counts(_ENDED, "ours", "succeeded", FAILURES_OBJECTIVE, 'result!="theirs"')
OTHERS: Final = Counts(_ENDED, "theirs", "succeeded", THEIRS_SHARE)


def _ended() -> Iterator[Record]:
    for window in ("20m", "1h"):
        succeeded = counted("asterisk_fax_peer_succeeded_total", window, "operation")
        finished = counted("asterisk_fax_peer_finished_total", window, "operation")
        theirs = counted(f'{FAILED}{{reason=~"{THEIRS}"}}', window, "operation", "reason")
        labels = {"window": window}
        yield Record(f"{_ENDED}:increase", succeeded, labels={"result": "succeeded"} | labels)
        yield Record(
            f"{_ENDED}:increase",
            f"{theirs}\nor\n  0 * {finished}",
            "Only reasons that occurred have a series." if window == "20m" else "",
            {"result": "theirs"} | labels,
        )
        yield Record(
            f"{_ENDED}:increase",
            f"clamp_min(\n  {finished}\n- ignoring (rules, result, window) (\n    "
            f'{_ENDED}:increase{{result="succeeded", window="{window}"}}\n    + ignoring (result) '
            f'{_ENDED}:increase{{result="theirs", window="{window}"}}\n  ),\n  0\n)',
            labels={"result": "ours"} | labels,
        )
    yield from OURS.longer("6h")
    yield from OURS.records("burn")
    yield from OTHERS.records()


_FIGURES: Final[Mapping[str, Figure | Listing]] = {
    **{
        f"{word}{window}": Figure(f"sum without (result, window) ({OURS.count(window, result)})")
        for word, result in (("bad", "ours"), ("theirs", "theirs"), ("good", "succeeded"))
        for window in ("20m", "1h")
    },
    "reasons": Listing(f"{increase(FAILED, '1h', 'operation')} >= 0.5", by="reason", none="none"),
}
_DESCRIPTION: Final = (
    "{value:percent} fail. Of the faxes of {labels.peer} in the past 20 minutes {bad20m} failed "
    "for reasons of this side or the line, {theirs20m} met no fax at the other end or were "
    "refused there, and {good20m} ended well; in the past hour {bad1h}, {theirs1h} and {good1h}. "
    "All failures of the hour:{reasons}."
)

GROUP: Final = Group(
    "asterisk-fax-peers",
    (
        *_ended(),
        Record(
            f"{_FAILURES}:outage",
            f"""\
    {OURS.ratio("20m")}
  and ignoring (window, result)
    {OURS.twice("20m")} >= 39
or
    {OURS.ratio("1h")}
  and ignoring (window, result)
    {OURS.twice("1h")} >= 39
  and ignoring (window, result)
    {OURS.twice("20m")} > 0
or
    sum without (result) ({_ENDED}:increase{{window="1h"}}) ^ 0
  and
    sum without (result) ({_ENDED}:increase{{window="1h"}}) >= 29.5
  and
    sum without (result) ({OURS.count("1h", "succeeded")}) < 0.5
  and ignoring (window)
    sum without (result) ({_ENDED}:increase{{window="20m"}}) >= 0.5
""",
            """
Twenty fail, and two for each one that ends well, or thirty in a row, for whatever reason: that is a
trunk, and not one bad machine.
""",
        ),
        Alert(
            "AsteriskFaxPeerFailing",
            f"max without (window, result) ({_FAILURES}:outage)",
            wait="",
            linger="10m",
            severity="critical",
            summary="Faxes of {labels.peer} fail at {labels.instance}",
            description=_DESCRIPTION,
            figures=_FIGURES,
            dashboard=DASHBOARD,
        ),
        Record(
            f"{_FAILURES}:burn",
            OURS.burn(
                Window("1h", now="20m", before="20m", clean="20m"),
                Window("6h", now="1h", before="1h", clean="20m", least=2),
            ),
            """
Now as well as before: one fax that is tried again and again is not the peer.
""",
        ),
        Record(f"{_ENDED}:slow_burn", OTHERS.slow_burn(("1h", "20m", 1), ("6h", "1h", 1))),
        Alert(
            "AsteriskFaxPeerFailureRatioHigh",
            f"""\
max without (window, result) (
    {_FAILURES}:burn
  or
    {_ENDED}:slow_burn
)
unless
max without (window, result) ({_FAILURES}:outage)
""",
            wait="10m",
            linger="30m",
            severity="warning",
            summary="More faxes of {labels.peer} fail at {labels.instance} than may",
            description=_DESCRIPTION,
            figures=_FIGURES,
            dashboard=DASHBOARD,
        ),
    ),
    comment="One peer that is bad among many.",
)
