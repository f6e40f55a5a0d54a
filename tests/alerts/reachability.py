"""The exporter and the PBX are there, or not."""

from random import Random

from harness.scenarios import Fires, Scenario
from harness.traffic import DAY, HOUR, AsteriskStops, ExporterStops, Mix, Pbx, World, poisson


def _pbx(random: Random, *events: AsteriskStops | ExporterStops) -> World:
    return [Pbx(Mix().at(random, poisson(random, 300, 0, DAY)), events=events)]


SCENARIOS = (
    Scenario(
        "The PBX is off for an hour",
        lambda random: _pbx(random, AsteriskStops(10 * HOUR, HOUR)),
        lasting=14 * HOUR,
        begins=10 * HOUR,
        ends=11 * HOUR,
        fires=[Fires("AsteriskFaxPbxUnreachable", within=300, clears=120)],
        silent=None,
        seeds=(1,),
    ),
    Scenario(
        "The exporter is restarted",
        lambda random: _pbx(random, ExporterStops(10 * HOUR, 30)),
        lasting=14 * HOUR,
        silent=None,
        seeds=(1,),
    ),
)
