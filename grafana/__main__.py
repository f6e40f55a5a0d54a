"""`python -m grafana`: write the dashboards' JSON to grafana/dashboards/."""

import json
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import exporter_health, fax_overview, line_quality

DIRECTORY: Final = Path(__file__).parent / "dashboards"


def texts() -> dict[str, str]:
    """The content of each file, by its name."""
    made = {}
    for module in (fax_overview, line_quality, exporter_health):
        content = json.loads(json.dumps(module.dashboard().build(), cls=JSONEncoder))
        _number(content["panels"])
        name = f"{module.__name__.rpartition('.')[2].replace('_', '-')}.json"
        made[name] = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return made


def _number(panels: list[dict[str, Any]]) -> None:
    """Grafana's links and the linter name panels by their id, which the SDK leaves out."""
    everything = [inner for panel in panels for inner in (panel, *panel.get("panels", ()))]
    for i, panel in enumerate(everything, 1):
        panel["id"] = i


def main() -> None:
    """Write what has changed and say so."""
    for name, text in texts().items():
        path = DIRECTORY / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
