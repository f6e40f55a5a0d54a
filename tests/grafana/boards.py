"""The committed dashboards, as their tests read them: panels, expressions, and what Grafana makes
of these. What is asked of Loki stands apart."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from grafana import __main__ as generator

Json = dict[str, Any]

BOARDS: Final[dict[str, Json]] = {
    path.name: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(generator.DIRECTORY.glob("*.json"))
}
FREE: Final = {
    "job": ".+",
    "instance": ".+",
    "peer": ".+",
    "operation": ".+",
    "reason": ".+",
    "result": ".+",
    "uniqueid": "",
    "__rate_interval": "5m",
    "__interval": "4m",
    "__range": "1h",
    "__from": "0",
}
"""Values of variables by which everything is chosen."""


def with_rows(board: Json) -> Iterator[Json]:
    """The panels of a board, those in folded rows too, and the rows."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def on(board: Json) -> list[Json]:
    """The panels of a board, without rows."""
    return [panel for panel in with_rows(board) if panel["type"] != "row"]


def asking(board: Json) -> list[Json]:
    """The panels that have queries: all but Grafana's own list of alerts."""
    return [panel for panel in on(board) if panel["type"] != "alertlist"]


def of_loki(one: Json) -> bool:
    """Whether a panel, or one of its queries, asks the log."""
    return bool(one["datasource"]["type"] == "loki")


EVERY_PANEL: Final = [(name, panel) for name, board in BOARDS.items() for panel in asking(board)]
PANELS: Final = [(name, panel) for name, panel in EVERY_PANEL if not of_loki(panel)]
LOG_PANELS: Final = [(name, panel) for name, panel in EVERY_PANEL if of_loki(panel)]


def expressions() -> list[str]:
    """All that is asked of Prometheus, by panels and for annotations."""
    asked = [target["expr"] for _, panel in PANELS for target in panel["targets"]]
    return asked + [
        annotation["target"]["expr"]
        for board in BOARDS.values()
        for annotation in board["annotations"]["list"]
    ]


def expression(board: str, title: str, target: int = 0) -> str:
    """What a panel asks, by the board's file and its title."""
    (panel,) = (panel for panel in on(BOARDS[board]) if panel["title"] == title)
    return str(panel["targets"][target]["expr"])


def column(board: str, title: str, name: str) -> str:
    """What a table asks for one of its columns."""
    (panel,) = (panel for panel in on(BOARDS[board]) if panel["title"] == title)
    (asked,) = (t["expr"] for t in panel["targets"] if t["legendFormat"] == name)
    return str(asked)


def substituted(asked: str, values: Mapping[str, str] = FREE) -> str:
    """The expression as Grafana sends it."""
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], asked)


def named(asked: str) -> set[str]:
    """The metrics that an expression names."""
    return set(re.findall(r"\b([A-Za-z_:]+)\{", asked))
