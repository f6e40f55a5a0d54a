"""Draws a dashboard from the real results of its panels' queries, without a Grafana.

    python -m tools.render --prometheus http://127.0.0.1:9090 --last 30m \
        grafana/dashboards/fax-overview.json docs/fax-overview.png

Not a Grafana screenshot, and the picture says so. Needs matplotlib.
"""

import argparse
import json
import math
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tools.panel_data import PanelData, Series

Json: TypeAlias = dict[str, Any]

CAPTION: Final = (
    "A rendering of the results of the panels' own queries, drawn with matplotlib in the layout of "
    "the dashboard. Not a Grafana screenshot."
)

WIDTH: Final = 18.0
UNIT: Final = 0.42
"""Height of one row of the grid, inches."""
GAP: Final = 0.045
HEADER: Final = 0.75
FOOTER: Final = 0.45

PAGE: Final = "#F0F2F5"
CARD: Final = "#FFFFFF"
EDGE: Final = "#D8DCE3"
INK: Final = "#22272E"
FAINT: Final = "#69717D"
GRID: Final = "#E9ECF0"
COLORS: Final = {
    "green": "#3E9B45",
    "yellow": "#D9A514",
    "#EAB839": "#E0A800",
    "orange": "#EB7B18",
    "red": "#D62F3F",
    "blue": "#3274D9",
    "#8E8E8E": "#868E99",
}
SERIES_COLORS: Final = (
    "#3274D9",
    "#E0752D",
    "#3E9B45",
    "#A352CC",
    "#D9A514",
    "#1A8C8C",
    "#C4377F",
    "#7A6A58",
    "#6D83A8",
    "#8AA63A",
)


def draw(dashboard: Json, source: PanelData, path: Path) -> None:
    """Query every panel that is not in a collapsed row, and write the picture."""
    mpl.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 8,
            "axes.edgecolor": EDGE,
            "text.color": INK,
            "svg.fonttype": "none",
        }
    )
    source.choose(dashboard)
    panels = dashboard["panels"]
    rows = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    figure = Figure(figsize=(WIDTH, HEADER + rows * UNIT + FOOTER), facecolor=PAGE)
    FigureCanvasAgg(figure)
    _header(figure, dashboard, source)
    alerts = _alerts(dashboard, source)
    for panel in panels:
        card = Card(figure, panel["gridPos"])
        if panel["type"] == "row":
            inner = len(panel.get("panels", ()))
            folded = f"   ({inner} panels, collapsed)" if panel.get("collapsed") else ""
            card.heading(("▸ " if folded else "▾ ") + panel["title"] + folded)
        else:
            DRAWERS[panel["type"]](card, panel, source, alerts)
    fired = ", ".join(sorted({name for _, name in alerts}))
    caption = f"{CAPTION} Red marks: {fired} began to fire." if fired else CAPTION
    figure.text(
        GAP * 2 / WIDTH, 0.16 / figure.get_figheight(), caption, color=FAINT, style="italic", size=9
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, facecolor=PAGE)


