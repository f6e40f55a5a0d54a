"""`python -m alerts`: write the rules files of Prometheus, and of Grafana."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from alerts import (
    attempts,
    failures,
    lines,
    low_traffic,
    peer_lines,
    peers,
    reachability,
    restarts,
    results,
    sessions,
    silence,
    site,
    slow,
)
from alerts.grafana import provisioning_file
from alerts.prometheus import in_order, rules_file
from alerts.rules import Record

ROOT: Final = Path(__file__).parent.parent
GROUPS: Final = tuple(
    part
    for group in (
        site.NUMBERS,
        site.GROUP,
        reachability.GROUP,
        failures.GROUP,
        results.GROUP,
        low_traffic.GROUP,
        attempts.GROUP,
        silence.GROUP,
        peers.GROUP,
        lines.USUAL,
        lines.GROUP,
        peer_lines.USUAL,
        peer_lines.GROUP,
        slow.USUAL,
        slow.GROUP,
        sessions.GROUP,
        restarts.GROUP,
    )
    for part in group.parts()
)
HEADER: Final = """
Recording rules and alerts for asterisk-fax-exporter. Needs Prometheus 2.42 or newer; Mimir's and
Thanos' rulers take them too.

Load it by `rule_files` in prometheus.yml. What each alert means, and what to do, is in
docs/alerting.md. To change a number or where links lead, change it in the first two
groups.

One file serves one PBX and a fleet. Whatever labels your scrapes add (cluster, namespace) stay on
every alert; only `replica` is taken away, by which two exporters that watch the same PBX differ.

To have other numbers for some exporters load it twice, each file for its own; the second is made by

  sed 's/rules="asterisk-fax"/rules="staging"/g; s/rules: asterisk-fax/rules: staging/;
       s/job!=""/namespace="staging"/g' asterisk-fax.rules.yml > staging.rules.yml

and the first has to leave them out, or they raise each alert twice:

  sed -i 's/job!=""/namespace!="staging"/g' asterisk-fax.rules.yml

Of what pint finds two things are meant: what is divided by is a number of samples, or of faxes at
least one; and an alert without a condition of its own shows a recorded one, which has no series
where it does not hold.

pint file/disable promql/nan

pint file/disable alerts/comparison
"""


RECORDING: Final = """
The recording rules of asterisk-fax.rules.yml without its alerts: for alerts that Grafana manages,
see grafana/README.md. Load one of the two files.
"""
GRAFANA: Final = """
The alerts of deploy/prometheus/asterisk-fax.rules.yml for a Grafana that manages alerts itself:
goes to its provisioning/alerting/. See grafana/README.md for what else it needs.
"""


def texts() -> dict[Path, str]:
    """The content of each file; of promtool's cases only the order of the groups is made here."""
    rules = ROOT / "deploy/prometheus"
    recorded = tuple(
        replace(group, rules=[rule for rule in group.rules if isinstance(rule, Record)])
        for group in GROUPS
    )
    cases = {path: path.read_text(encoding="utf-8") for path in (rules / "tests").glob("*.yml")}
    return {
        **{path: in_order(case, GROUPS) for path, case in cases.items()},
        rules / "asterisk-fax.rules.yml": rules_file(HEADER, GROUPS),
        rules / "asterisk-fax-recording.rules.yml": rules_file(RECORDING, recorded),
        ROOT / "grafana/provisioning/alerting/asterisk-fax.yml": provisioning_file(GRAFANA, GROUPS),
    }


def main() -> None:
    """Write what has changed and say so."""
    for path, text in texts().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
