"""The texts of alerts are templates that Prometheus can fill."""

import json
import re
from pathlib import Path
from typing import Final

from harness.programs import binary, succeeds
from harness.rules import alerts

QUERY: Final = re.compile(r"(?:print (?P<made>`.*?`)|(?<=query )`(?P<fixed>[^`]*)`)(?= \||\s*}})")


def queries(text: str) -> list[str]:
    """What a text asks for, with the labels of some alert."""
    asked = []
    for query in QUERY.finditer(re.sub(r"\s+", " ", text)):
        made = query["made"] or f"`{query['fixed']}`"
        asked.append(re.sub(r"` \$\w+ `", 'job="a",instance="b",', made).strip("`"))
    return asked


def test_every_figure_of_every_text_is_asked_for_in_promql(tmp_path: Path) -> None:
    """A faulty one is found out only when the alert fires, and then its text is an error."""
    found = {
        f"{name}:{kind}:{number}": query
        for name, alert in alerts().items()
        for kind, text in alert["annotations"].items()
        for number, query in enumerate(queries(text))
    }
    texts = " ".join(text for one in alerts().values() for text in one["annotations"].values())
    assert len(found) == len(re.findall(r"`\s*\|\s*query|query\s+`", texts))
    rules = [{"record": "asked", "expr": expr} for expr in found.values()]
    path = tmp_path / "asked.json"
    groups = [{"name": name, "rules": [one]} for name, one in zip(found, rules, strict=True)]
    path.write_text(json.dumps({"groups": groups}))
    succeeds(binary("promtool", package="prometheus"), "check", "rules", path)
