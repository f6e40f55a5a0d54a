"""Faxes come when and as often as is asked, and always the same for a seed."""

from collections import Counter
from random import Random

import pytest

from harness.traffic import (
    DAY,
    HOUR,
    MONDAY,
    WEEK,
    Mix,
    at_hours,
    but,
    carrier,
    day,
    heavy_tailed,
    noisy,
    office,
    poisson,
    round_the_clock,
    shifted,
    shifts,
    weekday,
    working_days,
)


@pytest.mark.parametrize("curve", [office, shifts, carrier, round_the_clock])
def test_a_busy_day_has_as_many_faxes_as_were_asked_for(curve: object) -> None:
    assert callable(curve)
    times = list(poisson(Random(1), 500, MONDAY, MONDAY + 200 * WEEK, curve))
    by_day = Counter(weekday(time) for time in times)
    assert by_day[1] / 200 == pytest.approx(500, rel=0.02)
    assert times == sorted(times)


def test_an_office_is_closed_at_night_and_at_weekends() -> None:
    times = list(poisson(Random(1), 500, 0, 4 * WEEK))
    assert {weekday(time) for time in times} == {0, 1, 2, 3, 4}
    assert {int(time % DAY // HOUR) for time in times} == set(range(8, 18))
    assert {int(t % DAY // HOUR) for t in poisson(Random(1), 500, 0, WEEK, shifted(office, 2))} == {
        *range(10, 20)
    }


def test_nothing_comes_in_a_pause() -> None:
    times = list(poisson(Random(1), 500, 0, WEEK, but(office, day(4), (5 * DAY, 5.5 * DAY))))
    assert not [time for time in times if 4 * DAY <= time < 5.5 * DAY]
    assert [time for time in times if 5.5 * DAY <= time < 6 * DAY]


def test_day_0_is_a_thursday_as_for_promtool() -> None:
    assert working_days(4) == [0, 1, 4, 5]
    assert list(at_hours([16, 9], [0, 4])) == [9 * HOUR, 16 * HOUR, 105 * HOUR, 112 * HOUR]


def test_the_same_seed_makes_the_same_faxes() -> None:
    mix = Mix(failures={"no_fax": 0.1}, bad_lines=noisy(1), ecm=0.5)
    one, same, other = (
        mix.at(random, poisson(random, 100, 0, WEEK)) for random in map(Random, (1, 1, 2))
    )
    assert one == same != other


def test_shares_are_those_that_were_asked_for() -> None:
    mix = Mix(
        failures={"no_fax": 0.1, "train_failure": 0.2},
        peers={"PJSIP/a": 0.9, "PJSIP/b": 0.1},
        pages=3,
        ecm=0.4,
        bad_lines=noisy(2),
    )
    faxes = mix.at(Random(1), range(20000))
    failed = Counter(fax.reason for fax in faxes)
    good = [fax for fax in faxes if fax.reason is None]
    plain = [fax for fax in faxes if not fax.ecm]
    assert failed["no_fax"] / len(faxes) == pytest.approx(0.1, rel=0.1)
    assert failed["train_failure"] / len(faxes) == pytest.approx(0.2, rel=0.1)
    assert sum(fax.peer == "PJSIP/b" for fax in faxes) / len(faxes) == pytest.approx(0.1, rel=0.1)
    assert sum(fax.pages for fax in good) / len(good) == pytest.approx(3, rel=0.1)
    lines = sum(fax.bad_lines for fax in plain) / sum(fax.pages for fax in plain)
    assert lines == pytest.approx(2, rel=0.1)
    assert not any(fax.bad_lines for fax in faxes if fax.ecm)


def test_a_heavy_tail_has_most_of_its_lines_in_few_pages() -> None:
    draws = sorted(heavy_tailed(2)(random) for random in [Random(1)] for _ in range(10000))
    assert draws[5000] == pytest.approx(2, rel=0.1)
    assert sum(draws[9000:]) > sum(draws[:9000]) / 2
