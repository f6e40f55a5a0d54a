"""Panels change their colour where alerts begin, and by the numbers of the same place."""

from typing import Final

import pytest

from alerts import thresholds
from tests.grafana.boards import PANELS, Json

OBJECTIVE: Final = thresholds.FAILURES_OBJECTIVE.value
WAKES: Final = OBJECTIVE * thresholds.PAGE_BURN
LIMITS: Final = {
    "failures": [(0, "green"), (OBJECTIVE, "orange"), (WAKES, "red")],
    "theirs": [(0, "green"), (thresholds.THEIRS_SHARE.value, "orange")],
    "bad lines": [(0, "green"), (thresholds.BAD_LINES.value, "orange")],
    "fallbacks": [(0, "green"), (thresholds.RATE_FALLBACKS.value, "orange")],
    "waiting": [(0, "green"), (thresholds.PROGRESS_SECONDS.value, "orange")],
}
OF_FIGURES: Final = {
    "Failed, not by the other side": "failures",
    "Share of faxes the line made fail": "failures",
    "Bad lines per received page": "bad lines",
    "Longest without a new page": "waiting",
}
OF_COLUMNS: Final = {
    "Failed": "failures",
    "Failed by the line": "failures",
    "By the other side": "theirs",
    "Bad lines/page": "bad lines",
    "Fallbacks a fax": "fallbacks",
    "No new page for": "waiting",
}
LINES: Final = {
    "What share of faxes fails?": thresholds.FAILURES_OBJECTIVE,
    "Share that fails, by peer": thresholds.FAILURES_OBJECTIVE,
    "Are bad lines getting more?": thresholds.BAD_LINES,
    "Bad lines per received page, by PBX": thresholds.BAD_LINES,
    "Bad lines per received page, by peer": thresholds.BAD_LINES,
    "Oldest fax and longest without a new page": thresholds.PROGRESS_SECONDS,
}


def steps(configured: Json) -> list[tuple[float, str]]:
    return [(step["value"], step["color"]) for step in configured["steps"][1:]]


@pytest.mark.parametrize(("title", "limit"), OF_FIGURES.items())
def test_figures_change_colour_where_alerts_begin(title: str, limit: str) -> None:
    found = [panel for _, panel in PANELS if panel["title"] == title]
    assert found
    for panel in found:
        assert steps(panel["fieldConfig"]["defaults"]["thresholds"]) == LIMITS[limit]


@pytest.mark.parametrize(("column", "limit"), OF_COLUMNS.items())
def test_columns_change_colour_where_alerts_begin(column: str, limit: str) -> None:
    found = [
        one["value"]
        for _, panel in PANELS
        if panel["type"] == "table"
        for override in panel["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == column
        for one in override["properties"]
        if one["id"] == "thresholds"
    ]
    assert found
    assert all(steps(configured) == LIMITS[limit] for configured in found)


@pytest.mark.parametrize(("title", "threshold"), LINES.items())
def test_graphs_show_the_threshold_that_the_site_has(
    title: str, threshold: thresholds.Threshold
) -> None:
    (panel,) = (panel for _, panel in PANELS if panel["title"] == title)
    drawn = {t["legendFormat"]: t["expr"] for t in panel["targets"]}
    assert drawn["alert above"] == f"min({threshold.series})"
    if threshold is thresholds.FAILURES_OBJECTIVE:
        assert drawn["page above"] == f"{thresholds.PAGE_BURN} * min({threshold.series})"
    # And no other line that may say something else.
    assert panel["fieldConfig"]["defaults"]["custom"].get("thresholdsStyle") is None


def test_what_wakes_somebody_is_red() -> None:
    (panel,) = (p for _, p in PANELS if p["title"] == "Failed, not by the other side")
    share = 0.115
    colors = [
        c for least, c in steps(panel["fieldConfig"]["defaults"]["thresholds"]) if share >= least
    ]
    assert share > WAKES
    assert colors[-1] == "red"
