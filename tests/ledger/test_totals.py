"""The counters: what a result, and a fax that no list showed, adds to them."""

import pytest

from exporter.fax import Operation, Reason, Transport
from exporter.ledger import Exemplar, Histogram
from tests.ledger.watch import EPOCH, FILE, GATEWAY, RECEIVE, SEND, Seen, Watch


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
    assert totals.failures[RECEIVE, Reason.INIT] == 1
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
    assert totals.rejected[RECEIVE] == 2
    assert totals.fallbacks[RECEIVE] == 2
    assert totals.results_unknown[RECEIVE] == 2
    assert totals.failures[RECEIVE, Reason.NO_FAX] == 2
    assert totals.finished[RECEIVE, Transport.G711] == 4


def test_a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() -> None:
    histogram = Histogram((1, 5))
    for value, times in ((0, 1), (1, 1), (2, 3), (5, 1), (5.1, 7)):
        histogram.observe(value, times)
    assert histogram.counts == [2, 4, 7]
    assert histogram.sum == pytest.approx(1 + 6 + 5 + 35.7)


def test_every_key_is_there_with_0_from_the_beginning() -> None:
    totals = Watch().ledger.totals
    before = {name: dict(getattr(totals, name)) for name in COUNTERS}
    assert {name: len(found) for name, found in before.items()} == COUNTERS
    assert not any(sum(found.values()) for found in before.values())
    watch = Watch.running()
    for operation in (SEND, RECEIVE):
        for transport in Transport:
            watch.hear(succeeded=None, operation=operation, transport=transport)
            watch.hear(succeeded=True, operation=operation, transport=transport)
        for reason in Reason:
            watch.hear(succeeded=False, operation=operation, reason=reason)
    for bad in (0, 400, 0):
        watch.poll(Seen(1, bad))
    watch.poll(Seen(3, operation=GATEWAY, number=3))
    watch.wait()
    for name in COUNTERS:
        assert getattr(watch.ledger.totals, name).keys() == before[name].keys(), name


COUNTERS = {
    "pages": 6,
    "bad_lines": 2,
    "rejected": 1,
    "fallbacks": 3,
    "finished": 2 * len(Transport),
    "succeeded": 2 * len(Transport),
    "failures": 2 * len(Reason),
    "results_unknown": 2,
    "started": len(Operation),
    "ended": len(Operation),
}


def test_when_the_last_fax_ended_and_the_last_that_succeeded_are_two_times() -> None:
    watch = Watch.running()
    totals = watch.ledger.totals
    assert totals.last_fax == totals.last_success == {}
    watch.hear(operation=SEND)
    well = watch.now + EPOCH
    watch.now += 60
    watch.hear(operation=SEND, succeeded=False, reason=Reason.NO_FAX)
    assert totals.last_success == {SEND: well}
    assert totals.last_fax == {SEND: well + 60}
    watch.hear(succeeded=None)
    assert totals.last_success == {SEND: well}
    assert totals.last_fax.keys() == {SEND, RECEIVE}


def test_the_last_fax_of_a_kind_is_its_exemplar_if_its_event_told_its_uniqueid() -> None:
    watch = Watch.running()
    for number, name in enumerate(("pbx-1.1", "pbx-1.2", "")):
        channel = f"PJSIP/a-0000000{number}"
        watch.poll(Seen(2, 3, number=number, channel=channel))
        watch.hear(2, channel=channel, succeeded=False, reason=Reason.TIMEOUT, unique_id=name)
        heard_at = watch.now + EPOCH
        watch.poll()
    totals = watch.ledger.totals
    expected = Exemplar("pbx-1.2", 1, heard_at - 2)
    assert totals.exemplars == {(RECEIVE, Reason.TIMEOUT): expected}
    assert totals.session_pages[RECEIVE].exemplars == {2: expected._replace(value=2)}
    assert totals.session_bad_lines[RECEIVE].exemplars == {2: expected._replace(value=3)}
    assert totals.session_rate[RECEIVE].exemplars.keys() == {5}
    assert totals.session_seconds[RECEIVE].exemplars.keys() == {0}


def test_a_session_without_an_event_is_no_exemplar() -> None:
    watch = Watch.running()
    watch.poll(Seen(2, 3))
    watch.wait()
    assert sum(watch.ledger.totals.session_pages[RECEIVE].counts) == 1
    assert watch.ledger.totals.session_pages[RECEIVE].exemplars == {}
