"""No expression that is shipped drops a label that it does not know."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from harness.rules import ROOT, RULES, rules

TAKEN_AWAY: Final = {
    *("replica", "operation", "state", "transport", "reason", "peer", "collector", "le"),
    *("version", "ami_version", "python"),
    *(label for rule in rules() for label in rule.get("labels", {})),
    *re.findall(r'"(\w+)", "\w+", "", ""\s*\)', RULES.read_text()),
}
"""The metrics' own labels, that of one of several exporters, and those that rules give."""
GROUPING: Final = re.compile(r"\b(by|without|on|ignoring)\s*\(([^)]*)\)")


def grouped(expression: str) -> set[tuple[str, frozenset[str]]]:
    """How an expression groups and matches: the word, and the labels that follow it."""
    unquoted = re.sub(r'"(?:\\.|[^"\\])*"', '""', expression)
    return {
        (word, frozenset(re.findall(r"\w+", labels))) for word, labels in GROUPING.findall(unquoted)
    }


def panels(node: Any) -> Iterator[str]:
    """Every expression of a dashboard."""
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for value in node.values():
            yield from panels(value)
    elif isinstance(node, list):
        for value in node:
            yield from panels(value)


def test_rules_drop_only_labels_that_they_know() -> None:
    seen = 0
    for rule in rules():
        texts = [rule["expr"], *rule.get("annotations", {}).values()]
        for word, labels in set().union(*map(grouped, texts)):
            seen += 1
            if word == "on":
                # Who is meant, where what is on the other side lends no label.
                assert labels == {"job", "instance"}
                assert rule["record"] == "target:asterisk_fax_scrape:up"
            else:
                assert word != "by", rule
                assert labels <= TAKEN_AWAY, rule
    assert seen > 50


def test_an_aggregation_without_a_word_of_labels_is_in_no_rule() -> None:
    """`sum(x)` drops them all."""
    aggregated = r"\b(sum|min|max|avg|count|group|stddev|topk|bottomk|quantile)\s*\("
    for rule in rules():
        assert not re.search(aggregated, rule["expr"]), rule


def test_dashboards_take_no_two_pbxs_for_one() -> None:
    """By job and instance alone, prod and staging would be one; a sum over all is meant."""
    paths = sorted((ROOT / "grafana/dashboards").glob("*.json"))
    found = [e for path in paths for e in panels(json.loads(path.read_text()))]
    assert len(found) > 50
    for expression in found:
        for word, labels in grouped(expression):
            if word in ("by", "on"):
                assert not {"job", "instance"} & labels, expression


def test_the_example_of_the_first_group_keeps_labels_too() -> None:
    examples = [line for line in RULES.read_text().splitlines() if line.lstrip().startswith("#")]
    assert not [line for line in examples if re.search(r"\bby \(", line)]
