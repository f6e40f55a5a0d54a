"""Two rules files with other numbers in one Prometheus, made by the command that the file gives."""

import json
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from harness.programs import succeeds
from harness.rules import RULES, read

pytestmark = pytest.mark.slow


def own_rules(namespace: str, directory: Path, seconds: int) -> Path:
    """The rules for one namespace, in which a fax may be without a new page for so long."""
    shown = RULES.read_text().partition("#   sed ")[2].partition("\n#\n")[0]
    command = "sed " + shown.replace("\n#", "\n").replace("staging", namespace)
    shutil.copy(RULES, directory)
    subprocess.run(command, shell=True, cwd=directory, check=True)
    made = directory / f"{namespace}.rules.yml"
    text = made.read_text()
    assert text.count("vector(600)") == 1
    made.write_text(text.replace("vector(600)", f"vector({seconds})"))
    return made


def stuck(namespace: str) -> str:
    return textwrap.dedent(f"""\
          - series: asterisk_fax_last_poll_timestamp_seconds{{job="fax", instance="pbx", namespace="{namespace}"}}
            values: 0+60x60
          - series: asterisk_fax_oldest_progress_timestamp_seconds{{job="fax", instance="pbx", namespace="{namespace}", operation="send"}}
            values: 0x60
    """)  # noqa: E501


def test_each_file_fires_for_its_own_pbxs_with_its_own_numbers(
    promtool: str, tmp_path: Path
) -> None:
    files = own_rules("prod", tmp_path, 300), own_rules("staging", tmp_path, 1800)
    groups = [group["name"] for group in read(RULES)["groups"]]
    (tmp_path / "case.yml").write_text(
        f"rule_files: {json.dumps([file.name for file in files])}\n"
        f"evaluation_interval: 1m\ngroup_eval_order: {json.dumps(groups)}\n"
        "tests:\n  - interval: 1m\n    input_series:\n"
        + textwrap.indent(stuck("prod") + stuck("staging"), " " * 6)
        + """
    promql_expr_test:
      - expr: ALERTS{alertname="AsteriskFaxSessionStuck", alertstate="firing"}
        eval_time: 20m
        exp_samples:
          - labels: >-
              ALERTS{alertname="AsteriskFaxSessionStuck", alertstate="firing", severity="warning",
              job="fax", instance="pbx", operation="send", namespace="prod", rules="prod"}
            value: 1
      - expr: count by (rules, namespace) (ALERTS{alertname=~".*Stuck", alertstate="firing"})
        eval_time: 40m
        exp_samples:
          - labels: '{rules="prod", namespace="prod"}'
            value: 1
          - labels: '{rules="staging", namespace="staging"}'
            value: 1
      - expr: global:asterisk_fax_progress_seconds:threshold
        eval_time: 40m
        exp_samples:
          - labels: global:asterisk_fax_progress_seconds:threshold{rules="prod"}
            value: 300
          - labels: global:asterisk_fax_progress_seconds:threshold{rules="staging"}
            value: 1800
"""
    )
    succeeds(promtool, "test", "rules", tmp_path / "case.yml")
