"""The building blocks of the dashboards: one function for each kind of panel, and their colours.

Thresholds begin with grey. Grafana gives the first colour to a panel without data, and no data
must not look like all well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as query_model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from grafana.promql import ALERTS

GREY: Final = "#8E8E8E"
GREEN: Final = "green"
YELLOW: Final = "#EAB839"
ORANGE: Final = "orange"
RED: Final = "red"
BLUE: Final = "blue"

Panel: TypeAlias = Builder[model.Panel]
Steps: TypeAlias = Sequence[tuple[float, str]]
PLAIN: Final[Steps] = ((0, BLUE),)
"""For what is neither good nor bad."""

FAILURES: Final[Steps] = ((0, GREEN), (0.05, YELLOW), (0.15, RED))
"""Share of faxes. Some always fail: busy, voice, hung up; one in seven is no accident."""
BAD_LINES: Final[Steps] = ((0, GREEN), (1, YELLOW), (10, RED))
"""Lines per page. 10 are 1 % of a standard page and can be seen in it."""
PAGE_TIME: Final[Steps] = ((0, GREEN), (120, YELLOW), (240, RED))
"""Seconds per page. Most take less than a minute, even at a low rate."""
WAITING: Final[Steps] = ((0, GREEN), (300, YELLOW), (600, RED))
"""Seconds without a new page."""

NO_DATA: Final = "No data: PBX or exporter not reached"
NO_FAXES: Final = "No result: no fax ended, or no data"
NO_PAGES: Final = "No page received, or no data"

DATASOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG: Final = "asterisk-fax"

OPERATIONS: Final = {
    "send": ("#3274D9", "#8AB8FF"),
    "receive": ("#A352CC", "#CA95E5"),
    "gateway": ("#1A8C8C", "#7CC9C9"),
    "none": ("#7A6A58", "#BFB09C"),
}
"""Colour of an operation in every panel, and a lighter one for sessions that are not Active."""
TRANSPORTS: Final = {"g711": "#E0752D", "t38": "#447EBC", "none": "#A0A0A0"}


@dataclass(frozen=True)
class Query:
    """One expression; `legend` names its series, by Grafana's {{label}} templates."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Column:
    """One column of a table; `no_value` stands in a cell that nothing was measured for."""

    title: str
    expression: str
    unit: str = "short"
    steps: Steps | None = None
    no_value: str = "no data"
    decimals: int | None = None
    texts: dict[str, tuple[str, str]] | None = None


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Grey below the first step, which no measured value is."""
    first = model.Threshold(value=None, color=GREY)
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([first, *(model.Threshold(value=value, color=color) for value, color in steps)])
    )


def stat_panel(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str = "short",
    steps: Steps = PLAIN,
    no_value: str = "No data",
    decimals: int | None = None,
    texts: dict[str, tuple[str, str]] | None = None,
    width: int = 4,
    height: int = 4,
) -> stat.Panel:
    """One number as of now. Asked for one instant: the last value of a dead series is not shown."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(_target(Query(expression, title), instant=True))
        .unit(unit)
        .thresholds(thresholds(steps))
        .no_value(no_value)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(
            shape.BigValueColorMode.VALUE if steps is PLAIN else shape.BigValueColorMode.BACKGROUND
        )
        .graph_mode(shape.BigValueGraphMode.NONE)
        .text_mode(shape.BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .span(width)
        .height(height)
    )
    if decimals is not None:
        panel.decimals(decimals)
    if texts:
        panel.mappings([_texts(texts)])
    return panel