class Card:
    """The place of one panel in the picture; offsets are inches from its lower left corner."""

    def __init__(self, figure: Figure, grid: dict[str, int]) -> None:
        self.figure = figure
        across, down = WIDTH / 24, figure.get_figheight()
        self.width = grid["w"] * across - 2 * GAP
        self.height = grid["h"] * UNIT - 2 * GAP
        self.left = grid["x"] * across + GAP
        self.bottom = down - HEADER - (grid["y"] + grid["h"]) * UNIT + GAP

    def background(self, color: str = CARD) -> None:
        """The panel's own rectangle."""
        self.figure.add_artist(
            FancyBboxPatch(
                (self.left / WIDTH, self.bottom / self.figure.get_figheight()),
                self.width / WIDTH,
                self.height / self.figure.get_figheight(),
                boxstyle="round,pad=0,rounding_size=0.002",
                mutation_aspect=WIDTH / self.figure.get_figheight(),
                facecolor=color,
                edgecolor=EDGE if color == CARD else color,
                linewidth=0.8,
                zorder=-1,
            )
        )

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Text at an offset."""
        self.figure.text(
            (self.left + x) / WIDTH, (self.bottom + y) / self.figure.get_figheight(), text, **style
        )

    def title(self, text: str, color: str = INK) -> None:
        """The panel's title, at its top."""
        self.text(0.1, self.height - 0.1, text, size=9, weight="bold", va="top", color=color)

    def heading(self, text: str) -> None:
        """The title of a row of panels."""
        self.text(0.05, self.height / 2, text, size=11, weight="bold", va="center")

    def nothing(self, panel: Json) -> None:
        """What stands in a panel that has no data."""
        text = panel["fieldConfig"]["defaults"]["noValue"]
        middle = (self.width / 2, self.height / 2 - 0.1)
        self.text(*middle, text, size=9, ha="center", va="center", color=FAINT)

    def axes(self, left: float, bottom: float, right: float = 0.15, top: float = 0.38) -> Axes:
        """Axes inside, with these margins."""
        height = self.figure.get_figheight()
        axes = self.figure.add_axes(
            (
                (self.left + left) / WIDTH,
                (self.bottom + bottom) / height,
                (self.width - left - right) / WIDTH,
                (self.height - bottom - top) / height,
            )
        )
        axes.set_facecolor(CARD)
        axes.tick_params(labelsize=7.5, colors=FAINT, length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        return axes


def _header(figure: Figure, dashboard: Json, source: PanelData) -> None:
    height = figure.get_figheight()
    figure.text(
        GAP * 2 / WIDTH, 1 - 0.16 / height, dashboard["title"], size=17, weight="bold", va="top"
    )
    figure.text(
        GAP * 2 / WIDTH, 1 - 0.48 / height, dashboard["description"], size=9, color=FAINT, va="top"
    )
    chosen = "    ".join(
        f"{name}: {'all' if value == '.*' else ', '.join(value.replace(chr(92), '').split('|'))}"
        for name, value in source.variables.items()
    )
    begin, end = (datetime.fromtimestamp(at, UTC) for at in (source.start, source.end))
    period = f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
    right = 1 - GAP * 2 / WIDTH
    figure.text(right, 1 - 0.18 / height, period, size=10, ha="right", va="top", weight="bold")
    figure.text(right, 1 - 0.48 / height, chosen, size=9, ha="right", va="top", color=FAINT)


def _alerts(dashboard: Json, source: PanelData) -> list[tuple[float, str]]:
    """When which alert began to fire."""
    step = max((source.end - source.start) / 500, 1)
    found = []
    for annotation in dashboard["annotations"]["list"]:
        for one in source.over_time(annotation["target"]["expr"], step):
            before = -math.inf
            for at in one.times:
                if at - before > 1.5 * step:
                    found.append((at, one.labels["alertname"]))
                before = at
    return found


def _date(at: float) -> float:
    return float(date2num(datetime.fromtimestamp(at, UTC)))  # type: ignore[no-untyped-call]


def _color(name: str) -> str:
    return COLORS.get(name, name)


def _readable_on(background: str) -> str:
    red, green, blue = to_rgb(background)
    return INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.72 else "#FFFFFF"


def _step_color(value: float, steps: Sequence[Json]) -> str:
    color = steps[0]["color"]
    for step in steps[1:]:
        if value >= step["value"]:
            color = step["color"]
    return _color(color)


def _mapped(value: float, mappings: Sequence[Json]) -> Json | None:
    key = f"{value:g}"
    return next((m["options"][key] for m in mappings if key in m["options"]), None)


def formatted(value: float, unit: str, decimals: int | None = None) -> str:
    """A value about as Grafana would write it."""
    if math.isnan(value):
        return "NaN"
    if unit == "percentunit":
        percent = 100 * value
        return f"{percent:.{decimals}f} %" if decimals is not None else f"{percent:.3g} %"
    if unit == "s":
        return _duration(value, decimals)
    if unit == "bps":
        return f"{value / 1000:.3g} kb/s" if value >= 1000 else f"{value:.0f} b/s"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _duration(value: float, decimals: int | None) -> str:
    for length, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(value) >= 2 * length:
            return f"{value / length:.3g} {name}"
    if 0 < abs(value) < 0.1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.{decimals}f} s" if decimals is not None else f"{value:.3g} s"


