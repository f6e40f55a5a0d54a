"""Faxes of a PBX over hours to weeks, from a seed, and what happens to it and its watchers.

Plain values: harness/traffic_series.py makes of them what the exporter would publish. Times are
seconds since the epoch, as promtool counts them: 0 is a Thursday, midnight UTC.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple, TypeAlias

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
WEEK: Final = 7 * DAY
MONDAY: Final = 4 * DAY
"""The first Monday, 0:00: a Thursday and a Friday with faxes come before it."""
SETUP: Final = 12.0
"""From the start of a session to its first page, seconds: tones, training, agreement."""

THEIRS: Final = ("no_fax", "not_accepted")
"""Reasons of failures that are neither ours nor the line's."""


class Fax(NamedTuple):
    """One fax. `reason` None: it ended well. Rates in bit/s, times in seconds."""

    begin: float
    operation: str = "receive"
    transport: str = "t38"
    peer: str = "PJSIP/trunk"
    reason: str | None = None
    pages: int = 1
    bad_lines: int = 0
    """Of all its pages together."""
    rejected: int = 0
    """Pages that were refused for too many bad lines; they are not among `pages`."""
    page_seconds: float = 30.0
    ecm: bool = True
    data_rate: int = 14400
    fallbacks: int = 0
    begins: bool = True
    """False: attempted, and never begun, as when T.38 cannot be negotiated."""

    @property
    def end(self) -> float:
        """When it is over, unless Asterisk stops before."""
        return self.begin + SETUP + (self.pages + self.rejected) * self.page_seconds


# What happens, beside faxes. All take `at` and `lasting`, seconds.


@dataclass(frozen=True)
class AsteriskStops:
    """A restart or crash, or a PBX that is switched off: running faxes are dropped and tell
    nothing, none begin, FAXStats begin again."""

    at: float
    lasting: float = 20.0


@dataclass(frozen=True)
class Unreachable:
    """No network between exporter and PBX: faxes go on, and their completions are unobserved."""

    at: float
    lasting: float


@dataclass(frozen=True)
class ExporterStops:
    """A restart of the exporter, or its machine is off: scrapes fail, its totals begin again."""

    at: float
    lasting: float = 20.0


@dataclass(frozen=True)
class ScrapesFail:
    """Prometheus does not reach the exporter, which goes on."""

    at: float
    lasting: float


@dataclass(frozen=True)
class PrometheusStops:
    """Nothing is scraped, not even `up` is written."""

    at: float
    lasting: float


Event: TypeAlias = AsteriskStops | Unreachable | ExporterStops | ScrapesFail | PrometheusStops


@dataclass(frozen=True)
class Exporter:
    """One exporter that watches a PBX; `labels` are what sets it apart from others that do."""

    labels: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Event] = ()


@dataclass(frozen=True)
class Pbx:
    """A PBX with its faxes, and the exporters that watch it: one, or several for HA."""

    faxes: Sequence[Fax]
    events: Sequence[Event] = ()
    labels: Mapping[str, str] = field(
        default_factory=lambda: {"job": "asterisk-fax", "instance": "fax-berlin"}
    )
    exporters: Sequence[Exporter] = (Exporter(),)
    peer_label: bool = False
    """--metrics.peer-label."""
    since: float = 0.0
    """When it appears in service discovery."""
    until: float = math.inf
    """When it goes from there."""


World: TypeAlias = Sequence[Pbx]

# When faxes come.

Curve: TypeAlias = Callable[[float], float]
"""How busy a moment is: 1 is the mean of a busy day, 0 is never."""

_OFFICE_HOURS: Final = (1.2, 1.8, 2.2, 2.0, 1.0, 1.2, 1.8, 1.8, 1.2, 0.8)
"""From 8 to 18: a late morning, lunch, an afternoon. Their relations count only."""


_SLOT: Final = 900.0
"""For so long a curve is taken as it is at the beginning, seconds."""


