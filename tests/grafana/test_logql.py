"""What the dashboards and the documents ask of Loki, by Grafana's own grammar of LogQL."""

import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from harness.programs import binary
from tests.grafana.boards import BOARDS, LOG_PANELS, substituted

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (ROOT / "docs/fax-log-recipes.md", ROOT / "deploy/loki/README.md")


def complaints(*asked: str) -> list[str]:
    """What is wrong with each; empty if nothing is."""
    program = binary("grafana-logql", install=".ci/npm-tools fetches it, where npm is")
    done = subprocess.run(
        [program], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def written(document: Path) -> list[str]:
    """The blocks of a document that are LogQL."""
    text = document.read_text(encoding="utf-8")
    blocks = [block.strip() for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)]
    return [block for block in blocks if re.match(r"\{\w+=|(sum|count|topk).*\{job=", block)]


def test_every_query_parses() -> None:
    asked = [substituted(target["expr"]) for _, panel in LOG_PANELS for target in panel["targets"]]
    of_documents = [one for document in DOCUMENTS for one in written(document)]
    assert of_documents
    everything = [*asked, *of_documents]
    wrong = zip(everything, complaints(*everything), strict=True)
    assert {one: said for one, said in wrong if said} == {}


def test_every_line_asked_for_is_of_the_chosen_jobs_and_instances() -> None:
    for _, panel in LOG_PANELS:
        for target in panel["targets"]:
            (selector,) = re.findall(r"\{([^}]*)\}", target["expr"])
            assert selector.startswith('job=~"$job", instance=~"$instance", ')
            assert "|= `$uniqueid`" in target["expr"]


def test_by_all_reasons_those_are_chosen_too_that_have_none() -> None:
    (reason,) = (
        one for one in BOARDS["fax-log.json"]["templating"]["list"] if one["name"] == "reason"
    )
    assert reason["allValue"] == ".*"


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ("{job=}", 5),
        ('{job="a"} | jsn', 15),
        ('sum by (reason) count_over_time({job="a"} [5m])', 16),
        ('sum(count_over_time({job="a"} [5m])', 35),
    ],
)
def test_a_mistake_is_found(wrong: str, at: int) -> None:
    (said,) = complaints(wrong)
    assert said.startswith(f"at {at}: ")
