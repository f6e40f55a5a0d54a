"""One PBX at a moment, as far as somebody wants to see it: for the metrics, in a row of many, or
alone on page and API. And whether it is to be told again.

All are plain values and refer to what the poller goes on working with: they are read, or sent to
the web process, before the next thing happens. Those of which there are many in a message are named
tuples, which are packed and unpacked in a fraction of the time of others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, NamedTuple

from exporter.fax import Operation, Reason, Transport
from exporter.ledger import (
    Day,
    EndedFax,
    Figures,
    Gauges,
    PeerTotals,
    RunningSession,
    Today,
    Totals,
)
from exporter.polling.health import Health, Lately, health_of
from exporter.polling.poller import Poller
from exporter.polling.status import Status
from exporter.words import visible

PEERS_SHOWN: Final = 50
"""Peers of today that are told one by one: a page is read by people."""
QUARTER: Final = 900
"""Seconds: the zones of the earth differ by multiples of it."""


@dataclass(slots=True)
class Counts:
    """What the metrics of one PBX are made from."""

    status: Status = field(default_factory=Status)
    totals: Totals = field(default_factory=Totals)
    gauges: Gauges = field(default_factory=Gauges)
    peers: PeerTotals = field(default_factory=PeerTotals)
    unobserved: int = 0
    """Faxes that ended and that no event told of."""
    restarts: int = 0
    """Restarts of Asterisk that were noticed."""

    @classmethod
    def of(cls, poller: Poller) -> "Counts":
        """Those of this PBX now."""
        ledger = poller.ledger
        return cls(
            poller.status,
            ledger.totals,
            ledger.gauges,
            ledger.peers.shown(poller.clock.monotonic()),
            ledger.unobserved.total,
            ledger.restarts,
        )


class HourShown(NamedTuple):
    """As `Hour`."""

    start: float
    faxes: int
    failed: int


class FaxShown(NamedTuple):
    """What of a fax that ended is shown, as in `EndedFax`."""

    ended_at: float
    """Seconds, monotonic."""
    operation: Operation
    transport: Transport
    succeeded: bool | None
    reason: Reason | None
    pages: int | None
    bad_lines: int | None
    seconds: float | None
    data_rate: int | None
    channel: str
    file: str
    local_station: str
    remote_station: str


_OF_FAX: Final[Callable[[EndedFax], tuple[Any, ...]]] = attrgetter(*FaxShown._fields)


def _faxes(faxes: Iterable[EndedFax]) -> list[FaxShown]:
    return [FaxShown._make(_OF_FAX(fax)) for fax in faxes]


def told(poller: Poller) -> tuple[object, ...]:
    """All that `Row` and `Shown` of this PBX are made from, but what is another after each poll:
    the time of a success while it is up, and the running sessions. While this is equal, so are
    they; to make it takes far less time."""
    status, today, wall = poller.status, poller.ledger.today, poller.clock.wall()
    return (
        poller.identity,
        status.up,
        status.trouble,
        status.waiting,
        None if status.up else status.last_success,
        status.answered,
        status.sessions_listed,
        status.sessions_asked,
        status.events_come,
        status.stats,
        status.asterisk_version,
        status.ami_version,
        status.watched_since,
        poller.hints,
        poller.ledger.session_count,
        poller.ledger.history.added,
        _lately(poller),
        today.taken,
        # Hours and days begin at these times, whatever the zone; and a clock can be set back.
        wall // QUARTER,
        today.began,
        min(wall, today.since),
    )


class Row(NamedTuple):
    """What is told of one PBX among many. It is the same as long as nothing has happened: times
    are seconds since the epoch, and none is of polls that go well. All texts can be shown as they
    are."""

    name: str
    health: Health
    why: str
    """What is wrong, and what to do about it; empty if nothing is."""
    up: bool
    watched_since: float
    """Since when polls are tried."""
    down_since: float | None
    """When the last successful poll ended; None while it is up, and if there never was one."""
    asterisk_version: str
    """Empty if it was not told."""
    sessions: int | None
    """Those that run now; None if that is not known."""
    lately: Lately
    today_since: float
    """Midnight, or when counting began if that was later."""
    today: Figures
    hours: list[HourShown]
    """As in Shown."""

    @classmethod
    def of(cls, name: str, poller: Poller) -> "Row":
        """That of this PBX now."""
        status, ledger = poller.status, poller.ledger
        lately = _lately(poller)
        health, why = health_of(status, poller.hints, lately)
        wall = poller.clock.wall()
        day = ledger.today.day(wall)
        return cls(
            name=name,
            health=health,
            why=visible(why),
            up=status.up,
            watched_since=status.watched_since,
            down_since=None if status.up else status.last_success,
            asterisk_version=visible(status.asterisk_version),
            sessions=ledger.session_count if poller.status.lists_sessions else None,
            lately=lately,
            today_since=day.since,
            today=day.figures,
            hours=_hours(ledger.today, wall),
        )


def health(poller: Poller) -> Health:
    """How this PBX fares now."""
    return health_of(poller.status, poller.hints, _lately(poller))[0]


def _lately(poller: Poller) -> Lately:
    return poller.lately.at(poller.clock.monotonic())


def _hours(today: Today, wall: float) -> list[HourShown]:
    return [HourShown(hour.start, hour.faxes, hour.failed) for hour in today.hours(wall)]


@dataclass(slots=True)
class Shown:
    """What page and API tell of one PBX."""

    status: Status
    hints: list[str]
    """What it lacks, and what to do about it."""
    running: list[RunningSession]
    """The sessions of the last list, the oldest first."""
    session_count: int
    """How many these are; 0 if that is not known."""
    failed: list[FaxShown]
    """The newest first, as are `others`."""
    others: list[FaxShown]
    lately: Lately
    today: Day
    """With PEERS_SHOWN peers at most."""
    more_peers: int
    """How many further peers had faxes today."""
    hours: list[HourShown]
    """The last ones in which a fax ended, the oldest first; see `Today.hours`."""
    counted_since: float
    """Since when every fax is in `today` and `hours`, seconds since the epoch."""

    @classmethod
    def of(cls, poller: Poller) -> "Shown":
        """That of this PBX now."""
        history, today = poller.ledger.history, poller.ledger.today
        wall = poller.clock.wall()
        day = today.day(wall)
        return cls(
            poller.status,
            poller.hints,
            poller.ledger.running,
            poller.ledger.session_count if poller.status.lists_sessions else 0,
            _faxes(history.failed),
            _faxes(history.others),
            _lately(poller),
            day.busiest(PEERS_SHOWN),
            max(0, len(day.peers) - PEERS_SHOWN),
            _hours(today, wall),
            today.began,
        )
