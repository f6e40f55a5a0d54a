"""The documents: made from the code where it says the same, and true where they quote it."""

import ast
import json
import re
from pathlib import Path

import pytest

from exporter import metrics
from exporter.fax import Operation, Reason, State, Transport
from exporter.polling import Failure
from harness.exposition import Scrape, scrape
from harness.programs import binary, succeeds
from harness.virtual_time import in_virtual_time, until
from harness.watching import begin, watched
from tools import metrics_page as page
from tools.__main__ import ROOT, documents

FREE = {"version", "ami_version", "python"}
"""Labels whose values are what others wrote."""


def tables() -> list[metrics.Declared[object]]:
    every = (*metrics.OF_TARGET, *metrics.BY_PEER, *metrics.OF_EXPORTER)
    return [declared for _, table in every for declared in table]  # type: ignore[misc]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_what_is_made_from_the_code_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == documents()[path], "run: make docs"


def test_every_metric_has_its_section_with_its_help() -> None:
    text = (ROOT / page.FILE).read_text(encoding="utf-8")
    for declared in tables():
        assert f"### `{declared.name}`\n\n{declared.help}\n" in text


def test_the_overview_has_every_metric_and_no_other() -> None:
    lines = (ROOT / page.FILE).read_text(encoding="utf-8").splitlines()
    rows = [line.split("`")[1] for line in lines if line.startswith("| [`asterisk_fax_")]
    assert sorted(rows) == sorted(declared.name for declared in tables())


def test_every_label_is_explained() -> None:
    for declared in tables():
        for label in declared.labels:
            about, values = page.explained(declared.name, label)
            assert about.endswith(".")
            assert bool(values) != (label in FREE)


def test_every_value_that_a_label_can_have_is_explained_and_no_other() -> None:
    assert set(page.OPERATIONS) == set(Operation)
    assert set(page.STATES) == set(State)
    assert set(page.TRANSPORTS) == set(Transport)
    assert set(page.REASONS) == set(Reason)
    assert set(page.FAILURES) == set(Failure)


def test_no_value_on_metrics_is_without_its_explanation() -> None:
    @in_virtual_time
    async def collect() -> None:
        async with watched() as (pbx, poller):
            begin(pbx).finish_page()
            await until(lambda: sum(poller.ledger.totals.pages.values()) == 1)
            scrapes.append(scrape(poller))

    scrapes: list[Scrape] = []
    collect()
    names = {declared.name: declared for declared in tables()}
    looked_at = set()
    for (name, labels), _ in scrapes[0].samples.items():
        declared = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for label, value in labels:
            if declared in names and label not in FREE | {"le"}:
                assert value in page.explained(declared, label)[1], (name, label, value)
                looked_at.add(label)
    assert looked_at == {"operation", "state", "transport", "reason", "collector"}


def test_readme_and_security_name_the_same_first_asterisk() -> None:
    assert "Asterisk 13 or newer" in (ROOT / "README.md").read_text()
    assert "Asterisk 13 and newer" in (ROOT / "SECURITY.md").read_text()


def test_every_test_and_target_that_security_names_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    model = text.partition("## Threat model")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:tests|fuzz)/[\w/.]+)`", model))
    assert len(named) > 20
    assert {one for one in named if not (ROOT / one).is_file()} == set()
    targets = re.findall(
        r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(re.findall(r"`make (\w+)`", model)) <= set(targets)


def test_every_promise_and_every_attacker_of_security_has_a_test() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    model = text.partition("## Threat model")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \*\*.*$", model, re.MULTILINE)
    assert len(rows) == 9 + 8
    for row in rows:
        assert re.search(r"`(?:tests|fuzz)/[\w/.]+` ?(?:,|\|)", row), row


DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "deploy/**/*.md", "grafana/*.md")
    for path in ROOT.glob(pattern)
)


def links(document: Path) -> list[tuple[str, str]]:
    """Path and anchor of each link that is not to elsewhere; what is code has none."""
    text = document.read_text(encoding="utf-8")
    text = re.sub(r"^(?: {4}|\t).*$|`[^`]*`", "", text, flags=re.MULTILINE)
    return re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", text)


def anchors(document: Path) -> set[str]:
    """Of its headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_something(document: Path) -> None:
    for path, anchor in links(document):
        target = document.parent / path if path else document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_the_readme_leads_to_every_document() -> None:
    linked = {path for path, _ in links(ROOT / "README.md")}
    documents = {str(path.relative_to(ROOT)) for path in DOCUMENTS if path.parent == ROOT / "docs"}
    assert documents - linked == set()


def literals() -> list[str]:
    """Every text in the exporter's code; of those with values in them, each piece."""
    return [
        node.value
        for path in (ROOT / "exporter").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_the_exporter_says_what_troubleshooting_quotes_of_it() -> None:
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    said = literals()
    tables = re.findall(r"^\| the log says .*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()]
    quoted = [quote for cell in cells for quote in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) > 20
    for quote in quoted:
        for piece in quote.split("..."):
            assert any(piece in one for one in said), quote


def test_prometheus_understands_the_queries_and_they_ask_for_metrics_there_are(
    tmp_path: Path,
) -> None:
    promtool = binary("promtool", package="prometheus")
    text = (ROOT / "docs/queries.md").read_text(encoding="utf-8")
    queries = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    assert len(queries) > 10
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "docs", "rules": rules}]}))
    succeeds(promtool, "check", "rules", "--lint=none", tmp_path / "rules.yml")
    names = {declared.name for declared in tables()}
    for name in re.findall(r"\basterisk_fax\w+", text):
        assert name in names or re.sub("_(bucket|sum|count)$", "", name) in names