def graph(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str = "short",
    axis: str = "",
    steps: Steps = PLAIN,
    no_value: str = NO_DATA,
    colors: dict[str, str] | None = None,
    stacked: bool = False,
    lines: Iterable[str] = (),
    most: float | None = None,
    width: int = 8,
    height: int = 8,
) -> timeseries.Panel:
    """Values over time. `colors`: by a regular expression on the series' name, the last match wins.

    `lines` are names that stay lines where the others are stacked. Dashed lines show `steps` that
    mean a warning.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets([_target(query, ref=i) for i, query in enumerate(queries)])
        .unit(unit)
        .min(0)
        .axis_label(axis)
        .thresholds(thresholds(steps))
        .no_value(no_value)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1 if stacked else 2)
        .fill_opacity(60 if stacked else 0)
        .show_points(shape.VisibilityMode.AUTO)
        .point_size(4)
        # Faxes are few: a point for each pixel would be noise, a point in 200 has something to say.
        .interval("30s")
        .max_data_points(200)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(shape.LegendDisplayMode.LIST)
            .placement(shape.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(shape.TooltipDisplayMode.MULTI)
            .sort(shape.SortOrder.DESCENDING)
        )
        .span(width)
        .height(height)
    )
    if most is not None:
        panel.max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(shape.StackingMode.NORMAL).group("A"))
    if steps is not PLAIN:
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shape.GraphThresholdsStyleMode.DASHED)
        )
    for name, color in (colors or {}).items():
        panel.override_by_regexp(name, [_fixed(color)])
    for name in lines:
        panel.override_by_name(
            name,
            [
                model.DynamicConfigValue("custom.stacking", {"mode": "none", "group": "B"}),
                model.DynamicConfigValue("custom.fillOpacity", 0),
                model.DynamicConfigValue("custom.lineWidth", 2),
            ],
        )
    return panel


def buckets(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str,
    no_value: str,
    width: int = 8,
    height: int = 8,
) -> heatmap.Panel:
    """A histogram over time: the expression yields a series for each `le`."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(
            _target(Query(expression, "{{le}}")).format(query_model.PromQueryFormat.HEATMAP)
        )
        .unit(unit)
        .thresholds(thresholds(PLAIN))
        .no_value(no_value)
        .interval("30s")
        .max_data_points(60)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .cell_values(heatmap.CellValues().unit("short").decimals(1))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .steps(32)
            .reverse(False)
        )
        .cell_gap(1)
        .show_legend()
        .span(width)
        .height(height)
    )


def ranking(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str = "short",
    steps: Steps = PLAIN,
    no_value: str = NO_DATA,
    width: int = 8,
    height: int = 8,
) -> bargauge.Panel:
    """One bar for each series, over the period that is shown."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets([_target(query, ref=i, instant=True) for i, query in enumerate(queries)])
        .unit(unit)
        .decimals(0)
        .min(0)
        .thresholds(thresholds(steps))
        .no_value(no_value)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .orientation(shape.VizOrientation.HORIZONTAL)
        .display_mode(shape.BarGaugeDisplayMode.BASIC)
        .value_mode(shape.BarGaugeValueMode.TEXT)
        .show_unfilled(True)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .span(width)
        .height(height)
    )


def states(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    texts: dict[str, tuple[str, str]],
    no_value: str = NO_DATA,
    width: int = 12,
    height: int = 7,
) -> statetimeline.Panel:
    """What was in which state when; a gap is a time without data."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets([_target(query, ref=i) for i, query in enumerate(queries)])
        .unit("short")
        .thresholds(thresholds([(0, RED), (1, GREEN)]))
        .mappings([_texts(texts)])
        .no_value(no_value)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .max_data_points(200)
        .show_value(shape.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(shape.LegendDisplayMode.LIST)
            .placement(shape.LegendPlacement.BOTTOM)
        )
        .span(width)
        .height(height)
    )