def _legend(template: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template).strip()


def _name_matches(matcher: Json, name: str) -> bool:
    if matcher["id"] == "byName":
        return bool(matcher["options"] == name)
    pattern = matcher["options"].removeprefix("/").removesuffix("/")
    return re.search(pattern, name) is not None


def _overridden(panel: Json, name: str) -> Json:
    """The field configuration of one series or column: the defaults, then what overrides them."""
    properties = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"]["overrides"]:
        if _name_matches(override["matcher"], name):
            properties |= {one["id"]: one["value"] for one in override["properties"]}
    return properties


def _named(panel: Json, source: PanelData, step: float) -> list[tuple[str, Series]]:
    """Every series of a panel, under the name its legend gives it."""
    return [
        (_legend(target["legendFormat"], one.labels), one)
        for target in panel["targets"]
        for one in source.over_time(target["expr"], step)
    ]


def _interval(panel: Json, source: PanelData) -> float:
    least = float(panel.get("interval", "1s").removesuffix("s"))
    return max(least, (source.end - source.start) / float(panel.get("maxDataPoints", 200)))


def _stat(card: Card, panel: Json, source: PanelData, _: object) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    steps = defaults["thresholds"]["steps"]
    found = source.now(panel["targets"][0]["expr"])
    if found:
        value = found[0].values[0]
        mapped = _mapped(value, defaults.get("mappings", ()))
        text = (
            mapped["text"]
            if mapped
            else formatted(value, defaults["unit"], defaults.get("decimals"))
        )
        color = _color(mapped["color"]) if mapped else _step_color(value, steps)
    else:
        text, color = defaults["noValue"], _color(steps[0]["color"])
    filled = panel["options"]["colorMode"] == "background"
    card.background(color if filled else CARD)
    card.title(panel["title"], _readable_on(color) if filled else INK)
    ink = _readable_on(color) if filled else color
    size = 28 if len(text) < 8 else 20
    middle = (card.width / 2, card.height / 2 - 0.12)
    card.text(*middle, text, size=size, weight="bold", ha="center", va="center", color=ink)


def _timeseries(
    card: Card, panel: Json, source: PanelData, alerts: Sequence[tuple[float, str]]
) -> None:
    card.background()
    card.title(panel["title"])
    step = _interval(panel, source)
    found = _named(panel, source, step)
    if not found:
        card.nothing(panel)
        return
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    steps = round((source.end - source.start) / step) + 1
    grid = [source.start + i * step for i in range(steps)]
    when = [_date(at) for at in grid]
    legend_lines = _legend_rows(card, [name for name, _ in found])
    axes = card.axes(0.72, 0.36 + 0.17 * legend_lines)
    base = [0.0] * steps
    for i, (name, one) in enumerate(found):
        properties = _overridden(panel, name)
        color = SERIES_COLORS[i % len(SERIES_COLORS)]
        if properties.get("color", {}).get("mode") == "fixed":
            color = _color(properties["color"]["fixedColor"])
        at = {
            round((t - source.start) / step): v for t, v in zip(one.times, one.values, strict=True)
        }
        values = [at.get(k, math.nan) for k in range(steps)]
        stacking = properties.get("custom.stacking", custom.get("stacking", {}))
        if stacking.get("mode") == "normal":
            top = [b + (0 if math.isnan(v) else v) for b, v in zip(base, values, strict=True)]
            axes.fill_between(when, base, top, color=color, alpha=0.75, linewidth=0, label=name)
            base = top
            continue
        alone = [
            k
            for k in range(steps)
            if not math.isnan(values[k])
            and (k == 0 or math.isnan(values[k - 1]))
            and (k == steps - 1 or math.isnan(values[k + 1]))
        ]
        axes.plot(when, values, color=color, linewidth=1.6, label=name, zorder=3)
        axes.scatter([when[k] for k in alone], [values[k] for k in alone], s=9, color=color)
        if properties.get("custom.fillOpacity", custom.get("fillOpacity")):
            axes.fill_between(when, 0, values, color=color, alpha=0.08, linewidth=0)
    _scale(axes, defaults)
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        for threshold in defaults["thresholds"]["steps"][2:]:
            if threshold["value"] < axes.get_ylim()[1]:
                axes.axhline(
                    threshold["value"],
                    color=_color(threshold["color"]),
                    linestyle=(0, (5, 4)),
                    lw=1,
                )
    _time_axis(axes, source)
    for at_time, _name in alerts:
        x = _date(at_time)
        axes.axvline(x, color=COLORS["red"], linestyle=(0, (2, 2)), linewidth=0.9, alpha=0.8)
        axes.plot([x], [0], marker="^", color=COLORS["red"], markersize=5, clip_on=False, zorder=5)
    if custom.get("axisLabel"):
        axes.set_ylabel(custom["axisLabel"], size=7.5, color=FAINT)
    _draw_legend(card, axes)


