"""Completions without an event: each is counted once, late events are none."""

import pytest

from exporter.ledger import EVENT_LATENESS
from exporter.ledger.unobserved import Unobserved
from tests.ledger.watch import Watch


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


@pytest.mark.parametrize(("rise", "counts"), [(2000, True), (2001, False)])
def test_a_count_rises_by_no_more_than_a_thousand_a_second(rise: int, counts: bool) -> None:
    unobserved = Unobserved()
    unobserved.counted(7, 1000.0)
    unobserved.counted(7 + rise, 1001.0)
    unobserved.counted(7 + rise, 1002.0 + EVENT_LATENESS)
    assert unobserved.total == (rise if counts else 0)


def test_what_was_counted_as_long_ago_as_events_are_late_is_unobserved() -> None:
    unobserved = Unobserved()
    unobserved.counted(7, 1000.0)
    assert unobserved.counted(8, 1001.0) == 0
    assert unobserved.counted(8, 1000.9 + EVENT_LATENESS) == 0
    assert unobserved.counted(8, 1001.0 + EVENT_LATENESS) == 1
    assert unobserved.counted(8, 1002.0 + EVENT_LATENESS) == 0