def weekday(time: float) -> int:
    """0 is Monday."""
    return (int(time // DAY) + 3) % 7


def round_the_clock(time: float) -> float:
    """A carrier: as busy at night as by day."""
    return 1.0


def office(time: float) -> float:
    """Monday to Friday, 8 to 18, most before noon and in the afternoon."""
    hour = int(time % DAY // HOUR)
    if weekday(time) > 4 or not 8 <= hour < 18:
        return 0.0
    return _OFFICE_HOURS[hour - 8] * 24 / sum(_OFFICE_HOURS)


def shifts(time: float) -> float:
    """Monday to Saturday, 6 to 22, evenly."""
    return 24 / 16 if weekday(time) < 6 and 6 <= time % DAY / HOUR < 22 else 0.0


def carrier(time: float) -> float:
    """Never quiet: three times as busy by day as by night, and less at weekends."""
    day = 1.5 if 7 <= time % DAY / HOUR < 19 else 0.5
    return day * (0.5 if weekday(time) > 4 else 1.0)


def shifted(curve: Curve, hours: float) -> Curve:
    """The same day, that many hours later: another time zone, or the hour of summer time."""
    return lambda time: curve(time - hours * HOUR)


def but(curve: Curve, *pauses: tuple[float, float]) -> Curve:
    """Nothing in the times (from, until) given, seconds: a holiday, a line that is dead."""
    return lambda time: 0.0 if any(a <= time < b for a, b in pauses) else curve(time)


def rising(curve: Curve, factor: float, since: float, until: float = math.inf) -> Curve:
    """`factor` times as busy in a time: a burst at the end of the month."""
    return lambda time: curve(time) * (factor if since <= time < until else 1.0)


def day(number: int) -> tuple[float, float]:
    """From midnight to midnight; day 0 is a Thursday."""
    return number * DAY, (number + 1) * DAY


def poisson(
    random: Random, a_day: float, since: float, until: float, curve: Curve = office
) -> Iterator[float]:
    """Moments at random, `a_day` on the mean of a busy day, more where the curve is higher."""
    slot = since
    while slot < until:
        end = min((slot // _SLOT + 1) * _SLOT, until)
        rate = a_day * curve(slot) / DAY
        time = slot + (random.expovariate(rate) if rate else math.inf)
        while time < end:
            yield time
            time += random.expovariate(rate)
        slot = end


def every(seconds: float, since: float, until: float) -> Iterator[float]:
    """Moments that far apart."""
    time = since
    while time < until:
        yield time
        time += seconds


def at_hours(hours: Iterable[float], days: Iterable[int]) -> Iterator[float]:
    """Those hours of those days: a small practice's few faxes."""
    wanted = sorted(hours)
    for number in days:
        yield from (number * DAY + hour * HOUR for hour in wanted)


def working_days(count: int, first: int = 0) -> list[int]:
    """The numbers of `count` working days from day `first` on; day 0 is a Thursday."""
    numbers = (number for number in range(first, first + 2 * count + 7))
    return [number for number in numbers if weekday(number * DAY) < 5][:count]


# What they are.

PerPage: TypeAlias = Callable[[Random], float]


def clean(random: Random) -> float:
    """No bad lines."""
    return 0.0


def noisy(mean: float) -> PerPage:
    """Bad lines a page, `mean` on average; most pages have none, as on real lines."""
    return lambda random: random.expovariate(1 / (4 * mean)) if random.random() < 0.25 else 0.0


def heavy_tailed(median: float, sigma: float = 1.5) -> PerPage:
    """Bad lines a page of a few bad senders among many: a log-normal distribution."""
    return lambda random: min(random.lognormvariate(math.log(median), sigma), 1000)


@dataclass(frozen=True)
class Mix:
    """How the faxes of some time are: shares are 0 to 1, and drawn for each fax."""

    operation: str = "receive"
    peers: Mapping[str, float] = field(default_factory=lambda: {"PJSIP/trunk": 1.0})
    t38: float = 0.7
    """The share that does not go as sound."""
    failures: Mapping[str, float] = field(default_factory=dict)
    """The share of faxes that fail, by reason."""
    pages: float = 2.0
    """Mean of those that end well; at least 1."""
    page_seconds: float = 30.0
    """Mean; a page takes half to one and a half times as long."""
    ecm: float = 0.9
    bad_lines: PerPage = clean
    """Of a page without ECM."""
    rejected: float = 0.0
    """The share that has one page refused."""
    data_rate: int = 14400
    fallbacks: float = 0.02
    """The share whose data rate goes down once."""

    def at(self, random: Random, times: Iterable[float]) -> list[Fax]:
        """One fax at each of these moments."""
        return [self._fax(random, time) for time in times]

    def _fax(self, random: Random, begin: float) -> Fax:
        (peer,) = random.choices(list(self.peers), list(self.peers.values()))
        reason = _drawn(random, self.failures)
        pages = 1 + _geometric(random, self.pages - 1)
        if reason is not None:
            pages = 0 if reason in (*THEIRS, "t38_negotiation") else random.randrange(pages)
        ecm = random.random() < self.ecm
        rejected = int(not ecm and random.random() < self.rejected)
        lines = 0.0
        if self.operation == "receive" and not ecm:
            lines = sum(self.bad_lines(random) for _ in range(pages + rejected))
        return Fax(
            begin=begin,
            operation=self.operation,
            transport="t38" if random.random() < self.t38 else "g711",
            peer=peer,
            reason=reason,
            pages=pages,
            bad_lines=round(lines),
            rejected=rejected,
            page_seconds=self.page_seconds * random.uniform(0.5, 1.5),
            ecm=ecm,
            data_rate=self.data_rate,
            fallbacks=int(random.random() < self.fallbacks),
        )


def _drawn(random: Random, shares: Mapping[str, float]) -> str | None:
    at = random.random()
    for name, share in shares.items():
        if at < share:
            return name
        at -= share
    return None


def _geometric(random: Random, mean: float) -> int:
    if mean <= 0:
        return 0
    return int(math.log(1 - random.random()) / math.log(mean / (mean + 1)))
