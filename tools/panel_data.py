"""What the panels of a dashboard show: the results of their queries, from a Prometheus.

Grafana's variables and intervals are filled in here; render.py draws the results.
"""

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Series:
    """One series of a result: its labels, the times of its points (seconds) and their values."""

    labels: dict[str, str]
    times: list[float]
    values: list[float]


@dataclass
class PanelData:
    """The answers of the Prometheus at `url` for one period.

    `start`, `end`: seconds since the epoch. `scrape`: the data source's scrape interval, seconds.
    `variables`: the values of the dashboard's variables.
    """

    url: str
    start: float
    end: float
    scrape: float
    variables: dict[str, str] = field(default_factory=dict)

    def choose(self, dashboard: Json) -> None:
        """Give each query variable its value for All, as Grafana would."""
        for variable in dashboard["templating"]["list"]:
            if variable["type"] != "query":
                continue
            name = variable["name"]
            if "allValue" in variable:
                self.variables[name] = variable["allValue"]
                continue
            matched = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
            if matched is None:
                raise ValueError(f"variable {name} asks {variable['query']!r}, not label_values()")
            found = self._get(
                f"label/{matched[2]}/values",
                {"match[]": self._substituted(matched[1], 60), **self._period()},
            )
            self.variables[name] = "|".join(re.escape(value) for value in found)

    def over_time(self, expression: str, step: float) -> list[Series]:
        """The result of a range query."""
        step = max(step, (self.end - self.start) / 10_000)
        asked = {"query": self._substituted(expression, step), "step": f"{step}", **self._period()}
        return [_series(one, one["values"]) for one in self._get("query_range", asked)["result"]]

    def now(self, expression: str) -> list[Series]:
        """The result at the end of the period."""
        asked = {"query": self._substituted(expression, 60), "time": f"{self.end}"}
        return [_series(one, [one["value"]]) for one in self._get("query", asked)["result"]]

    def _period(self) -> dict[str, str]:
        return {"start": f"{self.start}", "end": f"{self.end}"}

    def _substituted(self, expression: str, step: float) -> str:
        window = max(step + self.scrape, 4 * self.scrape)
        values = self.variables | {
            "__rate_interval": f"{math.ceil(window)}s",
            "__range": f"{math.ceil(self.end - self.start)}s",
        }
        # Prometheus reads a regular expression out of a string, hence the doubled backslash.
        return re.sub(r"\$(\w+)", lambda found: values[found[1]].replace("\\", "\\\\"), expression)

    def _get(self, path: str, asked: dict[str, str]) -> Any:
        url = f"{self.url.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as refused:
            said = refused.read().decode(errors="replace")
            raise RuntimeError(f"{self.url} refused {asked}: {said}") from refused


def _series(one: Json, points: Sequence[tuple[float, str]]) -> Series:
    return Series(one["metric"], [at for at, _ in points], [float(value) for _, value in points])
