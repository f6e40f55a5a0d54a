"""How long a poller waits after what has failed."""

import itertools
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.polling import FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE
from exporter.polling.backoff import QUICK_PAUSE, RETURN_PAUSE, RETURN_SECONDS, Backoff


@dataclass(frozen=True)
class End:
    """How an attempt ended, by default at a port where nobody listens."""

    refused: bool = False
    shutting_down: bool = False
    logged_in: bool = False
    polled: bool = False
    held: bool = False

    def of(self, backoff: Backoff, now: float = 0.0) -> Backoff:
        return backoff.after(
            now,
            refused=self.refused,
            shutting_down=self.shutting_down,
            logged_in=self.logged_in,
            polled=self.polled,
            held=self.held,
        )


UNREACHED = End()
REFUSED = End(refused=True)
NOT_POLLED = End(logged_in=True)
POLLED = End(logged_in=True, polled=True)
HELD = replace(POLLED, held=True)
LEAVING = End(shutting_down=True)


def pauses(*ends: End, jitter: float = 1.0) -> list[float]:
    """The pause after each of these, all at the same moment."""
    states = itertools.accumulate(ends, lambda backoff, end: end.of(backoff), initial=Backoff())
    return [backoff.pause(0.0, jitter) for backoff in itertools.islice(states, 1, None)]


def test_pauses_are_doubled_up_to_a_minute() -> None:
    assert pauses(*[UNREACHED] * 8) == [2, 4, 8, 16, 32, 60, 60, 60]


def test_after_a_poll_the_first_pause_is_short_again() -> None:
    assert pauses(*[UNREACHED] * 8, POLLED, UNREACHED)[-2:] == [FIRST_PAUSE, 2 * FIRST_PAUSE]


def test_after_a_connection_that_held_the_next_attempt_is_made_at_once_and_the_others_soon() -> (
    None
):
    assert pauses(HELD, *[UNREACHED] * 10) == [0, *[QUICK_PAUSE] * 7, 1, 2, 4]
    assert pauses(*[UNREACHED] * 8, HELD)[-1] == 0


def test_a_pbx_that_ends_every_connection_after_a_poll_is_not_asked_without_a_pause() -> None:
    assert pauses(HELD, *[POLLED] * 4, jitter=0.0) == [0, 0.5, 0.5, 0.5, 0.5]
    assert pauses(HELD, *[NOT_POLLED] * 3, jitter=0.0) == [0, 1, 2, 4]


def test_a_connection_that_lasted_without_a_poll_is_no_reason_to_come_at_once() -> None:
    assert pauses(replace(NOT_POLLED, held=True)) == [2]


def test_an_asterisk_that_was_about_to_end_is_not_looked_for_at_once() -> None:
    assert pauses(replace(HELD, shutting_down=True)) == [FIRST_PAUSE]


def test_a_refused_login_is_not_tried_again_at_once_whatever_held_before() -> None:
    assert pauses(HELD, REFUSED) == [0, REFUSED_PAUSE]


def test_a_login_alone_is_no_reason_to_come_sooner() -> None:
    assert pauses(UNREACHED, UNREACHED, NOT_POLLED) == [2, 4, 8]


def test_after_a_thousand_failures_there_is_still_a_pause() -> None:
    assert Backoff(failures=10_000).pause(0.0, 1.0) == LONGEST_PAUSE


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0)])
def test_jitter_takes_up_to_half_of_a_pause(jitter: float, seconds: float) -> None:
    assert pauses(UNREACHED, jitter=jitter) == [seconds]


def test_a_refused_login_costs_a_minute_until_one_succeeds_whatever_fails_meanwhile() -> None:
    ends = [POLLED, REFUSED, UNREACHED, LEAVING, POLLED]
    assert pauses(*ends, jitter=0.0) == [0.5, *[REFUSED_PAUSE] * 3, FIRST_PAUSE / 2]


def test_an_asterisk_that_was_shutting_down_is_looked_for_every_few_seconds_for_a_while() -> None:
    backoff = LEAVING.of(Backoff(failures=7), now=100.0)
    assert backoff.pause(100.0, 1.0) == RETURN_PAUSE
    later = 100.0 + RETURN_SECONDS
    assert UNREACHED.of(backoff).pause(later - 0.1, 1.0) == RETURN_PAUSE
    assert UNREACHED.of(backoff).pause(later, 1.0) == LONGEST_PAUSE


def test_while_it_is_expected_back_a_short_pause_is_not_made_longer() -> None:
    assert pauses(POLLED, replace(POLLED, shutting_down=True)) == [FIRST_PAUSE, FIRST_PAUSE]


@given(
    st.lists(st.builds(End, *[st.booleans()] * 5), min_size=1),
    st.floats(0, 1),
    st.floats(0, 1e9),
)
def test_no_pause_is_longer_than_a_minute_and_none_is_left_out_but_the_first(
    ends: list[End], jitter: float, now: float
) -> None:
    backoff = Backoff()
    for end in ends:
        backoff = end.of(backoff, now)
        shortest = (QUICK_PAUSE if backoff.failures < 0 else FIRST_PAUSE) / 2
        if end.polled and end.held and not end.shutting_down:
            shortest = 0.0
        assert shortest <= backoff.pause(now, jitter) <= max(LONGEST_PAUSE, REFUSED_PAUSE)
        if end.refused:
            assert backoff.pause(now, jitter) >= REFUSED_PAUSE
