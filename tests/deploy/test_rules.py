"""The shipped rules: right by promtool, proven for firing and not firing, and documented."""

import json
import re
import textwrap
from pathlib import Path

import pytest

from alerts.__main__ import texts
from alerts.rules import IN_A_GROUP, Group, Record
from exporter.fax import Reason
from exporter.polling import Failure
from harness.exposition import published
from harness.programs import binary, succeeds
from harness.rules import FOLDER, ROOT, RULES, alerts, names, read, recorded, rules, shortened
from tests.alerts import subjects

CASES = sorted((FOLDER / "tests").glob("*.yml"))
RUNBOOK = ROOT / "docs/alerting.md"


def test_the_rules_and_the_order_of_cases_are_made_from_the_code() -> None:
    for path, text in texts().items():
        assert path.read_text() == text, f"python -m alerts writes {path}"


@pytest.mark.parametrize("schema", ["prometheus", "thanos"])
def test_pint_finds_nothing(schema: str, tmp_path: Path) -> None:
    """What it would find and is meant is answered beside the rule, in a comment."""
    pint = binary("pint", install=".ci/go-tools builds it, where Go is")
    # That a group uses what another one records is so where Mimir would refuse them as one.
    # What is usual is evaluated once an hour, and read as it was last.
    other_groups = 'checks { disabled = ["rule/dependency", "group/interval"] }'
    (tmp_path / "pint.hcl").write_text(f'parser {{ schema = "{schema}" }}\n{other_groups}\n')
    options = ("--offline", "--no-color", "--config", tmp_path / "pint.hcl")
    succeeds(pint, *options, "lint", "--fail-on=info", RULES)


def dashboards() -> dict[str, set[str]]:
    """The variables of each dashboard, by its uid."""
    read_ = [json.loads(path.read_text()) for path in (ROOT / "grafana/dashboards").glob("*.json")]
    return {one["uid"]: {v["name"] for v in one["templating"]["list"]} for one in read_}


