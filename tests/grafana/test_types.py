"""The dashboards against the types that Grafana publishes, of its newest version.

Their JSON is a literal to the TypeScript compiler, which so also finds what Grafana does not know.
Which types those are says dashboard.ts.
"""

import json
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from grafana import __main__ as generator
from harness.programs import binary
from tests.grafana.boards import of_loki, on

pytestmark = pytest.mark.slow

Json = dict[str, Any]

TYPES: Final = Path(__file__).with_name("dashboard.ts")
OPTIONS: Final = {
    "module": "esnext",
    "moduleResolution": "bundler",
    "noEmit": True,
    # Of what @grafana/prometheus is made of: only the types of queries are asked of it.
    "skipLibCheck": True,
    "strict": True,
    "target": "es2022",
    "types": [],
}
BOARDS: Final[dict[str, Json]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(generator.DIRECTORY.glob("*.json"))
}


KINDS: Final[dict[str, Json]] = {
    panel["type"]: panel
    for board in BOARDS.values()
    for outer in board["panels"]
    for panel in (outer, *outer.get("panels", ()))
    if panel["type"] != "row"
}
"""A panel of each kind."""
ALERT_LIST: Final = "alertlist"
"""Its options' types are not published, and it asks by no query."""


def complaints(boards: dict[str, Json], folder: Path) -> dict[str, list[str]]:
    """What the compiler says of each board, with the lines it speaks of.

    All are compiled together, since it starts slowly.
    """
    tsc = Path(binary("grafana-tsc", install=".ci/npm-tools fetches it, where npm is"))
    (folder / "node_modules").symlink_to(tsc.resolve().parents[2])
    (folder / TYPES.name).write_text(TYPES.read_text())
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS}))
    sources = {
        f"{name}.ts": "import { type Dashboard, ofLoki } from './dashboard';\n"
        f"export const board: Dashboard = {literal(board)};\n"
        for name, board in boards.items()
    }
    for name, source in sources.items():
        (folder / name).write_text(source)
    done = subprocess.run(
        [tsc, "--project", folder, "--pretty", "false"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    found: dict[str, list[str]] = {name: [] for name in boards}
    for file, line, said in re.findall(r"^(\S+)\((\d+),\d+\): (.*)$", done.stdout, re.MULTILINE):
        spoken_of = sources[file].splitlines()[int(line) - 1].strip()
        found[file.removesuffix(".ts")].append(f"{spoken_of}: {said}")
    assert (done.returncode == 0) is not any(found.values()), done.stdout
    return found


def literal(board: Json) -> str:
    """In TypeScript, with what is asked of Loki told apart."""
    board, asked = deepcopy(board), {}
    for panel in on(board):
        if "targets" in panel and of_loki(panel):
            place = f"queries of panel {panel['id']}"
            asked[place] = json.dumps(panel["targets"], indent=2)
            panel["targets"] = place
    text = json.dumps(board, indent=2)
    for place, queries in asked.items():
        text = text.replace(f'"{place}"', f"ofLoki({queries})")
    return text


def test_grafana_knows_all_that_the_dashboards_say(tmp_path: Path) -> None:
    assert complaints(BOARDS, tmp_path) == {name: [] for name in BOARDS}


class Mistake(NamedTuple):
    """A value that Grafana does not know, at a path in a board, or in its panel of some kind.

    `word` is what the complaint about it must have.
    """

    kind: str
    path: str
    value: object
    word: str

    def made(self) -> Json:
        """A board with nothing but this wrong."""
        board = deepcopy(next(iter(BOARDS.values())))
        panel = deepcopy(KINDS[self.kind or "stat"])
        board["panels"] = [panel]
        *steps, last = self.path.split(".")
        at: Any = panel if self.kind else board
        for step in steps:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        at[last] = self.value
        return board


MISTAKES: Final = [
    Mistake("", "unknown", 1, "unknown"),
    Mistake("", "graphTooltip", 9, "graphTooltip"),
    Mistake("", "templating.list.0.auto", False, "auto"),
    Mistake("", "templating.list.0.refresh", 9, "refresh"),
    Mistake("", "annotations.list.0.expr", "ALERTS", "expr"),
    Mistake("", "annotations.list.0.target.unknown", 1, "unknown"),
    Mistake("", "links.0.unknown", 1, "unknown"),
    Mistake("stat", "type", "singlestat", "singlestat"),
    Mistake("table", "options.footer", {"show": False}, "footer"),
    Mistake("table", "options.cellHeight", "tiny", "tiny"),
    Mistake("timeseries", "targets.0.format", "graph", "graph"),
    *(
        Mistake(kind, path, 1, "unknown")
        for kind in KINDS
        for path in (
            "unknown",
            "gridPos.unknown",
            "fieldConfig.defaults.unknown",
            "fieldConfig.defaults.custom.unknown",
            *(() if kind == ALERT_LIST else ("options.unknown", "targets.0.unknown")),
        )
    ),
    *(
        Mistake(
            kind,
            "fieldConfig.overrides",
            [{"matcher": {"id": "byName", "options": ""}, "properties": [{"id": id_, "value": 1}]}],
            id_,
        )
        for kind in KINDS
        for id_ in ("custom.unknown", "unit")
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The complaints about each mistake."""
    boards = {str(i): mistake.made() for i, mistake in enumerate(MISTAKES)}
    return list(complaints(boards, tmp_path_factory.mktemp("mistakes")).values())


@pytest.mark.parametrize(
    "i", range(len(MISTAKES)), ids=[f"{one.kind} {one.path} {one.word}" for one in MISTAKES]
)
def test_a_mistake_is_found(found: list[list[str]], i: int) -> None:
    assert any(MISTAKES[i].word in complaint for complaint in found[i])
