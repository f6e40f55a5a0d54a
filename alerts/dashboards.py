"""What the link to a dashboard passes on of an alert's labels: those it has variables for."""

import json
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent.parent / "grafana/dashboards"
FILTERS: Final = "filters"
"""The variable of ad-hoc filters, for labels that are not known here."""
_OF_EACH: Final = ("job", "instance")
_OF_SOME: Final = ("operation", "reason", "peer")
_NO_FILTER: Final = ("__name__", "rules", "replica", "collector", "transport", "state")
"""What is of the alert and not of the PBX."""


def parameters(uid: str, *others: str) -> str:
    """The end of the address of a dashboard, as a template: the PBX of the alert, and what else of
    its labels the dashboard can be filtered by, but for `others`. Raises KeyError if there is no
    such dashboard."""
    known = _variables()[uid]
    made = "?" + "&".join(f"var-{one}={{{{ $labels.{one} | urlquery }}}}" for one in _OF_EACH)
    for one in _OF_SOME:
        if one in known:
            made += f"{{{{ with $labels.{one} }}}}&var-{one}={{{{ . | urlquery }}}}{{{{ end }}}}"
    if FILTERS in known:
        names = " ".join(f'"{one}"' for one in (*_OF_EACH, *_OF_SOME, *_NO_FILTER, *others))
        made += (
            f"{{{{ range $k, $v := $labels }}}}{{{{ if not (eq $k {names}) }}}}"
            f"&var-{FILTERS}={{{{ print $k `|=|` $v | urlquery }}}}{{{{ end }}}}{{{{ end }}}}"
        )
    return made


@cache
def _variables() -> dict[str, set[str]]:
    boards = (json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json"))
    return {one["uid"]: {each["name"] for each in one["templating"]["list"]} for one in boards}
