"""Whether Asterisk was restarted: each sign of it is one, and nothing else is."""

from dataclasses import replace

import pytest

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
