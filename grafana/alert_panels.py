"""Lists of alerts: those that Prometheus evaluates, and those that Grafana does."""

from grafana_foundation_sdk.builders import dashboard as build

from grafana.drill import LINE_QUALITY, by_row
from grafana.panels import Panel
from grafana.tables import Column, rows


def listed() -> Panel:
    """A table of what Prometheus says of its alerts."""
    chosen = 'alertname=~"AsteriskFax.*", job=~"$job|", instance=~"$instance|"'
    since = f"time() - ALERTS_FOR_STATE{{{chosen}}}"
    return rows(
        "Which alerts fire or wait?",
        "Of the rules that come with the exporter, as Prometheus evaluates them. What is pending "
        "fires if it lasts.",
        {
            "alertname": "Alert",
            "instance": "PBX",
            "peer": "Peer",
            "severity": "Severity",
            "alertstate": "State",
            "job": "Job",
        },
        [
            Column(
                "For",
                f"0 * ALERTS{{{chosen}}} + ignoring (alertstate) group_left () ({since})",
                unit="s",
                decimals=0,
            )
        ],
        sort=(("State", False), ("Severity", False), ("For", False)),
        links={"PBX": [by_row(LINE_QUALITY, job="Job", instance="PBX")]},
        no_value="No alert, or no rules in this Prometheus",
        width=10,
    )


def of_grafana() -> Panel:
    """What Grafana itself evaluates has no series in Prometheus, of which the table above is."""
    return (
        build.Panel()
        .type("alertlist")
        .title("Alerts that Grafana evaluates")
        .description(
            "Where the rules are Grafana-managed, and not Prometheus'; those of Prometheus too, "
            "where its data source lets Grafana see them."
        )
        .span(24)
        .height(8)
        .options(
            {
                "viewMode": "list",
                "alertName": "AsteriskFax",
                "groupMode": "default",
                "maxItems": 50,
                "sortOrder": 3,  # by importance
                "dashboardAlerts": False,
                "stateFilter": {"firing": True, "pending": True, "noData": True, "error": True},
            }
        )
    )
