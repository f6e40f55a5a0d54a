"""The ledger by itself: readings and events in, totals out."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.fax import (
    CoreStatus,
    FaxResult,
    FaxSession,
    FaxStats,
    ListedSession,
    Operation,
    Reason,
    State,
    Transport,
)
from exporter.ledger import (
    EVENT_LATENESS,
    LIST_PATIENCE,
    PAGE_OPERATIONS,
    BadLines,
    Ledger,
    Observation,
    PageCount,
    Unobserved,
    matching,
)

CHANNEL = "Local/recv@fax-00000001;2"
SEND, RECEIVE, GATEWAY = Operation.SEND, Operation.RECEIVE, Operation.GATEWAY
LONG_AGO = EVENT_LATENESS + 100


@dataclass
class Seen:
    """One session as one poll sees it."""

    pages: int | None = 0
    bad_lines: int | None = 0
    number: int = 0
    channel: str = CHANNEL
    operation: Operation = RECEIVE
    state: State = State.ACTIVE
    transport: Transport = Transport.G711
    data_rate: int | None = 14400
    ecm: bool = False
    negotiated: bool = True
    asked: bool = True
    files: str = ""

    @property
    def listed(self) -> ListedSession:
        return ListedSession(
            self.number, self.channel, self.operation, self.state, self.transport, self.files
        )

    @property
    def detail(self) -> FaxSession:
        return FaxSession(
            number=self.number,
            operation=self.operation,
            state=self.state,
            ecm=self.ecm,
            data_rate=self.data_rate,
            resolution=(8031, 3850) if self.negotiated else (0, 0),
            page_number=None if self.pages is None else self.pages + 1,
            pages=self.pages,
            bad_lines=self.bad_lines,
        )


@dataclass
class Watch:
    """A ledger, and polls of it one second apart."""

    ledger: Ledger = field(default_factory=Ledger)
    now: float = 1000.0

    @classmethod
    def running(cls, peer_limit: int | None = None) -> "Watch":
        """One that has been watching an idle PBX for so long that no event is from before."""
        watch = cls(Ledger(peer_limit))
        watch.connect("boot 1")
        watch.poll()
        watch.now += LONG_AGO
        return watch

    def connect(self, started: str | None = "boot 1") -> None:
        """A new connection; `started`: what Asterisk says of when it did."""
        status = CoreStatus(started or "", started or "", None)
        self.ledger.connected(status, self.now)

    def poll(
        self,
        *sessions: Seen,
        whole: bool = True,
        listed_at: float | None = None,
        stats: FaxStats | None = None,
    ) -> None:
        self.now += 1
        self.ledger.observe(
            Observation(
                listed_at=self.now if listed_at is None else listed_at,
                at=self.now,
                wall=self.now + 1.7e9,
                listed=[one.listed for one in sessions],
                whole=whole,
                details={one.number: one.detail for one in sessions if one.asked},
                stats=stats,
            )
        )

    def hear(
        self,
        pages: int | None = 0,
        *,
        channel: str = CHANNEL,
        operation: Operation = RECEIVE,
        transport: Transport = Transport.G711,
        succeeded: bool | None = True,
        reason: Reason | None = None,
        data_rate: int | None = 14400,
        files: str = "",
        began: bool = True,
    ) -> None:
        self.ledger.hear(
            FaxResult(
                operation,
                channel,
                pages,
                data_rate,
                transport,
                succeeded,
                reason,
                files=files,
                began=began,
            ),
            self.now,
        )

    def wait(self) -> None:
        """Long enough for every event to have come."""
        self.poll()
        self.now += LONG_AGO
        self.poll()

    def pages(self, operation: Operation = RECEIVE) -> int:
        return sum(n for key, n in self.ledger.totals.pages.items() if key[0] is operation)

    @property
    def bad_lines(self) -> int:
        return sum(self.ledger.totals.bad_lines.values())


# --- bad lines ------------------------------------------------------------------------------


def test_the_three_pages_of_the_measurement_come_to_29_bad_lines() -> None:
    watch = Watch.running()
    readings = [(0, 0), (0, 4), (0, 10), (1, 0), (1, 3), (1, 9), (2, 0), (2, 10), (3, 10), (3, 10)]
    for pages, bad in readings:
        watch.poll(Seen(pages, bad))
    watch.poll()
    assert watch.bad_lines == 29


def test_a_first_reading_counts_whole() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 7))
    assert watch.bad_lines == 7


def test_the_last_pages_value_that_stays_is_not_counted_again() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 0), (0, 5), (1, 5), (1, 5)]:
        watch.poll(Seen(pages, bad))
    watch.poll()
    watch.hear(1)
    watch.poll()
    assert watch.bad_lines == 5


def test_a_reset_hidden_by_an_equal_value_is_owed_once_another_page_follows() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 3), (1, 3), (2, 3)]:
        watch.poll(Seen(pages, bad))
    # Page 1 had 3, page 2 had 3 (or more page 3 has none yet): the last 3 may be page 2's own.
    assert watch.bad_lines == 6


def test_a_hidden_reset_is_owed_once_the_new_page_grows() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 3), (1, 3), (1, 4)]:
        watch.poll(Seen(pages, bad))
    assert watch.bad_lines == 7


def test_a_hidden_reset_is_owed_when_the_event_tells_of_another_page() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 3), (1, 3)]:
        watch.poll(Seen(pages, bad))
    watch.poll()
    watch.hear(2)
    watch.poll()
    assert watch.ledger.totals.bad_lines[RECEIVE, State.COMPLETE, ""] == 3
    assert watch.bad_lines == 6
    assert watch.ledger.totals.session_lines[RECEIVE].sum == 6
    assert [fax.bad_lines for fax in watch.ledger.history.others] == [6]


def test_a_reset_that_comes_after_the_page_advance_is_an_ordinary_one() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 3), (1, 3), (1, 0), (1, 2)]:
        watch.poll(Seen(pages, bad))
    assert watch.bad_lines == 5
    assert watch.ledger.totals.rejected[RECEIVE, ""] == 0


def test_a_reset_without_a_page_is_a_rejected_page_and_its_lines_count() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 0), (0, 400), (0, 0), (0, 5), (1, 0)]:
        watch.poll(Seen(pages, bad))
    assert watch.bad_lines == 405
    assert watch.ledger.totals.rejected[RECEIVE, ""] == 1


def test_a_page_rejected_after_a_clean_one_is_counted_too() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 0), (1, 0), (1, 300), (1, 0), (2, 0)]:
        watch.poll(Seen(pages, bad))
    assert watch.ledger.totals.rejected[RECEIVE, ""] == 1


def test_a_page_rejected_after_a_reset_that_no_poll_saw_at_0_is_counted_too() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 3), (1, 1), (1, 300), (1, 5)]:
        watch.poll(Seen(pages, bad))
    assert watch.ledger.totals.rejected[RECEIVE, ""] == 1


def test_a_page_rejected_after_a_hidden_reset_is_counted_too() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 3), (1, 3), (1, 300), (1, 2)]:
        watch.poll(Seen(pages, bad))
    assert watch.ledger.totals.rejected[RECEIVE, ""] == 1


def test_pages_that_went_by_unseen_leave_a_lower_bound() -> None:
    watch = Watch.running()
    for pages, bad in [(0, 8), (3, 9)]:
        watch.poll(Seen(pages, bad))
    assert watch.bad_lines == 17


def test_bad_lines_start_again_when_audio_becomes_t38() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 5))
    watch.poll(Seen(0, 7, transport=Transport.T38))
    assert watch.bad_lines == 12


def test_a_reading_without_bad_lines_is_a_reading_of_pages() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 4))
    watch.poll(Seen(1, None))
    watch.poll(Seen(1, 6))
    assert (watch.pages(), watch.bad_lines) == (1, 6)


def test_bad_lines_carry_the_state_they_were_seen_in() -> None:
    watch = Watch.running()
    watch.poll(Seen(0, 2))
    watch.poll(Seen(1, 5, state=State.COMPLETE))
    assert watch.ledger.totals.bad_lines[RECEIVE, State.ACTIVE, ""] == 2
    assert watch.ledger.totals.bad_lines[RECEIVE, State.COMPLETE, ""] == 3


@given(
    pages=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    polls_a_page=st.integers(2, 9),
    seed=st.integers(0, 2**16),
)
def test_polls_that_see_every_pages_last_value_are_exact(
    pages: list[int], polls_a_page: int, seed: int
) -> None:
    """Lines come at any pace; as on a real PBX no line comes in the last second of a page."""
    rng = random.Random(seed)
    count, total = BadLines(), 0
    for done, lines in enumerate(pages):
        for value in sorted(rng.randint(0, lines) for _ in range(polls_a_page - 1)):
            total += count.read(done, value)[0]
        total += count.read(done, lines)[0]
    total += count.read(len(pages), pages[-1])[0]  # the last page's value stays
    assert total == sum(pages)


@given(
    readings=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=40),
)
def test_no_reading_ever_takes_bad_lines_away_or_adds_more_than_it_and_the_last_say(
    readings: list[tuple[int, int]],
) -> None:
    count, page, last = BadLines(), 0, 0
    for advance, value in readings:
        page += advance
        owed = count.owed
        added, _ = count.read(page, value)
        assert 0 <= added <= value + owed
        last = value
    assert count.last == last


# --- pages ----------------------------------------------------------------------------------


def test_the_last_page_comes_with_the_event() -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    watch.poll(Seen(2))
    watch.poll()
    watch.hear(3)
    watch.poll()
    assert watch.ledger.totals.pages[RECEIVE, State.ACTIVE, ""] == 2
    assert watch.ledger.totals.pages[RECEIVE, State.COMPLETE, ""] == 1


def test_an_event_that_says_0_pages_after_a_hang_up_takes_none_away() -> None:
    watch = Watch.running()
    watch.poll(Seen(2))
    watch.poll()
    watch.hear(0, succeeded=False, reason=Reason.CALL_DROPPED)
    watch.poll()
    assert watch.pages() == 2
    assert watch.ledger.totals.failures[RECEIVE, Transport.G711, Reason.CALL_DROPPED, ""] == 1


def test_pages_start_again_when_audio_becomes_t38() -> None:
    watch = Watch.running()
    watch.poll(Seen(2))
    watch.poll(Seen(0))  # the list was made just before the switch
    watch.poll(Seen(0, transport=Transport.NONE))
    watch.poll(Seen(1, transport=Transport.T38))
    watch.poll()
    watch.hear(2, transport=Transport.T38)
    watch.poll()
    assert watch.pages() == 4


def test_a_session_that_switched_has_the_pages_of_both_transports() -> None:
    watch = Watch.running()
    watch.poll(Seen(2))
    watch.poll(Seen(1, transport=Transport.T38))
    watch.wait()
    assert watch.ledger.totals.session_pages[RECEIVE].sum == 3


def test_a_page_count_that_falls_without_a_switch_adds_nothing_when_it_returns() -> None:
    watch = Watch.running()
    for pages in (3, 0, 3, 1, 3):
        watch.poll(Seen(pages))
    assert watch.pages() == 3


def test_flapping_between_transports_restarts_pages_once() -> None:
    watch = Watch.running()
    for transport in [Transport.G711, Transport.T38] * 4:
        watch.poll(Seen(5, transport=transport))
    assert watch.pages() == 10


def test_gateway_pages_count_as_relayed_without_any_event() -> None:
    watch = Watch.running()
    for pages in (0, 1, 2):
        watch.poll(Seen(pages, operation=GATEWAY, transport=Transport.NONE))
    watch.wait()
    assert watch.pages(GATEWAY) == 2
    assert watch.ledger.totals.session_pages[GATEWAY].sum == 2


# --- events and sessions --------------------------------------------------------------------


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


def test_an_event_that_came_in_time_is_its_sessions_however_late_the_next_list() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll()
    watch.now += 4
    watch.hear(2)
    watch.now += 60
    watch.poll()
    assert watch.pages() == 2


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


def test_an_event_between_list_and_answers_waits_for_the_next_list() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.now += 1
    watch.hear(2)
    watch.poll(Seen(1, asked=False), listed_at=watch.now - 0.5)
    assert watch.pages() == 1
    watch.poll()
    assert watch.pages() == 2


def test_an_event_just_after_the_start_is_of_a_fax_before_it() -> None:
    watch = Watch()
    watch.poll()
    watch.hear(4)
    watch.poll()
    assert watch.pages() == 0
    assert watch.ledger.totals.finished[RECEIVE, Transport.G711, ""] == 1


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


def test_a_session_initialized_at_the_start_counts_whole() -> None:
    watch = Watch()
    watch.poll(Seen(state=State.INITIALIZED, asked=False))
    watch.poll(Seen(1, 4))
    assert (watch.pages(), watch.bad_lines) == (1, 4)


def test_known_sessions_go_on_after_a_lost_connection() -> None:
    watch = Watch.running()
    watch.poll(Seen(1, 5))
    watch.connect("boot 1")
    watch.now += 30
    watch.poll(Seen(3, 2))
    assert (watch.pages(), watch.bad_lines) == (3, 7)


def test_after_a_restart_of_asterisk_the_same_number_is_another_session() -> None:
    watch = Watch.running()
    watch.poll(Seen(2, 5))
    watch.connect("boot 2")
    watch.poll(Seen(1, 5))
    assert (watch.pages(), watch.bad_lines) == (3, 10)
    assert watch.ledger.totals.ended[RECEIVE] == 1


def test_a_start_of_asterisk_told_late_makes_no_other_sessions() -> None:
    watch = Watch()
    watch.connect(None)
    watch.poll()
    watch.poll(Seen(2))
    watch.connect("boot 1")
    watch.poll(Seen(3))
    assert watch.pages() == 3
    assert watch.ledger.totals.started[RECEIVE] == 1


def test_a_session_whose_operation_is_told_late_has_its_pages_and_ends_as_it_began() -> None:
    watch = Watch.running()
    watch.poll(Seen(operation=Operation.NONE))
    watch.poll(Seen(1))
    assert watch.pages() == 1
    watch.poll()
    totals = watch.ledger.totals
    assert (totals.started[Operation.NONE], totals.ended[Operation.NONE]) == (1, 1)
    assert (totals.started[RECEIVE], totals.ended[RECEIVE]) == (0, 0)


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


def test_a_list_with_an_unreadable_line_ends_no_session() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll(whole=False)
    assert watch.ledger.totals.ended[RECEIVE] == 0


def test_an_event_waits_while_an_unreadable_line_may_be_of_its_session() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.hear(2)
    watch.poll(whole=False)
    watch.poll()
    assert watch.pages() == 2
    assert watch.ledger.totals.started[RECEIVE] == 1


def test_without_lists_a_session_that_has_gone_waits_no_longer_for_its_event() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.poll()
    watch.now += LONG_AGO
    watch.ledger.unlisted(watch.now)
    watch.hear(5)  # of the next fax of that channel
    watch.ledger.unlisted(watch.now + 1)
    assert watch.pages() == 1 + 5


def test_without_lists_the_events_alone_count() -> None:
    watch = Watch()
    watch.ledger.unlisted(watch.now)
    watch.now += LONG_AGO
    watch.hear(2)
    watch.ledger.unlisted(watch.now)
    assert watch.pages() == 2


def test_without_lists_too_an_event_just_after_the_start_is_of_a_fax_before_it() -> None:
    watch = Watch()
    watch.ledger.unlisted(watch.now)
    watch.hear(4)
    watch.ledger.unlisted(watch.now + 1)
    assert watch.pages() == 0


def test_a_result_waits_while_the_session_it_may_belong_to_cannot_be_listed() -> None:
    watch = Watch.running()
    watch.poll(Seen(1))
    watch.hear(2)
    watch.ledger.unlisted(watch.now)
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
            watch.ledger.unlisted(watch.now)
        else:
            watch.poll(whole=False)
    totals = watch.ledger.totals
    assert (totals.started[SEND], totals.ended[SEND], totals.finished.total()) == (3, 3, 3)
    watch.hear(1, channel="PJSIP/b-00000004", operation=SEND, files=FILE)
    watch.wait()
    assert watch.pages(SEND) == totals.session_pages[SEND].sum == 7
    assert (totals.started[SEND], totals.ended[SEND], totals.finished.total()) == (4, 4, 4)
    assert sum(totals.session_pages[SEND].counts) == 4


def test_an_unknown_result_is_counted_as_such_and_as_no_failure() -> None:
    watch = Watch.running()
    watch.hear(1, succeeded=None, transport=Transport.NONE)
    assert watch.ledger.totals.results_unknown[RECEIVE] == 1
    assert sum(watch.ledger.totals.failures.values()) == 0


# --- rates and durations --------------------------------------------------------------------


def test_a_rate_counts_as_fallback_only_between_two_negotiated_readings() -> None:
    watch = Watch.running()
    watch.poll(Seen(data_rate=14400, negotiated=False))
    watch.poll(Seen(data_rate=12000))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 0
    watch.poll(Seen(data_rate=9600))
    watch.poll(Seen(data_rate=9600))
    watch.poll(Seen(data_rate=14400))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 1


def test_a_fallback_of_a_session_running_at_the_start_is_counted() -> None:
    watch = Watch()
    watch.poll(Seen(data_rate=14400))
    watch.poll(Seen(data_rate=9600))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 1


def test_the_first_rate_after_a_switch_to_t38_is_no_fallback() -> None:
    watch = Watch.running()
    watch.poll(Seen(data_rate=14400))
    watch.poll(Seen(data_rate=9600, transport=Transport.T38))
    assert watch.ledger.totals.fallbacks[RECEIVE] == 0


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


def test_a_page_under_way_at_the_start_is_not_timed() -> None:
    watch = Watch()
    for pages in (2, 2, 3):
        watch.poll(Seen(pages))
    assert sum(watch.ledger.totals.page_seconds[RECEIVE].counts) == 0


def test_a_session_running_at_the_start_has_no_duration() -> None:
    watch = Watch()
    watch.poll(Seen(2))
    watch.wait()
    assert sum(watch.ledger.totals.session_seconds[RECEIVE].counts) == 0
    assert sum(watch.ledger.totals.session_pages[RECEIVE].counts) == 1


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
        totals.session_lines,
    ):
        assert sum(histogram[RECEIVE].counts) == 1
    assert totals.session_pages[RECEIVE].sum == 3
    assert totals.session_seconds[RECEIVE].sum == 2
    assert totals.session_rate[RECEIVE].sum == 9600
    assert totals.session_lines[RECEIVE].sum == sum(totals.bad_lines.values()) == 7


def test_a_fax_that_could_not_train_has_no_data_rate() -> None:
    watch = Watch.running()
    watch.poll(Seen(data_rate=14400))
    watch.poll()
    watch.hear(0, succeeded=False, reason=Reason.TRAINING)
    watch.poll()
    assert sum(watch.ledger.totals.session_rate[RECEIVE].counts) == 0


def test_a_fax_that_no_poll_saw_is_observed_by_what_its_event_says() -> None:
    watch = Watch.running()
    watch.hear(2, data_rate=9600)
    watch.hear(0, succeeded=False, reason=Reason.TRAINING, data_rate=14400)
    watch.poll()
    totals = watch.ledger.totals
    assert (sum(totals.session_pages[RECEIVE].counts), totals.session_pages[RECEIVE].sum) == (2, 2)
    assert (sum(totals.session_rate[RECEIVE].counts), totals.session_rate[RECEIVE].sum) == (1, 9600)


def test_oldest_session_and_longest_without_a_page_are_dated_by_the_wall_clock() -> None:
    watch = Watch.running()
    watch.poll(Seen(0))
    began = watch.now + 1.7e9
    watch.poll(Seen(1))
    watch.poll(Seen(1), Seen(0, number=1, channel="PJSIP/a-00000002"))
    assert watch.ledger.gauges.oldest_start[RECEIVE] == began
    assert watch.ledger.gauges.oldest_progress[RECEIVE] == began + 1


def test_the_time_to_answer_says_nothing_about_voice_calls_with_a_v21_detector() -> None:
    watch = Watch.running()
    watch.poll(Seen(operation=Operation.V21, asked=False, transport=Transport.NONE))
    assert Operation.V21 in watch.ledger.gauges.oldest_start
    assert Operation.V21 not in watch.ledger.gauges.oldest_progress


# --- completions without an event -----------------------------------------------------------


def watch_completions(counts: list[int], *, events: dict[int, int]) -> Unobserved:
    """One reading a second; `events`: how many come in which second, just before its reading."""
    unobserved = Unobserved()
    for second, count in enumerate(counts):
        for _ in range(events.get(second, 0)):
            unobserved.heard()
        unobserved.counted(count, float(second))
    return unobserved


def test_fifty_completions_at_once_whose_events_are_5_s_late_are_all_observed() -> None:
    assert watch_completions([7] * 3 + [57] * 40, events={8: 50}).total == 0


def test_completions_without_an_event_are_counted_once() -> None:
    assert watch_completions([7] * 3 + [12] * 40, events={5: 2}).total == 3


def test_events_of_faxes_counted_before_the_first_reading_hide_no_later_loss() -> None:
    assert watch_completions([7] * 30 + [8] * 30, events={2: 1}).total == 1


def test_a_count_that_begins_again_at_0_is_a_restart() -> None:
    assert watch_completions([7] * 20 + [2] * 40, events={}).total == 2


def test_a_count_that_leaps_is_no_count() -> None:
    assert watch_completions([7] * 20 + [2_000_000_000] * 40, events={}).total == 0


def test_a_count_may_rise_far_over_hours_without_a_connection() -> None:
    unobserved = Unobserved()
    unobserved.counted(7, 0.0)
    for second in range(20):
        unobserved.counted(5007, 3600.0 + second)
    assert unobserved.total == 5000


def test_a_restart_of_asterisk_does_not_hide_what_it_has_counted_since() -> None:
    watch = Watch.running()
    for _ in range(20):
        watch.now += 1
        watch.ledger.unobserved.counted(3, watch.now)
    watch.connect("boot 2")
    for _ in range(20):
        watch.now += 1
        watch.ledger.unobserved.counted(4, watch.now)
    assert watch.ledger.unobserved.total == 4


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


# --- calls that are moved, and faxes that never begin ------------------------------------------

MOVED = "Local/call@fax-00000017;1"
FILE = "/fax/rx-1.tif"


def test_a_fax_whose_call_was_moved_is_counted_once() -> None:
    watch = Watch.running()
    watch.poll(Seen(1, files=FILE))
    watch.poll(Seen(2, files=FILE))
    watch.hear(3, channel=MOVED, files=FILE)
    watch.wait()
    totals = watch.ledger.totals
    assert watch.pages() == 3
    assert (totals.started[RECEIVE], totals.ended[RECEIVE]) == (1, 1)
    assert totals.finished[RECEIVE, Transport.G711, ""] == 1
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


def test_a_fax_that_never_began_ended_and_has_neither_page_nor_rate() -> None:
    watch = Watch.running()
    watch.hear(None, files=FILE, succeeded=False, reason=Reason.INIT, data_rate=None, began=False)
    watch.poll()
    totals = watch.ledger.totals
    assert totals.failures[RECEIVE, Transport.G711, Reason.INIT, ""] == 1
    assert (totals.started[RECEIVE], totals.ended[RECEIVE]) == (1, 1)
    assert watch.pages() == 0
    assert sum(totals.session_rate[RECEIVE].counts) == 0


def test_a_fax_that_never_began_is_no_completion_and_hides_none() -> None:
    watch = Watch.running()
    for second in range(60):
        watch.now += 1
        watch.ledger.unobserved.counted(min(second, 20), watch.now)
        if second < 15:
            watch.hear(0, channel=f"PJSIP/a-{second:08x}")
        if second < 20:
            watch.hear(None, channel=f"PJSIP/b-{second:08x}", began=False)
    assert watch.ledger.unobserved.total == 20 - 15


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


# --- restarts -------------------------------------------------------------------------------


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


def test_counts_that_fall_within_a_connection_end_no_session() -> None:
    watch = Watch.running()
    watch.poll(Seen(1), stats=FaxStats(1, 0, 0, 2, 1, 0))
    watch.poll(Seen(1), stats=FaxStats(1, 0, 0, 1, 0, 0))
    assert watch.ledger.totals.started[RECEIVE] == 1
    assert watch.ledger.totals.ended[RECEIVE] == 0


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


# --- gauges and peers -----------------------------------------------------------------------


def test_only_negotiated_sessions_count_towards_rate_and_ecm() -> None:
    watch = Watch.running()
    watch.poll(
        Seen(number=0, data_rate=14400, ecm=True),
        Seen(number=1, data_rate=9600, channel="PJSIP/a-00000002"),
        Seen(number=2, negotiated=False, channel="PJSIP/a-00000003"),
    )
    key = (RECEIVE, State.ACTIVE, "")
    gauges = watch.ledger.gauges
    assert gauges.sessions[key] == 3
    assert gauges.negotiated[key] == 2
    assert gauges.data_rate[key] == 24000
    assert gauges.ecm[key] == 1
    assert len(gauges.sessions) == 40


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


@pytest.mark.parametrize("peer_limit", [None, 10])
def test_a_list_of_no_session_is_not_the_same_as_no_list(peer_limit: int | None) -> None:
    watch = Watch.running(peer_limit)
    assert watch.ledger.gauges.sessions[RECEIVE, State.ACTIVE, ""] == 0
    assert watch.ledger.gauges.transports[RECEIVE, Transport.T38, ""] == 0


# --- memory ---------------------------------------------------------------------------------


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


# --- whatever comes -------------------------------------------------------------------------

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
).filter(lambda one: one.operation in PAGE_OPERATIONS or one.pages is None)  # so fax.py parses
HAPPENINGS = st.one_of(
    st.tuples(st.just("poll"), st.lists(READINGS, max_size=4), st.booleans()),
    st.tuples(
        st.just("hear"),
        st.one_of(st.none(), st.integers(0, 5)),
        st.sampled_from([SEND, RECEIVE]),
    ),
    st.tuples(st.just("connected"), st.sampled_from(["a", "b", None]), st.none()),
    st.tuples(st.just("unlisted"), st.none(), st.none()),
    st.tuples(st.just("pass"), st.floats(0, 30), st.none()),
)


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
        "session_lines",
    ):
        for operation, histogram in getattr(totals, name).items():
            numbers[name, operation, "sum"] = histogram.sum
            numbers |= {
                (name, operation, index): count for index, count in enumerate(histogram.counts)
            }
    return numbers


@settings(max_examples=200)
@given(st.lists(HAPPENINGS, max_size=30))
def test_whatever_is_said_no_counter_goes_down_and_no_series_leaves(
    happenings: list[tuple[str, object, object]],
) -> None:
    watch = Watch()
    before = flat(watch.ledger)
    for what, first, second in happenings:
        if what == "poll":
            assert isinstance(first, list)
            watch.poll(*first, whole=bool(second))
        elif what == "hear":
            assert isinstance(second, Operation)
            assert first is None or isinstance(first, int)
            watch.hear(first, operation=second, channel="PJSIP/a-00000001")
        elif what == "connected":
            assert first is None or isinstance(first, str)
            watch.connect(first)
        elif what == "unlisted":
            watch.ledger.unlisted(watch.now)
        else:
            assert isinstance(first, float)
            watch.now += first
        after = flat(watch.ledger)
        assert before.keys() <= after.keys()
        assert all(after[key] >= value for key, value in before.items())
        before = after


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 9))
def test_pages_of_one_transport_come_to_the_largest_reading(
    readings: list[int], final: int
) -> None:
    count = PageCount()
    added = sum(count.read(value, Transport.G711) for value in [*readings, final])
    assert added == count.total == max([*readings, final])
