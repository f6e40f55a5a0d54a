"""The counters: what a result, and a fax that no list showed, adds to them."""

from exporter.fax import Reason, Transport
from tests.ledger.watch import FILE, RECEIVE, Watch


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
