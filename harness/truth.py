"""Every counter of the exporter against what the demo PBX knows it did."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from exporter.fax import Operation, Transport
from exporter.fax.reasons import failure_reason
from exporter.ledger import Ledger
from exporter.polling import Poller
from harness.pbx import FaultyPbx

_MODES = {"audio": Transport.G711, "T38": Transport.T38}


def assert_exact(poller: Poller, pbx: FaultyPbx) -> None:
    """All are equal. To be asked once the PBX has been idle long enough for every event to come."""
    totals, truth = poller.ledger.totals, pbx.truth
    pages: Counter[str] = Counter()
    for (operation, _), count in totals.pages.items():
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
        assert totals.rejected[operation] == truth.rejected_pages[operation.value]
        assert totals.fallbacks[operation] == truth.fallbacks[operation.value]
    finished: Counter[object] = Counter()
    succeeded: Counter[object] = Counter()
    failures: Counter[object] = Counter()
    for result, count in (truth.heard + truth.never_began).items():
        operation, transport = Operation(result.operation), _MODES[result.mode]
        finished[operation, transport] += count
        if result.status == "SUCCESS":
            succeeded[operation, transport] += count
        if result.status == "FAILED":
            failures[operation, failure_reason(result.error, "")] += count
    assert +Counter[object](totals.finished) == +finished
    assert +Counter[object](totals.succeeded) == +succeeded
    assert +Counter[object](totals.failures) == +failures
    if poller.ledger.peers.told_apart:
        assert_peers_make_up_the_whole(poller.ledger)
    for operation in (Operation.SEND, Operation.RECEIVE):
        sessions = sum(totals.session_pages[operation].counts)
        assert sessions == totals.ended[operation]
        assert totals.session_pages[operation].sum == truth.pages[operation.value]
    assert poller.ledger.unobserved.total == truth.completions.total() - truth.heard.total()


def assert_peers_make_up_the_whole(ledger: Ledger) -> None:
    """What is counted by peer is what is counted at all. To be asked once no fax is under way."""
    totals, peers = ledger.totals, ledger.peers.totals
    for by_peer, whole in (
        (peers.pages, totals.pages),
        (peers.bad_lines, totals.bad_lines),
        (peers.finished, totals.finished),
        (peers.succeeded, totals.succeeded),
    ):
        assert _by_operation(by_peer) == _by_operation(whole)
    failures: Counter[object] = Counter()
    for (operation, reason, _), count in peers.failures.items():
        failures[operation, reason] += count
    assert +failures == +Counter[object](totals.failures)
    bad = totals.session_bad_lines[Operation.RECEIVE]
    assert peers.sessions_with_bad_lines.total() == sum(bad.counts[1:])
    for operation, histogram in totals.page_seconds.items():
        timed = [key for key in peers.pages_timed if key[0] is operation]
        assert sum(peers.pages_timed[key] for key in timed) == sum(histogram.counts)
        assert math.isclose(
            sum(peers.page_seconds[key] for key in timed), histogram.sum, abs_tol=1e-6
        )


def _by_operation(counts: Mapping[tuple[Operation, Any], int]) -> Counter[Operation]:
    added: Counter[Operation] = Counter()
    for (operation, _), count in counts.items():
        added[operation] += count
    return +added