def _scale(axes: Axes, defaults: Json) -> None:
    axes.set_ylim(bottom=0)
    top = 1.04 * axes.get_ylim()[1]
    axes.set_ylim(top=top)
    if "max" in defaults:
        axes.set_ylim(top=defaults["max"] * 1.02)
    elif top <= 0.06 and defaults["unit"] == "short":
        axes.set_ylim(top=1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: formatted(v, defaults["unit"])))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _time_axis(axes: Axes, source: PanelData) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    dates = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(dates)
    axes.set_xlim(
        _date(source.start),
        _date(source.end),
    )


def _legend_columns(card: Card, names: Sequence[str]) -> int:
    widest = max(len(name) for name in names) * 0.068 + 0.4
    return max(1, min(len(names), int((card.width - 0.2) / widest)))


def _legend_rows(card: Card, names: Sequence[str]) -> int:
    return math.ceil(len(names) / _legend_columns(card, names))


def _draw_legend(card: Card, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    legend = card.figure.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(
            (card.left + 0.02) / WIDTH,
            card.bottom / card.figure.get_figheight(),
        ),
        ncols=_legend_columns(card, names),
        fontsize=7.5,
        frameon=False,
        handlelength=1.1,
        handleheight=0.6,
        columnspacing=1.2,
        labelspacing=0.25,
    )
    for text in legend.get_texts():
        text.set_color(INK)


def per_bucket(cumulative: Sequence[Sequence[float]]) -> list[list[float]]:
    """What is in each bucket alone: those of Prometheus contain the ones below them."""
    below = [[0.0] * len(cumulative[0]), *cumulative]
    return [
        [here - under for here, under in zip(row, lower, strict=True)]
        for row, lower in zip(cumulative, below[:-1], strict=True)
    ]


def _heatmap(card: Card, panel: Json, source: PanelData, _: object) -> None:
    card.background()
    card.title(panel["title"])
    step = _interval(panel, source)
    found = source.over_time(panel["targets"][0]["expr"], step)
    found.sort(key=lambda one: float(one.labels["le"]))
    if not found:
        card.nothing(panel)
        return
    columns = round((source.end - source.start) / step) + 1
    cumulative = []
    for one in found:
        at = {
            round((t - source.start) / step): v for t, v in zip(one.times, one.values, strict=True)
        }
        cumulative.append([at.get(k, 0.0) for k in range(columns)])
    cells = [[n if n > 1e-9 else math.nan for n in row] for row in per_bucket(cumulative)]
    axes = card.axes(0.85, 0.36, right=0.55)
    left = [_date(source.start + (k - 0.5) * step) for k in range(columns + 1)]
    colors = LinearSegmentedColormap.from_list("blues", ["#D6E6FA", "#3274D9", "#0B2F6B"])
    mesh = axes.pcolormesh(left, range(len(found) + 1), cells, cmap=colors, vmin=0)
    mesh.set_edgecolor(CARD)
    mesh.set_linewidth(0.4)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    bounds = [float(one.labels["le"]) for one in found]
    names = [
        formatted(bound, unit) if math.isfinite(bound) else f"> {formatted(bounds[-2], unit)}"
        for bound in bounds
    ]
    axes.set_yticks([i + 0.5 for i in range(len(found))], names, size=7)
    _time_axis(axes, source)
    bar = card.figure.colorbar(mesh, ax=axes, fraction=0.03, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, colors=FAINT, length=0)
    bar.locator = MaxNLocator(nbins=4)
    bar.update_ticks()


