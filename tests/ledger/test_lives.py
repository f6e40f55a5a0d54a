"""Whether Asterisk was restarted: each sign of it is one, and nothing else is."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.fax import (
    CoreStatus,
    FaxSession,
    FaxStats,
    ListedSession,
    Operation,
    State,
    Transport,
    parse_core_status,
)
from exporter.ledger.lives import Lives, is_another

STATUS = CoreStatus("2026-11-25 18:09:30", "2026-11-25 18:10:44", 563)
STATS = FaxStats(1, 0, 7, 8, 9, 2)
ENTRY = ListedSession(
    0, "PJSIP/trunk-00000000", Operation.RECEIVE, State.ACTIVE, Transport.G711, "/fax/rx-1.tif"
)
DETAIL = FaxSession(
    0, Operation.RECEIVE, State.ACTIVE, False, 14400, (8031, 3850), 3, pages=2, bad_lines=0
)


def connected(*statuses: CoreStatus) -> list[bool]:
    lives = Lives()
    return [lives.status_shows_restart(status) for status in statuses]


@pytest.mark.parametrize(
    "now",
    [
        STATUS._replace(started="2026-11-25 18:09:31"),
        STATUS._replace(reloaded=STATUS.started),
        STATUS._replace(calls=562),
    ],
    ids=["another start", "a reload undone", "fewer calls"],
)
def test_one_sign_of_corestatus_is_enough(now: CoreStatus) -> None:
    assert connected(STATUS, now) == [False, True]


@pytest.mark.parametrize(
    "now",
    [
        STATUS,
        STATUS._replace(calls=600),
        STATUS._replace(reloaded="2026-11-25 19:00:00"),
        STATUS._replace(calls=None),
        CoreStatus("", "", None),
    ],
    ids=["the same", "more calls", "reloaded", "no calls told", "nothing told"],
)
def test_a_connection_that_was_lost_is_no_restart(now: CoreStatus) -> None:
    assert connected(STATUS, now, now) == [False, False, False]


def test_what_was_told_before_a_class_was_taken_away_is_still_known() -> None:
    later = STATUS._replace(started="2026-11-26 08:00:00")
    assert connected(STATUS, CoreStatus("", "", None), later) == [False, False, True]


@pytest.mark.parametrize("fell", ["completed", "failed", "transmit_attempts", "receive_attempts"])
def test_a_count_of_faxes_that_falls_is_a_sign(fell: str) -> None:
    lives = Lives()
    assert not lives.stats_show_restart(STATS)
    later = replace(STATS, current_sessions=0, completed=10)
    assert not lives.stats_show_restart(later)
    assert lives.stats_show_restart(replace(later, **{fell: 0}))


def test_what_faxstats_does_not_tell_has_not_fallen() -> None:
    lives = Lives()
    lives.stats_show_restart(STATS)
    assert not lives.stats_show_restart(FaxStats(None, None, None, None, None, None))
    assert not lives.stats_show_restart(STATS)


def test_one_restart_is_told_once() -> None:
    lives = Lives()
    lives.status_shows_restart(STATUS)
    lives.stats_show_restart(STATS)
    assert lives.status_shows_restart(STATUS._replace(calls=0))
    assert not lives.stats_show_restart(FaxStats(0, 0, 0, 0, 0, 0))


# --- how many there were -----------------------------------------------------------------------

NEVER_RELOADED = STATUS._replace(reloaded=STATUS.started, calls=None)
NOTHING = CoreStatus("", "", None)
NO_FAXES = FaxStats(0, 0, 0, 0, 0, 0)


def test_where_the_zone_is_known_a_start_that_is_shown_otherwise_is_the_same() -> None:
    here = STATUS._replace(start=1_795_630_170)
    there = here._replace(started="2026-11-25 23:39:30", reloaded="2026-11-25 23:40:44")
    assert connected(here, there) == [False, False]
    assert connected(here, there._replace(start=1_795_630_171)) == [False, True]
    assert connected(here, here._replace(start=None)) == [False, False]


@pytest.mark.parametrize("status", [NEVER_RELOADED, NOTHING])
def test_counts_that_fall_over_a_new_connection_are_a_restart_and_one(status: CoreStatus) -> None:
    lives = Lives()
    for stats in (STATS, NO_FAXES, NO_FAXES):
        lives.status_shows_restart(status)
        lives.stats_show_restart(stats)
    assert lives.restarts == 1


def test_counts_that_fall_within_a_connection_are_no_restart_of_asterisk() -> None:
    lives = Lives()
    lives.status_shows_restart(NEVER_RELOADED)
    lives.stats_show_restart(STATS)
    assert lives.stats_show_restart(NO_FAXES)
    assert lives.restarts == 0


@pytest.mark.parametrize("now", [STATUS._replace(calls=None), STATUS._replace(reloaded="")])
def test_res_fax_loaded_again_between_two_connections_is_told_apart(now: CoreStatus) -> None:
    """By a time of reload that a restart would have undone, or by calls that went on."""
    lives = Lives()
    lives.status_shows_restart(STATUS)
    lives.stats_show_restart(STATS)
    lives.status_shows_restart(now)
    assert lives.stats_show_restart(NO_FAXES)
    assert lives.restarts == 0


@pytest.mark.parametrize("sign", ["list", "statistics", "both"])
def test_a_restart_noticed_otherwise_is_not_counted_again_once_its_time_is_told(sign: str) -> None:
    lives = Lives()
    lives.status_shows_restart(STATUS)
    lives.stats_show_restart(STATS)
    lives.status_shows_restart(NOTHING)
    if sign != "list":
        lives.stats_show_restart(NO_FAXES)
    if sign != "statistics":
        lives.list_shows_restart()
    lives.status_shows_restart(STATUS._replace(started="2026-11-26 08:00:00", calls=0))
    lives.stats_show_restart(NO_FAXES)
    assert lives.restarts == 1


def test_each_restart_of_which_asterisk_tells_is_counted() -> None:
    lives = Lives()
    for hour in range(4):
        lives.status_shows_restart(NEVER_RELOADED._replace(started=f"2026-11-26 {hour}:00:00"))
        lives.stats_show_restart(STATS if hour == 0 else NO_FAXES)
        assert lives.restarts == hour


class Telling:
    """An Asterisk, what it tells of itself now and then, and the restarts that there were."""

    def __init__(self, *, clock: bool, zones: bool) -> None:
        """`clock`: whether it is battery-backed. `zones`: whether it is moved between them."""
        self.lives = Lives()
        self.all = self.told_of = 0
        """Restarts, several without a connection between being one; those that CoreStatus shows."""
        self._clock, self._zones = clock, zones
        self._life = self._life_listed = self._life_told = self._life_connected = 1
        self._now = self._started = self._reloaded = self._calls = self._faxes = 0
        self._connected = self._polled = False
        self._counted = 0
        """Restarts that were counted until the last list."""
        self.connect(True, True, 0)

    def connect(self, answers: bool, counts_calls: bool, hours: int) -> None:
        shift = hours * 3600 if self._zones else 0
        started, reloaded = (f"{at + shift:06}" for at in (self._started, self._reloaded))
        start = self._started if self._zones else None
        calls = self._calls if counts_calls else None
        self.lives.status_shows_restart(
            CoreStatus(started, reloaded, calls, start) if answers else CoreStatus("", "", None)
        )
        self.all += self._life != self._life_connected
        self._life_connected = self._life
        if answers:
            self.told_of += self._life != self._life_told
            self._life_told = self._life
        self._connected, self._polled = True, False

    def poll(self, lists: bool, counts: bool, another: bool) -> None:
        if not self._connected:
            return
        if counts:
            faxes = self._faxes
            self.lives.stats_show_restart(FaxStats(0, 0, faxes, faxes, faxes, faxes))
            self._polled = True
        if lists:
            # That a restart was noticed ends all sessions before it.
            known = self._life_listed != self._life and self.lives.restarts == self._counted
            if another and known:
                self.lives.list_shows_restart()
            self._life_listed, self._counted = self._life, self.lives.restarts

    def go_on(self, faxes: int) -> None:
        self._now += 60
        self._faxes += faxes
        self._calls += faxes

    def reload(self) -> None:
        self._now += 1
        self._reloaded = self._now

    def load_res_fax_again(self) -> None:
        if self._connected and self._polled:
            self._faxes = 0
            self.poll(lists=True, counts=True, another=False)

    def restart(self) -> None:
        self._life += 1
        self._now += 1
        self._started = self._reloaded = self._now if self._clock else 0
        self._calls = self._faxes = 0
        self._connected = False


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just(Telling.connect), st.booleans(), st.booleans(), st.integers(0, 12)),
        st.tuples(st.just(Telling.poll), st.booleans(), st.booleans(), st.booleans()),
        st.tuples(st.just(Telling.go_on), st.integers(0, 3)),
        st.tuples(st.just(Telling.reload)),
        st.tuples(st.just(Telling.load_res_fax_again)),
        st.tuples(st.just(Telling.restart)),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=5 * settings().max_examples)
@given(steps=STEPS, clock=st.booleans(), zones=st.booleans())
def test_no_restart_is_counted_twice_and_none_is_missed_of_which_asterisk_tells(
    steps: list[tuple[Any, ...]], clock: bool, zones: bool
) -> None:
    asterisk = Telling(clock=clock, zones=zones)
    for step, *arguments in steps:
        step(asterisk, *arguments)
        assert asterisk.lives.restarts <= asterisk.all
        assert not clock or asterisk.told_of <= asterisk.lives.restarts


@pytest.mark.parametrize(
    ("now", "detail"),
    [
        (ENTRY._replace(state=State.INITIALIZED), None),
        (ENTRY._replace(files="/fax/rx-2.tif"), None),
        (ENTRY, DETAIL._replace(pages=1)),
    ],
    ids=["a state that goes back", "another file", "fewer pages"],
)
def test_a_session_that_goes_back_is_another(now: ListedSession, detail: FaxSession | None) -> None:
    assert is_another(ENTRY, 2, now, detail)


def test_t38_never_goes_back_to_audio() -> None:
    assert is_another(ENTRY._replace(transport=Transport.T38), 0, ENTRY, None)


@pytest.mark.parametrize(
    ("now", "detail"),
    [
        (ENTRY, None),
        (ENTRY, DETAIL),
        (ENTRY._replace(state=State.COMPLETE), DETAIL._replace(pages=3)),
        (ENTRY._replace(files=""), None),
        (ENTRY._replace(transport=Transport.T38), DETAIL._replace(pages=0)),
        (ENTRY._replace(state=State.UNKNOWN), None),
    ],
    ids=["the same", "asked", "further", "no file told", "switched to T.38", "unreadable"],
)
def test_a_session_that_goes_on_is_no_other(now: ListedSession, detail: FaxSession | None) -> None:
    assert not is_another(ENTRY, 2, now, detail)


def test_corestatus_is_read_whatever_is_missing() -> None:
    said = {
        "CoreStartupDate": "2026-11-25",
        "CoreStartupTime": "18:09:30",
        "CoreReloadDate": "2026-11-25",
        "CoreReloadTime": "18:10:44",
        "CoreProcessedCalls": "563",
    }
    assert parse_core_status(said) == STATUS
    assert parse_core_status({}) == CoreStatus("", "", None)
    assert parse_core_status({**said, "CoreProcessedCalls": "many"}).calls is None
