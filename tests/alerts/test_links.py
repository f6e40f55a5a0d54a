"""What the links of alerts begin with is set in one place of the rules file."""

import json
from pathlib import Path

import pytest

from harness.programs import succeeds
from harness.rules import RULES, read

pytestmark = pytest.mark.slow

RUNBOOKS = "https://git.example/asterisk-fax-exporter/blob/main/"
DASHBOARDS = "https://grafana.example"


def test_a_site_sets_once_where_links_lead(promtool: str, tmp_path: Path) -> None:
    text = RULES.read_text()
    for label, base in (("runbooks", RUNBOOKS), ("dashboards", DASHBOARDS)):
        assert text.count(f"{label}: ''") == 1
        text = text.replace(f"{label}: ''", f"{label}: {base}")
    (tmp_path / "site.rules.yml").write_text(text)
    made = {
        "rule_files": ["site.rules.yml"],
        "evaluation_interval": "1m",
        "group_eval_order": [group["name"] for group in read(RULES)["groups"]],
        "tests": [
            {
                "interval": "1m",
                # What is in a name must not end the address, or begin another variable.
                "input_series": [
                    {"series": 'up{job="asterisk-fax", instance="a&b c"}', "values": "0x30"}
                ],
                "alert_rule_test": [
                    {
                        "alertname": "AsteriskFaxExporterDown",
                        "eval_time": "10m",
                        "exp_alerts": [
                            {
                                "exp_labels": {
                                    "job": "asterisk-fax",
                                    "instance": "a&b c",
                                    "severity": "critical",
                                    "rules": "asterisk-fax",
                                },
                                "exp_annotations": {
                                    "summary": "Prometheus gets no fax metrics of a&b c",
                                    "description": "0% of the scrapes of job asterisk-fax in the "
                                    "past hour succeeded. What happens there while they fail "
                                    "raises no other alert.",
                                    "runbook_url": f"{RUNBOOKS}docs/alerting.md"
                                    "#asteriskfaxexporterdown",
                                    "dashboard_url": f"{DASHBOARDS}/d/asterisk-fax-exporter-health"
                                    "?var-job=asterisk-fax&var-instance=a%26b+c",
                                },
                            }
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "case.yml").write_text(json.dumps(made))
    succeeds(promtool, "test", "rules", tmp_path / "case.yml")
