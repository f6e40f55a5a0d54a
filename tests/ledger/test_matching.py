"""Which session an event is of: whatever the order and the renaming, each event once."""

import itertools
import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.fax import FaxResult, Operation, Reason, Transport
from exporter.ledger import EVENT_LATENESS, matching
from exporter.ledger.matching import LIST_PATIENCE, Matching, Outcome, Phase

SEND, RECEIVE = Operation.SEND, Operation.RECEIVE
TRUNK, MOVED = "PJSIP/trunk-00000001", "Local/call@fax-00000017;1"
FILE = "/fax/rx-1.tif"


@dataclass(eq=False)
class One:
    """A session as far as it is known."""

    number: int = 0
    channel: str = TRUNK
    operation: Operation = RECEIVE
    files: str = FILE
    pages_seen: int = 0
    transport: Transport = Transport.G711
    agreed: bool = True
    phase: Phase = Phase.LISTED
    listed_at: float = 0.0
    gone_at: float = 0.0


def event(
    pages: int | None = 0,
    channel: str = TRUNK,
    operation: Operation = RECEIVE,
    files: str = FILE,
    *,
    began: bool = True,
    agreed: bool | None = True,
    transport: Transport = Transport.G711,
) -> FaxResult:
    return FaxResult(
        operation,
        channel,
        pages,
        14400,
        transport,
        succeeded=True,
        reason=None,
        files=files,
        began=began,
        agreed=agreed,
    )


@dataclass
class Watch:
    """A matching and a list of it once a second."""

    matching: Matching[One] = field(default_factory=Matching)
    now: float = 1000.0

    def poll(
        self, *sessions: One, whole: bool = True, known: bool = True
    ) -> list[tuple[One | None, FaxResult | None]]:
        """What is certain after a list of these; `known=False`: there is none to be had."""
        self.now += 1
        if not known:
            return pairs(self.matching.settle(self.now, None))
        for one in sessions:
            if self.matching.find(one.number, one.channel, self.now) is None:
                one.listed_at = self.now
                self.matching.begin(one.number, one)
        present = {(one.number, one.channel) for one in sessions}
        self.matching.leave(present, self.now, whole=whole)
        return pairs(self.matching.settle(self.now, self.now if whole else float("-inf")))

    def hear(self, result: FaxResult, *, after: float = 0.1) -> FaxResult:
        self.matching.hear(result, self.now + after)
        return result

    def wait(self) -> list[tuple[One | None, FaxResult | None]]:
        self.now += EVENT_LATENESS + 1
        return self.poll()


def pairs(outcomes: list[Outcome[One]]) -> list[tuple[One | None, FaxResult | None]]:
    return [(one.session, one.heard and one.heard.result) for one in outcomes]


# --- whose it is ----------------------------------------------------------------------------


def test_a_channel_tells_and_the_session_is_over() -> None:
    watch, one = Watch(), One()
    watch.poll(one)
    result = watch.hear(event(2))
    assert watch.poll() == [(one, result)]
    assert one.phase is Phase.OVER
    assert watch.wait() == []


def test_where_no_session_of_its_channel_waits_the_file_tells() -> None:
    watch, one = Watch(), One(pages_seen=1)
    watch.poll(one)
    result = watch.hear(event(2, MOVED))
    assert watch.poll() == [(one, result)]


@pytest.mark.parametrize(
    "other",
    [
        event(2, MOVED, files="/fax/rx-2.tif"),
        event(2, MOVED, operation=SEND),
        event(2, MOVED, files=""),
        event(None, MOVED, began=False),
        event(0, MOVED, agreed=False),
    ],
    ids=["another file", "another operation", "no file", "never began", "agreed on nothing"],
)
def test_what_cannot_be_of_a_session_on_another_channel_is_of_a_fax_never_listed(
    other: FaxResult,
) -> None:
    watch, one = Watch(), One(agreed=True)
    watch.poll(one)
    watch.hear(other)
    assert watch.poll() == [(None, other)]
    assert watch.wait() == [(one, None)]


