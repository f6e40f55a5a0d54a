"""A Prometheus that holds what a test wrote, asked as Grafana asks it for a panel."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.monitoring import Prometheus, Range
from harness.programs import succeeds
from tests.grafana.boards import Json, substituted

Values = Callable[[int], float | None]
"""The value of a series at its sample with this number; None is none."""
World = Iterable[tuple[str, Values]]
"""Series, written as in PromQL, and their values."""

HOUR: Final = 3600
DAY: Final = 24 * HOUR
_ROUND: Final = (60, 300, 600, 900, 1200, 1800, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY)
"""Seconds to which Grafana rounds the time between two points."""


def written(world: World, start: int, end: int, scrape: int) -> Iterator[str]:
    """The world as OpenMetrics, with a sample every `scrape` seconds."""
    times = range(start, end + 1, scrape)
    for series, values in sorted(world, key=lambda one: one[0].partition("{")[0]):
        # OpenMetrics has no space between labels.
        name = series.replace(", ", ",")
        for i, at in enumerate(times):
            value = values(i)
            if value is not None:
                yield f"{name} {value!r} {at}\n"


@contextmanager
def holding(lines: Iterable[str], promtool: str, directory: Path) -> Iterator[Prometheus]:
    """A Prometheus with these samples."""
    samples = directory / "samples"
    with samples.open("w") as file:
        file.writelines(lines)
        file.write("# EOF\n")
    blocks = directory / "data"
    succeeds(promtool, "tsdb", "create-blocks-from", "openmetrics", samples, blocks)
    samples.unlink()
    with Prometheus("scrape_configs: []", directory) as prometheus:
        yield prometheus


@dataclass(frozen=True)
class Answer:
    """One series of what a panel shows: which of its queries, labels, and values by their times."""

    target: int
    labels: tuple[tuple[str, str], ...]
    values: Mapping[float, float]


@dataclass(frozen=True)
class Grafana:
    """A dashboard's period and variables, as somebody has chosen them.

    `end` and `period` are seconds, `scrape` the data source's scrape interval.
    """

    prometheus: Prometheus
    job: str
    end: int
    period: int
    scrape: int

    def shows(self, panel: Json) -> list[Answer]:
        """All series of a panel; its values at the end, or over time."""
        return [
            Answer(i, tuple(sorted(one.labels.items() - {("job", self.job)})), dict(one.points))
            for i, target in enumerate(panel["targets"])
            for one in self._asked(panel, target)
        ]

    def _asked(self, panel: Json, target: Json) -> Iterator[Range]:
        step = self._step(panel)
        values = {
            "job": self.job,
            "instance": ".+",
            "peer": ".+",
            "operation": "send|receive|gateway",
            "reason": ".+",
            "__interval": f"{step}s",
            "__rate_interval": f"{max(step + self.scrape, 4 * self.scrape)}s",
            "__range": f"{self.period}s",
            "__from": f"{1000 * (self.end - self.period)}",
        }
        asked = substituted(target["expr"], values)
        if target.get("instant"):
            for found in self.prometheus.query(asked, at=self.end):
                yield Range(found.labels, [(self.end, found.value)])
        else:
            days = panel.get("timeFrom")
            period = int(days.removesuffix("d")) * DAY if days else self.period
            start = math.floor((self.end - period) / step) * step
            yield from self.prometheus.query_range(asked, start, self.end, step)

    def _step(self, panel: Json) -> int:
        unit = {"s": 1, "m": 60, "h": HOUR, "d": DAY}
        least = panel.get("interval", "15s")
        wanted = self.period / panel.get("maxDataPoints", 1000)
        nice = min(_ROUND, key=lambda seconds: abs(seconds - wanted))
        return max(nice, int(least[:-1]) * unit[least[-1]])
