"""The counters: what a result, and a fax that no list showed, adds to them."""

from collections import Counter

import pytest

from exporter.fax import Operation, Reason, State, Transport
from exporter.ledger import Histogram
from tests.ledger.watch import FILE, GATEWAY, RECEIVE, SEND, Seen, Watch


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


def keys(watch: Watch, peer: str, operation: Operation = RECEIVE) -> dict[str, int]:
    """How many keys with 0 each counter has of this peer and operation, where it has any."""
    found: Counter[str] = Counter()
    for name in OF_RECEIVE:
        for key, count in getattr(watch.ledger.totals, name).items():
            found[name] += key[0] is operation and key[-1] == peer and count == 0
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
    assert keys(watch, "PJSIP/oslo", GATEWAY) == {"pages": 2}
    assert keys(watch, "PJSIP/rome") == {}
    watch.poll(Seen(asked=False, channel="PJSIP/rome-00000001"))
    assert keys(watch, "PJSIP/rome") == OF_RECEIVE


@pytest.mark.parametrize("operation", Operation)
def test_without_peers_every_key_is_there_from_the_beginning(operation: Operation) -> None:
    expected = {
        RECEIVE: OF_RECEIVE,
        SEND: {name: OF_RECEIVE[name] for name in ("pages", "finished", "failures")},
        GATEWAY: {"pages": 2},
    }
    assert keys(Watch(), "", operation) == expected.get(operation, {})


def test_a_fax_that_no_list_showed_is_its_peers() -> None:
    watch = Watch.running(peer_limit=10)
    watch.hear(2, channel="PJSIP/berlin-00000001")
    watch.poll()
    totals = watch.ledger.totals
    assert totals.finished[RECEIVE, Transport.G711, "PJSIP/berlin"] == 1
    assert totals.pages[RECEIVE, State.COMPLETE, "PJSIP/berlin"] == 2
    one_less = Counter(pages=1, finished=1)
    assert keys(watch, "PJSIP/berlin") == Counter(OF_RECEIVE) - one_less