def test_a_fax_that_never_began_takes_no_session_of_its_channel() -> None:
    watch, deaf = Watch(), One()
    watch.poll(deaf)
    never = watch.hear(replace(event(None, began=False), succeeded=False, reason=Reason.INIT))
    assert watch.poll() == [(None, never)]
    assert watch.wait() == [(deaf, None)]


def test_its_own_event_goes_before_one_that_only_has_its_file() -> None:
    watch, own, moved = Watch(), One(), One(1, "PJSIP/other-00000002")
    watch.poll(own, moved)
    first, second = watch.hear(event(1, MOVED)), watch.hear(event(1))
    assert watch.poll() == [(own, second), (moved, first)]


def test_an_event_that_says_less_than_was_seen_waits_for_a_sessions_own() -> None:
    watch, own, moved = Watch(), One(pages_seen=3), One(1, "PJSIP/other-00000002", pages_seen=2)
    watch.poll(own, moved)
    dropped = watch.hear(event(0, MOVED))
    assert watch.poll() == []
    late = watch.hear(event(3), after=4)
    assert watch.poll() == [(own, late)]
    assert watch.wait() == [(moved, dropped)]


def test_of_several_with_one_file_no_page_is_left_over_or_counted_twice() -> None:
    for order in itertools.permutations((3, 1)):
        watch = Watch()
        more, less = One(pages_seen=2), One(1, "PJSIP/other-00000002", pages_seen=1)
        watch.poll(less, more)
        heard = [watch.hear(event(pages, MOVED)) for pages in order]
        by_session = dict(watch.poll())
        assert by_session == {less: heard[order.index(1)], more: heard[order.index(3)]}


def test_as_many_events_as_sessions_with_one_file_wait_for_no_other() -> None:
    for order in ((0, 1, 2, 3), (3, 2, 1, 0)):
        watch = Watch()
        sessions = [One(n, f"PJSIP/a-{n:08x}", pages_seen=n) for n in order]
        watch.poll(*sessions)
        heard = [watch.hear(event(n, MOVED)) for n in order]
        assert watch.poll() == list(zip(sessions, heard, strict=True))


def test_of_several_that_were_seen_alike_none_waits_for_another() -> None:
    watch, one, two = Watch(), One(pages_seen=1), One(1, "PJSIP/other-00000002", pages_seen=1)
    watch.poll(one, two)
    first, second = watch.hear(event(2, MOVED)), watch.hear(event(1, MOVED))
    assert watch.poll() == [(one, first), (two, second)]


def test_of_several_with_one_file_the_one_that_travelled_so_has_the_event() -> None:
    for order in itertools.permutations((Transport.G711, Transport.T38)):
        watch = Watch()
        audio = One(pages_seen=2)
        t38 = One(1, "PJSIP/other-00000002", pages_seen=2, transport=Transport.T38)
        watch.poll(audio, t38)
        heard = {how: watch.hear(event(2, MOVED, transport=how)) for how in order}
        by_session = dict(watch.poll())
        assert by_session == {audio: heard[Transport.G711], t38: heard[Transport.T38]}


def test_a_switch_that_no_list_showed_hides_no_session_unless_it_had_a_page() -> None:
    for pages, found in ((0, True), (1, False)):
        watch, one = Watch(), One(pages_seen=pages)
        watch.poll(one)
        result = watch.hear(event(2, MOVED, transport=Transport.T38))
        assert watch.poll() == [(one if found else None, result)]


def test_what_could_be_of_one_that_was_seen_further_waits_for_that_ones_own() -> None:
    watch, moved, own = Watch(), One(), One(1, "PJSIP/other-00000002", pages_seen=1)
    watch.poll(moved, own)
    result = watch.hear(event(1, MOVED))
    assert watch.poll() == []
    late = watch.hear(event(0, own.channel), after=3)
    watch.now += 3
    assert watch.poll() == [(own, late), (moved, result)]


