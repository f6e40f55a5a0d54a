"""When polls are due, and whose delay it is that they are not begun then."""

import math

from hypothesis import given
from hypothesis import strategies as st

from exporter.polling import Clock, Lateness
from exporter.polling.schedule import Schedule


def _at(now: float, interval: float = 1.0, phase: float | None = None) -> tuple[Schedule, Lateness]:
    lateness = Lateness(interval, clock=Clock(monotonic=lambda: 0.0))
    return Schedule(interval, phase, lateness, now), lateness


def test_a_pbx_that_answers_slowly_makes_its_own_polls_late_and_the_process_is_not() -> None:
    schedule, lateness = _at(10.0)
    assert schedule.over(13.5, ours=0.01) == 0.5
    schedule.begins(14.0)
    assert lateness.pace.lateness.sum == 0


def test_polls_left_out_since_the_process_was_late_count_from_the_first_of_them() -> None:
    schedule, lateness = _at(10.0)
    assert schedule.over(13.5, ours=3.4) == 0.5  # alone the PBX would have been ready at 10.1
    schedule.begins(14.2)
    assert math.isclose(lateness.pace.lateness.sum, 3.2)


def test_of_a_poll_that_both_made_late_only_what_the_pbx_did_not_cause_counts() -> None:
    schedule, lateness = _at(10.0)
    schedule.over(13.5, ours=2.0)  # it would have been ready at 11.5, and asked again at 12
    schedule.begins(14.0)
    assert math.isclose(lateness.pace.lateness.sum, 2.0)


def test_a_timer_that_comes_late_is_the_lateness_of_the_process() -> None:
    schedule, lateness = _at(10.0)
    schedule.over(10.1, ours=0.0)
    schedule.begins(11.7)
    assert math.isclose(lateness.pace.lateness.sum, 0.7)


def test_a_poll_in_between_is_due_when_it_was_put_there_and_the_others_keep_their_place() -> None:
    schedule, lateness = _at(10.0, interval=60.0)
    schedule.over(10.5, ours=0.0)
    assert schedule.sooner(10.5, 2.0) == 2.0
    schedule.begins(12.5)
    assert lateness.pace.lateness.sum == 0
    assert schedule.over(12.5, ours=0.0) == 57.5


@given(
    st.floats(0.05, 3600),
    st.floats(0, 0.999),
    st.floats(0, 1e6),
    st.floats(0, 100),
    st.floats(0, 1),
    st.floats(0, 10),
)
def test_polls_keep_their_place_in_the_interval_and_none_is_late_that_begins_when_it_is_due(
    interval: float, phase: float, now: float, took: float, share: float, least: float
) -> None:
    schedule, lateness = _at(now, interval, phase)
    over = now + took
    pause = schedule.over(over, ours=took * share, least=least)
    assert least - 1e-6 <= pause <= least + interval + 1e-6
    place = ((over + pause) / interval - phase) % 1
    assert min(place, 1 - place) * interval < 1e-5
    schedule.begins(over + pause)
    assert lateness.pace.lateness.sum <= took * share + interval


@given(st.floats(0.05, 3600), st.floats(0, 0.999), st.floats(0, 1e6), st.floats(0.01, 1.0))
def test_polls_that_take_no_time_and_have_others_between_go_on_in_time(
    interval: float, phase: float, now: float, pause: float
) -> None:
    schedule, _ = _at(now, interval, phase)
    for _ in range(50):
        schedule.over(now, ours=0.0)
        before, now = now, now + schedule.sooner(now, pause)
        assert now > before
