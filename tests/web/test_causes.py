"""What is behind each reason is the same on the page and in the runbook."""

import re
from pathlib import Path

from exporter.fax import Reason
from exporter.web.causes import CAUSES

RUNBOOK = Path(__file__).parents[2] / "docs/alerting.md"


def test_every_reason_has_what_the_runbook_says_of_it() -> None:
    rows = re.findall(
        r"^\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \| (.*) \|$", RUNBOOK.read_text(), re.M
    )
    told = {reason: text for names, text in rows for reason in re.findall(r"`([a-z0-9_]+)`", names)}
    assert {reason.value: text for reason, text in CAUSES.items()} == {
        reason.value: told[reason.value] for reason in Reason
    }
