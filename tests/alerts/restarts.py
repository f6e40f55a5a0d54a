"""Asterisk starts again and again."""

from collections.abc import Iterable
from random import Random

from harness.scenarios import Fires, Scenario
from harness.traffic import (
    DAY,
    HOUR,
    MINUTE,
    AsteriskStops,
    Event,
    ExporterStops,
    Mix,
    Pbx,
    World,
    every,
    poisson,
    round_the_clock,
)

RESTARTS = "AsteriskFaxAsteriskRestarts"


def _pbx(random: Random, events: Iterable[Event], lasting: float) -> World:
    faxes = Mix(pages=3).at(random, poisson(random, 500, 0, lasting, round_the_clock))
    return [Pbx(faxes, events=sorted(events, key=lambda one: one.at))]


def _crashes(since: float, until: float) -> list[Event]:
    return [AsteriskStops(time, 30) for time in every(20 * MINUTE, since, until)]


SCENARIOS = (
    Scenario(
        "Asterisk crashes every 20 minutes for six hours",
        lambda random: _pbx(random, _crashes(6 * HOUR, 12 * HOUR), DAY),
        lasting=DAY,
        fires=[Fires(RESTARTS, within=70 * MINUTE, clears=4 * HOUR)],
        begins=6 * HOUR,
        ends=12 * HOUR,
        seeds=(1,),
    ),
    Scenario(
        "Asterisk crashes every 20 minutes for six hours, and the exporter restarts each time",
        lambda random: _pbx(
            random,
            [
                *_crashes(6 * HOUR, 12 * HOUR),
                *(ExporterStops(t - 60, 150) for t in every(20 * MINUTE, 6 * HOUR, 12 * HOUR)),
            ],
            DAY,
        ),
        lasting=DAY,
        fires=[Fires(RESTARTS, within=70 * MINUTE, clears=4 * HOUR)],
        begins=6 * HOUR - 60,
        ends=12 * HOUR,
        seeds=(1,),
    ),
    Scenario(
        "Asterisk crashes every three hours",
        lambda random: _pbx(
            random,
            [AsteriskStops(time, 30) for time in every(3 * HOUR, 6 * HOUR, 2 * DAY)],
            2 * DAY,
        ),
        lasting=2 * DAY,
        fires=[Fires(RESTARTS, within=19 * HOUR)],
        begins=6 * HOUR,
        step=120,
        seeds=(1,),
    ),
    Scenario(
        "Asterisk is restarted each night, and three times in an hour when it is updated",
        lambda random: _pbx(
            random,
            [
                *(AsteriskStops(time, 60) for time in every(DAY, 3 * HOUR, 3 * DAY)),
                *(AsteriskStops(time, 60) for time in every(20 * MINUTE, 34 * HOUR, 35 * HOUR)),
            ],
            3 * DAY,
        ),
        lasting=3 * DAY,
        silent=(RESTARTS,),
        step=120,
        seeds=(1,),
    ),
)
