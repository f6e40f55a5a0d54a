"""Every counter of the exporter against what the demo PBX knows it did."""

from collections import Counter

from exporter.demo import DemoPbx
from exporter.fax import Operation, Transport, failure_reason
from exporter.poller import Poller

_MODES = {"audio": Transport.G711, "T38": Transport.T38}


def assert_exact(poller: Poller, pbx: DemoPbx) -> None:
    """All equal; for a PBX that has been idle for so long that every event has come."""
    totals, truth = poller.ledger.totals, pbx.truth
    pages: Counter[str] = Counter()
    for (operation, _, _), count in totals.pages.items():
        pages[operation] += count
    assert +pages == +truth.pages
    assert sum(totals.bad_lines.values()) == truth.bad_lines
    assert totals.session_lines[Operation.RECEIVE].sum == truth.bad_lines
    for operation in Operation:
        assert totals.started[operation] == truth.started[operation.value]
        assert totals.ended[operation] == truth.ended[operation.value]
        assert totals.rejected[operation, ""] == truth.rejected_pages[operation.value]
        assert totals.fallbacks[operation] == truth.fallbacks[operation.value]
    finished: Counter[object] = Counter()
    failures: Counter[object] = Counter()
    for result, count in truth.heard.items():
        operation, transport = Operation(result.operation), _MODES[result.mode]
        finished[operation, transport, ""] += count
        if result.status == "FAILED":
            failures[operation, transport, failure_reason(result.error, ""), ""] += count
    assert +Counter[object](totals.finished) == +finished
    assert +Counter[object](totals.failures) == +failures
    assert poller.ledger.unobserved.total == truth.completions.total() - truth.heard.total()
