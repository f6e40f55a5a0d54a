"""One session: how it began and ended, its rates and its times."""

from exporter.fax import Operation, Reason, State, Transport
from exporter.ledger import Observation
from tests.ledger.watch import RECEIVE, SEND, Seen, Watch

# --- how it began ------------------------------------------------------------------------------


def test_a_session_running_at_the_start_counts_from_there() -> None:
    watch = Watch()
    watch.poll(Seen(2, 9))
    watch.poll(Seen(3, 1))
    watch.poll()
    watch.hear(3)
    watch.wait()
    assert (watch.pages(), watch.bad_lines) == (1, 1)
    assert watch.ledger.totals.started[RECEIVE] == 0
    assert watch.ledger.totals.ended[RECEIVE] == 1


def test_a_session_running_at_the_start_that_was_never_asked_adds_nothing_at_its_end() -> None:
    watch = Watch()
    watch.poll(Seen(asked=False))
    watch.poll()
    watch.hear(3)
    watch.wait()
    assert watch.pages() == 0


def test_a_session_running_at_the_start_counts_from_there_over_a_switch_to_t38() -> None:
    watch = Watch()
    watch.poll(Seen(2))
    watch.poll(Seen(1, transport=Transport.T38))
    assert watch.pages() == 1


def test_where_a_first_reading_says_nothing_all_that_later_ones_say_counts() -> None:
    watch = Watch()
    watch.poll(Seen(None, None))
    watch.poll(Seen(1, 2))
    watch.poll()
    watch.wait()
    assert (watch.pages(), watch.bad_lines) == (1, 2)
    assert watch.ledger.totals.session_bad_lines[RECEIVE].sum == 2


def test_a_session_running_at_the_start_has_all_lines_that_were_seen_of_it() -> None:
    watch = Watch()
    watch.poll(Seen(2, 9))
    watch.poll(Seen(2, 10))
    watch.wait()
    assert watch.ledger.totals.session_bad_lines[RECEIVE].sum == 10


def test_a_session_that_seems_to_do_something_else_keeps_what_it_did() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll(Seen(7, operation=SEND))
    watch.poll(Seen(2))
    assert (watch.pages(SEND), watch.pages(RECEIVE)) == (0, 2)


def test_a_session_initialized_at_the_start_counts_whole() -> None:
    watch = Watch()
    watch.poll(Seen(state=State.INITIALIZED, asked=False))
    watch.poll(Seen(1, 4))
    assert (watch.pages(), watch.bad_lines) == (1, 4)


def test_a_session_whose_operation_is_told_late_has_its_pages_and_ends_as_it_began() -> None:
    watch = Watch.running()
    watch.poll(Seen(operation=Operation.NONE))
    watch.poll(Seen(1))
    assert watch.pages() == 1
    watch.poll()
    totals = watch.ledger.totals
    assert (totals.started[Operation.NONE], totals.ended[Operation.NONE]) == (1, 1)
    assert (totals.started[RECEIVE], totals.ended[RECEIVE]) == (0, 0)


def test_what_is_said_of_a_session_of_another_operation_is_not_of_this_one() -> None:
    watch = Watch.running()
    watch.poll(Seen(1, operation=SEND))
    listed, other = Seen(operation=SEND), Seen(7, operation=RECEIVE)
    watch.now += 1
    watch.ledger.observe(
        Observation(watch.now, watch.now, watch.now, [listed.listed], True, {0: other.detail})
    )
    assert watch.pages(SEND) == 1
    assert watch.pages(RECEIVE) == 0


def test_a_session_running_at_the_start_has_no_duration() -> None:
    watch = Watch()
    watch.poll(Seen(2))
    watch.wait()
    assert sum(watch.ledger.totals.session_seconds[RECEIVE].counts) == 0
    assert sum(watch.ledger.totals.session_pages[RECEIVE].counts) == 1


def test_a_session_initialized_at_the_start_has_no_duration_either() -> None:
    watch = Watch()
    watch.poll(Seen(state=State.INITIALIZED, asked=False))
    watch.wait()
    assert sum(watch.ledger.totals.session_seconds[RECEIVE].counts) == 0


def test_a_page_under_way_at_the_start_is_not_timed() -> None:
    watch = Watch()
    for pages in (2, 2, 3):
        watch.poll(Seen(pages))
    assert sum(watch.ledger.totals.page_seconds[RECEIVE].counts) == 0


def test_a_fallback_of_a_session_running_at_the_start_is_counted() -> None:
    watch = Watch()
    watch.poll(Seen(data_rate=14400))
    watch.poll(Seen(data_rate=9600))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 1


# --- the same reading once more ------------------------------------------------------------------


