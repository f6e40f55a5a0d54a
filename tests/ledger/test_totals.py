"""The counters: what a result, and a fax that no list showed, adds to them."""

from collections import Counter

import pytest

from exporter.fax import Operation, Reason, State, Transport
from exporter.ledger import Histogram
from tests.ledger.watch import FILE, GATEWAY, RECEIVE, Seen, Watch


def test_an_unknown_result_is_counted_as_such_and_as_no_failure() -> None:
    watch = Watch.running()
    watch.hear(1, succeeded=None, transport=Transport.NONE)
    assert watch.ledger.totals.results_unknown[RECEIVE] == 1
    assert sum(watch.ledger.totals.failures.values()) == 0


def test_a_fax_that_no_poll_saw_is_observed_by_what_its_event_says() -> None:
    watch = Watch.running()
    watch.hear(2, data_rate=9600)
    watch.hear(0, succeeded=False, reason=Reason.TRAINING, data_rate=14400)
    watch.poll()
    totals = watch.ledger.totals
    assert (sum(totals.session_pages[RECEIVE].counts), totals.session_pages[RECEIVE].sum) == (2, 2)
    assert (sum(totals.session_rate[RECEIVE].counts), totals.session_rate[RECEIVE].sum) == (1, 9600)


def test_a_fax_that_never_began_ended_and_has_neither_page_nor_rate() -> None:
    watch = Watch.running()
    watch.hear(None, files=FILE, succeeded=False, reason=Reason.INIT, data_rate=None, began=False)
    watch.poll()
    totals = watch.ledger.totals
    assert totals.failures[RECEIVE, Transport.G711, Reason.INIT, ""] == 1
    assert (totals.started[RECEIVE], totals.ended[RECEIVE]) == (1, 1)
    assert watch.pages() == 0
    assert sum(totals.session_rate[RECEIVE].counts) == 0


def test_each_of_two_alike_is_counted() -> None:
    watch = Watch.running()
    for rate, bad in ((14400, 300), (9600, 0), (7200, 300), (7200, 0)):
        watch.poll(Seen(0, bad, data_rate=rate))
    for _ in range(2):
        watch.hear(succeeded=None)
        watch.hear(succeeded=False, reason=Reason.NO_FAX)
    totals = watch.ledger.totals
    assert totals.rejected[RECEIVE, ""] == 2
    assert totals.fallbacks[RECEIVE] == 2
    assert totals.results_unknown[RECEIVE] == 2
    assert totals.failures[RECEIVE, Transport.G711, Reason.NO_FAX, ""] == 2
    assert totals.finished[RECEIVE, Transport.G711, ""] == 4


def test_a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() -> None:
    histogram = Histogram((1, 5))
    for value, times in ((0, 1), (1, 1), (2, 3), (5, 1), (5.1, 7)):
        histogram.observe(value, times)
    assert histogram.counts == [2, 4, 7]
    assert histogram.sum == pytest.approx(1 + 6 + 5 + 35.7)


def keys(watch: Watch, peer: str) -> dict[str, int]:
    """How many keys of this peer each counter has, where it has any."""
    found: Counter[str] = Counter()
    for name in OF_RECEIVE:
        found[name] = sum(key[-1] == peer for key in getattr(watch.ledger.totals, name))
    return dict(+found)


OF_RECEIVE = {
    "pages": 2,
    "bad_lines": 2,
    "rejected": 1,
    "finished": len(Transport),
    "failures": len(Transport) * len(Reason),
}


def test_every_key_of_a_peer_is_there_with_0_before_it_counts_up() -> None:
    watch = Watch.running(peer_limit=10)
    watch.poll(
        Seen(asked=False, channel="PJSIP/berlin-00000001"),
        Seen(asked=False, channel="PJSIP/oslo-00000001", operation=GATEWAY),
        Seen(asked=False, channel="PJSIP/rome-00000001", operation=Operation.NONE),
    )
    assert keys(watch, "PJSIP/berlin") == OF_RECEIVE
    assert keys(watch, "PJSIP/oslo") == {"pages": 2}
    assert keys(watch, "PJSIP/rome") == {}
    watch.poll(Seen(asked=False, channel="PJSIP/rome-00000001"))
    assert keys(watch, "PJSIP/rome") == OF_RECEIVE
    assert watch.pages() == watch.bad_lines == watch.ledger.totals.finished.total() == 0


def test_without_peers_every_key_is_there_from_the_beginning() -> None:
    of_send = {key: OF_RECEIVE[key] for key in ("pages", "finished", "failures")}
    assert keys(Watch(), "") == Counter(OF_RECEIVE) + Counter(of_send) + Counter(pages=2)


def test_a_fax_that_no_list_showed_is_its_peers() -> None:
    watch = Watch.running(peer_limit=10)
    watch.hear(2, channel="PJSIP/berlin-00000001")
    watch.poll()
    totals = watch.ledger.totals
    assert totals.finished[RECEIVE, Transport.G711, "PJSIP/berlin"] == 1
    assert totals.pages[RECEIVE, State.COMPLETE, "PJSIP/berlin"] == 2
    assert keys(watch, "PJSIP/berlin") == OF_RECEIVE
