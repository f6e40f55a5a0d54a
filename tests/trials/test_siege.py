"""A short siege, in counts, bytes and states; the long one, with times, is `make siege`."""

import asyncio

import pytest

from tests.trials.siege.attacking import Attack
from tests.trials.siege.besieging import besiege
from tests.trials.siege.floods import guesses, heads, logs, places, rendering, web_file
from tests.trials.siege.lateness import Punctuality, punctuality
from tests.trials.siege.lines import GRACE, MIB, Row, faults
from tests.trials.siege.scraping import Tally

OPEN = (
    Attack("memory", (heads.Trailers, heads.Upgrades)),
    Attack("the rest", (places.Deaf, rendering.Page, logs.Expectations, logs.Malformed)),
)
WITH_USERS = (
    Attack("passwords", (guesses.GuessesFromEight,)),
    Attack("web file", (web_file.Truncation, places.DeafWithUsers)),
)
OVER_TLS = (Attack("memory over TLS", (heads.TlsHeads, heads.EndlessHandshakes)),)
ANSWERED = Tally(asked=5, answered=5, slowest=0.1)
ON_TIME = Punctuality(polls=5, median_gap=1.0, worst_gap=1.01, late=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "attacks", [OPEN, WITH_USERS, OVER_TLS], ids=["open", "with users", "over TLS"]
)
def test_in_a_siege_scrapes_are_answered_counters_are_true_and_nothing_piles_up(
    attacks: tuple[Attack, ...],
) -> None:
    rows = asyncio.run(besiege(attacks, seconds=1))
    assert len(rows) == len(attacks)
    for row in rows:
        assert row.connections > 0
        assert row.sent > 0
        assert row.polls is not None
        assert row.polls.polls > 0
        assert faults(row, times=False) == [], row
        assert row.recovery < GRACE
    assert rows[-1].ended is not None
    assert rows[-1].ended < GRACE


def test_a_poll_is_late_against_its_multiple_of_the_interval_and_a_gap_at_an_edge_counts() -> None:
    polls = [(1, float(n)) for n in range(1, 5)] + [(1, 5.25), (1, 6.0), (1, 8.5), (1, 9.0)]
    seen = punctuality(polls, 4.5, 8.0, 1.0)
    assert seen.polls == 2
    assert seen.late == 1.5  # the one of 7 came at 8.5
    assert seen.worst_gap == 2.5


def test_each_connection_polls_at_multiples_of_its_own() -> None:
    polls = [(1, 1.0), (1, 2.0), (1, 3.0), (2, 3.5), (2, 4.5), (2, 5.5), (2, 6.5)]
    assert punctuality(polls, 1.5, 5.8, 1.0).late == 0.0


def test_who_polls_no_more_is_late_until_the_end() -> None:
    assert punctuality([(1, 1.0), (1, 2.0), (1, 3.0)], 2.5, 8.0, 1.0).late == 4.0
    assert punctuality([(1, 1.0)], 2.0, 8.0, 1.0).worst_gap == 6.0


def test_a_figure_worse_than_its_line_is_a_fault_and_times_only_where_they_count() -> None:
    row = Row("a flood", "open", polls=ON_TIME, control=ON_TIME, guarded=[ANSWERED])
    assert faults(row) == []
    row.peak = 65 * MIB
    assert faults(row) == ["memory above rest 65 MiB"]
    row.peak, row.recovery = 0, 3.0
    assert faults(row) == ["recovery 3 s"]
    assert faults(row, times=False) == []
    row.recovery, row.guarded = 0.0, [ANSWERED, Tally(asked=2, answered=1, failures=["503"])]
    assert faults(row) == ["scrapes lost 1", "scrapes got {'503': 1}"]
    row.guarded = [Tally()]  # nobody was let in, not even to ask
    assert faults(row) == ["scrapes lost 1"]
    row.guarded, row.miscounted = [ANSWERED], {"pages": -1.0}
    assert faults(row) == ["miscounted 1", "counted {'pages': -1.0}"]
