"""A scenario: what happens to PBXs, which alerts must tell of it and which must not; and its row in
the table of docs/alerting.md."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from harness.firing import Firing, Timeline, moment, play
from harness.rules import RULES
from harness.traffic import DAY, HOUR, MINUTE, World


@dataclass(frozen=True)
class Fires:
    """An alert that must fire, once unless it says otherwise."""

    alert: str
    within: float
    """Seconds from the beginning of what is wrong in which it must have begun."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """At least these."""
    clears: float = math.inf
    """Seconds from the end of what was wrong in which it must be over."""
    times: int = 1
    """How often at most: an alert that comes and goes is read by nobody."""


@dataclass(frozen=True)
class Scenario:
    """One row of the table, and one test for each seed."""

    name: str
    """What happens, in words for an operator; unique."""
    world: Callable[[Random], World]
    """Made from nothing but these draws, so that a seed is always the same world."""
    lasting: float
    """Seconds."""
    fires: Sequence[Fires] = ()
    silent: Sequence[str] | None = ()
    """Alerts that are evaluated too and must not fire; None: all that there are, which is slow."""
    begins: float = 0.0
    """When something is wrong, seconds. Before it, nothing may fire at all."""
    ends: float = math.inf
    """When nothing is any more."""
    step: int = 60
    """Between two scrapes, and two evaluations, seconds: 300 for what lasts weeks."""
    seeds: Sequence[int] = (1, 2, 3)


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario with one seed."""

    faults: Sequence[str]
    """What did not come out as it must, in words."""
    seen: Sequence[tuple[Fires, Sequence[Firing]]] = ()


def played(scenario: Scenario, seed: int, rules: Path = RULES) -> Outcome:
    """Plays it and compares."""
    only = None
    if scenario.silent is not None:
        only = {*(one.alert for one in scenario.fires), *scenario.silent}
        assert only, "a scenario in which nothing is evaluated"
    world = scenario.world(Random(seed))
    return judged(
        scenario, play(world, scenario.lasting, step=scenario.step, rules=rules, only=only)
    )


def judged(scenario: Scenario, timeline: Timeline) -> Outcome:
    """Compares what fired with what must."""
    faults: list[str] = []
    seen: list[tuple[Fires, Sequence[Firing]]] = []
    expected: list[Firing] = []
    for wanted in scenario.fires:
        fired = timeline.of(wanted.alert, **wanted.labels)
        expected += fired
        seen.append((wanted, fired))
        latest = scenario.begins + wanted.within
        over = scenario.ends + wanted.clears
        if not fired:
            faults.append(f"{wanted.alert}{dict(wanted.labels)} does not fire")
        elif fired[0].since > latest:
            faults.append(f"{fired[0]} is late: {moment(latest)}")
        if fired and over < math.inf and (fired[-1].until or math.inf) > over:
            faults.append(f"{fired[-1]} stays: {moment(over)}")
        if len(fired) > wanted.times:
            faults.append(f"{wanted.alert} fires {len(fired)} times")
    faults += [
        f"{one} is nothing that must fire" for one in timeline.firings if one not in expected
    ]
    faults += [f"{one} is early" for one in expected if one.since < scenario.begins]
    return Outcome([*faults, *(f"  {one}" for one in timeline.firings)] if faults else [], seen)


# The table.

HEAD: Final = (
    "| What happens | What fires | After | Clears |\n"
    "|---|---|---|---|\n"
)  # fmt: skip


def row(scenario: Scenario, outcomes: Sequence[Outcome]) -> str:
    """Its line of the table: of all seeds the slowest."""
    if not scenario.fires:
        return f"| {scenario.name} | nothing | | |"
    cells: list[tuple[str, str, str]] = []
    for place, wanted in enumerate(scenario.fires):
        fired = [outcome.seen[place][1] for outcome in outcomes]
        after = max(one[0].since for one in fired) - scenario.begins
        ends = [one[-1].until for one in fired]
        if None in ends:
            clears = "goes on" if math.isinf(scenario.ends) else "not in the time that was played"
        elif math.isinf(scenario.ends):
            clears = "by itself"
        else:
            clears = worded(max(end for end in ends if end is not None) - scenario.ends)
        severity = fired[0][0].labels["severity"]
        cells.append((f"{wanted.alert} ({severity})", worded(after), clears))
    alert, after_, clears_ = ("<br>".join(column) for column in zip(*cells, strict=True))
    return f"| {scenario.name} | {alert} | {after_} | {clears_} |"


def worded(seconds: float) -> str:
    """A time, rounded up, as one says it."""
    if seconds < 0:
        return "before that"
    if seconds == 0:
        return "at once"
    if seconds <= HOUR:
        return f"{5 * math.ceil(seconds / (5 * MINUTE))} min"
    if seconds <= 2 * DAY:
        hours = math.ceil(2 * seconds / HOUR) / 2
        return f"{hours:g} h"
    return f"{math.ceil(2 * seconds / DAY) / 2:g} days"
