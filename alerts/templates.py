"""The texts of alerts as templates of Prometheus.

Their figures are asked for with all labels of the alert, whatever they are: two PBXs with the same
job and instance, in two clusters, each have their own.
"""

import re
from string import Formatter
from typing import Final

from alerts.promql import RULES, chosen
from alerts.rules import Alert, Figure, Listing

LINKS: Final = "global:asterisk_fax_links:info"
"""The recorded series whose labels are the addresses below which runbooks and dashboards are."""
_MATCHERS: Final = "MATCHERS"
_SPEC: Final = {
    "percent": "humanizePercentage",
    "duration": "humanizeDuration",
    "": 'printf "%.0f"',
}


def summary(alert: Alert) -> str:
    """One line: what is wrong, and where."""
    return _filled(alert, alert.summary, {})


def description(alert: Alert) -> str:
    """With figures. Begins with what collects the labels by which they are asked for."""
    # Which labels are left out, and the variable that has the others.
    variables: dict[tuple[str, ...], str] = {}
    text = _filled(alert, alert.description, variables)
    collected = "".join(
        f'{{{{ ${name} := "" }}}}{{{{ range $k, $v := $labels }}}}'
        f"{{{{ if not (eq $k {' '.join(f'{chr(34)}{one}{chr(34)}' for one in left_out)}) }}}}"
        f'{{{{ ${name} = printf "%s%s=%q," ${name} $k $v }}}}{{{{ end }}}}{{{{ end -}}}} '
        for left_out, name in variables.items()
    )
    return collected + text


def runbook_url(alert: Alert) -> str:
    """Where it is explained, below what the site has set."""
    return _base("runbooks") + f"docs/alerting.md#{alert.name.lower()}"


def dashboard_url(alert: Alert) -> str:
    """Where more of it is seen, below what the site has set."""
    variables = "&".join(
        f"var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in alert.selects
    )
    return _base("dashboards") + f"/d/{alert.dashboard}?{variables}"


def parts(text: str) -> list[tuple[str, str, str]]:
    """Words, with the name of what follows them and how that is written; both may be empty."""
    return [(words, name or "", spec or "") for words, name, spec, _ in Formatter().parse(text)]


def _base(label: str) -> str:
    return f"{{{{ range query `{LINKS}{{{RULES}}}` }}}}{{{{ .Labels.{label} }}}}{{{{ end }}}}"


def _filled(alert: Alert, text: str, variables: dict[tuple[str, ...], str]) -> str:
    made = ""
    for words, name, spec in parts(text):
        made += words
        if name == "value":
            made += f"{{{{ $value | {_written(spec)} }}}}"
        elif name.startswith("labels."):
            made += f"{{{{ ${name} }}}}"
        elif name:
            figure = alert.figures[name]
            left_out = ("__name__", "rules", *figure.but)
            variable = variables.setdefault(left_out, f"of{len(variables) or ''}")
            made += _asked(figure, spec, variable)
    return made


def _asked(figure: Figure | Listing, spec: str, variable: str) -> str:
    expression = re.sub(r"\s+", " ", chosen(figure.expression, _MATCHERS).strip())
    query = f"print `{expression.replace(_MATCHERS, f'` ${variable} `')}` | query"
    value = f"{{{{ .Value | {_written(spec)} }}}}"
    if isinstance(figure, Figure):
        return f"{{{{ range {query} }}}}{value}{{{{ end }}}}"
    none = f"{{{{ else }}}} {figure.none}" if figure.none else ""
    return (
        f'{{{{ range {query} | sortByLabel "{figure.by}" }}}} {{{{ .Labels.{figure.by} }}}} {value}'
        f"{none}{{{{ end }}}}"
    )


def _written(spec: str) -> str:
    return _SPEC.get(spec, f'printf "%{spec}"')