def test_a_fax_whose_event_never_came_does_not_take_that_of_the_next_on_its_channel() -> None:
    watch, deaf, second = Watch(), One(files="/fax/a.tif"), One(1, files="/fax/b.tif")
    watch.poll(deaf)
    watch.poll(second)
    result = watch.hear(event(1, files="/fax/b.tif"))
    assert watch.poll() == [(second, result)]
    assert watch.wait() == [(deaf, None)]


def test_an_event_at_once_is_its_whatever_the_file_and_a_later_one_is_of_the_next_fax() -> None:
    for after, whose in ((0.1, "its"), (1.0, "its"), (1.1, "the next fax'")):
        watch, one = Watch(), One(files="/fax/a.tif")
        watch.poll(one)
        result = watch.hear(event(1, files="/fax/b.tif"), after=after)
        assert watch.poll() + watch.poll() == [(one if whose == "its" else None, result)]


def test_the_files_of_the_faxes_before_on_its_channel_are_no_other_files() -> None:
    watch, first, second = Watch(), One(files="/fax/a.tif"), One(1, files="/fax/a.tif,/fax/b.tif")
    watch.poll(first)
    watch.poll(second)
    one, two = watch.hear(event(1, files="/fax/a.tif")), watch.hear(event(1, files="/fax/b.tif"))
    assert watch.poll() == [(first, one), (second, two)]


def test_the_same_file_again_on_its_channel_is_told_by_all_that_came_before_it() -> None:
    watch, deaf, second = (
        Watch(),
        One(files="t", operation=SEND),
        One(1, files="t,t", operation=SEND),
    )
    watch.poll(deaf)
    watch.poll(second)
    result = watch.hear(event(1, operation=SEND, files="t,t"))
    assert watch.poll() == [(second, result)]


def test_of_two_alike_on_one_channel_a_single_event_is_the_last_ones() -> None:
    for files in ("t", ""):
        watch, deaf = Watch(), One(files=files)
        second = One(1, files=files)
        watch.poll(deaf)
        watch.poll(second)
        result = watch.hear(event(1, files="t"))
        assert watch.poll() == [(second, result)]


def test_what_a_far_end_writes_before_the_file_hides_no_session() -> None:
    watch, one = Watch(), One()
    watch.poll(one)
    result = watch.hear(event(1, files=f"evil,{FILE}"))
    assert watch.poll() == [(one, result)]


def test_an_event_of_a_channel_that_is_still_listed_is_of_a_fax_before() -> None:
    watch, one = Watch(), One()
    watch.poll(one)
    result = watch.hear(event(1))
    assert watch.poll(one) == [(None, result)]


def test_an_event_that_came_after_the_list_was_asked_for_waits_for_the_next() -> None:
    watch, deaf, one = Watch(), One(), One(1)
    watch.poll(deaf)
    result = watch.hear(event(1), after=1.5)
    assert watch.poll(one) == []  # deaf has gone, and it could be its
    assert watch.poll() == [(one, result)]


def test_an_event_that_came_while_a_session_ran_on_is_not_its() -> None:
    watch, ended, runs_on = Watch(), One(), One(1, "PJSIP/other-00000002", pages_seen=1)
    watch.poll(ended, runs_on)
    result = watch.hear(event(1, MOVED))
    assert watch.poll(runs_on) == [(ended, result)]
    assert watch.poll() == []


def test_an_event_is_not_of_a_session_that_left_after_it_came() -> None:
    watch, ended, runs_on = Watch(), One(pages_seen=1), One(1, "PJSIP/other-00000002")
    watch.poll(ended, runs_on)
    result = watch.hear(event(0, MOVED))
    assert watch.poll(runs_on) == watch.poll(runs_on) == watch.poll() == []
    assert sorted(watch.wait(), key=str) == sorted([(ended, result), (runs_on, None)], key=str)


def test_a_session_is_kept_while_an_event_waits_for_one_that_left_later_and_has_its_own() -> None:
    watch, moved, own = Watch(), One(), One(1, "PJSIP/other-00000002", pages_seen=1)
    watch.poll(moved, own)
    watch.poll(own)
    result = watch.hear(event(1, MOVED))
    assert watch.poll() == []
    watch.now += EVENT_LATENESS - 1.5
    assert watch.poll() == []  # by now the first waits no longer
    late = watch.hear(event(1, own.channel))
    watch.now -= 0.5
    assert watch.poll() == [(own, late), (moved, result)]