def _bargauge(card: Card, panel: Json, source: PanelData, _: object) -> None:
    card.background()
    card.title(panel["title"])
    found = [
        (_legend(target["legendFormat"], one.labels), one.values[0])
        for target in panel["targets"]
        for one in source.now(target["expr"])
    ]
    if not found:
        card.nothing(panel)
        return
    defaults = panel["fieldConfig"]["defaults"]
    most = max(1.0, *(value for _, value in found))
    height = min(0.42, (card.height - 0.5) / len(found))
    name_width = min(card.width * 0.5, 0.25 + 0.072 * max(len(name) for name, _ in found))
    room = card.width - name_width - 0.75
    for i, (name, value) in enumerate(found):
        y = card.height - 0.48 - (i + 0.5) * height
        card.text(name_width - 0.1, y, name, size=8.5, ha="right", va="center")
        color = _step_color(value, defaults["thresholds"]["steps"])
        for width, shade in ((room, GRID), (room * value / most, color)):
            _bar(card, name_width, y - height * 0.33, width, height * 0.66, shade)
        text = formatted(value, defaults["unit"], defaults.get("decimals"))
        card.text(
            card.width - 0.12, y, text, size=10, weight="bold", ha="right", va="center", color=color
        )


def _bar(card: Card, x: float, y: float, width: float, height: float, color: str) -> None:
    down = card.figure.get_figheight()
    card.figure.add_artist(
        Rectangle(
            ((card.left + x) / WIDTH, (card.bottom + y) / down),
            width / WIDTH,
            height / down,
            facecolor=color,
            edgecolor="none",
        )
    )


def _states(card: Card, panel: Json, source: PanelData, _: object) -> None:
    card.background()
    card.title(panel["title"])
    step = (source.end - source.start) / 200
    found = _named(panel, source, step)
    if not found:
        card.nothing(panel)
        return
    found.sort(key=lambda pair: pair[0], reverse=True)
    defaults = panel["fieldConfig"]["defaults"]
    widest = max(len(name) for name, _ in found)
    axes = card.axes(0.2 + 0.068 * widest, 0.55)
    day = 86400
    texts: dict[str, str] = {}
    for row, (_, one) in enumerate(found):
        for at, value in zip(one.times, one.values, strict=True):
            mapped = _mapped(value, defaults["mappings"])
            assert mapped is not None, f"{panel['title']}: {value} has no text"
            texts[mapped["text"]] = _color(mapped["color"])
            x = _date(at)
            # A hair wider than a step, or anti-aliasing leaves light stripes between two.
            axes.broken_barh(
                [(x - step / day / 2, step * 1.05 / day)], (row - 0.36, 0.72),
                color=_color(mapped["color"]), linewidth=0,
            )  # fmt: skip
    axes.set_yticks(range(len(found)), [name for name, _ in found])
    axes.set_ylim(-0.6, len(found) - 0.4)
    _time_axis(axes, source)
    for text, color in texts.items():
        axes.plot([], [], color=color, linewidth=6, label=text)
    _draw_legend(card, axes)


