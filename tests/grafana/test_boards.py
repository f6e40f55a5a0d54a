"""The dashboards: complete, up to date, and of one form."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from exporter import metrics
from exporter.ledger import Exemplar
from exporter.settings import read_yaml
from grafana import __main__ as generator
from grafana import panels, promql
from harness import reference
from harness.exposition import published
from harness.rules import recorded
from tests.grafana.boards import (
    BOARDS,
    EVERY_PANEL,
    Json,
    asking,
    expressions,
    named,
    of_loki,
    on,
    substituted,
    with_rows,
)

ON_NO_PANEL = {
    # Python reserves memory that it does not use; the resident memory is on a panel.
    "process_virtual_memory_bytes",
    f"{metrics.WEB_PROCESS}_process_virtual_memory_bytes",
    # It starts with the other process, or when that starts it again, which is on a panel.
    f"{metrics.WEB_PROCESS}_process_start_time_seconds",
}
OF_PROMETHEUS = {"up", "scrape_duration_seconds", "ALERTS", "ALERTS_FOR_STATE"}
_OF_A_PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}
OF_THE_PROCESS = _OF_A_PROCESS | {f"{metrics.WEB_PROCESS}_{name}" for name in _OF_A_PROCESS}
TYPES = {"bargauge", "heatmap", "logs", "row", "stat", "state-timeline", "table", "timeseries"}
UNITS = {"short", "percentunit", "s", "bps", "bytes"}

EACH_PANEL = pytest.mark.parametrize(
    "panel",
    [panel for _, panel in EVERY_PANEL],
    ids=[f"{name} {panel['title']}" for name, panel in EVERY_PANEL],
)
BOARDS_TEXT = {
    board["uid"]: [
        *(target["expr"] for panel in asking(board) for target in panel["targets"]),
        *(mark["target"]["expr"] for mark in board["annotations"]["list"]),
    ]
    for board in BOARDS.values()
}
EACH_BOARD = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def test_the_committed_json_is_what_the_code_makes() -> None:
    committed = {p.name: p.read_text(encoding="utf-8") for p in generator.DIRECTORY.glob("*.json")}
    assert committed == generator.texts(), "run: python -m grafana"


def test_dashboards_keep_their_addresses() -> None:
    assert [board["uid"] for board in BOARDS.values()] == [
        "asterisk-fax-exporter-health",
        "asterisk-fax-log",
        "asterisk-fax-overview",
        "asterisk-fax-line-quality",
        "asterisk-fax-peers",
    ]


@EACH_PANEL
def test_a_panel_says_what_it_shows(panel: Json) -> None:
    assert panel["type"] in TYPES
    assert panel["title"].strip()
    assert panel["description"].endswith(".")
    if panel["type"] != "logs":
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]


@EACH_PANEL
def test_no_data_cannot_be_mistaken_for_all_well(panel: Json) -> None:
    if panel["type"] == "logs":
        return
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["noValue"].startswith(("No ", "Not "))
    # Grafana gives a panel without data the colour of the first step.
    configured = [defaults["thresholds"]]
    for override in panel["fieldConfig"]["overrides"]:
        configured += [p["value"] for p in override["properties"] if p["id"] == "thresholds"]
    for thresholds in configured:
        first, *others = thresholds["steps"]
        assert (first["value"], first["color"]) == (None, panels.GREY)
        assert [step["value"] for step in others] == sorted(step["value"] for step in others)
        assert others
    if panel["type"] in ("stat", "table", "bargauge"):
        # The last value within a period would outlive its series.
        assert all(
            target["queryType"] == "instant" if of_loki(target) else target["instant"]
            for target in panel["targets"]
        )


@EACH_BOARD
def test_panels_fill_the_grid_and_never_overlap(board: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    bottom = max(y for _, y in taken)
    assert taken == {(x, y) for x in range(24) for y in range(bottom + 1)}


@EACH_BOARD
def test_panels_in_a_collapsed_row_are_side_by_side(board: Json) -> None:
    for row in board["panels"]:
        inner = [panel["gridPos"] for panel in row.get("panels", ())]
        ends = 0
        for at in inner:
            assert (at["x"], at["y"]) == (ends, row["gridPos"]["y"] + 1)
            ends += at["w"]
        assert ends in (0, 24)


@EACH_BOARD
def test_ids_and_titles_name_one_panel(board: Json) -> None:
    ids = [panel["id"] for panel in with_rows(board)]
    titles = [panel["title"] for panel in with_rows(board)]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


@EACH_BOARD
def test_everything_asks_the_chosen_data_source(board: Json) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    asks = [target for panel in asking(board) for target in (panel, *panel["targets"])]
    of_the_log = [one for one in asks if of_loki(one)]
    asks = [one for one in asks if not of_loki(one)]
    assert all(one["datasource"]["uid"] == "${loki}" for one in of_the_log)
    asks += board["annotations"]["list"]
    asks += [v for v in board["templating"]["list"] if v["type"] in ("query", "adhoc")]
    assert all(one["datasource"] == chosen for one in asks)
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names[:3] == ["datasource", "job", "instance"]
    assert ("loki" in names) is bool(of_the_log)


@EACH_BOARD
def test_alerts_and_restarts_are_marked(board: Json) -> None:
    marks = {one["name"]: one for one in board["annotations"]["list"]}
    assert list(marks) == ["Firing alerts", "Asterisk started", "Exporter started"]
    # Their values are times; those of ALERTS are 1.
    timed = [name for name, one in marks.items() if one.get("useValueForTime")]
    assert timed == ["Asterisk started", "Exporter started"]


def test_alerts_are_listed_of_prometheus_and_of_grafana() -> None:
    (listed,) = (
        panel for board in BOARDS.values() for panel in on(board) if panel["type"] == "alertlist"
    )
    assert listed["options"]["alertName"] == "AsteriskFax"
    titles = [panel["title"] for panel in on(BOARDS["fax-overview.json"])]
    assert "Which alerts fire or wait?" in titles


@EACH_BOARD
def test_a_site_can_choose_by_labels_of_its_own(board: Json) -> None:
    last = board["templating"]["list"][-1]
    assert (last["name"], last["type"]) == ("filters", "adhoc")


@EACH_BOARD
def test_what_is_chosen_by_is_offered(board: Json) -> None:
    offered = {variable["name"] for variable in board["templating"]["list"]}
    asked = {name for text in BOARDS_TEXT[board["uid"]] for name in re.findall(r"\$(\w+)", text)}
    assert asked <= offered | {"__rate_interval", "__interval", "__range", "__from"}
    # And no variable is offered that changes nothing.
    assert offered - {"datasource", "filters", "loki"} <= asked


def test_every_series_asked_for_is_of_the_chosen_jobs_and_instances() -> None:
    for expression in expressions():
        for selector in re.findall(r"\{([^}]*)\}", expression):
            assert re.search(r'job=~"\$job\|?", instance=~"\$instance\|?"', selector), expression


def test_every_metric_named_exists() -> None:
    known = published() | OF_PROMETHEUS | OF_THE_PROCESS
    for asked in expressions():
        rules = set(re.findall(r"\bglobal:\w+:threshold\b", asked))
        assert named(asked) | rules, asked
        assert named(asked) <= known, asked
        assert rules <= recorded(), asked


def test_every_metric_published_is_on_a_panel_or_deliberately_not() -> None:
    shown = {name for asked in expressions() for name in named(asked)}
    missing = published() | OF_THE_PROCESS
    for name in shown:
        # Of a histogram its buckets show all.
        missing -= {name, *(re.sub("_bucket$", part, name) for part in ("_sum", "_count"))}
        missing -= {f"{name.removesuffix('_sum')}_bucket"} if name.endswith("_sum") else set()
    assert missing == ON_NO_PANEL


def test_counters_are_only_seen_through_rate_or_increase() -> None:
    windows = (
        "[$__rate_interval])",
        "[$__rate_interval] offset -$__interval)",
        "[$__range])",
        "[$__range] @ end())",
    )
    for asked in expressions():
        for found in re.finditer(r"\b(\w+_(?:total|bucket|sum|count))\{[^}]*\}", asked):
            before, after = asked[: found.start()], asked[found.end() :]
            assert before.endswith(("rate(", "increase(")), asked
            assert after.startswith(windows), asked


def test_rates_follow_the_resolution_and_totals_the_period() -> None:
    for asked in expressions():
        assert "rate(" not in re.sub(r"rate\([^\[]*\[\$__rate_interval\]", "", asked)


def test_no_label_is_dropped_that_a_site_may_have_added() -> None:
    own = {*promql.OWN, "peer", "version", "ami_version", "python", "replica", "alertstate"}
    for asked in expressions():
        for word, labels in re.findall(r"\b(by|on|without|ignoring) \(([^)]*)\)", asked):
            assert word != "on", asked
            assert set(labels.split(", ")) <= own, asked
            assert word != "by" or "peer" not in labels, asked


@pytest.mark.parametrize("board", [b for b in BOARDS.values() if "health" not in b["uid"]])
def test_of_a_pair_of_exporters_one_is_shown(board: Json) -> None:
    bare = re.compile(r"(?:increase|rate)\(asterisk_fax_(?!exporter)")
    for asked in BOARDS_TEXT[board["uid"]]:
        for found in bare.finditer(asked):
            before = asked[: found.start()].removesuffix("floor(")
            assert before.endswith("max without (replica) ("), asked


def test_every_expression_parses(promtool: str, tmp_path: Path) -> None:
    asked = {substituted(one) for one in expressions()}
    rules = [{"record": f"panel:{i}", "expr": one} for i, one in enumerate(sorted(asked))]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"{len(rules)} rules found" in done.stdout


def test_provisioning_is_in_the_layout_that_grafana_reads() -> None:
    root = generator.DIRECTORY.parent / "provisioning"
    dashboards = read_yaml(root / "dashboards" / "asterisk-fax.yml")
    sources = read_yaml(root / "datasources" / "asterisk-fax.yml")
    assert isinstance(dashboards, dict)
    assert isinstance(sources, dict)
    assert (dashboards["apiVersion"], sources["apiVersion"]) == (1, 1)
    (provider,) = dashboards["providers"]
    assert (provider["type"], bool(provider["options"]["path"])) == ("file", True)
    readme = (generator.DIRECTORY.parent / "README.md").read_text(encoding="utf-8")
    assert provider["options"]["path"] in readme
    (source,) = sources["datasources"]
    assert (source["type"], source["access"]) == ("prometheus", "proxy")
    log = read_yaml(root / "datasources" / "asterisk-fax-loki.yml")
    assert isinstance(log, dict)
    (of_the_log,) = log["datasources"]
    assert (of_the_log["type"], of_the_log["access"]) == ("loki", "proxy")


def test_an_exemplar_leads_to_the_line_of_its_fax() -> None:
    root = generator.DIRECTORY.parent / "provisioning"
    sources = read_yaml(root / "datasources" / "asterisk-fax.yml")
    assert isinstance(sources, dict)
    (leads,) = sources["datasources"][0]["jsonData"]["exemplarTraceIdDestinations"]
    exemplar = reference.exemplar(Exemplar("1764149000.7", 1.0, 1764149000.0))
    assert set(exemplar.labels) == {leads["name"]}
    # Doubled, or Grafana would look for a variable of its environment.
    path, variable = leads["url"].removesuffix("=$${__value.raw}").split("?var-")
    board = BOARDS["fax-log.json"]
    assert path == f"/d/{board['uid']}"
    assert variable in {one["name"] for one in board["templating"]["list"]}