def test_of_two_alike_the_one_that_travelled_as_the_event_says_has_it() -> None:
    watch, audio = Watch(), One()
    t38 = One(1, "PJSIP/other-00000002", transport=Transport.T38)
    watch.poll(audio, t38)
    result = watch.hear(event(0, MOVED, transport=Transport.T38))
    assert watch.poll() == []  # one of them may yet have its own
    assert sorted(watch.wait(), key=str) == sorted([(t38, result), (audio, None)], key=str)


def test_an_event_of_a_moved_call_waits_until_another_of_the_same_file_has_its_own() -> None:
    watch, dropped, moved = Watch(), One(pages_seen=1), One(1, "PJSIP/b-00000002", pages_seen=1)
    watch.poll(dropped, moved)
    watch.poll()
    result = watch.hear(event(2, "Local/moved@x-00000001;1"))
    assert watch.poll() == []
    own = watch.hear(event(0, dropped.channel))
    assert sorted(watch.poll(), key=str) == sorted([(dropped, own), (moved, result)], key=str)


def test_of_too_many_undecided_events_the_last_wait_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "_MAX_UNDECIDED", 1)
    watch, one = Watch(), One(pages_seen=1)
    watch.poll(one)
    first, second = (watch.hear(event(0, MOVED, agreed=how)) for how in (True, None))
    assert watch.poll() == [(None, second)]
    assert watch.wait() == [(one, first)]


def test_an_event_that_came_too_late_is_not_its() -> None:
    for channel in (TRUNK, MOVED):
        watch, one = Watch(), One()
        watch.poll(one)
        watch.poll()
        result = watch.hear(event(1, channel), after=EVENT_LATENESS + 1)
        watch.now += EVENT_LATENESS + 1
        assert sorted(watch.poll(), key=str) == sorted([(one, None), (None, result)], key=str)


def test_a_session_that_is_back_takes_no_second_event() -> None:
    watch, one = Watch(), One()
    watch.poll(one)
    first = watch.hear(event(1))
    assert watch.poll() == [(one, first)]
    assert watch.poll(one) == []
    assert one.phase is Phase.BACK
    second = watch.hear(event(1))
    assert watch.poll() == [(None, second)]


def test_after_a_restart_nothing_of_before_takes_an_event_of_since() -> None:
    for channel in (TRUNK, MOVED):
        watch, before = Watch(), One()
        watch.poll(before)
        since = watch.now + 0.05
        result = watch.hear(event(1, channel))  # heard before the restart was known
        watch.matching.restarted(since)
        after = One()
        assert watch.poll(after) == [(None, result)]
        assert watch.wait()[0] == (before, None)


def test_after_a_restart_a_session_takes_an_event_of_since_that_came_before_it_was_known() -> None:
    watch, before, after = Watch(), One(), One()
    watch.poll(before)
    since = watch.now + 1.5  # after the next list was asked for
    result = watch.matching.hear(event(1), since) or event(1)
    watch.matching.restarted(since)
    assert watch.poll(after) == []
    assert watch.poll() == [(after, result)]


@pytest.mark.parametrize(
    ("result", "whose"),
    [
        (event(1), 1),
        (event(1, files="/fax/rx-2.tif"), 1),
        (event(1, MOVED, files="/fax/moved.tif"), 2),
        (event(1, MOVED, files="/fax/none.tif"), None),
    ],
    ids=["its channel, of two the last", "another file", "its file", "neither"],
)
def test_where_no_list_comes_an_event_is_at_last_of_the_session_that_most_likely_has_it(
    result: FaxResult, whose: int | None
) -> None:
    watch = Watch()
    sessions = [One(0), One(1), One(2, "PJSIP/other-00000002", files="/fax/moved.tif")]
    watch.poll(*sessions)
    watch.hear(result)
    if whose is None:
        assert watch.poll(known=False) == [(None, result)]
        return
    assert watch.poll(known=False) == []
    watch.now += LIST_PATIENCE - 2.5
    assert watch.poll(known=False) == []
    assert watch.poll(known=False) == [(sessions[whose], result)]
    assert sessions[whose].phase is Phase.BACK


