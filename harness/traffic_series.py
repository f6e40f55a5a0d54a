"""What the exporter would publish of a simulated PBX: series, with the steps at which they change.

Names and labels are the exporter's; tests/harness/test_traffic_series.py holds them to it. A series
costs as much as it changes, so that a quiet month costs nothing.
"""

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from harness.traffic import (
    AsteriskStops,
    Event,
    Exporter,
    ExporterStops,
    Pbx,
    PrometheusStops,
    ScrapesFail,
    Unreachable,
)

Labels: TypeAlias = tuple[tuple[str, str], ...]


class Kind(Enum):
    """When a series is shown, and when it begins again."""

    TOTAL = "of the exporter; begins at 0 with it"
    STATS = "of FAXStats; begins at 0 with Asterisk, shown while polls succeed"
    GAUGE = "what is now, shown while polls succeed"
    LAST = "what was last, absent until there was one since the exporter began"
    HELD = "as LAST, shown while polls succeed"


@dataclass(slots=True)
class Series:
    """`lives`: what was added (or, of LAST and HELD, what it became; nan is absent) at which step,
    by life of what it begins again with."""

    kind: Kind
    since: float
    """Seconds: not shown before."""
    lives: dict[int, dict[int, float]] = field(default_factory=dict)


class Span(NamedTuple):
    """From a time until another, seconds; the latter is not in it."""

    since: float
    until: float

    def has(self, time: float) -> bool:
        """Whether it is in it."""
        return self.since <= time < self.until


class Spans:
    """Times that do not overlap."""

    def __init__(self, events: Iterable[Event], *kinds: type[Event]) -> None:
        self.all = sorted(
            Span(one.at, one.at + one.lasting) for one in events if isinstance(one, kinds)
        )
        self._since = [span.since for span in self.all]

    def at(self, time: float) -> Span | None:
        """The one that has this time."""
        place = bisect_right(self._since, time) - 1
        return self.all[place] if place >= 0 and self.all[place].has(time) else None

    def after(self, time: float) -> Span | None:
        """The first that begins after this time."""
        place = bisect_right(self._since, time)
        return self.all[place] if place < len(self.all) else None

    def begun(self, time: float) -> int:
        """How many have begun: the number of the life that is then, or begins when it is over."""
        return bisect_right(self._since, time)


class Watch:
    """When one exporter sees its PBX, and Prometheus the exporter."""

    def __init__(self, pbx: Pbx, exporter: Exporter, step: float, steps: int) -> None:
        events = (*pbx.events, *exporter.events)
        self.asterisk = Spans(events, AsteriskStops)
        self.cut = Spans(events, Unreachable)
        self.exporter = Spans(events, ExporterStops)
        self.scrapes = Spans(events, ScrapesFail)
        self.prometheus = Spans(events, PrometheusStops)
        self.listed = Span(pbx.since, pbx.until)
        self.step, self.steps = step, steps
        self.segments = list(self._segments(events))

    def at(self, time: float) -> int:
        """The first step whose scrape can show what happens then."""
        return max(0, math.ceil(time / self.step - 1e-9))

    def runs(self, time: float) -> bool:
        """Whether the exporter does."""
        return self.listed.has(time) and not self.exporter.at(time)

    def sees(self, time: float) -> bool:
        """Whether the exporter sees what happens at the PBX then."""
        return self.runs(time) and not self.cut.at(time) and not self.asterisk.at(time)

    def seen_from(self, time: float) -> float:
        """When it sees the PBX again, seconds."""
        while not self.sees(time):
            over = [
                span.until
                for spans in (self.exporter, self.cut, self.asterisk)
                if (span := spans.at(time))
            ]
            if not over:
                return math.inf if time >= self.listed.until else self.listed.since
            time = max(over)
        return time

    def _segments(self, events: Iterable[Event]) -> Iterator["Segment"]:
        edges = {0.0, *self.listed} | {edge for e in events for edge in (e.at, e.at + e.lasting)}
        firsts = sorted({self.at(edge) for edge in edges if edge < self.step * self.steps})
        for first, end in zip(firsts, [*firsts[1:], self.steps], strict=True):
            time = first * self.step
            listed = self.listed.has(time) and not self.prometheus.at(time)
            scraped = listed and not self.exporter.at(time) and not self.scrapes.at(time)
            yield Segment(
                first=first,
                end=end,
                listed=listed,
                told=not self.prometheus.at(time),
                scraped=scraped,
                up=scraped and self.sees(time),
                exporter=self.exporter.begun(time),
                asterisk=self.asterisk.begun(time),
            )


class Segment(NamedTuple):
    """Steps during which nothing begins or ends, from `first` to before `end`."""

    first: int
    end: int
    listed: bool
    """`up` is written."""
    told: bool
    """That a series is gone is written."""
    scraped: bool
    up: bool
    exporter: int
    """Its life."""
    asterisk: int
    """Its life."""

    def shows(self, series: Series, step: float) -> bool:
        """Whether such a series is scraped."""
        always = series.kind in (Kind.TOTAL, Kind.LAST)
        return (self.scraped if always else self.up) and series.since <= (self.end - 1) * step

    def life(self, kind: Kind) -> int:
        """Which life's values such a series has."""
        if kind is Kind.STATS:
            return self.asterisk
        return self.exporter if kind in (Kind.TOTAL, Kind.LAST) else 0


