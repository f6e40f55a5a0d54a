"""The alerts as Grafana can manage them itself: a file for its provisioning/alerting/.

They ask Prometheus, and compare with what its rules record, so the rules file without its alerts is
needed too. Grafana's templates cannot ask Prometheus. So each figure is a query of the rule, and a
list of figures is left to the dashboard.
"""

import io
import textwrap
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from alerts.dashboards import parameters
from alerts.promql import chosen
from alerts.rules import Alert, Figure, Group
from alerts.templates import filled, written

DATASOURCE: Final = "asterisk-fax-prometheus"
"""The uid of the data source, as in grafana/provisioning/datasources/."""
FOLDER: Final = "Fax"
"""As in grafana/provisioning/dashboards/."""
_EXPRESSIONS: Final = "__expr__"
"""What stands for Grafana itself in place of a data source."""
_ADDED: Final = (
    *("alertname", "grafana_folder", "__alert_rule_uid__", "__alert_rule_namespace_uid__"),
)
"""Labels that Grafana gives each alert."""
_SECONDS: Final = 600
"""How far back a query may look; each asks for now alone."""

Json = dict[str, Any]


def provisioning_file(header: str, groups: tuple[Group, ...]) -> str:
    """The content of a file of alert rules, which begins with `header` as a comment."""
    made = [_group(group) for group in groups if any(isinstance(r, Alert) for r in group.rules)]
    yaml = YAML()
    yaml.width = 1000  # a folded template is no easier to read
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump({"apiVersion": 1, "groups": made}, out)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.strip().splitlines())
    return comment + out.getvalue()


def _group(group: Group) -> Json:
    alerts = [rule for rule in group.rules if isinstance(rule, Alert)]
    return {
        "orgId": 1,
        "name": group.name,
        "folder": FOLDER,
        "interval": group.interval,
        "rules": [_rule(alert) for alert in alerts],
    }


def _rule(alert: Alert) -> Json:
    figures = {n: one for n, one in alert.figures.items() if isinstance(one, Figure)}
    queries = [_query("alert", alert.expression)]
    queries += [_query(name, figure.expression) for name, figure in figures.items()]
    rule: Json = {
        # At most 40 characters.
        "uid": alert.name.lower(),
        "title": alert.name,
        "condition": "firing",
        "data": [
            *queries,
            # What the expression has no series for is well; what it has may well be 0.
            _expression("value", type="reduce", expression="alert", reducer="last"),
            _expression("firing", type="math", expression="is_number($value)"),
        ],
        # Nothing found is nothing wrong. That Prometheus is gone is not about faxes.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.wait or "0s",
    }
    if alert.linger:
        rule["keepFiringFor"] = alert.linger
    rule["annotations"] = {
        "summary": filled(alert, alert.summary, _figure),
        "description": filled(alert, alert.description, _figure),
        "runbook_url": f"docs/alerting.md#{alert.name.lower()}",
        "dashboard_url": f"{{{{ externalURL }}}}d/{alert.dashboard}"
        + parameters(alert.dashboard, *_ADDED),
    }
    rule["labels"] = {"severity": alert.severity}
    return rule


def _figure(alert: Alert, name: str, spec: str) -> str:
    """A figure in a text, or what is there in place of one that Grafana cannot tell."""
    if name != "value" and not isinstance(alert.figures[name], Figure):
        return " see the dashboard"
    # Absent, it is not told; of nil there is no Value.
    return f"{{{{ with $values.{name} }}}}{{{{ .Value | {written(spec)} }}}}{{{{ end }}}}"


def _query(ref: str, expression: str) -> Json:
    # Without its name, by which labels would differ from query to query.
    text = f"0 + (\n{textwrap.indent(chosen(textwrap.dedent(expression).strip(chr(10))), '  ')}\n)"
    return {
        "refId": ref,
        "relativeTimeRange": {"from": _SECONDS, "to": 0},
        "datasourceUid": DATASOURCE,
        "model": {
            "refId": ref,
            "expr": LiteralScalarString(text + "\n"),
            "instant": True,
            "range": False,
            "editorMode": "code",
        },
    }


def _expression(ref: str, **model: str) -> Json:
    return {
        "refId": ref,
        "datasourceUid": _EXPRESSIONS,
        "model": {
            "refId": ref,
            "datasource": {"type": _EXPRESSIONS, "uid": _EXPRESSIONS},
            **model,
        },
    }
