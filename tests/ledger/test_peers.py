"""The far ends: as many as may be told apart, and the others."""

from collections import Counter

from exporter.fax import Reason, State, Transport
from tests.ledger.watch import FILE, MOVED, RECEIVE, Seen, Watch


def test_peers_beyond_the_limit_are_other_and_a_peer_that_leaves_keeps_its_counters() -> None:
    watch = Watch.running(peer_limit=1)
    watch.poll(Seen(1, channel="PJSIP/berlin-00000001"))
    watch.poll(Seen(2, channel="PJSIP/paris-00000002"))
    watch.wait()
    pages = watch.ledger.totals.pages
    assert pages[RECEIVE, State.ACTIVE, "PJSIP/berlin"] == 1
    assert pages[RECEIVE, State.ACTIVE, "other"] == 2


def test_a_rejected_page_is_its_peers() -> None:
    watch = Watch.running(peer_limit=1)
    for bad in (0, 400, 0):
        watch.poll(Seen(0, bad, channel="PJSIP/berlin-00000001"))
    assert watch.ledger.totals.rejected == {(RECEIVE, "PJSIP/berlin"): 1}


def test_all_of_a_moved_fax_is_the_peers_that_it_began_with() -> None:
    watch = Watch.running(peer_limit=10)
    watch.poll(Seen(1, channel="PJSIP/berlin-00000001", files=FILE))
    watch.hear(3, channel=MOVED, files=FILE, succeeded=False, reason=Reason.CALL_DROPPED)
    watch.wait()
    totals = watch.ledger.totals
    berlin = "PJSIP/berlin"
    failure = (RECEIVE, Transport.G711, Reason.CALL_DROPPED)
    by_peer: Counter[str] = Counter()
    for (_, _, peer), pages in totals.pages.items():
        by_peer[peer] += pages
    assert +by_peer == {berlin: 3}
    assert totals.finished[RECEIVE, Transport.G711, berlin] == totals.finished.total() == 1
    assert totals.failures[*failure, berlin] == totals.failures.total() == 1
