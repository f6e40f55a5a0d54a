"""The building blocks of the dashboards: one function for each kind of panel, and their colours.

Thresholds begin with grey. Grafana gives the first colour to a panel without data, and no data
must not look like all well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders import (
    common,
    heatmap,
    prometheus,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as query_model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from grafana.drill import DataLink

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

NO_DATA: Final = "No data: PBX or exporter not reached"
NO_FAXES: Final = "No result: no fax ended, or no data"
NO_PAGES: Final = "No page received, or no data"

DATASOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

OPERATIONS: Final = {
    "send": ("#3274D9", "#8AB8FF"),
    "receive": ("#A352CC", "#CA95E5"),
    "gateway": ("#1A8C8C", "#7CC9C9"),
    "none": ("#7A6A58", "#BFB09C"),
}
"""Colour of an operation in every panel, and a lighter one for sessions that are not Active."""
TRANSPORTS: Final = {"g711": "#E0752D", "t38": "#447EBC", "none": "#A0A0A0"}


LIMIT: Final = "alert above"
"""The name of a line that shows what an alert compares with, as the site's rules have it."""
PAGE_LIMIT: Final = "page above"
"""Of one that wakes somebody."""


@dataclass(frozen=True)
class Query:
    """One expression; `legend` names its series, by Grafana's {{label}} templates."""

    expression: str
    legend: str
    exemplars: bool = False
    """Whether single faxes are shown too, by their Uniqueid."""


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Grey below the first step, which no measured value is."""
    first = model.Threshold(value=None, color=GREY)
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([first, *(model.Threshold(value=value, color=color) for value, color in steps)])
    )


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
    interval: str = "30s",
    links: Sequence[DataLink] = (),
    width: int = 8,
    height: int = 9,
) -> timeseries.Panel:
    """Values over time. `colors`: by a regular expression on the series' name, the last match wins.

    `lines` are names that stay lines where the others are stacked. Dashed lines show `steps` that
    mean a warning. `interval`: the least time that one point stands for.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets([target(query, ref=i) for i, query in enumerate(queries)])
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
        .interval(interval)
        .max_data_points(200)
        .legend(_legend("lastNotNull", "mean", "max"))
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
    for i in with_labels(queries) if links else ():
        panel.override_by_query(ref_id(i), as_override(links))
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
                model.DynamicConfigValue("custom.drawStyle", "line"),
                model.DynamicConfigValue("custom.stacking", {"mode": "none", "group": "B"}),
                model.DynamicConfigValue("custom.fillOpacity", 0),
                model.DynamicConfigValue("custom.lineWidth", 2),
            ],
        )
    for name, color in ((LIMIT, ORANGE), (PAGE_LIMIT, RED)):
        if any(query.legend == name for query in queries):
            panel.override_by_name(
                name,
                [
                    _fixed(color),
                    model.DynamicConfigValue(
                        "custom.lineStyle", {"fill": "dash", "dash": [10, 10]}
                    ),
                    model.DynamicConfigValue("custom.lineWidth", 1),
                ],
            )
    return panel


def bars(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    axis: str,
    no_value: str = NO_DATA,
    colors: dict[str, str] | None = None,
    stacked: bool = True,
    lines: Iterable[str] = (),
    links: Sequence[DataLink] = (),
    days: int = 0,
    width: int = 8,
    height: int = 9,
) -> timeseries.Panel:
    """Counts as bars, each from its time on: an hour where a day is shown, a day where a month is.

    The queries are `promql.bar`. `days`: a bar for each of the last so many days, whatever the
    dashboard shows.
    """
    panel = (
        graph(
            title,
            description,
            queries,
            axis=axis,
            no_value=no_value,
            colors=colors,
            stacked=stacked,
            lines=lines,
            links=links,
            width=width,
            height=height,
        )
        .decimals(0)
        .draw_style(shape.GraphDrawStyle.BARS)
        .bar_alignment(shape.BarAlignment.AFTER)
        .fill_opacity(80)
        .line_width(1)
        .show_points(shape.VisibilityMode.NEVER)
        # So few that Grafana rounds a day to hours and a month to days. Less than ten minutes has
        # too few scrapes for `promql.bar` to be exact.
        .interval("1d" if days else "10m")
        .max_data_points(2 * days or 30)
        .legend(_legend("sum"))
    )
    return panel.time_from(f"{days}d") if days else panel


def buckets(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str,
    no_value: str,
    exemplars: bool = False,
    width: int = 8,
    height: int = 9,
) -> heatmap.Panel:
    """A histogram over time: the expression yields a series for each `le`."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(
            target(Query(expression, "{{le}}", exemplars)).format(
                query_model.PromQueryFormat.HEATMAP
            )
        )
        .unit(unit)
        .thresholds(thresholds(PLAIN))
        .no_value(no_value)
        .interval("10m")
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
        .targets([target(query, ref=i) for i, query in enumerate(queries)])
        .unit("short")
        .thresholds(thresholds([(0, RED), (1, GREEN)]))
        .mappings([mapped(texts)])
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


def by_operation(suffix: str = "") -> dict[str, str]:
    """The colours of series that are named after their operation alone."""
    return {f"/^{name}{suffix}$/": dark for name, (dark, _) in OPERATIONS.items()}


def ref_id(index: int) -> str:
    """The name of a panel's query: A, B, ..."""
    return chr(ord("A") + index)


def target(query: Query, *, ref: int = 0, instant: bool = False) -> prometheus.Dataquery:
    """A query as Grafana asks it; `instant`: for one time alone."""
    asked = (
        prometheus.Dataquery()
        .expr(query.expression)
        .legend_format(query.legend)
        .ref_id(ref_id(ref))
        .datasource(DATASOURCE)
        .editor_mode(query_model.QueryEditorMode.CODE)
    )
    if query.exemplars:
        asked.exemplar(True)
    return asked.instant() if instant else asked.range()


def mapped(texts: dict[str, tuple[str, str]]) -> model.ValueMap:
    """Texts and their colours in place of values."""
    return model.ValueMap(
        options={
            value: model.ValueMappingResult(text=text, color=color, index=i)
            for i, (value, (text, color)) in enumerate(texts.items())
        }
    )


def _legend(*columns: str) -> common.VizLegendOptions:
    """The largest first, so that of many lines the ones that matter are seen."""
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(shape.LegendDisplayMode.TABLE)
        .placement(shape.LegendPlacement.BOTTOM)
        .calcs(list(columns))
        .sort_by({"lastNotNull": "Last *", "sum": "Total"}[columns[0]])
        .sort_desc(True)
    )


def with_labels(queries: Sequence[Query]) -> list[int]:
    """Those whose series have labels, by which a link can lead on."""
    return [i for i, query in enumerate(queries) if "{{" in query.legend]


def as_override(links: Sequence[DataLink]) -> list[model.DynamicConfigValue]:
    """Links as the SDK takes them for some of a panel's series."""
    return [model.DynamicConfigValue("links", list(links))]


def _fixed(color: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})
