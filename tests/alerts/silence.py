"""Lines that are silent, and those that only seem to be.

Played at a quarter or half an hour a step, for nearly three weeks: two of them are what the rules
compare with.
"""

from collections.abc import Sequence
from functools import partial
from random import Random

from harness.scenarios import Fires, Scenario
from harness.traffic import (
    DAY,
    HOUR,
    MINUTE,
    Curve,
    Event,
    ExporterStops,
    Mix,
    Pbx,
    Unreachable,
    World,
    but,
    day,
    every,
    office,
    poisson,
    round_the_clock,
    shifted,
    shifts,
)

SILENT = "AsteriskFaxSilent"
WEDNESDAY = 13 * DAY
FROM_TEN = (WEDNESDAY + 10 * HOUR, WEDNESDAY + 2.9 * DAY)
NEXT_MONDAY = 18 * DAY + 8 * HOUR
LASTING = 19 * DAY


def _line(
    random: Random,
    a_day: float,
    curve: Curve = office,
    events: Sequence[Event] = (),
    until: float = LASTING,
) -> World:
    """A line that receives, beside one that sends and always works."""
    received = Mix().at(random, poisson(random, a_day, 0, until, curve))
    sent = Mix("send").at(random, poisson(random, 50, 0, until))
    return [Pbx(received + sent, events=events)]


def _dead(
    name: str,
    a_day: float,
    within: float,
    pause: tuple[float, float],
    over: float,
    curve: Curve = office,
    lasting: float = LASTING,
) -> Scenario:
    """`over`: when faxes come again."""
    return Scenario(
        name,
        lambda random: _line(random, a_day, but(curve, pause), until=lasting),
        lasting=lasting,
        begins=pause[0],
        ends=over,
        fires=[Fires(SILENT, within, {"operation": "receive"}, clears=2 * HOUR)],
        step=900,
        seeds=(1,),
    )


def _quiet(name: str, world: partial[World], lasting: float = LASTING) -> Scenario:
    return Scenario(name, world, lasting=lasting, silent=[SILENT], step=1800, seeds=(1,))


def _moved(random: Random) -> World:
    """From Monday on an hour later: the rules know no time zone."""
    earlier = poisson(random, 300, 0, 11 * DAY)
    later = poisson(random, 300, 11 * DAY, LASTING, shifted(office, 1))
    return [Pbx(Mix().at(random, [*earlier, *later]))]


def _burst(random: Random) -> World:
    """Two faxes a day, and 2000 on the first of a month."""
    usual = poisson(random, 2, 0, LASTING)
    first = poisson(random, 2000, *day(4))
    return [Pbx(Mix().at(random, sorted([*usual, *first])))]


def _trunks(random: Random, dead: float, alive: float) -> World:
    """Three of them, one of which brings nothing for two days."""
    mix = Mix(peers={"PJSIP/a": 0.5, "PJSIP/b": 0.3, "PJSIP/c": 0.2})
    faxes = mix.at(random, poisson(random, 400, 0, LASTING))
    kept = [fax for fax in faxes if fax.peer != "PJSIP/b" or not dead <= fax.begin < alive]
    return [Pbx(kept, peer_label=True)]


SCENARIOS = (
    Scenario(
        "300 faxes each weekday, and none from Wednesday 10:00 on; cuts lose a few events",
        lambda random: _line(
            random,
            300,
            but(office, FROM_TEN),
            events=[
                *(Unreachable(time, 40) for time in every(3 * HOUR + 1000, 0, LASTING)),
                Unreachable(WEDNESDAY + DAY + 3 * HOUR, 20 * MINUTE),
            ],
        ),
        lasting=LASTING,
        begins=FROM_TEN[0],
        ends=NEXT_MONDAY,
        fires=[Fires(SILENT, 2 * HOUR, {"operation": "receive"}, clears=2 * HOUR)],
        step=900,
        seeds=(1,),
    ),
    _dead(
        "300 faxes each weekday, and none from Wednesday 10:00 for two and a half days",
        300,
        2 * HOUR,
        FROM_TEN,
        NEXT_MONDAY,
    ),
    _dead(
        "30 faxes each weekday, and none from Wednesday 10:00 for two and a half days",
        30,
        1.5 * DAY,
        FROM_TEN,
        NEXT_MONDAY,
    ),
    _dead(
        "12 faxes each weekday, and none from Monday on for a week",
        12,
        4 * DAY,
        (NEXT_MONDAY, NEXT_MONDAY + 5 * DAY),
        NEXT_MONDAY + 7 * DAY,
        lasting=26 * DAY,
    ),
    _dead(
        "2000 faxes a day around the clock, and none for eight hours of a night",
        2000,
        2 * HOUR,
        (WEDNESDAY, WEDNESDAY + 8 * HOUR),
        WEDNESDAY + 8 * HOUR,
        round_the_clock,
    ),
    Scenario(
        "One trunk of three, with 120 of 400 faxes each weekday, and none from Wednesday 10:00 on",
        partial(_trunks, dead=WEDNESDAY + 10 * HOUR, alive=NEXT_MONDAY),
        lasting=LASTING,
        begins=WEDNESDAY + 10 * HOUR,
        ends=NEXT_MONDAY,
        fires=[Fires("AsteriskFaxPeerSilent", 6 * HOUR, {"peer": "PJSIP/b"}, clears=3 * HOUR)],
        silent=[SILENT],
        step=900,
        seeds=(1,),
    ),
    Scenario(
        "A public holiday and the Friday after it, 300 faxes on other weekdays: once, until Monday",
        lambda random: _line(random, 300, but(office, day(14), day(15))),
        lasting=LASTING,
        begins=14 * DAY,
        ends=NEXT_MONDAY,
        fires=[Fires(SILENT, 11 * HOUR, {"operation": "receive"}, clears=HOUR)],
        step=900,
        seeds=(1,),
    ),
    _quiet("300 faxes each weekday, quiet nights and weekends", partial(_line, a_day=300)),
    _quiet(
        "Shifts from 6 to 22, Monday to Saturday, 100 a day",
        partial(_line, a_day=100, curve=shifts),
    ),
    _quiet(
        "Five faxes a day, and none for a week",
        partial(_line, a_day=5, curve=but(office, (11 * DAY, 18 * DAY))),
    ),
    _quiet("2000 faxes on one day of the month, two on others", partial(_burst)),
    _quiet("All comes an hour later from one week to the next", partial(_moved)),
    _quiet(
        "A new PBX in its first week, 300 faxes on two days, then none",
        partial(_line, a_day=300, curve=but(office, (2 * DAY, 7 * DAY))),
        lasting=7 * DAY,
    ),
    _quiet(
        "The exporter is down for a day",
        partial(_line, a_day=300, events=[ExporterStops(WEDNESDAY + 8 * HOUR, DAY)]),
    ),
    _quiet(
        "No network to the PBX for a day",
        partial(_line, a_day=300, events=[Unreachable(WEDNESDAY + 8 * HOUR, DAY)]),
    ),
)
