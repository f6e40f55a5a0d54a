"""Few faxes, of which none succeeds."""

from collections.abc import Sequence
from random import Random

from harness.scenarios import Fires, Scenario
from harness.traffic import (
    DAY,
    HOUR,
    Event,
    ExporterStops,
    Fax,
    Mix,
    Pbx,
    World,
    at_hours,
    poisson,
    working_days,
)

NONE = "AsteriskFaxNoneSucceeds"
MONDAY = 11 * DAY
LASTING = 20 * DAY
GOOD = Mix("send", failures={"no_fax": 0.02})


def _failing(
    random: Random, times: Sequence[float], reason: str, events: Sequence[Event] = ()
) -> World:
    bad = Mix("send", failures={reason: 1.0})
    faxes = [
        fax
        for time in times
        for fax in (bad if MONDAY <= time < MONDAY + 5 * DAY else GOOD).at(random, [time])
    ]
    return [Pbx(faxes, events=events)]


def _all_fail(name: str, hours: Sequence[float], reason: str, *events: Event) -> Scenario:
    times = list(at_hours(hours, working_days(14)))
    return Scenario(
        name,
        lambda random: _failing(random, times, reason, events),
        lasting=LASTING,
        begins=MONDAY + hours[0] * HOUR,
        ends=MONDAY + 7 * DAY + hours[0] * HOUR,
        fires=[Fires(NONE, 2 * DAY, {"operation": "send"}, clears=HOUR)],
        step=900,
        seeds=(1, 2),
    )


def _wrong_number(random: Random) -> World:
    """Six attempts at it in an afternoon, while the others are good."""
    good = Mix("send").at(random, poisson(random, 5, 0, LASTING))
    wrong = [
        Fax(MONDAY + 15 * HOUR + attempt * 600, "send", reason="no_fax", pages=0)
        for attempt in range(6)
    ]
    return [Pbx(good + wrong)]


def _few(random: Random) -> World:
    return [Pbx(Mix("send").at(random, poisson(random, 0.3, 0, LASTING)))]


SCENARIOS = (
    _all_fail("One fax a day, from Monday on all fail for a week", [10], "file_error"),
    _all_fail("Four faxes a day, all fail for a week", [8.5, 10, 13, 16], "no_fax"),
    _all_fail(
        "Five faxes a day, all fail for a week, and the exporter is restarted each night",
        [8.5, 10, 11, 13, 16],
        "train_failure",
        *(ExporterStops(day * DAY + 3 * HOUR, 30) for day in range(20)),
    ),
    Scenario(
        "Five faxes a day, and six attempts at one wrong number in an afternoon",
        _wrong_number,
        lasting=LASTING,
        silent=[NONE],
        step=900,
        seeds=(1, 2),
    ),
    Scenario(
        "One good fax every three days", _few, lasting=LASTING, silent=[NONE], step=900, seeds=(1,)
    ),
)
