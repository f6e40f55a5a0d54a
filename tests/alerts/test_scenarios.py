"""Each scenario comes out as it must with every seed, and stands so in docs/alerting.md."""

import pytest

from harness.scenarios import Scenario, played, row
from tests.alerts import subjects
from tools.scenarios_page import rows_of_the_page

ALL = [scenario for scenarios in subjects().values() for scenario in scenarios]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_what_must_fire_does_and_nothing_else(scenario: Scenario, promtool: str) -> None:
    outcomes = [played(scenario, seed) for seed in scenario.seeds]
    faults = {
        seed: "\n".join(outcome.faults)
        for seed, outcome in zip(scenario.seeds, outcomes, strict=True)
        if outcome.faults
    }
    assert not faults, "\n".join(f"seed {seed}: {text}" for seed, text in faults.items())
    assert row(scenario, outcomes) in rows_of_the_page().values(), "make scenarios"


def test_the_table_of_the_runbook_has_each_scenario_and_no_other() -> None:
    names = [scenario.name for scenario in ALL]
    assert len(set(names)) == len(names)
    assert list(rows_of_the_page()) == names, "make scenarios"
