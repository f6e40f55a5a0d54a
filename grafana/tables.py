"""Tables of the dashboards: a row for each PBX, peer or alert, the worst first, in pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as query_model

from grafana.drill import DataLink
from grafana.limits import FAILURES
from grafana.limits import THEIRS as THEIRS_SHARE
from grafana.panels import (
    DATASOURCE,
    NO_DATA,
    PLAIN,
    Query,
    Steps,
    mapped,
    ref_id,
    target,
    thresholds,
)

UNSEEN: Final = ("Time", "container", "endpoint", "pod", "prometheus", "rules", "service")
"""Columns that tell no PBX from another: how Kubernetes scrapes it, and which rules recorded it."""


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


def failing(ours: str, theirs: str) -> tuple[Column, Column]:
    """The shares of faxes that failed for reasons of this side or the line, and of the other's."""
    nothing = "no results"
    return (
        Column("Failed", ours, "percentunit", FAILURES, nothing, decimals=1),
        Column("By the other side", theirs, "percentunit", THEIRS_SHARE, nothing, decimals=1),
    )


def rows(
    title: str,
    description: str,
    labels: dict[str, str],
    columns: Sequence[Column],
    *,
    sort: Sequence[tuple[str, bool]],
    links: Mapping[str, Sequence[DataLink]] | None = None,
    no_value: str = NO_DATA,
    width: int = 24,
    height: int = 10,
) -> table.Panel:
    """One row for each set of labels, one column for each expression, as of now.

    `labels` are those that have a title; others that a site has follow as they are. `sort` has the
    titles of columns, the most important first, and whether their largest value comes first.
    `links`: by the titles of columns.
    """
    refs = [ref_id(i) for i in range(len(columns))]
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
                target(Query(column.expression, column.title), ref=i, instant=True).format(
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
                    "excludeByName": dict.fromkeys(UNSEEN, True),
                    "indexByName": {name: i for i, name in enumerate(order)},
                    "renameByName": labels | titles,
                },
            )
        )
        .unit("short")
        .thresholds(thresholds(PLAIN))
        .no_value(no_value)
        .cell_height(shape.TableCellHeight.SM)
        .sort_by(
            [common.TableSortByFieldState().display_name(name).desc(desc) for name, desc in sort]
        )
        .span(width)
        .height(height)
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
            properties.append(model.DynamicConfigValue("mappings", [mapped(column.texts)]))
        if column.steps is not None:
            properties += [
                model.DynamicConfigValue("thresholds", thresholds(column.steps).build()),
                model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ]
        panel.override_by_name(column.title, properties)
    for name, to in (links or {}).items():
        panel.override_by_name(name, [model.DynamicConfigValue("links", list(to))])
    return panel