def test_where_all_that_are_alike_were_looked_at_none_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "_MAX_ALIKE", 3)
    watch = Watch()
    watch.poll(*(One(n, f"PJSIP/a-{n:08x}", pages_seen=3) for n in range(3)))
    dropped = watch.hear(event(1, MOVED))
    assert watch.poll() == [(None, dropped)]


def test_without_a_list_an_event_counts_unless_a_session_once_listed_may_have_it() -> None:
    watch, one = Watch(), One()
    watch.poll(one)
    for channel in (TRUNK, MOVED):
        watch.hear(event(1, channel))
    other = watch.hear(event(1, "PJSIP/new-00000009", files="/fax/new.tif"))
    assert watch.poll(known=False) == [(None, other)]
    assert [session for session, _ in watch.poll()] == [one, None]


def test_a_list_that_is_not_whole_ends_no_session_but_those_of_before_a_restart() -> None:
    watch, one = Watch(), One()
    watch.poll(one)
    assert watch.poll(whole=False) == []
    assert list(watch.matching.listed) == [one]
    watch.matching.restarted(watch.now)
    watch.poll(whole=False)
    assert not watch.matching.listed


def test_no_pbx_can_make_it_a_long_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_MAX_ALIKE", 3)
    watch = Watch()
    watch.poll(*(One(number, f"PJSIP/a-{number:08x}") for number in range(10)))
    heard = [watch.hear(event(0, f"PJSIP/b-{number:08x}")) for number in range(10)]
    assert Counter(watch.poll()) == Counter(
        {(session, result): 1 for session, result in zip(watch_sessions(watch), heard, strict=True)}
    )


def test_one_of_very_many_with_one_file_waits_until_the_others_have_had_their_own() -> None:
    watch = Watch()
    others = [One(n, f"PJSIP/a-{n:08x}", pages_seen=3) for n in range(matching._MAX_ALIKE)]
    moved = One(99, pages_seen=1)
    watch.poll(*others, moved)
    dropped = watch.hear(event(1, MOVED))
    assert watch.poll() == []
    for one in others:
        watch.hear(event(3, one.channel), after=2)
    watch.now += 2
    assert (moved, dropped) in watch.poll()


def test_of_too_many_that_no_whole_list_ends_the_oldest_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "MAX_TRACKED", 3)
    watch, sessions = Watch(), [One(n, f"PJSIP/a-{n:08x}") for n in range(5)]
    watch.poll(*sessions)
    watch.poll(whole=False)
    assert list(watch.matching.listed) == sessions[2:]


def test_an_event_after_the_list_that_is_of_none_in_it_waits_for_the_next() -> None:
    for after in (1, 1.5):
        watch = Watch()
        result = watch.hear(event(1), after=after)
        assert watch.poll() == []
        assert watch.poll() == [(None, result)]


def test_events_on_one_channel_are_of_the_last_sessions_in_their_order() -> None:
    for sessions, order in ((2, [0, 1]), (3, [2, 1]), (3, [0, 1, 2]), (4, [3, 2, 1])):
        watch, alike = Watch(), [One(n) for n in range(sessions)]
        watch.poll(*alike)
        heard = [watch.hear(event(1 + n)) for n in range(len(order))]
        assert watch.poll() == [(alike[n], one) for n, one in zip(order, heard, strict=True)]


def test_of_those_that_left_a_channel_the_last_has_an_event_of_a_file_that_none_had() -> None:
    watch, deaf, second = Watch(), One(files="/fax/a.tif"), One(1, files="/fax/b.tif")
    watch.poll(deaf, second)
    result = watch.hear(event(1, files="/fax/c.tif"))
    assert watch.poll() == [(second, result)]


