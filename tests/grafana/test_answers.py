"""What the panels say of a PBX, as a real PromQL engine answers them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.grafana.boards import BOARDS, column, expression, substituted

Answers = Callable[[str, dict[str, str], dict[str, float]], None]

OVERVIEW = "fax-overview.json"
LINES = "line-quality.json"
PEERS = "peers.json"
HEALTH = "exporter-health.json"


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
    answers(expression(OVERVIEW, "PBXs not reached"), given, {"{}": 2})
    each = {f"{{{A}}}": 1.0, f"{{{B}}}": 0.0, f"{{{C}}}": 0.0}
    answers(expression(OVERVIEW, "Which PBX needs attention?"), given, each)


def test_a_pbx_that_one_exporter_of_a_pair_reaches_is_reached(answers: Answers) -> None:
    given = {
        f'up{{{A}, replica="a"}}': "0x60",
        f'up{{{A}, replica="b"}}': "1x60",
        f'asterisk_fax_up{{{A}, replica="b"}}': "1x60",
        f'asterisk_fax_down_since_timestamp_seconds{{{A}, replica="a"}}': "0x60",
    }
    answers(expression(OVERVIEW, "PBXs not reached"), given, {"{}": 0})
    answers(column(OVERVIEW, "Which PBX needs attention?", "Down for"), given, {})
    given[f'up{{{A}, replica="b"}}'] = "0x60"
    given[f'asterisk_fax_up{{{A}, replica="b"}}'] = "0x60"
    asked = column(OVERVIEW, "Which PBX needs attention?", "Down for")
    answers(asked, given, {f"{{{A}}}": 3600})


def results(
    labels: str, succeeded: str, failed: str, reason: str = "timeout", transport: str = "t38"
) -> dict[str, str]:
    """Faxes that were sent, as far as they told their results."""
    return {
        f'asterisk_fax_succeeded_total{{{labels}, operation="send", transport="{transport}"}}': (
            succeeded
        ),
        f'asterisk_fax_failures_total{{{labels}, operation="send", reason="{reason}"}}': failed,
    }


def unknown(labels: str) -> dict[str, str]:
    """Two faxes a minute, of which nobody tells the results."""
    ended = f'{labels}, operation="send", transport="none"'
    return results(labels, "0x60", "0x60", transport="none") | {
        f"asterisk_fax_finished_total{{{ended}}}": "0+2x60",
        f'asterisk_fax_results_unknown_total{{{labels}, operation="send"}}': "0+2x60",
    }


def test_without_results_there_is_no_share_of_failures(answers: Answers) -> None:
    known = results(B, "0+3x60", "0+1x60")
    for title, share in (("Share that ended well", 0.75), ("Failed, not by the other side", 0.25)):
        asked = expression(OVERVIEW, title)
        answers(asked, unknown(A), {})
        answers(asked, unknown(A) | known, {"{}": share})


def test_failures_of_the_other_side_are_no_evidence_against_this_one(answers: Answers) -> None:
    given = results(A, "0+9x60", "0+1x60") | results(A, "0+9x60", "0+10x60", "no_fax")
    table = "Which PBX needs attention?"
    answers(expression(OVERVIEW, "Failed, not by the other side"), given, {"{}": 0.1})
    answers(column(OVERVIEW, table, "Failed"), given, {f"{{{A}}}": 0.1})
    answers(column(OVERVIEW, table, "By the other side"), given, {f"{{{A}}}": 0.5})


@pytest.mark.parametrize(
    ("title", "target"),
    [
        ("Share of faxes the line made fail", 0),
        ("Which line is bad?", 6),
        ("Which line is bad?", 7),
        ("Failure ratio over G.711 and over T.38", 0),
        ("Failed faxes by PBX and reason", 0),
    ],
)
def test_without_results_no_line_looks_well(answers: Answers, title: str, target: int) -> None:
    answers(expression(LINES, title, target), unknown(A), {})


def test_a_line_on_which_every_page_is_rejected_is_bad(answers: Answers) -> None:
    given = {
        f'asterisk_fax_bad_lines_total{{{A}, operation="receive", state="Active"}}': "0+200x60",
        f'asterisk_fax_pages_received_total{{{A}, operation="receive", state="Active"}}': "0x60",
        f'asterisk_fax_pages_rejected_total{{{A}, operation="receive"}}': "0+1x60",
    }
    answers(expression(OVERVIEW, "Bad lines per received page"), given, {"{}": 200})
    answers(expression(LINES, "Which line is bad?"), given, {f"{{{A}}}": 200.0})


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
    answers(expression(LINES, title), given, {})


def test_a_poll_does_not_age_between_two_scrapes(answers: Answers) -> None:
    given = {
        f"asterisk_fax_last_poll_timestamp_seconds{{{A}}}": "0 _ _ 180 _ _" + " _" * 52 + " 3480"
    }
    answers(expression(HEALTH, "Oldest poll"), given, {"{}": 0})


def test_the_failures_are_0_only_where_results_are_known(answers: Answers) -> None:
    asked = expression(OVERVIEW, "Why did faxes fail in this period?")
    answers(asked, results(A, "0+1x60", "0x60"), {"{}": 0})
    answers(asked, results(A, "0x60", "0x60"), {})


def test_pages_are_counted_where_there_is_no_gateway(answers: Answers) -> None:
    given = {
        f'asterisk_fax_finished_total{{{A}, operation="receive", transport="t38"}}': "0+1x60",
        f'asterisk_fax_pages_received_total{{{A}, operation="receive", state="Active"}}': "0+2x60",
        f'asterisk_fax_pages_transmitted_total{{{A}, operation="send", state="Active"}}': "0+1x60",
    }
    answers(expression(OVERVIEW, "In this period", 2), given, {"{}": 180})


def test_alerts_are_none_only_where_there_are_rules(answers: Answers) -> None:
    asked = expression(OVERVIEW, "Alerts that fire")
    fires = f'ALERTS{{alertname="AsteriskFaxDown", alertstate="firing", {A}}}'
    rules = {'global:asterisk_fax_failures_objective:threshold{rules="asterisk-fax"}': "0.02x60"}
    answers(asked, {}, {})
    answers(asked, rules, {"{}": 0})
    answers(asked, rules | {fires: "1x60"}, {"{}": 1})


def test_an_alert_says_since_when(answers: Answers) -> None:
    named = f'alertname="AsteriskFaxDown", {A}, severity="critical"'
    given = {
        f'ALERTS{{{named}, alertstate="pending"}}': "1x60",
        f"ALERTS_FOR_STATE{{{named}}}": "3000x60",
    }
    asked = expression(OVERVIEW, "Which alerts fire or wait?")
    answers(asked, given, {f'{{{named}, alertstate="pending"}}': 600})


def mark(name: str) -> str:
    """What an annotation asks; all dashboards have the same."""
    (asked,) = {
        one["target"]["expr"]
        for board in BOARDS.values()
        for one in board["annotations"]["list"]
        if one["name"] == name
    }
    return str(asked)


def test_a_start_of_asterisk_is_marked_once_and_when_it_was(answers: Answers) -> None:
    start = "asterisk_fax_asterisk_start_timestamp_seconds"
    given = {f'{start}{{{A}, replica="{replica}"}}': "1800x60" for replica in "ab"}
    since_zero = mark("Asterisk started").replace("$__from", "0")
    answers(since_zero, given, {f"{{{A}}}": 1_800_000})
    # Not one from before what is shown.
    answers(since_zero.replace("> 0", "> 2e6"), given, {})


def test_a_start_of_the_exporter_is_marked_and_none_of_another_program(answers: Answers) -> None:
    given = {
        f'asterisk_fax_exporter_build_info{{{A}, version="1", python="3"}}': "1x60",
        f"process_start_time_seconds{{{A}}}": "60x60",
        f"process_start_time_seconds{{{B}}}": "60x60",
    }
    answers(mark("Exporter started"), given, {f"{{{A}}}": 60_000})


def peers(labels: str, peer: str, succeeded: str, failures: dict[str, str]) -> dict[str, str]:
    """Faxes received from a peer; its failures are there once there was one."""
    of = f'{labels}, operation="receive", peer="{peer}"'
    return {
        f"asterisk_fax_peer_finished_total{{{of}}}": succeeded,
        f"asterisk_fax_peer_succeeded_total{{{of}}}": succeeded,
        **{
            f'asterisk_fax_peer_failures_total{{{of}, reason="{reason}"}}': values
            for reason, values in failures.items()
        },
    }


def test_a_peer_without_failures_has_a_share_of_0(answers: Answers) -> None:
    given = peers(A, "good", "0+3x60", {}) | peers(A, "bad", "0+3x60", {"timeout": "0+1x60"})
    good, bad = (f'{{{A}, peer="{name}"}}' for name in ("good", "bad"))
    answers(column(PEERS, "Which peer is worst?", "Failed"), given, {good: 0, bad: 0.25})


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
    answers(expression(OVERVIEW, "Longest without a new page"), given, waiting)


def test_voice_calls_are_no_faxes(answers: Answers) -> None:
    given = {
        f'asterisk_fax_sessions{{{A}, operation="send", state="Active"}}': "2x60",
        f'asterisk_fax_sessions{{{A}, operation="V.21", state="Active"}}': "7x60",
    }
    answers(expression(OVERVIEW, "Faxes now"), given, {"{}": 2})


def test_that_nothing_runs_is_told_from_that_no_pbx_is_reached(answers: Answers) -> None:
    asked = expression(OVERVIEW, "Faxes now, by operation and state", 1)
    idle = {f'asterisk_fax_sessions{{{A}, operation="send", state="Active"}}': "0x60"}
    answers(asked, idle, {"{}": 0})
    answers(asked, {}, {})


def test_attempts_that_neither_ended_nor_run_never_completed(answers: Answers) -> None:
    given = {
        f"asterisk_fax_transmit_attempts_total{{{A}}}": "0+2x60",
        f"asterisk_fax_receive_attempts_total{{{A}}}": "0+1x60",
        f"asterisk_fax_completed_total{{{A}}}": "0+2x60",
        f'asterisk_fax_sessions{{{A}, operation="send", state="Active"}}': "3x60",
        f'asterisk_fax_sessions{{{A}, operation="gateway", state="Active"}}': "5x60",
    }
    asked = expression(OVERVIEW, "Attempts that never completed")
    answers(asked, given, {"{}": 60 - 3})


def test_a_pbx_that_is_away_is_no_part_that_does_not_work(answers: Answers) -> None:
    given = {f"asterisk_fax_up{{{pbx}}}": f"{up}x60" for pbx, up in ((A, 0), (B, 1))} | {
        f'asterisk_fax_collector_up{{{pbx}, collector="stats"}}': "0x60" for pbx in (A, B)
    }
    answers(expression(HEALTH, "Parts that do not work"), given, {"{}": 1})


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
    asked = expression(HEALTH, "Memory of the exporter")
    answers(asked, given, {f"process_resident_memory_bytes{{{mine}}}": 5})
    asked = expression(HEALTH, "Which exporter runs where, and since when?")
    answers(asked, given, {f'{{{mine}, version="1", python="3"}}': 3600})