def _table(card: Card, panel: Json, source: PanelData, _: object) -> None:
    card.background()
    card.title(panel["title"])
    organize = next(t for t in panel["transformations"] if t["id"] == "organize")["options"]
    titles: dict[str, str] = organize["renameByName"]
    labels = [name for name in organize["indexByName"] if not name.startswith("Value")]
    merged: dict[tuple[str, ...], dict[str, float]] = {}
    values = [f"Value #{target['refId']}" for target in panel["targets"]]
    for value, target in zip(values, panel["targets"], strict=True):
        for one in source.now(target["expr"]):
            key = tuple(one.labels.get(label, "") for label in labels)
            merged.setdefault(key, {})[value] = one.values[0]
    if not merged:
        card.nothing(panel)
        return
    named = [i for i, _ in enumerate(labels) if any(key[i] for key in merged)]
    rows = list(merged.items())
    for sort in reversed(panel["options"].get("sortBy") or ()):
        by = next(value for value in values if titles[value] == sort["displayName"])
        rows.sort(key=lambda row: row[1].get(by, -math.inf), reverse=sort["desc"])
    weights = [3 + max(len(titles[labels[i]]), *(len(key[i]) for key in merged)) for i in named] + [
        3 + max(6, len(titles[value])) for value in values
    ]
    edges = [0.12]
    for share in weights:
        edges.append(edges[-1] + share / sum(weights) * (card.width - 0.24))
    y = card.height - 0.5
    heading: dict[str, Any] = {"size": 8, "color": FAINT, "weight": "bold"}
    for edge, i in enumerate(named):
        card.text(edges[edge], y, titles[labels[i]], **heading)
    for edge, value in enumerate(values, len(named) + 1):
        card.text(edges[edge], y, titles[value], ha="right", **heading)
    room = int((card.height - 0.62) / 0.27)
    for key, cells in rows[:room]:
        y -= 0.27
        _bar(card, 0.1, y + 0.19, card.width - 0.2, 0.008, GRID)
        for edge, i in enumerate(named):
            card.text(edges[edge], y, key[i], size=9)
        for edge, value in enumerate(values, len(named) + 1):
            text, color = _cell(panel, titles[value], cells.get(value))
            weight = "bold" if color != INK else "normal"
            card.text(edges[edge], y, text, size=9, color=color, ha="right", weight=weight)
    if len(rows) > room:
        card.text(0.12, 0.06, f"and {len(rows) - room} more", size=7.5, color=FAINT)


def _cell(panel: Json, title: str, value: float | None) -> tuple[str, str]:
    properties = _overridden(panel, title)
    if value is None:
        return properties["noValue"], FAINT
    if mapped := _mapped(value, properties.get("mappings", ())):
        return mapped["text"], _color(mapped["color"])
    text = formatted(value, properties["unit"], properties.get("decimals"))
    if "custom.cellOptions" not in properties:
        return text, INK
    return text, _step_color(value, properties["thresholds"]["steps"])


Drawer: TypeAlias = Callable[[Card, Json, PanelData, Sequence[tuple[float, str]]], None]
DRAWERS: Final[dict[str, Drawer]] = {
    "stat": _stat,
    "timeseries": _timeseries,
    "heatmap": _heatmap,
    "bargauge": _bargauge,
    "state-timeline": _states,
    "table": _table,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dashboard", type=Path, help="JSON of a dashboard")
    parser.add_argument("picture", type=Path, help="PNG or SVG to write")
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument("--end", type=float, default=time.time(), help="seconds since the epoch")
    parser.add_argument("--last", default="1h", help="period before the end: 90s, 15m, 6h, 1d")
    parser.add_argument(
        "--scrape-interval", type=float, default=15, metavar="SECONDS",
        help="as in the settings of Grafana's data source, for $__rate_interval",
    )  # fmt: skip
    given = parser.parse_args()
    period = re.fullmatch(r"(\d+)([smhd])", given.last)
    if period is None:
        parser.error(f"--last {given.last}: not a number and one of s, m, h, d")
    seconds = int(period[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[period[2]]
    source = PanelData(given.prometheus, given.end - seconds, given.end, given.scrape_interval)
    draw(json.loads(given.dashboard.read_text(encoding="utf-8")), source, given.picture)


if __name__ == "__main__":
    main()