def rows(
    title: str,
    description: str,
    labels: dict[str, str],
    columns: Sequence[Column],
    *,
    sort: Sequence[tuple[str, bool]] = (),
    no_value: str = NO_DATA,
    width: int = 14,
    height: int = 8,
) -> table.Panel:
    """One row for each set of `labels` (label: title), one column for each expression, as of now.

    `sort` has the titles of columns, and whether their largest value comes first.
    """
    refs = [_ref(i) for i in range(len(columns))]
    # Grafana calls the values Value #A, Value #B, ..., or Value if only one query has an answer;
    # the first column is the one that can have one alone.
    titles = {"Value": columns[0].title} | {
        f"Value #{ref}": column.title for ref, column in zip(refs, columns, strict=True)
    }
    order = [*labels, *titles]
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets(
            [
                _target(Query(column.expression, column.title), ref=i, instant=True).format(
                    query_model.PromQueryFormat.TABLE
                )
                for i, column in enumerate(columns)
            ]
        )
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {name: i for i, name in enumerate(order)},
                    "renameByName": labels | titles,
                },
            )
        )
        .unit("short")
        .thresholds(thresholds(PLAIN))
        .no_value(no_value)
        .cell_height(shape.TableCellHeight.SM)
        .span(width)
        .height(height)
    )
    if sort:
        panel.sort_by(
            [common.TableSortByFieldState().display_name(name).desc(desc) for name, desc in sort]
        )
    for column in columns:
        properties = [
            model.DynamicConfigValue("unit", column.unit),
            model.DynamicConfigValue("noValue", column.no_value),
            model.DynamicConfigValue("custom.align", "right"),
        ]
        if column.decimals is not None:
            properties.append(model.DynamicConfigValue("decimals", column.decimals))
        if column.texts is not None:
            properties.append(model.DynamicConfigValue("mappings", [_texts(column.texts)]))
        if column.steps is not None:
            properties += [
                model.DynamicConfigValue("thresholds", thresholds(column.steps).build()),
                model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ]
        panel.override_by_name(column.title, properties)
    return panel


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


def board(
    uid: str,
    title: str,
    description: str,
    *,
    listed: str,
    since: str,
    peer: bool = False,
) -> build.Dashboard:
    """An empty dashboard with its variables, links and annotations.

    `listed` selects the series whose jobs can be chosen; instances are those that Prometheus
    scrapes for them, since one that has been dead for longer than the period shown has nothing
    else. There is no custom value for All: `.+` would take in the `up` and `process_*` of
    everything else that is scraped.
    """
    dashboard = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .editable()
        .timezone("browser")
        .time(since, "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            build.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
        .with_variable(_variable("job", f"label_values({listed}, job)"))
        .with_variable(_variable("instance", 'label_values(up{job=~"$job"}, instance)'))
    )
    if peer:
        known = 'asterisk_fax_finished_total{job=~"$job", instance=~"$instance"}'
        dashboard.with_variable(
            _variable("peer", f"label_values({known}, peer)")
            .all_value(".*")
            .description("Trunk; only with --metrics.peer-label")
        )
    return dashboard.annotation(_FiringAlerts()).link(
        build.DashboardLink("Fax dashboards")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def by_operation(suffix: str = "") -> dict[str, str]:
    """The colours of series that are named after their operation alone."""
    return {f"/^{name}{suffix}$/": dark for name, (dark, _) in OPERATIONS.items()}


class _FiringAlerts(Builder[model.AnnotationQuery]):
    """Where an alert fired. The SDK's own annotation has neither a Prometheus query nor titles."""

    class _Annotation(model.AnnotationQuery):
        def to_json(self) -> dict[str, object]:
            asked = _target(Query(ALERTS, "")).ref_id("Anno").interval("30s").build()
            return super().to_json() | {
                "target": asked.to_json(),
                "titleFormat": "{{alertname}}",
                "textFormat": "{{instance}} {{severity}}",
            }

    def build(self) -> model.AnnotationQuery:
        return self._Annotation(
            name="Firing alerts",
            datasource=DATASOURCE,
            enable=True,
            hide=False,
            icon_color=RED,
        )


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


def _ref(index: int) -> str:
    return chr(ord("A") + index)


def _target(query: Query, *, ref: int = 0, instant: bool = False) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .expr(query.expression)
        .legend_format(query.legend)
        .ref_id(_ref(ref))
        .datasource(DATASOURCE)
        .editor_mode(query_model.QueryEditorMode.CODE)
    )
    return target.instant() if instant else target.range()


def _texts(texts: dict[str, tuple[str, str]]) -> model.ValueMap:
    return model.ValueMap(
        options={
            value: model.ValueMappingResult(text=text, color=color, index=i)
            for i, (value, (text, color)) in enumerate(texts.items())
        }
    )


def _fixed(color: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})
