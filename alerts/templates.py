"""The texts of alerts as templates of Prometheus.

Their figures are asked for with all labels of the alert, whatever they are: two PBXs with the same
job and instance, in two clusters, each have their own.
"""

import re
from collections.abc import Callable
from string import Formatter
from typing import Final

from alerts.dashboards import parameters
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
    return filled(alert, alert.summary, lambda *_: "")


def description(alert: Alert) -> str:
    """With figures. Begins with what collects the labels by which they are asked for."""
    # Which labels are left out, and the variable that has the others.
    variables: dict[tuple[str, ...], str] = {}

    def asked(alert: Alert, name: str, spec: str) -> str:
        if name == "value":
            return f"{{{{ $value | {written(spec)} }}}}"
        figure = alert.figures[name]
        left_out = ("__name__", "rules", *figure.but)
        return _asked(figure, spec, variables.setdefault(left_out, f"of{len(variables) or ''}"))

    text = filled(alert, alert.description, asked)
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
    return _base("dashboards") + f"/d/{alert.dashboard}{parameters(alert.dashboard)}"


def filled(alert: Alert, text: str, figure: Callable[[Alert, str, str], str]) -> str:
    """A text with labels as templates have them, and what `figure` says of {value} and figures, of
    which it is given the name and how it is to be written."""
    made = ""
    for words, name, spec, _ in Formatter().parse(text):
        made += words
        if name and name.startswith("labels."):
            made += f"{{{{ ${name} }}}}"
        elif name:
            made += figure(alert, name, spec or "")
    return made


def written(spec: str) -> str:
    """The function of a template that writes a number like this."""
    return _SPEC.get(spec, f'printf "%{spec}"')


def _base(label: str) -> str:
    return f"{{{{ range query `{LINKS}{{{RULES}}}` }}}}{{{{ .Labels.{label} }}}}{{{{ end }}}}"


def _asked(figure: Figure | Listing, spec: str, variable: str) -> str:
    expression = re.sub(r"\s+", " ", chosen(figure.expression, _MATCHERS).strip())
    # What has the labels ends with a comma, also before the figure's own matchers.
    asked = re.sub(f"{_MATCHERS},?", f"` ${variable} `", expression)
    query = f"print `{asked}` | query"
    value = f"{{{{ .Value | {written(spec)} }}}}"
    if isinstance(figure, Figure):
        return f"{{{{ range {query} }}}}{value}{{{{ end }}}}"
    none = f"{{{{ else }}}} {figure.none}" if figure.none else ""
    return (
        f'{{{{ range {query} | sortByLabel "{figure.by}" }}}} {{{{ .Labels.{figure.by} }}}} {value}'
        f"{none}{{{{ end }}}}"
    )
