"""What all dashboards share: variables, links to each other, annotations, rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from grafana.panels import BLUE, DATASOURCE, ORANGE, RED, Query, target
from grafana.promql import ALERTS, once, series

TAG: Final = "asterisk-fax"


def filled(
    made: build.Dashboard,
    top: Iterable[Builder[model.Panel]],
    rows: Mapping[str, Iterable[Builder[model.Panel]]],
    folded: Mapping[str, Iterable[Builder[model.Panel]]] | None = None,
) -> build.Dashboard:
    """With panels at the top, then rows by their titles; those that are folded come last."""
    for panel in top:
        made.with_panel(panel)
    for title, panels in rows.items():
        made.with_row(build.Row(title))
        for panel in panels:
            made.with_panel(panel)
    for title, panels in (folded or {}).items():
        row = build.Row(title).collapsed(True)
        for panel in panels:
            row.with_panel(panel)
        made.with_row(row)
    return made


@dataclass(frozen=True)
class Marks:
    """An annotation: what an expression found when; `text` by Grafana's {{label}} templates."""

    name: str
    expression: str
    title: str
    text: str
    color: str
    is_time: bool = False
    """Whether the values are the times that are marked, in milliseconds since the epoch."""


_EXPORTERS: Final = series("asterisk_fax_exporter_build_info")
MARKS: Final = (
    Marks("Firing alerts", ALERTS, "{{alertname}}", "{{instance}} {{peer}} {{severity}}", RED),
    Marks(
        "Asterisk started",
        f"1000 * {once(series('asterisk_fax_asterisk_start_timestamp_seconds'))} > $__from",
        "Asterisk started",
        "{{cluster}} {{namespace}} {{instance}}",
        ORANGE,
        is_time=True,
    ),
    Marks(
        "Exporter started",
        # A job may have other processes too; only those of this exporter have its build info.
        f"1000 * ({series('process_start_time_seconds')}"
        f" and ignoring (version, python) {_EXPORTERS}) > $__from",
        "Exporter started",
        "{{cluster}} {{namespace}} {{instance}} {{replica}}",
        BLUE,
        is_time=True,
    ),
)


def board(
    uid: str,
    title: str,
    description: str,
    *,
    since: str,
    listed: str = "asterisk_fax_up",
    variables: Mapping[str, str] | None = None,
    more: Iterable[Builder[model.VariableModel]] = (),
) -> build.Dashboard:
    """An empty dashboard with its variables, links and annotations.

    `listed` selects the series whose jobs can be chosen; instances are those that Prometheus
    scrapes for them, since one that has been dead for longer than the period shown has nothing
    else. `variables`: more labels to choose by, and the series that have them; `more`: what is
    chosen otherwise. There is no custom value for All of jobs and instances: `.+` would take in the
    `up` and `process_*` of everything else that is scraped. Sites that have other labels, such as
    cluster, choose by filters, which Grafana puts into every query.
    """
    dashboard = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .editable()
        .timezone("browser")
        .time(since, "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            build.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
        .with_variable(_variable("job", f"label_values({listed}, job)"))
        .with_variable(_variable("instance", 'label_values(up{job=~"$job"}, instance)'))
    )
    for name, source in (variables or {}).items():
        dashboard.with_variable(chosen_by(name, source))
    for each in more:
        dashboard.with_variable(each)
    dashboard.with_variable(
        build.AdHocVariable("filters")
        .label("Filters")
        .datasource(DATASOURCE)
        .description("By any label of the site: cluster, namespace")
    )
    for marks in MARKS:
        dashboard.annotation(_Annotation(marks))
    return dashboard.link(
        build.DashboardLink("Fax dashboards")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


class _Annotation(Builder[model.AnnotationQuery]):
    """The SDK's own annotation has neither a Prometheus query nor titles."""

    class _Query(model.AnnotationQuery):
        def __init__(self, marks: Marks) -> None:
            super().__init__(marks.name, DATASOURCE, True, False, marks.color)
            self._marks = marks

        def to_json(self) -> dict[str, object]:
            asked = target(Query(self._marks.expression, "")).ref_id("Anno").interval("30s").build()
            return super().to_json() | {
                "target": asked.to_json(),
                "titleFormat": self._marks.title,
                "textFormat": self._marks.text,
                **({"useValueForTime": True} if self._marks.is_time else {}),
            }

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def build(self) -> model.AnnotationQuery:
        return self._Query(self._marks)


def chosen_by(name: str, source: str) -> build.QueryVariable:
    """A variable of the values that a label of these series has."""
    return _variable(name, f"label_values({source}, {name})")


def _variable(name: str, query: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(name.capitalize())
        .datasource(DATASOURCE)
        .query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