def sections() -> dict[str, str]:
    """The runbook's sections by the anchor of their heading, as GitHub makes it."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-"): text
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def names_in(template: str) -> set[str]:
    """The names in the queries of an annotation."""
    return {
        name
        for query in re.findall(r"print (`.*?) \| query|query (`.*?`)", template)
        for name in names(re.sub(r"`(?: \$\w+ `)?", "", "".join(query)))
    }


def test_promtool_finds_nothing_wrong_with_the_rules(promtool: str) -> None:
    succeeds(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_rules_fire_and_do_not_fire_as_promtool_is_told(promtool: str, case: Path) -> None:
    succeeds(promtool, "test", "rules", case)


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("prometheus*.yml")))
def test_prometheus_takes_the_examples(promtool: str, name: str) -> None:
    succeeds(promtool, "check", "config", "--syntax-only", FOLDER / name)


@pytest.mark.parametrize("folder", [FOLDER, ROOT / "deploy/compose"], ids=lambda path: path.name)
def test_alertmanager_takes_the_example(folder: Path) -> None:
    amtool = binary("amtool", package="prometheus-alertmanager")
    succeeds(amtool, "check-config", folder / "alertmanager.yml")


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_it_is_with_figures_and_where_its_runbook_is(name: str) -> None:
    alert = alerts()[name]
    summary, description, runbook, dashboard = (
        alert["annotations"][key]
        for key in ("summary", "description", "runbook_url", "dashboard_url")
    )
    assert name.startswith("AsteriskFax")  # by which Alertmanager and dashboards know them
    assert alert["labels"] == {"severity": alert["labels"]["severity"], "rules": "asterisk-fax"}
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert "$labels.instance" in summary
    assert "$value" in description or ".Value" in description
    link = re.fullmatch(
        r"{{ range query `global:asterisk_fax_links:info{rules=\"asterisk-fax\"}` }}"
        r"{{ .Labels.dashboards }}{{ end }}/d/([\w-]+)\?(.*)",
        dashboard,
    )
    assert link is not None
    passed = set(re.findall(r"\bvar-(\w+)=", link[2]))
    # To all that the dashboard can be filtered by; what no alert has is left out there.
    assert passed == dashboards()[link[1]] - {"datasource"}
    file, anchor = runbook.partition("{{ .Labels.runbooks }}{{ end }}")[2].split("#")
    assert ROOT / file == RUNBOOK
    assert anchor == name.lower()
    section = sections()[anchor]
    for part in ("**It means**", "**Customers**", "**Find the cause**", "**Do**", "**Threshold**"):
        assert part in section


def test_promtool_takes_every_expression_of_the_runbook(promtool: str, tmp_path: Path) -> None:
    blocks = re.findall(r"(?:^ {4,}.+\n)+", RUNBOOK.read_text(), flags=re.MULTILINE)
    found = [textwrap.dedent(block) for block in blocks if "asterisk_fax" in block]
    assert len(found) > 5
    written = tmp_path / "runbook.yml"
    asked = [{"record": f"number_{n}", "expr": expression} for n, expression in enumerate(found)]
    written.write_text(json.dumps({"groups": [{"name": "runbook", "rules": asked}]}))
    succeeds(promtool, "check", "rules", written)


def test_the_runbook_explains_every_reason_that_an_alert_can_name() -> None:
    for reason in Reason:
        assert f"`{reason}`" in sections()["asteriskfaxfailureratiohigh"]
    answered = (
        Failure.DENIED,
        Failure.UNKNOWN_ACTION,
        Failure.ERROR,
        Failure.UNANSWERED,
        Failure.MALFORMED,
    )
    for failure in Failure:
        assert f"`{failure}`" in sections()["asteriskfaxpbxunreachable"]
        assert (f"`{failure}`" in sections()["asteriskfaxcollectordown"]) == (failure in answered)


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    assert {a for a in sections() if a.startswith("asteriskfax")} == {n.lower() for n in alerts()}


def in_scenarios(name: str) -> set[bool]:
    """Whether scenarios prove that it fires, and that it does not."""
    scenarios = [scenario for subject in subjects().values() for scenario in subject]
    fires = {True for one in scenarios if name in {wanted.alert for wanted in one.fires}}
    silent = {False for one in scenarios if one.silent is None or name in one.silent}
    return fires | silent


@pytest.mark.parametrize("name", alerts())
def test_an_alert_has_cases_for_firing_and_for_not_firing(name: str) -> None:
    tests = [test for case in CASES for test in read(case)["tests"]]
    fires = [
        bool(case.get("exp_alerts"))
        for test in tests
        for case in test.get("alert_rule_test", [])
        if case["alertname"] == name
    ]
    played = in_scenarios(name)
    assert set(fires) | played == {True, False}
    if False in played:
        return
    # And one over a whole time, in which there is what must not raise it.
    pattern = rf'alertname="{name}"'
    if name.endswith("ReloadFailed"):
        pattern = r'alertname=~"AsteriskFax\.\*ReloadFailed"'
    assert any(
        re.search(pattern, case["expr"]) and not case.get("exp_samples")
        for test in tests
        for case in test.get("promql_expr_test", [])
    )


def test_what_a_rule_names_is_recorded_before_it_is_used() -> None:
    known: set[str] = set()
    for rule in rules():
        # What it recorded before is there too, and of what is read over a time the most.
        known.add(rule.get("record", ""))
        at_once = re.sub(r"_over_time\((?:[\d.]+,)?\s*[\w:]+(\{[^}]*\})?\[", "", rule["expr"])
        used = {name for name in names(at_once) if ":" in name}
        assert used <= known, rule


def test_what_is_recorded_is_used_by_an_alert() -> None:
    used: set[str] = set()
    for rule in reversed(list(rules())):
        if "alert" in rule or rule["record"] in used:
            used |= names(rule["expr"]) | {
                name for text in rule.get("annotations", {}).values() for name in names_in(text)
            }
    assert recorded() <= used


def test_every_metric_that_rules_cases_and_runbook_name_exists() -> None:
    known = published() | recorded()
    for rule in rules():
        used = names(rule["expr"]).union(*map(names_in, rule.get("annotations", {}).values()))
        assert used <= known, rule
    for case in CASES:
        for test in read(case)["tests"]:
            used = {name for one in test["input_series"] for name in names(one["series"])}
            used |= {n for one in test.get("promql_expr_test", []) for n in names(one["expr"])}
            assert used <= known, test["name"]
    # Prose has apostrophes, so that what is in quotes cannot be told from what is not.
    named = re.findall(r"\b(?:\w+:)?asterisk_fax_\w+(?::\w+)*", RUNBOOK.read_text())
    assert len(named) > 10
    assert set(named) <= known


def test_no_group_has_more_rules_than_mimir_takes() -> None:
    assert {
        g["name"]: n for g in read(RULES)["groups"] if (n := len(g["rules"])) > IN_A_GROUP
    } == {}


def test_a_group_that_is_too_large_for_mimir_is_several() -> None:
    rules_of_it = [Record(f"pbx:asterisk_fax_x:{n}", "1") for n in range(2 * IN_A_GROUP + 1)]
    parts = list(Group("large", rules_of_it, "What it is about.").parts())
    assert [(one.name, len(one.rules)) for one in parts] == [
        ("large", IN_A_GROUP),
        ("large-2", IN_A_GROUP),
        ("large-3", 1),
    ]
    assert [rule for one in parts for rule in one.rules] == rules_of_it


def test_recorded_names_say_level_metric_and_operation() -> None:
    for name in recorded():
        assert re.fullmatch(
            r"(global|target|pbx(_operation|_reason|_transport|_peer)*):asterisk_fax_\w+:\w+",
            name,
        ), name


def test_thresholds_are_few_and_first() -> None:
    _, *others = read(RULES)["groups"]
    for group in others:
        assert not [r for r in group["rules"] if r.get("record", "").endswith(":threshold")]
    # A number that an alert compares with, and that is no threshold, is 0 or 1.
    for alert in alerts().values():
        # How often something changes or is there is how an alert works, and nothing to tune.
        expression = re.sub(r"((?:changes|count_over_time)\(\S+\)+) >=? \d", r"\1", alert["expr"])
        assert set(re.findall(r"[<>=] ([\d.]+)", expression)) <= {"0", "1"}


def test_the_knob_of_the_end_to_end_test_changes_times_and_nothing_else() -> None:
    text = textwrap.dedent("""\
        interval: 1m
        - record: a:increase1h
          expr: increase(x[1h]) > 1 + sum(x[1d:1h] offset 1h) / 5
        - alert: B
          for: 10m
          keep_firing_for: 10m
          description: over 1h {{ printf "sum(increase(x[1h])) > 10" }}
        """)
    assert shortened(text, 20) == textwrap.dedent("""\
        interval: 3000ms
        - record: a:increase1h
          expr: increase(x[180000ms]) > 1 + sum(x[4320000ms:180000ms] offset 180000ms) / 5
        - alert: B
          for: 30000ms
          keep_firing_for: 30000ms
          description: over 1h {{ printf "sum(increase(x[180000ms])) > 10" }}
        """)
    shipped = RULES.read_text()
    assert re.sub(r"\d+ms\b|\b(\d+[smhdw])+\b", "", shortened(shipped, 20)) == re.sub(
        r"\b(\d+[smhdw])+\b", "", shipped
    )
