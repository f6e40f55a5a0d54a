"""Panels of what is now, or was in the whole period shown: figures, and bars beside names."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge, common, stat
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model

from grafana.drill import DataLink
from grafana.panels import (
    DATASOURCE,
    NO_DATA,
    PLAIN,
    Query,
    Steps,
    as_override,
    mapped,
    ref_id,
    target,
    thresholds,
    with_labels,
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
        .with_target(target(Query(expression, title), instant=True))
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
        panel.mappings([mapped(texts)])
    return panel


def figures(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    no_value: str = NO_DATA,
    width: int = 12,
    height: int = 4,
) -> stat.Panel:
    """Some counts as of now, each with its name: 5 faxes, 1 failed, 8 pages."""
    return (
        stat_panel(title, description, "", no_value=no_value, decimals=0, width=width)
        .targets([target(query, ref=i, instant=True) for i, query in enumerate(queries)])
        .text_mode(shape.BigValueTextMode.VALUE_AND_NAME)
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
    links: Sequence[DataLink] = (),
    width: int = 8,
    height: int = 9,
) -> bargauge.Panel:
    """One bar for each series, over the period that is shown."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .targets([target(query, ref=i, instant=True) for i, query in enumerate(queries)])
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
    for i in with_labels(queries) if links else ():
        panel.override_by_query(ref_id(i), as_override(links))
    return panel