def test_of_very_many_on_one_channel_only_so_many_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "_MAX_ALIKE", 3)
    watch, sessions = Watch(), [One(n) for n in range(5)]
    watch.poll(*sessions)
    result = watch.hear(event(1))
    assert watch.poll() == [(sessions[2], result)]


def test_what_waits_does_so_to_the_last_of_its_seconds() -> None:
    watch, deaf = Watch(), One()
    watch.poll(deaf)
    watch.poll()
    watch.now += EVENT_LATENESS - 1
    assert watch.poll() == []
    assert watch.poll() == [(deaf, None)]
    one = One(1)
    watch.poll(one)
    own = watch.hear(event(1), after=0)
    watch.now += LIST_PATIENCE - 1
    assert watch.poll(known=False) == []
    assert watch.poll(known=False) == [(one, own)]
    of_none = watch.hear(event(1, files="/fax/none.tif"), after=0)
    watch.now += LIST_PATIENCE - 1
    assert watch.poll(whole=False) == []
    assert watch.poll(whole=False) == [(None, of_none)]


def test_of_too_many_that_have_left_the_oldest_wait_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for limit, forgotten in ((4, 0), (3, 0), (2, 1), (1, 2)):
        monkeypatch.setattr(matching, "MAX_TRACKED", limit)
        watch, sessions = Watch(), [One(n, f"PJSIP/a-{n:08x}") for n in range(3)]
        watch.poll(*sessions)
        assert watch.poll() == [(one, None) for one in sessions[:forgotten]]
        assert watch_sessions(watch) == sessions[forgotten:]
        assert all((one.phase is Phase.OVER) is (one in sessions[:forgotten]) for one in sessions)


