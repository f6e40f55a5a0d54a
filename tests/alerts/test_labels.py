"""Labels that the rules do not know: every case of deploy/prometheus/tests again, as it would be in
a cluster, beside a second one with the same names, and with two exporters for each PBX."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from harness.programs import succeeds
from harness.rules import FOLDER, RULES

pytestmark = pytest.mark.slow

Json = dict[str, Any]

CASES: Final = {
    path.stem: path
    for path in sorted((FOLDER / "tests").glob("*.yml"))
    if "alert_rule_test" in path.read_text()
}
"""Those that ask for alerts: nothing else is left of them here."""
PROD: Final = {"cluster": "prod", "team": "telephony"}
FILTERED: Final = "var-filters=" in RULES.read_text()
"""Whether dashboards can be filtered by any label."""
LONGEST: Final = 330
"""As many samples as any case has."""
OF_AN_EXPORTER: Final = ("overload", "reload", "replicas")
"""The cases about an exporter itself: of two that watch the same PBX each has its own files."""


def labelled(series: str, labels: dict[str, str]) -> str:
    """A series, as promtool writes it, with more labels."""
    more = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{series[:-1]}, {more}}}" if series.endswith("}") else f"{series}{{{more}}}"


def in_a_cluster(test: Json) -> None:
    """Everything has two labels more, so every alert must have them."""
    for one in test["input_series"]:
        one["series"] = labelled(one["series"], PROD)
    for case in test.get("alert_rule_test", []):
        for alert in case.get("exp_alerts", []):
            alert["exp_labels"] |= PROD
            if FILTERED:
                filters = (f"&var-filters={k}%7C%3D%7C{v}" for k, v in PROD.items())
                alert["exp_annotations"]["dashboard_url"] += "".join(filters)


def watched_by_two(test: Json) -> None:
    """Two exporters see the same, so no alert may come twice, and no figure be the sum of both."""
    replicas = {"replica": "a"}, {"replica": "b"}
    test["input_series"] = [
        one | {"series": labelled(one["series"], replica) if replica else one["series"]}
        for one in test["input_series"]
        for replica in (({},) if is_of_one(one["series"]) else replicas)
    ]


def is_of_one(series: str) -> bool:
    """Whether it is of one of the two already, or stands for what the rules record, where nothing
    tells exporters apart."""
    return "replica=" in series or ":" in series.partition("{")[0]


def beside_another_cluster(test: Json) -> None:
    """Staging has the same jobs and instances, and there everything goes on as it began; no session
    is old, and nothing is gone."""
    test["input_series"] += [
        {
            "series": one["series"].replace(PROD["cluster"], "staging"),
            "values": steady(one["series"], one["values"]),
        }
        for one in test["input_series"]
        if not re.search(r"oldest|absent", one["series"])
    ]


def steady(series: str, values: str) -> str:
    """What stays at the first value of a series; the time of a poll goes on."""
    began = re.search(r"(?:^| )(-?[\d.]+)(\+[\d.]+)?", values)
    assert began is not None
    first, pace = began.groups()
    return f"{first}{pace or '' if 'timestamp' in series else ''}x{LONGEST}"


def played(promtool: str, path: Path, changed: Callable[[Json], None], directory: Path) -> None:
    """The file's cases, each changed, as promtool judges them."""
    # Unquoted, 0x60 would be a number to YAML, and not 61 times 0.
    quoted = re.sub(r"(\bvalues: )([^'\"\n]+)$", r"\1'\2'", path.read_text(), flags=re.MULTILINE)
    made = YAML(typ="safe", pure=True).load(quoted)
    for test in made["tests"]:
        changed(test)
    made["rule_files"] = [str(RULES)]
    (directory / path.name).write_text(json.dumps(made))
    succeeds(promtool, "test", "rules", directory / path.name)


@pytest.mark.parametrize("name", CASES)
def test_the_cases_come_out_the_same_at_a_large_site(
    promtool: str, name: str, tmp_path: Path
) -> None:
    """Prod and staging with the same jobs and instances, and prod's PBXs each watched by two: what
    is bad in prod fires once, with all labels of prod, and with its own figures."""

    def at_a_large_site(test: Json) -> None:
        # Of both clusters; alerts are what this is about.
        test.pop("promql_expr_test", None)
        in_a_cluster(test)
        if name not in OF_AN_EXPORTER:
            watched_by_two(test)
        beside_another_cluster(test)

    played(promtool, CASES[name], at_a_large_site, tmp_path)
