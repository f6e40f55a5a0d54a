"""The alerts that Grafana manages are those of Prometheus."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from alerts.__main__ import ROOT
from harness.programs import succeeds
from harness.rules import FOLDER, alerts, read, rules

Json = dict[str, Any]

FILE: Final = ROOT / "grafana/provisioning/alerting/asterisk-fax.yml"
RECORDING: Final = FOLDER / "asterisk-fax-recording.rules.yml"
UID_AT_MOST: Final = 40


def managed() -> list[Json]:
    """Grafana's alert rules."""
    return [rule for group in read(FILE)["groups"] for rule in group["rules"]]


def expression(rule: Json, ref: str = "alert") -> str:
    (found,) = (query for query in rule["data"] if query["refId"] == ref)
    return str(found["model"]["expr"])


def test_each_alert_is_there_with_its_waiting_time_and_severity() -> None:
    assert {
        rule["title"]: (rule["for"], rule.get("keepFiringFor"), rule["labels"]["severity"])
        for rule in managed()
    } == {
        name: (alert.get("for", "0s"), alert.get("keep_firing_for"), alert["labels"]["severity"])
        for name, alert in alerts().items()
    }


def test_what_they_compare_with_is_recorded_by_the_file_without_alerts() -> None:
    assert [rule for rule in rules() if "record" in rule] == list(rules(RECORDING))


def test_rules_are_known_by_uids_that_grafana_takes() -> None:
    uids = [rule["uid"] for rule in managed()]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(rf"[a-z0-9]{{1,{UID_AT_MOST}}}", uid) for uid in uids)


@pytest.mark.parametrize("rule", managed(), ids=lambda rule: rule["title"])
def test_a_text_has_figures_that_the_rule_asks_for_and_labels(rule: Json) -> None:
    asked = {query["refId"] for query in rule["data"]}
    assert rule["condition"] in asked
    for key in ("summary", "description", "runbook_url", "dashboard_url"):
        text = rule["annotations"][key]
        assert set(re.findall(r"\$values\.(\w+)", text)) <= asked
        # Grafana has no function by which a text could ask more, and replaces ${VARIABLES}.
        assert "query" not in re.sub("urlquery", "", text)
        assert "${" not in text
    sources = {query["datasourceUid"] for query in rule["data"]}
    (known,) = read(ROOT / "grafana/provisioning/datasources/asterisk-fax.yml")["datasources"]
    assert sources == {known["uid"], "__expr__"}


def test_where_nothing_is_wrong_there_is_no_data_and_0_is_data() -> None:
    for rule in managed():
        assert rule["noDataState"] == "OK"
        (firing,) = (q["model"] for q in rule["data"] if q["refId"] == rule["condition"])
        assert (firing["type"], firing["expression"]) == ("math", "is_number($value)")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reachability", "reload", "sessions", "results"])
def test_they_fire_where_those_of_prometheus_do(promtool: str, name: str, tmp_path: Path) -> None:
    """As rules of Prometheus they pass the same cases, but for their texts."""
    made = [
        {
            "alert": rule["title"],
            "expr": expression(rule),
            "for": rule["for"],
            "labels": rule["labels"] | {"rules": "asterisk-fax"},
        }
        for rule in managed()
    ]
    (tmp_path / "alerts.yml").write_text(
        json.dumps({"groups": [{"name": "alerts", "interval": "1m", "rules": made}]})
    )
    text = (FOLDER / "tests" / f"{name}.yml").read_text()
    quoted = re.sub(r"(\bvalues: )([^'\"\n]+)$", r"\1'\2'", text, flags=re.MULTILINE)
    cases = YAML(typ="safe", pure=True).load(quoted)
    cases["rule_files"] = [str(RECORDING), "alerts.yml"]
    cases["group_eval_order"].append("alerts")
    for test in cases["tests"]:
        for case in test.get("alert_rule_test", []):
            for alert in case.get("exp_alerts", []):
                del alert["exp_annotations"]
    (tmp_path / "cases.yml").write_text(json.dumps(cases))
    succeeds(promtool, "test", "rules", tmp_path / "cases.yml")
