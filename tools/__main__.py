"""`python -m tools`: write docs/metrics.md, docs/settings.md, docs/dashboards.md, the man page, the
completions and docs/licences.md.

They are made from the declarations in exporter/metrics.py and exporter/settings/ and from the
dashboards in grafana/, the last from what is installed.
"""

from pathlib import Path
from typing import Final

from tools import completions, dashboards_page, licences, man_page, metrics_page, settings_page

ROOT: Final = Path(__file__).parent.parent


def documents() -> dict[Path, str]:
    """What each file is to contain."""
    texts = {
        metrics_page.FILE: metrics_page.text(),
        settings_page.FILE: settings_page.text(),
        man_page.FILE: man_page.text(),
        dashboards_page.FILE: dashboards_page.text(),
        licences.FILE: licences.text(),
        completions.BASH: completions.text("bash"),
        completions.ZSH: completions.text("zsh"),
    }
    return {ROOT / file: text for file, text in texts.items()}


def main() -> None:
    """Write what has changed, and say so."""
    for path, text in documents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