class Run(NamedTuple):
    """`samples` of them, each higher by `slope` than the one before; None: no sample."""

    value: float | None
    samples: int
    slope: float = 0.0


def runs(series: Series, watch: Watch) -> Iterator[Run]:
    """Its samples in the segments."""
    last = series.kind in (Kind.LAST, Kind.HELD)
    lives = {}
    for life, changes in series.lives.items():
        steps = sorted(changes)
        values = [changes[step] for step in steps]
        lives[life] = steps, values if last else list(accumulate(values))
    for segment in watch.segments:
        first, end = segment.first, segment.end
        if not segment.shows(series, watch.step):
            yield Run(None, end - first)
            continue
        born = max(first, watch.at(series.since) if series.since > 0 else 0)
        if born > first:
            yield Run(None, born - first)
        steps, values = lives.get(segment.life(series.kind), ([], []))
        place = bisect_right(steps, born) - 1
        while born < end:
            value: float | None = values[place] if place >= 0 else None if last else 0.0
            if value is not None and math.isnan(value):
                value = None
            place += 1
            until = min(steps[place], end) if place < len(steps) else end
            yield Run(value, until - born)
            born = until


def text(parts: Iterable[Run], watch: Watch) -> str:
    """As promtool reads it. Where a series ends there is a stale marker, unless nothing is told."""
    written: list[str] = []
    shown = False
    at = 0
    untold = [segment for segment in watch.segments if not segment.told]
    for value, count, slope in _joined(parts):
        if value is not None:
            more = f"{slope:+.10g}" if slope else ""
            repeated = f"{more}x{count - 1}" if count > 1 or more else ""
            written.append(f"{_number(value)}{repeated}")
        else:
            stale = shown and not any(s.first <= at < s.end for s in untold)
            if stale:
                written.append("stale")
            if count > stale:
                written.append(f"_x{count - stale}")
        shown = value is not None
        at += count
    return " ".join(written)


def _joined(parts: Iterable[Run]) -> Iterator[Run]:
    """Neighbours that are the same are one; runs of no sample are left out."""
    open_: Run | None = None
    for part in parts:
        if part.samples <= 0:
            continue
        if open_ and open_.value == part.value and not open_.slope and not part.slope:
            open_ = Run(open_.value, open_.samples + part.samples)
            continue
        if open_:
            yield open_
        open_ = part
    if open_:
        yield open_


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.10g}"


class Collected:
    """The series of one PBX as one exporter publishes them, those whose names are wanted."""

    def __init__(self, watch: Watch, wanted: Callable[[str], bool]) -> None:
        self.watch = watch
        self.series: dict[tuple[str, Labels], Series] = {}
        self.wants = wanted

    def open(
        self, name: str, labels: Labels = (), kind: Kind = Kind.TOTAL, since: float = -math.inf
    ) -> None:
        """A series that is there, with 0, whatever happens; nothing if it is already."""
        if self.wants(name) and (name, labels) not in self.series:
            self.series[name, labels] = Series(kind, since)

    def add(self, name: str, labels: Labels, time: float, amount: float = 1) -> None:
        """What a series that was opened counts, or of LAST and HELD what it becomes."""
        series = self.series.get((name, labels))
        if series is None:
            assert not self.wants(name), (name, labels)
            return
        watch, life = self.watch, 0
        if series.kind is Kind.STATS:
            life = watch.asterisk.begun(time)
        elif series.kind in (Kind.TOTAL, Kind.LAST):
            life = watch.exporter.begun(time)
        changes = series.lives.setdefault(life, {})
        step = watch.at(time)
        if series.kind in (Kind.LAST, Kind.HELD):
            changes[step] = amount
        else:
            changes[step] = changes.get(step, 0.0) + amount


def smallest(
    spans: Collection[tuple[float, float, float]],
) -> Iterator[tuple[float, float]]:
    """When the smallest value of those that are there changes, and what it is then; nan: none.

    `spans`: since, until, value.
    """
    waiting = sorted(spans)
    here: list[tuple[float, float]] = []
    shown = math.nan
    moments: Sequence[float] = sorted(
        {edge for since, until, _ in waiting for edge in (since, until)}
    )
    place = 0
    for moment in moments:
        while place < len(waiting) and waiting[place][0] <= moment:
            _, until, value = waiting[place]
            heapq.heappush(here, (value, until))
            place += 1
        while here and here[0][1] <= moment:
            heapq.heappop(here)
        least = here[0][0] if here else math.nan
        if least != shown and not (math.isnan(least) and math.isnan(shown)):
            yield moment, least
            shown = least
