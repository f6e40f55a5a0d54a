"""The Grafana dashboards: complete, up to date, and their expressions as a real PromQL engine
answers them."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter import metrics
from exporter.settings import read_yaml
from grafana import __main__ as generator
from grafana import panels
from harness.exposition import published

Json = dict[str, Any]

ON_NO_PANEL = {
    # Python reserves memory that it does not use; the resident memory is on a panel.
    "process_virtual_memory_bytes",
    f"{metrics.WEB_PROCESS}_process_virtual_memory_bytes",
    # It starts with the other process, or when that starts it again, which is on a panel.
    f"{metrics.WEB_PROCESS}_process_start_time_seconds",
}
OF_PROMETHEUS = {"up", "scrape_duration_seconds", "ALERTS"}
_OF_A_PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}
OF_THE_PROCESS = _OF_A_PROCESS | {f"{metrics.WEB_PROCESS}_{name}" for name in _OF_A_PROCESS}
TYPES = {"bargauge", "heatmap", "row", "stat", "state-timeline", "table", "timeseries"}
UNITS = {"short", "percentunit", "s", "bps", "bytes"}

BOARDS: dict[str, Json] = {
    path.name: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(generator.DIRECTORY.glob("*.json"))
}


def with_rows(board: Json) -> Iterator[Json]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def on(board: Json) -> list[Json]:
    return [panel for panel in with_rows(board) if panel["type"] != "row"]


ALL = [(name, panel) for name, board in BOARDS.items() for panel in on(board)]
EACH_PANEL = pytest.mark.parametrize(
    "panel", [panel for _, panel in ALL], ids=[f"{name} {panel['title']}" for name, panel in ALL]
)
EACH_BOARD = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def expressions() -> list[str]:
    asked = [target["expr"] for _, panel in ALL for target in panel["targets"]]
    return asked + [
        annotation["target"]["expr"]
        for board in BOARDS.values()
        for annotation in board["annotations"]["list"]
    ]


def substituted(expression: str) -> str:
    values = {
        "job": ".+",
        "instance": ".+",
        "peer": ".*",
        "__rate_interval": "5m",
        "__range": "1h",
    }
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)


def named(expression: str) -> set[str]:
    return set(re.findall(r"\b([A-Za-z_:]+)\{", expression))


def test_the_committed_json_is_what_the_code_makes() -> None:
    committed = {p.name: p.read_text(encoding="utf-8") for p in generator.DIRECTORY.glob("*.json")}
    assert committed == generator.texts(), "run: python -m grafana"


def test_dashboards_keep_their_addresses() -> None:
    assert [board["uid"] for board in BOARDS.values()] == [
        "asterisk-fax-exporter-health",
        "asterisk-fax-overview",
        "asterisk-fax-line-quality",
    ]


@EACH_PANEL
def test_a_panel_says_what_it_shows(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["type"] in TYPES
    assert panel["title"].strip()
    assert panel["description"].endswith(".")
    assert defaults["unit"] in UNITS
    assert panel["targets"]


@EACH_PANEL
def test_no_data_cannot_be_mistaken_for_all_well(panel: Json) -> None:
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
        assert all(target["instant"] for target in panel["targets"])


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
    asking = [target for panel in on(board) for target in (panel, *panel["targets"])]
    asking += board["annotations"]["list"]
    asking += [v for v in board["templating"]["list"] if v["type"] == "query"]
    assert all(one["datasource"] == chosen for one in asking)
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names[:3] == ["datasource", "job", "instance"]


def test_every_series_asked_for_is_of_the_chosen_jobs_and_instances() -> None:
    for expression in expressions():
        for selector in re.findall(r"\{([^}]*)\}", expression):
            assert re.search(r'job=~"\$job\|?", instance=~"\$instance\|?"', selector), expression


def test_every_metric_named_exists() -> None:
    known = published() | OF_PROMETHEUS | OF_THE_PROCESS
    for expression in expressions():
        assert named(expression), expression
        assert named(expression) <= known, expression


def test_every_metric_published_is_on_a_panel_or_deliberately_not() -> None:
    shown = {name for expression in expressions() for name in named(expression)}
    histograms = {declared.name for declared in metrics.HISTOGRAMS}
    shown |= {name.rpartition("_")[0] for name in shown if name.rpartition("_")[0] in histograms}
    expected = {declared.name for declared in (*metrics.GAUGES, *metrics.COUNTERS)}
    expected |= {each.name for each in (*metrics.EXPORTER, *metrics.EXPORTER_COUNTERS)}
    expected |= histograms | OF_THE_PROCESS
    assert expected - shown == ON_NO_PANEL


def test_counters_are_only_seen_through_rate_or_increase() -> None:
    for expression in expressions():
        for found in re.finditer(r"\b(\w+_(?:total|bucket|sum|count))\{[^}]*\}", expression):
            before, after = expression[: found.start()], expression[found.end() :]
            assert before.endswith(("rate(", "increase(")), expression
            assert after.startswith(("[$__rate_interval])", "[$__range])")), expression


def test_rates_follow_the_resolution_and_totals_the_period() -> None:
    for expression in expressions():
        assert "rate(" not in re.sub(r"rate\([^\[]*\[\$__rate_interval\]", "", expression)


def test_every_expression_parses(promtool: str, tmp_path: Path) -> None:
    asked = {substituted(expression) for expression in expressions()}
    rules = [{"record": f"panel:{i}", "expr": one} for i, one in enumerate(sorted(asked))]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"{len(rules)} rules found" in done.stdout


def expression(board: str, title: str, target: int = 0) -> str:
    (panel,) = (panel for panel in on(BOARDS[board]) if panel["title"] == title)
    return str(panel["targets"][target]["expr"])


Answers = Callable[[str, dict[str, str], dict[str, float]], None]


@pytest.fixture
def answers(promtool: str, tmp_path: Path) -> Answers:
    """Asserts what an expression yields after an hour of samples, one a minute."""

    def check(asked: str, given: dict[str, str], expected: dict[str, float]) -> None:
        samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
        case = {
            "interval": "1m",
            "input_series": [{"series": n, "values": values} for n, values in given.items()],
            "promql_expr_test": [
                {"expr": substituted(asked), "eval_time": "60m", "exp_samples": samples}
            ],
        }
        path = tmp_path / "test.json"
        path.write_text(json.dumps({"evaluation_interval": "1m", "tests": [case]}))
        done = subprocess.run(
            [promtool, "test", "rules", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return check


A, B, C = (f'job="fax", instance="{name}"' for name in "abc")


def test_a_pbx_whose_exporter_is_gone_is_not_reached(answers: Answers) -> None:
    given = {
        f"up{{{A}}}": "1x60",
        f"asterisk_fax_up{{{A}}}": "1x60",
        f"up{{{B}}}": "1x60",
        f"asterisk_fax_up{{{B}}}": "0x60",
        f"up{{{C}}}": "0x60",
    }
    answers(expression("fax-overview.json", "PBXs not reached"), given, {"{}": 2})
    each = {f"{{{A}}}": 1.0, f"{{{B}}}": 0.0, f"{{{C}}}": 0.0}
    answers(expression("fax-overview.json", "Which PBX needs attention?"), given, each)


def test_without_results_there_is_no_failure_ratio(answers: Answers) -> None:
    asked = expression("fax-overview.json", "Failure ratio in this period")
    unknown = {
        f'asterisk_fax_finished_total{{{A}, operation="send", transport="none"}}': "0+2x60",
        f'asterisk_fax_results_unknown_total{{{A}, operation="send"}}': "0+2x60",
        f'asterisk_fax_failures_total{{{A}, operation="send", reason="no_fax"}}': "0x60",
    }
    answers(asked, unknown, {})
    known = {
        f'asterisk_fax_finished_total{{{B}, operation="send", transport="t38"}}': "0+4x60",
        f'asterisk_fax_results_unknown_total{{{B}, operation="send"}}': "0x60",
        f'asterisk_fax_failures_total{{{B}, operation="send", reason="no_fax"}}': "0+1x60",
    }
    answers(asked, unknown | known, {"{}": 0.25})


@pytest.mark.parametrize(
    ("title", "target"),
    [
        ("Share of faxes the line made fail", 0),
        ("Which line is bad?", 4),
        ("Which line is bad?", 5),
        ("Failure ratio over G.711 and over T.38", 0),
        ("Failed faxes by PBX and reason", 0),
    ],
)
def test_without_results_no_line_looks_well(answers: Answers, title: str, target: int) -> None:
    labels = f'{A}, operation="send", transport="none"'
    unknown = {
        f"asterisk_fax_finished_total{{{labels}}}": "0+2x60",
        f'asterisk_fax_results_unknown_total{{{A}, operation="send"}}': "0+2x60",
        f'asterisk_fax_failures_total{{{labels}, reason="timeout"}}': "0x60",
    }
    answers(expression("line-quality.json", title, target), unknown, {})


def test_a_line_on_which_every_page_is_rejected_is_bad(answers: Answers) -> None:
    given = {
        f'asterisk_fax_bad_lines_total{{{A}, operation="receive", state="Active"}}': "0+200x60",
        f'asterisk_fax_pages_received_total{{{A}, operation="receive", state="Active"}}': "0x60",
        f'asterisk_fax_pages_rejected_total{{{A}, operation="receive"}}': "0+1x60",
    }
    answers(expression("fax-overview.json", "Bad lines per received page"), given, {"{}": 200})
    each = {'{instance="a"}': 200.0}
    answers(expression("line-quality.json", "Which line is bad?"), given, each)


@pytest.mark.parametrize("title", ["Rejected pages", "Rate fallbacks"])
def test_nothing_received_is_no_good_line(answers: Answers, title: str) -> None:
    given = {
        f'asterisk_fax_{name}{{{A}, operation="receive"}}': "3x60"
        for name in (
            "pages_received_total",
            "pages_rejected_total",
            "rate_fallbacks_total",
            "sessions_ended_total",
        )
    }
    answers(expression("line-quality.json", title), given, {})


def test_a_poll_does_not_age_between_two_scrapes(answers: Answers) -> None:
    given = {
        f"asterisk_fax_last_poll_timestamp_seconds{{{A}}}": "0 _ _ 180 _ _" + " _" * 52 + " 3480"
    }
    answers(expression("exporter-health.json", "Oldest poll"), given, {"{}": 0})


def test_the_failures_are_0_only_where_results_are_known(answers: Answers) -> None:
    asked = expression("fax-overview.json", "Why did faxes fail in this period?")
    given = {
        f'asterisk_fax_finished_total{{{A}, operation="send"}}': "0+1x60",
        f'asterisk_fax_results_unknown_total{{{A}, operation="send"}}': "0x60",
        f'asterisk_fax_failures_total{{{A}, operation="send", reason="no_fax"}}': "0x60",
    }
    answers(asked, given, {"{}": 0})
    answers(asked, given | {next(iter(given)): "0x60"}, {})


def test_sums_are_right_with_and_without_peers(answers: Answers) -> None:
    given = {
        f'asterisk_fax_bad_lines_total{{{A}, operation="receive", state="Active"}}': "0+4x60",
        f'asterisk_fax_pages_received_total{{{A}, operation="receive", state="Active"}}': "0+2x60",
    }
    given[f'asterisk_fax_pages_rejected_total{{{A}, operation="receive"}}'] = "0x60"
    for peer, lines in (("x", 8), ("y", 0)):
        of = f'{{{B}, operation="receive", state="Active", peer="{peer}"}}'
        given[f"asterisk_fax_bad_lines_total{of}"] = f"0+{lines}x60"
        given[f"asterisk_fax_pages_received_total{of}"] = "0+1x60"
        rejected = f'asterisk_fax_pages_rejected_total{{{B}, operation="receive", peer="{peer}"}}'
        given[rejected] = "0x60"
    for board in ("fax-overview.json", "line-quality.json"):
        answers(expression(board, "Bad lines per received page"), given, {"{}": 3})
    each = {
        '{instance="a"}': 2.0,
        '{instance="b", peer="x"}': 8.0,
        '{instance="b", peer="y"}': 0.0,
    }
    answers(expression("line-quality.json", "Which line is bad?"), given, each)
    by_peer = {'{instance="b", peer="x"}': 8.0, '{instance="b", peer="y"}': 0.0}
    asked = expression("line-quality.json", "Bad lines per received page, by peer")
    answers(asked, given, by_peer)


@pytest.mark.parametrize(
    ("progress", "sessions", "waiting"),
    [("4200x60", "1x60", {"{}": 3000.0}), ("4200x30 stale", "0x60", {"{}": 0.0}), ("", "", {})],
    ids=["a fax runs", "none runs", "not reached"],
)
def test_nobody_waits_only_where_sessions_are_listed(
    answers: Answers, progress: str, sessions: str, waiting: dict[str, float]
) -> None:
    given = {
        # Of a clock that is an hour ahead of Prometheus'.
        f"asterisk_fax_last_poll_timestamp_seconds{{{A}}}": "3600+60x60",
        f'asterisk_fax_oldest_progress_timestamp_seconds{{{A}, operation="send"}}': progress,
        f'asterisk_fax_oldest_progress_timestamp_seconds{{{A}, operation="V.21"}}': progress,
        f'asterisk_fax_sessions{{{A}, operation="send", state="Active"}}': sessions,
    }
    given = {series: values for series, values in given.items() if values}
    answers(expression("fax-overview.json", "Longest without a new page"), given, waiting)


def test_voice_calls_are_no_faxes(answers: Answers) -> None:
    given = {
        f'asterisk_fax_sessions{{{A}, operation="send", state="Active"}}': "2x60",
        f'asterisk_fax_sessions{{{A}, operation="V.21", state="Active"}}': "7x60",
    }
    answers(expression("fax-overview.json", "Faxes now"), given, {"{}": 2})


def test_attempts_that_neither_ended_nor_run_never_completed(answers: Answers) -> None:
    given = {
        f"asterisk_fax_transmit_attempts_total{{{A}}}": "0+2x60",
        f"asterisk_fax_receive_attempts_total{{{A}}}": "0+1x60",
        f"asterisk_fax_completed_total{{{A}}}": "0+2x60",
        f'asterisk_fax_sessions{{{A}, operation="send", state="Active"}}': "3x60",
        f'asterisk_fax_sessions{{{A}, operation="gateway", state="Active"}}': "5x60",
    }
    asked = expression("fax-overview.json", "Attempts that never completed")
    answers(asked, given, {"{}": 60 - 3})


def test_while_a_pbx_is_away_its_counters_are_no_faxes_of_0(answers: Answers) -> None:
    of = f'{{{A}, operation="receive", state="Active"}}'
    given = {
        f"asterisk_fax_up{{{A}}}": "1x40 0x20",
        f"asterisk_fax_pages_received_total{of}": "0+2x40 80x20",
        f"asterisk_fax_polls_total{{{A}}}": "0+60x40 2400x20",
    }
    pages = expression("fax-overview.json", "Pages per minute", 1)
    answers(pages, given, {})
    answers(pages, given | {f"asterisk_fax_up{{{A}}}": "1x60"}, {"{}": 0})
    polls = expression("exporter-health.json", "Polls per minute, by PBX")
    answers(polls, given, {'{instance="a"}': 0})


def test_a_pbx_that_is_away_is_no_part_that_does_not_work(answers: Answers) -> None:
    given = {f"asterisk_fax_up{{{pbx}}}": f"{up}x60" for pbx, up in ((A, 0), (B, 1))} | {
        f'asterisk_fax_collector_up{{{pbx}, collector="stats"}}': "0x60" for pbx in (A, B)
    }
    answers(expression("exporter-health.json", "Parts that do not work"), given, {"{}": 1})


@pytest.mark.parametrize("job", ["fax", "exporter"], ids=["one PBX", "a fleet"])
def test_the_exporter_is_found_in_the_job_of_the_pbx_and_in_its_own(
    answers: Answers, job: str
) -> None:
    mine = f'job="{job}", instance="exporter:10329"'
    given = {
        f"asterisk_fax_up{{{A}}}": "1x60",
        f'asterisk_fax_exporter_build_info{{{mine}, version="1", python="3"}}': "1x60",
        f"process_resident_memory_bytes{{{mine}}}": "5x60",
        f"process_start_time_seconds{{{mine}}}": "0x60",
        f'process_resident_memory_bytes{{job="{job}", instance="another program"}}': "9x60",
    }
    asked = expression("exporter-health.json", "Memory of the exporter")
    answers(asked, given, {f"process_resident_memory_bytes{{{mine}}}": 5})
    asked = expression("exporter-health.json", "Which exporter runs where, and since when?")
    row = '{instance="exporter:10329", version="1", python="3"}'
    answers(asked, given, {row: 3600})


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
