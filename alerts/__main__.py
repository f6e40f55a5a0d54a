"""`python -m alerts`: write the rules file of Prometheus."""

from pathlib import Path
from typing import Final

from alerts import (
    attempts,
    failures,
    lines,
    peers,
    reachability,
    restarts,
    results,
    sessions,
    silence,
    site,
)
from alerts.prometheus import rules_file

ROOT: Final = Path(__file__).parent.parent
GROUPS: Final = tuple(
    module.GROUP
    for module in (
        site,
        reachability,
        failures,
        attempts,
        silence,
        peers,
        lines,
        sessions,
        restarts,
        results,
    )
)
HEADER: Final = """
Recording rules and alerts for asterisk-fax-exporter. Needs Prometheus 2.42 or newer; Mimir's and
Thanos' rulers take them too.

Load it by `rule_files` in prometheus.yml. What each alert means, and what to do, is in
docs/alerting.md. To change a number or where links lead, change it in the first group.

One file serves one PBX and a fleet. Whatever labels your scrapes add (cluster, namespace) stay on
every alert; only `replica` is taken away, by which two exporters that watch the same PBX differ.

To have other numbers for some exporters load it twice, under two names, each for its own:

  sed 's/rules="asterisk-fax"/rules="staging"/g; s/rules: asterisk-fax/rules: staging/;
       s/job!=""/namespace="staging"/g'
"""


def texts() -> dict[Path, str]:
    """The content of each file."""
    return {ROOT / "deploy/prometheus/asterisk-fax.rules.yml": rules_file(HEADER, GROUPS)}


def main() -> None:
    """Write what has changed and say so."""
    for path, text in texts().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
