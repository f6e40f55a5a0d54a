"""What is said to fire is what fires: first and last step, labels, texts, gaps."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.firing import play
from harness.traffic import Fax, Pbx, ScrapesFail

SEND = {"operation": "send", "reason": "file_error"}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """An alert on any failure within five minutes, and one of another group that needs nothing."""
    failed: dict[str, Any] = {
        "record": "pbx:asterisk_fax_failures:increase",
        "expr": "increase(asterisk_fax_failures_total[330s]) > 0",
    }
    alert = {
        "alert": "Failed",
        "expr": "pbx:asterisk_fax_failures:increase > 0.5",
        "for": "2m",
        "labels": {"severity": "warning"},
        "annotations": {"summary": 'At "{{ $labels.instance }}": {{ $labels.reason }}'},
    }
    down = {"alert": "Down", "expr": "up == 0"}
    path = tmp_path / "rules.yml"
    groups = [
        {"name": "recording", "rules": [failed]},
        {"name": "alerts", "rules": [alert, down]},
    ]
    path.write_text(json.dumps({"groups": groups}))
    return path


def _failing_at(*times: float) -> list[Fax]:
    return [Fax(time, "send", reason="file_error", pages=0) for time in times]


def test_an_alert_fires_from_its_first_evaluation_to_the_one_without_it(
    rules: Path, promtool: str
) -> None:
    # Ends 12 s after it began, is seen a minute later, and five minutes after that no more.
    world = [Pbx(_failing_at(600, 6000))]
    timeline = play(world, 7200, rules=rules, only=["Failed"])
    fired = timeline.of("Failed", **SEND)
    assert [(one.since, one.until) for one in fired] == [(780, 960), (6180, 6360)]
    assert timeline.firings == fired


def test_what_fires_at_the_end_has_no_end_and_fifty_steps_are_no_border(
    rules: Path, promtool: str
) -> None:
    world = [Pbx([], events=[ScrapesFail(60, 100_000)])]
    (fired,) = play(world, 151 * 60, rules=rules, only=["Down"]).firings
    assert (fired.since, fired.until) == (60, None)


def test_of_the_rules_only_what_is_named_is_evaluated(rules: Path, promtool: str) -> None:
    world = [Pbx(_failing_at(600), events=[ScrapesFail(3000, 600)])]
    assert play(world, 7200, rules=rules).names() == {"Failed", "Down"}
    assert play(world, 7200, rules=rules, only=["Down"]).names() == {"Down"}
    with pytest.raises(AssertionError, match=r"no such alerts: .*Typo"):
        play(world, 7200, rules=rules, only=["Typo"])


def test_the_texts_of_a_moment_are_those_of_the_alert(rules: Path, promtool: str) -> None:
    world = [Pbx(_failing_at(600))]
    timeline = play(world, 3600, rules=rules, texts=[("Failed", 840), ("Failed", 3000)])
    (said,) = timeline.said["Failed", 840]
    assert said.annotations == {"summary": 'At "fax-berlin": file_error'}
    assert SEND.items() <= said.labels.items()
    assert timeline.said["Failed", 3000] == ()


def test_a_rule_that_cannot_be_evaluated_is_no_silence(tmp_path: Path, promtool: str) -> None:
    path = tmp_path / "rules.yml"
    ambiguous = "asterisk_fax_finished_total + on (job) asterisk_fax_finished_total"
    rule = {"alert": "Ambiguous", "expr": ambiguous}
    path.write_text(json.dumps({"groups": [{"name": "alerts", "rules": [rule]}]}))
    with pytest.raises(AssertionError, match=r"many-to-many|found duplicate series"):
        play([Pbx([])], 600, rules=path)
