"""The panels of the dashboards, asked of a Prometheus as Grafana would ask it."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from harness.monitoring import Prometheus
from harness.rules import ROOT, names


def panels() -> Iterator[tuple[str, str]]:
    """Every expression of every dashboard but those for Loki: where it stands and what it asks for,
    and the query."""

    def expressions(node: Any, title: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, dict):
            source = node.get("datasource")
            if isinstance(source, dict) and source.get("type") == "loki":
                return
            title = str(node.get("title", title))
            if isinstance(node.get("expr"), str):
                yield title, node["expr"]
        for child in node.values() if isinstance(node, dict) else node:
            if isinstance(child, dict | list):
                yield from expressions(child, title)

    for path in sorted((ROOT / "grafana/dashboards").glob("*.json")):
        dashboard = json.loads(path.read_text())
        for title, expression in expressions(dashboard, path.stem):
            text = expression.replace("$__rate_interval", "20s").replace("$__range", "10m")
            text = text.replace("$__interval", "16s").replace("$__from", "0")
            named = ", ".join(sorted(names(expression)))
            yield f"{path.stem}: {title}: {named}", re.sub(r"\$\{?\w+(:\w+)?\}?", ".*", text)


def empty(prometheus: Prometheus, start: float, end: float) -> set[str]:
    """The panels that have no value at any time from `start` to `end`, seconds since the epoch.

    Raises ApiError if the expression of one is an error.
    """
    return {
        name
        for name, expression in panels()
        if not any(
            not math.isnan(value)
            for series in prometheus.query_range(expression, start, end, 2)
            for _, value in series.points
        )
    }
