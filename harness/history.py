"""The time before a test: a Prometheus' data directory in which weeks of a simulated PBX are, with
what the rules recorded of them, as if it had scraped until a moment ago.

For a real Prometheus that goes on from there with real scrapes, where an alert compares with days
that no test can wait for.
"""

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from harness.firing import Evaluated, Labels, evaluated
from harness.programs import binary, succeeds
from harness.rules import RULES
from harness.traffic import World

RETENTION: Final = "--storage.tsdb.retention.time=1y"
"""For the Prometheus that is to keep it."""

_NUMBER: Final = r"[\d.]+(?:e[+-]?\d+)?"
_RUN: Final = re.compile(
    rf"(?P<value>-?{_NUMBER})(?P<slope>[+-]{_NUMBER})?(?:x(?P<more>\d+))?", re.ASCII
)
_NOTHING: Final = re.compile(r"_(?:x(?P<count>\d+))?")


def lived_through(
    world: World,
    lasting: float,
    directory: Path,
    *,
    alerts: Iterable[str],
    step: int = 300,
    pace: int = 300,
    factor: float = 1,
    rules: Path = RULES,
) -> float:
    """Writes what these alerts look at, and returns the moment at which its `lasting` seconds end,
    which is now; seconds since the epoch.

    `step`: seconds from scrape to scrape; `pace`: from evaluation to evaluation of the rules. With
    a pace of more than 300 what is recorded can be looked up only within five minutes from the end
    on. With a `factor` all times are as many times shorter, for rules that are
    `harness.rules.shortened` by it; what tells of faxes stays. `directory`: that of the Prometheus,
    which is not running yet and needs `RETENTION`. Skips the test where there is no promtool.
    """
    made = evaluated(world, lasting, step=step, pace=pace, rules=rules, only=alerts)
    end = round(time.time(), 3)

    def moment(simulated: float) -> float:
        return end - (lasting - simulated) / factor

    directory.mkdir(exist_ok=True)
    samples = directory / "history"
    with samples.open("w") as file:
        for series, values in sorted(_all(made, step)):
            at_times = "timestamp_seconds" in series.partition("{")[0]
            for at, value in values:
                shown = moment(value) if at_times else value
                file.write(f"{series} {shown!r} {moment(at):.3f}\n")
        file.write("# EOF\n")
    # The fewer blocks the faster: the whole file is read for each.
    command = (binary("promtool", package="prometheus"), "tsdb", "create-blocks-from")
    succeeds(*command, "openmetrics", "--max-block-duration=162h", samples, directory / "data")
    samples.unlink()
    return end


def _all(made: Evaluated, step: int) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Every series, as OpenMetrics writes it, and its samples by their time, seconds."""
    for one in made.scraped:
        samples = expanded(one["values"])
        yield one["series"], [(number * step, value) for number, value in samples]
    for labels, values in made.recorded.items():
        yield _written(labels), list(values.items())


def _written(labels: Labels) -> str:
    own = dict(labels)
    name = own.pop("__name__")
    inside = ",".join(
        f'{key}="{value.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"'
        for key, value in own.items()
    )
    return f"{name}{{{inside}}}"


def expanded(values: str) -> Iterator[tuple[int, float]]:
    """The samples of a series as promtool writes them: their numbers and values."""
    at = 0
    for part in values.split():
        if run := _RUN.fullmatch(part):
            value, slope = float(run["value"]), float(run["slope"] or 0)
            for number in range(int(run["more"] or 0) + 1):
                yield at + number, value + number * slope
            at += int(run["more"] or 0) + 1
        else:
            nothing = _NOTHING.fullmatch(part)
            assert nothing or part == "stale", part
            at += int((nothing and nothing["count"]) or 1)
