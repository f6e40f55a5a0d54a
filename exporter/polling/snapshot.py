"""One PBX at a moment, as far as somebody wants to see it: for the metrics, in a row of many, or
alone on page and API.

All are plain values and refer to what the poller goes on working with: they are read, or sent to
the web process, before the next thing happens.
"""

from dataclasses import dataclass, field
from typing import Final

from exporter.ledger import (
    Day,
    EndedFax,
    Figures,
    Gauges,
    Hour,
    PeerTotals,
    RunningSession,
    Totals,
)
from exporter.polling.health import Health, Lately, health_of
from exporter.polling.poller import Poller
from exporter.polling.status import Status
from exporter.words import visible

PEERS_SHOWN: Final = 50
"""Peers of today that are told one by one: a page is read by people."""


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


@dataclass(frozen=True, slots=True)
class Row:
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
    hours: list[Hour]
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
            sessions=len(ledger.running) if status.up and status.sessions_listed else None,
            lately=lately,
            today_since=day.since,
            today=day.figures,
            hours=ledger.today.hours(wall),
        )


def _lately(poller: Poller) -> Lately:
    history = poller.ledger.history
    return Lately.of(history.failed, history.others, poller.clock.monotonic())


@dataclass(slots=True)
class Shown:
    """What page and API tell of one PBX."""

    status: Status
    hints: list[str]
    """What it lacks, and what to do about it."""
    running: list[RunningSession]
    """The sessions of the last list, the oldest first."""
    failed: list[EndedFax]
    """The newest first, as are `others`."""
    others: list[EndedFax]
    lately: Lately
    today: Day
    """With PEERS_SHOWN peers at most."""
    more_peers: int
    """How many further peers had faxes today."""
    hours: list[Hour]
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
            list(history.failed),
            list(history.others),
            _lately(poller),
            day.busiest(PEERS_SHOWN),
            max(0, len(day.peers) - PEERS_SHOWN),
            today.hours(wall),
            today.began,
        )
