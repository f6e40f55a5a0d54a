"""Every counter of the exporter against what the demo PBX knows it did."""

from collections import Counter

from exporter.fax import Operation, Transport
from exporter.fax.reasons import failure_reason
from exporter.polling import Poller
from harness.pbx import FaultyPbx

_MODES = {"audio": Transport.G711, "T38": Transport.T38}


def assert_exact(poller: Poller, pbx: FaultyPbx) -> None:
    """All are equal. To be asked once the PBX has been idle long enough for every event to come."""
    totals, truth = poller.ledger.totals, pbx.truth
    pages: Counter[str] = Counter()
    for (operation, _, _), count in totals.pages.items():
        pages[operation] += count
    assert +pages == +truth.pages
    assert sum(totals.bad_lines.values()) == truth.bad_lines
    assert totals.session_bad_lines[Operation.RECEIVE].sum == truth.bad_lines
    never_began: Counter[str] = Counter()
    for result, count in truth.never_began.items():
        never_began[result.operation] += count
    for operation in Operation:
        unseen = never_began[operation.value]
        assert totals.started[operation] == truth.started[operation.value] + unseen
        assert totals.ended[operation] == truth.ended[operation.value] + unseen
        assert totals.rejected[operation, ""] == truth.rejected_pages[operation.value]
        assert totals.fallbacks[operation] == truth.fallbacks[operation.value]
    finished: Counter[object] = Counter()
    failures: Counter[object] = Counter()
    for result, count in (truth.heard + truth.never_began).items():
        operation, transport = Operation(result.operation), _MODES[result.mode]
        finished[operation, transport, ""] += count
        if result.status == "FAILED":
            failures[operation, transport, failure_reason(result.error, ""), ""] += count
    assert +Counter[object](totals.finished) == +finished
    assert +Counter[object](totals.failures) == +failures
    for operation in (Operation.SEND, Operation.RECEIVE):
        sessions = sum(totals.session_pages[operation].counts)
        assert sessions == totals.ended[operation]
        assert totals.session_pages[operation].sum == truth.pages[operation.value]
    assert poller.ledger.unobserved.total == truth.completions.total() - truth.heard.total()
