"""`python -m grafana`: write the dashboards' JSON to grafana/dashboards/.

`--copy berlin FOLDER` writes a second set, for a Grafana that has the first one already.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import exporter_health, fax_log, fax_overview, line_quality, peers
from grafana.copies import told_apart

DIRECTORY: Final = Path(__file__).parent / "dashboards"
SUFFIX: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?")
"""With it a uid has at most the 40 characters that Grafana allows."""


def boards() -> dict[str, dict[str, Any]]:
    """What each file holds, by its name."""
    made = {}
    for module in (fax_overview, line_quality, peers, fax_log, exporter_health):
        content = json.loads(json.dumps(module.dashboard().build(), cls=JSONEncoder))
        everything = [
            inner for panel in content["panels"] for inner in (panel, *panel.get("panels", ()))
        ]
        _number(everything)
        _drop_what_is_no_more(content, everything)
        _page(everything)
        made[f"{module.__name__.rpartition('.')[2].replace('_', '-')}.json"] = content
    return made


def texts(suffix: str = "", titled: str = "") -> dict[str, str]:
    """The content of each file, by its name; `suffix` and `titled` are those of `told_apart`."""
    return {
        name: json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, content in told_apart(boards(), suffix, titled).items()
    }


def _number(panels: list[dict[str, Any]]) -> None:
    """Grafana's links and the linter name panels by their id, which the SDK leaves out."""
    for i, panel in enumerate(panels, 1):
        panel["id"] = i


def _drop_what_is_no_more(content: dict[str, Any], panels: list[dict[str, Any]]) -> None:
    """The SDK of the oldest Grafana writes, unasked, what the newest does not know."""
    for variable in content["templating"]["list"]:
        for key in ("auto", "auto_min", "auto_count"):
            variable.pop(key, None)
    for panel in panels:
        if panel["type"] == "table":
            panel["options"].pop("footer", None)


def _page(panels: list[dict[str, Any]]) -> None:
    """The SDK of the oldest Grafana knows pages of tables elsewhere than the newest has them."""
    for panel in panels:
        if panel["type"] == "table":
            panel["options"]["enablePagination"] = True


def main() -> None:
    """Write what has changed and say so."""
    parser = argparse.ArgumentParser(prog="python -m grafana")
    parser.add_argument(
        "--copy",
        nargs=2,
        metavar=("SUFFIX", "FOLDER"),
        default=("", DIRECTORY),
        help="write them there, with uids, titles, tags and file names that end in SUFFIX",
    )
    suffix, folder = parser.parse_args().copy
    if (suffix or folder != DIRECTORY) and not SUFFIX.fullmatch(suffix):
        parser.error(f"--copy {suffix!r}: not 1 to 11 of a-z, 0-9 and, between them, -")
    if not Path(folder).is_dir():
        parser.error(f"--copy: {folder} is no folder; make it, or name another")
    for name, text in texts(suffix).items():
        path = Path(folder) / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