def test_after_an_event_told_of_another_page_the_same_reading_is_of_that_page() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 0))
    watch.poll(Seen(1, 5))
    watch.poll()
    watch.hear(2)
    watch.poll()
    watch.poll(Seen(1, 5))  # it is back in the list, and nothing new was read
    assert watch.bad_lines == 5
    watch.poll(Seen(3, 2))
    assert watch.bad_lines == 5 + 5 + 2


# --- rates -------------------------------------------------------------------------------------


def test_a_rate_counts_as_fallback_only_between_two_negotiated_readings() -> None:
    watch = Watch.running()
    watch.poll(Seen(data_rate=14400, negotiated=False))
    watch.poll(Seen(data_rate=12000))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 0
    watch.poll(Seen(data_rate=9600))
    watch.poll(Seen(data_rate=9600))
    watch.poll(Seen(data_rate=14400))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 1


def test_the_same_rate_again_is_no_fallback() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, data_rate=9600))
    watch.poll(Seen(1, data_rate=9600))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 0


def test_before_the_agreement_no_rate_is_one_to_fall_from_at_the_start_either() -> None:
    watch = Watch()
    watch.poll(Seen(data_rate=14400, negotiated=False))
    watch.poll(Seen(data_rate=9600))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 0


def test_the_first_rate_after_a_switch_to_t38_is_no_fallback() -> None:
    watch = Watch.running()
    watch.poll(Seen(data_rate=14400))
    watch.poll(Seen(data_rate=9600, transport=Transport.T38))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 0


def test_a_fax_that_could_not_train_has_no_data_rate() -> None:
    watch = Watch.running()
    watch.poll(Seen(data_rate=14400))
    watch.poll()
    watch.hear(0, succeeded=False, reason=Reason.TRAINING)
    watch.poll()
    assert sum(watch.ledger.totals.session_rate[RECEIVE].counts) == 0


def test_a_rate_that_was_agreed_between_two_polls_is_the_one_of_the_event() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, negotiated=False))
    watch.hear(0, data_rate=9600, succeeded=False, reason=Reason.CALL_DROPPED)
    watch.poll()
    assert watch.ledger.totals.session_rate[RECEIVE].sum == 9600


def test_who_agreed_on_nothing_has_no_rate() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, negotiated=False))
    watch.hear(0, data_rate=None, succeeded=False, reason=Reason.CALL_DROPPED)
    watch.hear(0, channel="PJSIP/unseen-00000001", data_rate=None)
    watch.poll()
    assert watch.ledger.totals.session_rate[RECEIVE].sum == 0


# --- times -------------------------------------------------------------------------------------


def test_pages_are_timed_from_page_to_page_and_the_first_from_the_agreement() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, negotiated=False))
    for pages in (0, 0, 0, 1, 1, 2):
        watch.poll(Seen(pages))
    seconds = watch.ledger.totals.page_seconds[RECEIVE]
    assert seconds.sum == 3 + 2
    assert sum(seconds.counts) == 2


def test_pages_that_one_poll_sees_at_once_share_the_time() -> None:
    watch = Watch.running()
    for pages in (0, 0, 0, 0, 2):
        watch.poll(Seen(pages))
    seconds = watch.ledger.totals.page_seconds[RECEIVE]
    assert (sum(seconds.counts), seconds.sum) == (2, 4)


def test_a_first_page_is_timed_from_the_agreement_after_a_switch_to_t38() -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    watch.poll(Seen(0, transport=Transport.T38, negotiated=False))
    for pages in (0, 0, 1):
        watch.poll(Seen(pages, transport=Transport.T38))
    assert watch.ledger.totals.page_seconds[RECEIVE].sum == 2


def test_a_session_that_ended_unseen_lasted_until_it_was_last_seen() -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    watch.poll(Seen(1))
    watch.connect("boot 1")
    watch.now += 600
    watch.wait()
    assert watch.ledger.totals.session_seconds[RECEIVE].sum == 1


def test_a_session_is_observed_once_when_it_is_over() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 4, data_rate=9600))
    watch.poll(Seen(2, 3, data_rate=9600))
    watch.poll()
    totals = watch.ledger.totals
    assert totals.ended[RECEIVE] == 1
    assert sum(totals.session_pages[RECEIVE].counts) == 0
    watch.hear(3)
    watch.poll()
    watch.wait()
    for histogram in (
        totals.session_pages,
        totals.session_seconds,
        totals.session_rate,
        totals.session_bad_lines,
    ):
        assert sum(histogram[RECEIVE].counts) == 1
    assert totals.session_pages[RECEIVE].sum == 3
    assert totals.session_seconds[RECEIVE].sum == 2
    assert totals.session_rate[RECEIVE].sum == 9600
    assert totals.session_bad_lines[RECEIVE].sum == sum(totals.bad_lines.values()) == 7
