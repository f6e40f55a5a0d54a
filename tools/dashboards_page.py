"""docs/dashboards.md, from the dashboards in grafana/: what each panel says of itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grafana.__main__ as generator

FILE: Final = Path("docs/dashboards.md")

_ABOUT: Final = (
    "How to import them is in [grafana/](../grafana/README.md). Below is every panel, from top to",
    "bottom, with what Grafana shows behind the *i* beside its title.",
)
_KINDS: Final = {
    "alertlist": "list",
    "barchart": "bars",
    "bargauge": "bars",
    "heatmap": "heatmap",
    "logs": "log",
    "stat": "figure",
    "state-timeline": "states over time",
    "table": "table",
    "text": "text",
    "timeseries": "over time",
}


def text() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# The dashboards"
    yield ""
    yield "<!-- Made by `make docs` from grafana/; change it there. -->"
    yield ""
    yield from _ABOUT
    for board in generator.boards().values():
        yield ""
        yield f"## {board['title']}"
        yield ""
        yield board["description"]
        yield from _head("At the top")
        for panel in board["panels"]:
            if panel["type"] == "row":
                yield from _head(panel["title"] + ("; folded" if panel["collapsed"] else ""))
            for one in panel.get("panels", ()) if panel["type"] == "row" else (panel,):
                yield f"| {' | '.join(_cells(one))} |"


def _head(title: str) -> Iterator[str]:
    yield ""
    yield f"| {title} | | |"
    yield "|---|---|---|"


def _cells(panel: dict[str, Any]) -> Iterator[str]:
    for said in (panel["title"], _KINDS[panel["type"]], panel.get("description", "")):
        yield said.replace("|", "\\|").replace("\n", " ")
