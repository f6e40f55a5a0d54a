"""The ledger by itself: lists, events and connections in whatever order, each fax counted once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.fax import FaxStats, Operation, Reason, State, Transport
from exporter.ledger import EVENT_LATENESS, PAGE_OPERATIONS, Ledger, matching
from exporter.ledger.matching import LIST_PATIENCE
from harness.told import Told
from tests.ledger.watch import CHANNEL, FILE, LONG_AGO, MOVED, RECEIVE, SEND, Seen, Watch

# --- events and sessions -----------------------------------------------------------------------


def test_an_event_while_the_next_fax_of_the_channel_runs_is_the_first_faxs() -> None:
    watch = Watch.running()
    watch.poll(Seen(1, number=1))
    watch.poll(Seen(0, number=2))
    watch.hear(2)  # of number 1
    watch.poll(Seen(1, number=2))
    watch.poll(Seen(4, number=2))
    watch.poll()
    watch.hear(5)
    watch.poll()
    assert watch.pages() == 2 + 5


def test_two_events_of_one_channel_come_in_the_order_of_its_faxes() -> None:
    watch = Watch.running()
    watch.poll(Seen(1, number=1))
    watch.poll(Seen(4, number=2))
    watch.poll()
    watch.hear(2)
    watch.hear(5)
    watch.poll()
    assert watch.pages() == 2 + 5


def test_an_event_that_comes_too_late_is_of_another_fax() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.wait()
    watch.hear(5)
    watch.poll()
    assert watch.pages() == 1 + 5


def test_an_event_5_s_after_the_session_has_gone_still_finds_it() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll()
    watch.now += 5
    watch.hear(2)
    watch.poll()
    assert watch.pages() == 2


def test_an_event_long_after_a_session_of_that_channel_is_of_another() -> None:
    watch = Watch.running()
    watch.poll(Seen(1, channel="DAHDI/1-1"))
    watch.poll()
    watch.now += 60  # without a connection, so that nothing was forgotten
    watch.hear(5, channel="DAHDI/1-1")
    watch.poll()
    assert watch.pages() == 6


def test_an_event_of_a_session_no_poll_saw_counts_whole() -> None:
    watch = Watch.running()
    watch.hear(2)
    watch.poll()
    assert watch.pages() == 2
    assert watch.ledger.totals.started[RECEIVE] == watch.ledger.totals.ended[RECEIVE] == 1


def test_an_event_of_an_unseen_fax_does_not_pass_for_that_of_the_running_one() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, number=2))
    watch.hear(1)  # of a fax between two polls; number 2 is listed after it
    watch.poll(Seen(1, number=2))
    watch.poll(Seen(3, number=2))
    watch.poll()
    watch.hear(3)
    watch.poll()
    assert watch.pages() == 1 + 3


def test_an_event_just_after_the_start_is_of_a_fax_before_it() -> None:
    watch = Watch()
    watch.poll()
    watch.hear(4)
    watch.poll()
    assert watch.pages() == 0
    assert watch.ledger.totals.finished[RECEIVE, Transport.G711] == 1


def test_a_session_that_is_back_after_its_event_takes_no_other() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll()
    watch.hear(2)
    watch.poll()
    watch.poll(Seen(1))
    watch.poll(Seen(0, number=1))
    watch.poll()
    watch.hear(3)
    watch.poll()
    assert watch.pages() == 2 + 3


def test_an_event_waits_while_an_unreadable_line_may_be_of_its_session() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.hear(2)
    watch.poll(whole=False)
    watch.poll()
    assert watch.pages() == 2
    assert watch.ledger.totals.started[RECEIVE] == 1


def test_a_fax_whose_call_was_moved_is_counted_once() -> None:
    watch = Watch.running()
    watch.poll(Seen(1, files=FILE))
    watch.poll(Seen(2, files=FILE))
    watch.hear(3, channel=MOVED, files=FILE)
    watch.wait()
    totals = watch.ledger.totals
    assert watch.pages() == 3
    assert (totals.started[RECEIVE], totals.ended[RECEIVE]) == (1, 1)
    assert totals.finished[RECEIVE, Transport.G711] == 1
    assert totals.session_pages[RECEIVE].sum == 3
    assert sum(totals.session_pages[RECEIVE].counts) == 1
    assert sum(totals.session_rate[RECEIVE].counts) == 1
    assert [fax.pages for fax in watch.ledger.history.others] == [3]


def test_two_that_are_moved_at_once_and_send_the_same_file_are_counted_once_each() -> None:
    watch = Watch.running()
    one = Seen(1, files=FILE, operation=SEND)
    two = Seen(2, files=FILE, operation=SEND, number=1, channel="PJSIP/b-00000002")
    watch.poll(one, two)
    watch.hear(3, channel=MOVED, files=FILE, operation=SEND)
    watch.hear(3, channel="Local/call@fax-00000018;1", files=FILE, operation=SEND)
    watch.wait()
    watch.wait()
    totals = watch.ledger.totals
    assert watch.pages(SEND) == 6
    assert (totals.started[SEND], totals.ended[SEND]) == (2, 2)
    assert totals.session_pages[SEND].sum == 6


# --- sessions that are back, and lists that lack something -------------------------------------


def test_an_event_that_came_in_time_is_its_sessions_however_late_the_next_list() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll()
    watch.now += 4
    watch.hear(2)
    watch.now += 60
    watch.poll()
    assert watch.pages() == 2


def test_an_event_from_before_the_list_is_of_no_session_in_it_and_counts_at_once() -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    watch.hear(1)
    watch.poll(Seen(0))
    assert watch.pages() == 1


@pytest.mark.parametrize(("later", "pages"), [(0.0, 0), (0.1, 4)])
def test_an_event_as_late_as_events_are_after_the_start_is_of_a_fax_before_it(
    later: float, pages: int
) -> None:
    watch = Watch()
    watch.poll()
    watch.now += EVENT_LATENESS + later
    watch.hear(4)
    watch.poll()
    assert watch.pages() == pages


def test_an_event_after_the_list_that_is_of_no_session_in_it_counts_with_the_next_list() -> None:
    watch = Watch.running()
    watch.now += 1
    watch.hear(2)
    watch.poll(listed_at=watch.now - 0.5)
    assert watch.pages() == 0
    watch.poll()
    assert watch.pages() == 2


def test_an_event_between_list_and_answers_waits_for_the_next_list() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.now += 1
    watch.hear(2)
    watch.poll(Seen(1, asked=False), listed_at=watch.now - 0.5)
    assert watch.pages() == 1
    watch.poll()
    assert watch.pages() == 2


def test_a_session_that_is_back_in_the_list_is_not_counted_again() -> None:
    watch = Watch.running()
    watch.poll(Seen(2, 5))
    watch.poll()
    watch.poll(Seen(2, 5))
    watch.wait()
    assert (watch.pages(), watch.bad_lines) == (2, 5)
    assert watch.ledger.totals.started[RECEIVE] == watch.ledger.totals.ended[RECEIVE] == 1


def test_a_session_that_is_back_in_the_list_waits_for_one_event_only() -> None:
    watch = Watch.running()
    for _ in range(2):
        watch.poll(Seen(1))
        watch.poll()
    watch.hear(2)
    watch.poll(Seen(1, number=1))
    watch.poll()
    watch.hear(3)
    watch.wait()
    assert watch.pages() == 2 + 3


def test_a_list_with_an_unreadable_line_ends_no_session() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll(whole=False)
    assert watch.ledger.totals.ended[RECEIVE] == 0


def test_without_lists_a_session_that_has_gone_waits_no_longer_for_its_event() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll()
    watch.now += LONG_AGO
    watch.ledger.observe_without_list(watch.now)
    watch.hear(5)  # of the next fax of that channel
    watch.ledger.observe_without_list(watch.now + 1)
    assert watch.pages() == 1 + 5


def test_without_lists_the_events_alone_count() -> None:
    watch = Watch()
    watch.ledger.observe_without_list(watch.now)
    watch.now += LONG_AGO
    watch.hear(2)
    watch.ledger.observe_without_list(watch.now)
    assert watch.pages() == 2


def test_without_lists_too_an_event_just_after_the_start_is_of_a_fax_before_it() -> None:
    watch = Watch()
    watch.ledger.observe_without_list(watch.now)
    watch.hear(4)
    watch.ledger.observe_without_list(watch.now + 1)
    assert watch.pages() == 0


def test_a_result_waits_while_the_session_it_may_belong_to_cannot_be_listed() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.hear(2)
    watch.ledger.observe_without_list(watch.now)
    assert watch.pages() == 1
    watch.poll()
    assert watch.pages() == 2


@pytest.mark.parametrize("refused", [True, False], ids=["refused", "never whole"])
def test_where_no_list_comes_any_more_the_events_of_listed_sessions_count_too(
    refused: bool,
) -> None:
    watch = Watch.running(peer_limit=10)
    watch.poll(Seen(1, operation=SEND, files=FILE))
    for channel in (CHANNEL, "PJSIP/b-00000002", "PJSIP/b-00000003"):
        watch.hear(2, channel=channel, operation=SEND, files=FILE)
    watch.now += LIST_PATIENCE + 1
    for _ in range(2):
        if refused:
            watch.ledger.observe_without_list(watch.now)
        else:
            watch.poll(whole=False)
    totals = watch.ledger.totals
    assert (totals.started[SEND], totals.ended[SEND], totals.finished.total()) == (3, 3, 3)
    watch.hear(1, channel="PJSIP/b-00000004", operation=SEND, files=FILE)
    watch.wait()
    assert watch.pages(SEND) == totals.session_pages[SEND].sum == 7
    assert (totals.started[SEND], totals.ended[SEND], totals.finished.total()) == (4, 4, 4)
    assert sum(totals.session_pages[SEND].counts) == 4


# --- restarts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stats", [None, FaxStats(1, 0, 0, 2, 1, 0)])
def test_known_sessions_go_on_after_a_lost_connection(stats: FaxStats | None) -> None:
    watch = Watch.running()
    watch.poll(Seen(1, 5), stats=stats)
    watch.connect("boot 1")
    watch.now += 30
    watch.poll(Seen(3, 2), stats=stats)
    assert watch.ledger.totals.started[RECEIVE] == 1
    assert (watch.pages(), watch.bad_lines) == (3, 7)
    assert watch.ledger.restarts == 0


def test_after_a_restart_of_asterisk_the_same_number_is_another_session() -> None:
    watch = Watch.running()
    watch.poll(Seen(2, 5))
    watch.connect("boot 2")
    watch.poll(Seen(1, 5))
    assert (watch.pages(), watch.bad_lines) == (3, 10)
    assert watch.ledger.totals.ended[RECEIVE] == 1
    assert watch.ledger.restarts == 1


def test_a_start_of_asterisk_told_late_makes_no_other_sessions() -> None:
    watch = Watch()
    watch.connect(None)
    watch.poll()
    watch.poll(Seen(2))
    watch.connect("boot 1")
    watch.poll(Seen(3))
    assert watch.pages() == 3
    assert watch.ledger.totals.started[RECEIVE] == 1


def test_the_same_number_and_channel_at_the_same_time_again_is_another_fax() -> None:
    stats = FaxStats(1, 0, 0, 2, 1, 0)
    watch = Watch.running()
    watch.connect("always the same")
    watch.poll(Seen(0, files=FILE), stats=stats)
    watch.poll(Seen(2, files=FILE), stats=stats)
    watch.connect("always the same")
    watch.poll(Seen(0, files=FILE), stats=replace(stats, completed=0, receive_attempts=1))
    watch.poll(Seen(1, files=FILE), stats=replace(stats, completed=0, receive_attempts=1))
    watch.hear(1, files=FILE)
    watch.wait()
    totals = watch.ledger.totals
    assert (totals.started[RECEIVE], totals.ended[RECEIVE]) == (2, 2)
    assert watch.pages() == 2 + 1
    assert totals.session_pages[RECEIVE].sum == 3


def test_without_faxstats_it_is_told_by_what_a_session_cannot_do() -> None:
    watch = Watch.running()
    watch.connect("always the same")
    watch.poll(Seen(2, files=FILE))
    watch.connect("always the same")
    watch.poll(Seen(1, files=FILE))
    watch.wait()
    assert watch.ledger.totals.started[RECEIVE] == 2
    assert watch.pages() == 2 + 1
    assert watch.ledger.restarts == 1 + 1  # the first when its start became another


def test_a_fall_of_faxstats_alone_tells_of_a_restart() -> None:
    stats = FaxStats(1, 0, 0, 2, 1, 0)
    watch = Watch.running()
    for now in (stats, replace(stats, completed=0)):
        watch.connect("always the same")
        watch.poll(Seen(1, files=FILE), stats=now)
    assert watch.ledger.totals.started[RECEIVE] == 2
    assert watch.pages() == 1 + 1
    assert watch.ledger.restarts == 1 + 1  # the first when its start became another


def test_an_event_since_the_connection_is_of_no_fax_before_a_restart_that_a_list_tells_of() -> None:
    watch = Watch.running()
    watch.poll(Seen(2, files=FILE))
    watch.connect()
    watch.hear(3, files=FILE)
    watch.poll(Seen(0, files="/fax/other.tif"))
    watch.wait()
    assert watch.pages() == 2 + 3
    assert watch.ledger.totals.started[RECEIVE] == 3


def test_a_session_that_had_left_and_is_another_over_the_next_connection_is_no_return() -> None:
    watch = Watch.running()
    watch.poll(Seen(2, files=FILE))
    watch.poll()
    watch.connect()
    watch.poll(Seen(1, files="/fax/other.tif"))
    assert watch.pages() == 2 + 1
    assert watch.ledger.totals.started[RECEIVE] == 2


def test_counts_that_fall_within_a_connection_end_no_session() -> None:
    watch = Watch.running()
    watch.poll(Seen(1), stats=FaxStats(1, 0, 0, 2, 1, 0))
    watch.poll(Seen(1), stats=FaxStats(1, 0, 0, 1, 0, 0))
    assert watch.ledger.totals.started[RECEIVE] == 1
    assert watch.ledger.totals.ended[RECEIVE] == 0
    assert watch.ledger.restarts == 0


@pytest.mark.parametrize("pages_before", [0, 5])
@pytest.mark.parametrize("pages_seen", [0, 1, 2])
def test_an_event_after_a_restart_is_not_of_the_fax_that_had_its_channel_before(
    pages_before: int, pages_seen: int
) -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    watch.poll(Seen(pages_before))
    watch.connect("another start")
    watch.poll(Seen(pages_seen))
    watch.poll()
    watch.hear(2)
    watch.wait()
    assert watch.pages() == pages_before + 2


# --- memory ------------------------------------------------------------------------------------


def test_nothing_is_kept_of_sessions_whose_event_never_came() -> None:
    watch = Watch.running()
    for number in range(10):
        watch.poll(Seen(1, number=number, channel=f"PJSIP/a-{number:08x}"))
    watch.wait()
    watch.wait()
    kept = watch.ledger._matching
    assert (kept._listed, kept._left, list(kept._heard)) == ({}, {}, [])


def test_of_too_many_sessions_that_have_left_the_first_wait_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "MAX_TRACKED", 3)
    watch = Watch.running()
    watch.poll(*(Seen(1, number=number, channel=f"PJSIP/a-{number:08x}") for number in range(10)))
    watch.poll()
    assert sum(watch.ledger.totals.session_pages[RECEIVE].counts) == 10 - 3


def test_of_too_many_results_between_two_polls_the_first_wait_no_longer_and_all_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "MAX_TRACKED", 3)
    watch = Watch.running()
    for _ in range(10):
        watch.hear(1)
    assert watch.pages() == 10 - 3
    watch.poll()
    assert watch.pages() == 10


# --- whatever comes ----------------------------------------------------------------------------


READINGS = st.builds(
    Seen,
    pages=st.one_of(st.none(), st.integers(0, 5)),
    bad_lines=st.one_of(st.none(), st.integers(0, 20)),
    number=st.integers(0, 3),
    channel=st.sampled_from(["PJSIP/a-00000001", "PJSIP/a-00000002", ""]),
    operation=st.sampled_from(Operation),
    state=st.sampled_from(State),
    transport=st.sampled_from(Transport),
    data_rate=st.sampled_from([None, 9600, 14400]),
    ecm=st.booleans(),
    negotiated=st.booleans(),
    asked=st.booleans(),
    files=st.sampled_from([FILE, ""]),
).filter(lambda one: one.operation in PAGE_OPERATIONS or one.pages is None)  # so fax.py parses


@dataclass(frozen=True)
class Result:
    """What an event tells."""

    pages: int | None
    operation: Operation
    channel: str
    transport: Transport
    succeeded: bool | None
    files: str
    began: bool


RESULTS = st.builds(
    Result,
    pages=st.one_of(st.none(), st.integers(0, 5)),
    operation=st.sampled_from([SEND, RECEIVE]),
    channel=st.sampled_from(["PJSIP/a-00000001", MOVED]),
    transport=st.sampled_from(Transport),
    succeeded=st.sampled_from([True, False, None]),
    files=st.sampled_from([FILE, ""]),
    began=st.booleans(),
)
Happening: TypeAlias = tuple[str, object, object]
LIKELY = st.builds(
    Seen,
    pages=st.integers(0, 5),
    bad_lines=st.integers(0, 20),
    channel=st.just("PJSIP/a-00000001"),
    data_rate=st.sampled_from([9600, 14400]),
)
"""The same session, again and again."""
HAPPENINGS = st.one_of(
    st.tuples(st.just("poll"), st.lists(READINGS, max_size=4), st.booleans()),
    st.tuples(st.just("poll"), st.lists(LIKELY, min_size=1, max_size=1), st.booleans()),
    st.tuples(st.just("hear"), RESULTS, st.none()),
    st.tuples(st.just("connected"), st.sampled_from(["a", "b", None]), st.none()),
    st.tuples(st.just("unlisted"), st.none(), st.none()),
    st.tuples(st.just("pass"), st.floats(0, 90), st.none()),
)


def happen(watch: Watch, happening: Happening) -> None:
    """What is said next."""
    what, first, second = happening
    if what == "poll":
        assert isinstance(first, list)
        watch.poll(*first, whole=bool(second))
    elif what == "hear":
        assert isinstance(first, Result)
        reason = Reason.CALL_DROPPED if first.succeeded is False else None
        watch.hear(**vars(first), reason=reason)
    elif what == "connected":
        assert first is None or isinstance(first, str)
        watch.connect(first)
    elif what == "unlisted":
        watch.ledger.observe_without_list(watch.now)
    else:
        assert isinstance(first, float)
        watch.now += first


def flat(ledger: Ledger) -> Mapping[object, float]:
    """Every number that must not go down."""
    totals = ledger.totals
    numbers: dict[object, float] = {}
    for name in (
        "pages",
        "bad_lines",
        "rejected",
        "fallbacks",
        "started",
        "ended",
        "finished",
        "failures",
        "results_unknown",
    ):
        numbers |= {(name, key): value for key, value in getattr(totals, name).items()}
    for name in (
        "page_seconds",
        "session_seconds",
        "session_pages",
        "session_rate",
        "session_bad_lines",
    ):
        for operation, histogram in getattr(totals, name).items():
            numbers[name, operation, "sum"] = histogram.sum
            numbers |= {
                (name, operation, index): count for index, count in enumerate(histogram.counts)
            }
    return numbers


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(HAPPENINGS, max_size=30))
def test_whatever_is_said_no_counter_goes_down_and_no_series_leaves(
    happenings: list[Happening],
) -> None:
    watch = Watch()
    before = flat(watch.ledger)
    for happening in happenings:
        happen(watch, happening)
        after = flat(watch.ledger)
        assert before.keys() <= after.keys()
        assert all(after[key] >= value for key, value in before.items())
        before = after


# --- what is told of each fax ------------------------------------------------------------------


@settings(max_examples=4 * settings().max_examples)
@given(st.lists(HAPPENINGS, max_size=30))
def test_whatever_is_said_what_is_told_of_faxes_makes_up_what_is_counted(
    happenings: list[Happening],
) -> None:
    told = Told()
    watch = Watch(Ledger(tell=told.take))
    for happening in happenings:
        happen(watch, happening)
        told.assert_not_above(watch.ledger.totals)
    watch.poll()
    watch.ledger.close()
    told.assert_all(watch.ledger.totals)


def test_what_goes_on_after_its_end_was_told_is_told_too() -> None:
    told = Told()
    watch = Watch(Ledger(tell=told.take))
    watch.connect()
    watch.poll()
    watch.poll(Seen(1, 2))
    watch.hear(1)
    for _ in range(int(LIST_PATIENCE) + 2):  # its line of the list cannot be read
        watch.poll(whole=False)
    watch.poll(Seen(2, 5))
    watch.wait()
    assert [(fax.pages, fax.bad_lines, fax.went_on) for fax in told.faxes] == [
        (1, 2, False),
        (1, 3, True),
    ]
    assert len(list(watch.ledger.history.others)) == 1
    told.assert_all(watch.ledger.totals)


def test_when_nothing_more_can_come_what_waits_is_told_but_not_what_runs() -> None:
    told = Told()
    watch = Watch(Ledger(tell=told.take))
    watch.connect()
    watch.poll()
    watch.now += LONG_AGO
    watch.poll(Seen(1, number=1, channel="a"), Seen(2, number=2, channel="b"))
    watch.poll(Seen(1, number=1, channel="a"))  # the event of the other may yet come
    watch.hear(4, channel="c")
    assert not told.faxes
    watch.ledger.close()
    assert sorted((fax.channel, fax.pages) for fax in told.faxes) == [("b", 2), ("c", 4)]


def test_an_event_that_still_waits_for_one_of_a_crowd_is_told_in_the_end() -> None:
    told = Told()
    watch = Watch(Ledger(tell=told.take))
    watch.connect()
    watch.poll()
    watch.now += LONG_AGO
    crowd = [Seen(5, number=n, channel=f"Local/{n}@a", files=FILE) for n in range(60)]
    watch.poll(*crowd)
    watch.poll()
    watch.hear(1, channel=MOVED, files=FILE)  # it can be of none of the first that are looked at
    watch.poll()
    assert not told.faxes
    watch.ledger.close()
    told.assert_all(watch.ledger.totals)