def test_one_of_too_many_waits_no_longer_whatever_event_may_be_its(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for limit, forgotten in ((2, False), (1, True)):
        monkeypatch.setattr(matching, "MAX_TRACKED", limit)
        watch, moved, own = Watch(), One(), One(1, "PJSIP/other-00000002", pages_seen=1)
        watch.poll(moved, own)
        watch.poll(own)
        watch.hear(event(1, MOVED))
        watch.poll()
        watch.now += EVENT_LATENESS - 1.5  # by now the first waits no longer, but for the event
        watch.poll()
        assert (moved in watch_sessions(watch)) is not forgotten


def test_a_call_moved_to_the_name_of_another_takes_its_own_session_by_the_file() -> None:
    watch, other, moved = Watch(), One(), One(1, "PJSIP/other-00000002", files="/fax/b.tif")
    watch.poll(other, moved)
    result = watch.hear(event(1, files="/fax/b.tif"))
    assert watch.poll() == [(moved, result)]


def test_a_session_without_a_file_has_the_event_of_its_channel_for_as_long_as_it_waits() -> None:
    for late, its in ((EVENT_LATENESS, True), (EVENT_LATENESS + 0.1, False)):
        watch, one = Watch(), One(files="")
        watch.poll(one)
        watch.poll()
        result = watch.hear(event(1), after=late)
        watch.now += EVENT_LATENESS
        assert ((one, result) in watch.poll()) is its


def test_without_channelvars_the_file_tells_whatever_way_a_fax_travelled() -> None:
    watch, one = Watch(), One(pages_seen=1)
    watch.poll(one)
    result = watch.hear(event(2, MOVED, transport=Transport.NONE))
    assert watch.poll() == [(one, result)]


def test_a_fax_that_failed_to_start_after_it_was_listed_is_told_by_its_channel() -> None:
    for began, reason in ((True, Reason.INIT), (False, Reason.CALL_DROPPED)):
        watch, one = Watch(), One(files="")
        watch.poll(one)
        failed = replace(event(None, files="", began=began), succeeded=False, reason=reason)
        result = watch.hear(failed)
        assert watch.poll() == [(one, result)]


def watch_sessions(watch: Watch) -> list[One]:
    return sorted(watch.matching._left.values(), key=lambda one: one.number)


# --- whatever the order and the renaming ----------------------------------------------------


@dataclass
class Fax:
    """What really became of one."""

    session: One
    pages: int
    began_at: int
    seconds: int
    moved: bool
    says: int | None
    """Pages by its event: all, or 0 if it was dropped. None: it has no event."""
    lateness: float


@st.composite
def faxes(draw: st.DrawFn, *, all_tell: bool) -> list[Fax]:
    found = []
    for number in range(draw(st.integers(1, 8))):
        pages = draw(st.integers(0, 4))
        moved = draw(st.booleans())
        dropped = not moved and draw(st.integers(0, 3)) == 0
        tells = all_tell or draw(st.booleans())
        found.append(
            Fax(
                session=One(
                    number,
                    f"PJSIP/trunk-{number:08x}",
                    draw(st.sampled_from((SEND, RECEIVE))),
                    draw(st.sampled_from(("/fax/a.tif", "/fax/b.tif"))),
                ),
                pages=pages,
                began_at=draw(st.integers(0, 10)),
                seconds=draw(st.integers(2, 12)),
                moved=moved,
                says=(0 if dropped else pages) if tells else None,
                # Such that a call that was moved has its event while it is waited for.
                lateness=draw(st.floats(0.02, EVENT_LATENESS / 2 - 1)),
            )
        )
    return found


def live(all_faxes: list[Fax], rng: random.Random) -> list[tuple[One | None, FaxResult | None]]:
    """The outcomes of these, with a list a second."""
    watch = Watch(now=0.0)
    outcomes = []
    events = []
    for fax in all_faxes:
        if fax.says is not None:
            one = fax.session
            name = f"Local/moved@x-{one.number:08x};1" if fax.moved else one.channel
            ended = fax.began_at + fax.seconds - rng.uniform(0.01, 0.99)
            result = event(fax.says, name, one.operation, one.files)
            events.append((ended + fax.lateness, result))
    events.sort(key=lambda item: item[0])
    for second in range(1, 60):
        while events and events[0][0] < second:
            at, result = events.pop(0)
            watch.matching.hear(result, at)
        running = [f for f in all_faxes if f.began_at <= second < f.began_at + f.seconds]
        for fax in running:
            # A dropped one tells no page, so that all of its were seen.
            share = (second - fax.began_at + 1) / fax.seconds
            unseen = 0 if fax.says == 0 or fax.says is None else rng.choice((0, 1))
            seen = min(int(fax.pages * share), max(0, fax.pages - unseen))
            last = second == fax.began_at + fax.seconds - 1
            fax.session.pages_seen = max(
                fax.session.pages_seen, fax.pages if last and not unseen else seen
            )
        watch.now = second - 1
        outcomes += watch.poll(*(fax.session for fax in running))
    return outcomes


@settings(max_examples=3 * settings().max_examples)
@given(faxes(all_tell=True), st.randoms(use_true_random=False))
def test_pages_are_exact_if_every_fax_tells_of_its_end(
    all_faxes: list[Fax], rng: random.Random
) -> None:
    outcomes = live(all_faxes, rng)
    assert all(session is not None and result is not None for session, result in outcomes)
    assert Counter(session for session, _ in outcomes) == Counter(f.session for f in all_faxes)
    counted = sum(max(s.pages_seen, r.pages or 0) for s, r in outcomes if s and r)
    assert counted == sum(fax.pages for fax in all_faxes)


@settings(max_examples=3 * settings().max_examples)
@given(faxes(all_tell=False), st.randoms(use_true_random=False))
def test_no_event_is_used_twice_no_session_closed_twice_and_no_page_counted_twice(
    all_faxes: list[Fax], rng: random.Random
) -> None:
    outcomes = live(all_faxes, rng)
    sessions = Counter(session for session, _ in outcomes if session is not None)
    assert sessions == Counter(fax.session for fax in all_faxes)
    results = [id(result) for _, result in outcomes if result is not None]
    assert len(results) == len(set(results)) == sum(fax.says is not None for fax in all_faxes)
    assert all(session is not None for session, _ in outcomes)
    counted = sum(max(s.pages_seen, r.pages or 0 if r else 0) for s, r in outcomes if s)
    assert counted <= sum(fax.pages for fax in all_faxes)
