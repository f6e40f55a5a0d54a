"""One PBX at a moment, as far as somebody wants to see it: for the metrics, or for page and API.

Both are plain values and refer to what the poller goes on working with: they are read, or sent to
the web process, before the next thing happens.
"""

from dataclasses import dataclass, field

from exporter.ledger import EndedFax, Gauges, PeerTotals, RunningSession, Totals
from exporter.polling.poller import Poller
from exporter.polling.status import Status


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

    @classmethod
    def of(cls, poller: Poller) -> "Shown":
        """That of this PBX now."""
        history = poller.ledger.history
        return cls(
            poller.status,
            poller.hints,
            poller.ledger.running,
            list(history.failed),
            list(history.others),
        )
