"""What is counted of each peer, and which peers there are: a label must be bounded, so no more have
counters of their own than a limit; the others share one name.

Beside the totals of all, which are complete without these. Which peers and failures there will be
is not known beforehand, so a new series stands at 0 for a while before it shows what was counted:
Prometheus, which cannot see a series begin, would take its first value for no increase.
"""

from collections import Counter, deque
from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Final, TypeAlias

from exporter.fax import FaxResult, Operation, Reason, peer_of
from exporter.ledger.history import EndedFax
from exporter.ledger.session import Added
from exporter.ledger.totals import PAGE_OPERATIONS, RESULT_OPERATIONS, Exemplar

OTHER_PEER: Final = "other"
HELD: Final = 120.0
"""Seconds for which a new series stands at 0: two of Prometheus' usual scrape intervals."""

OfPeer: TypeAlias = tuple[Operation, str]
"""An operation and a peer."""
Remembered: TypeAlias = Mapping[str, Mapping[Operation, Collection[Reason]]]
"""Peers, what they did, and why that failed."""
Failed: TypeAlias = tuple[Operation, Reason, str]
"""An operation, why it failed, and a peer."""


@dataclass(slots=True)
class PeerTotals:
    """What was counted since the exporter began, by peer. A key is there with 0 before it counts,
    stays where it is, and new ones come after it."""

    pages: Counter[OfPeer] = field(default_factory=Counter)
    bad_lines: Counter[OfPeer] = field(default_factory=Counter)
    sessions_with_bad_lines: Counter[OfPeer] = field(default_factory=Counter)
    finished: Counter[OfPeer] = field(default_factory=Counter)
    succeeded: Counter[OfPeer] = field(default_factory=Counter)
    page_seconds: dict[OfPeer, float] = field(default_factory=dict)
    """Seconds that the pages took of which that is known."""
    pages_timed: Counter[OfPeer] = field(default_factory=Counter)
    """How many these are."""
    failures: Counter[Failed] = field(default_factory=Counter)
    """Only with reasons that there were."""
    exemplars: dict[Failed, Exemplar | None] = field(default_factory=dict)
    """The last fax of each failure that told its Uniqueid; None where that is not yet shown."""


_TABLES: Final = [one.name for one in fields(PeerTotals)]


class Peers:
    """The peers of one Asterisk. All times are in seconds of a monotonic clock."""

    def __init__(self, limit: int | None, remembered: Remembered | None = None) -> None:
        """`limit`: peers with counters of their own at most; None: none has. `remembered`: those of
        before, which begin at 0 at once; those beyond the limit are left out."""
        self.totals = PeerTotals()
        self.seen_at: dict[str, float] = {}
        """When the last session or event of each peer began or came."""
        self._limit = limit
        self._held: deque[tuple[float, OfPeer | Failed]] = deque()
        """Until when, and which keys: in the order in which they came."""
        self._known: set[str] = set()
        for peer, operations in (remembered or {}).items():
            if peer != OTHER_PEER and not self._is_known(peer):
                continue
            for operation, reasons in operations.items():
                self._open_counters(operation, peer)
                if operation in RESULT_OPERATIONS:
                    self.totals.failures.update({(operation, why, peer): 0 for why in reasons})

    @property
    def told_apart(self) -> bool:
        """Whether each peer has counters of its own."""
        return self._limit is not None

    def name(self, channel: str) -> str:
        """The peer's name, `other` for those beyond the limit; empty if not told apart."""
        if self._limit is None:
            return ""
        peer = peer_of(channel)
        return peer if peer and self._is_known(peer) else OTHER_PEER

    def _is_known(self, peer: str) -> bool:
        if peer not in self._known and len(self._known) < (self._limit or 0):
            self._known.add(peer)
        return peer in self._known

    def open(self, operation: Operation, peer: str, at: float) -> None:
        """A session or event of this peer: makes every key that it can count, with 0, which stands
        there for HELD seconds from now, `at`."""
        if not peer:
            return
        self.seen_at[peer] = at
        if operation in PAGE_OPERATIONS and (operation, peer) not in self.totals.pages:
            self._open_counters(operation, peer)
            self._held.append((at + HELD, (operation, peer)))

    def _open_counters(self, operation: Operation, peer: str) -> None:
        key, totals = (operation, peer), self.totals
        if operation not in PAGE_OPERATIONS:
            return
        totals.pages[key] = 0
        if operation in RESULT_OPERATIONS:
            totals.finished[key] = totals.succeeded[key] = totals.pages_timed[key] = 0
            totals.page_seconds[key] = 0.0
        if operation is Operation.RECEIVE:
            totals.bad_lines[key] = totals.sessions_with_bad_lines[key] = 0

    def add(self, added: Added, operation: Operation, peer: str) -> None:
        """What a reading, or an event, adds to what was seen of its session."""
        if not peer:
            return
        key = operation, peer
        if added.pages:
            self.totals.pages[key] += added.pages
            if added.page_seconds is not None and key in self.totals.page_seconds:
                self.totals.page_seconds[key] += added.page_seconds * added.pages
                self.totals.pages_timed[key] += added.pages
        if added.bad_lines:
            self.totals.bad_lines[key] += added.bad_lines

    def add_result(self, result: FaxResult, peer: str, at: float, wall: float) -> None:
        """How a fax ended. `at`: now; `wall`: when its event came, seconds since the epoch."""
        if not peer:
            return
        self.open(result.operation, peer, at)
        key, totals = (result.operation, peer), self.totals
        totals.finished[key] += 1
        totals.succeeded[key] += bool(result.succeeded)
        if result.reason is None:
            return
        failed = (result.operation, result.reason, peer)
        if failed not in totals.failures:
            self._held.append((at + HELD, failed))
        totals.failures[failed] += 1
        if result.unique_id:
            totals.exemplars[failed] = Exemplar(result.unique_id, 1, wall)

    def add_ended(self, fax: EndedFax, peer: str) -> None:
        """What is known of a fax once, when it is over."""
        if peer and fax.bad_lines:
            self.totals.sessions_with_bad_lines[fax.operation, peer] += 1

    def add_unlisted(self, fax: EndedFax, peer: str) -> None:
        """A fax that began and ended between two lists: all that its event tells."""
        if peer:
            self.totals.pages[fax.operation, peer] += fax.pages or 0

    def shown(self, at: float) -> PeerTotals:
        """The totals as they are to be shown: with 0 where a series is new."""
        while self._held and self._held[0][0] <= at:
            self._held.popleft()
        if not self._held:
            return self.totals
        shown = PeerTotals(*(copy(getattr(self.totals, name)) for name in _TABLES))
        for _, key in self._held:
            if len(key) == 3:
                shown.failures[key] = 0
                if key in shown.exemplars:
                    shown.exemplars[key] = None
                continue
            for name in _TABLES:
                table = getattr(shown, name)
                if key in table:
                    table[key] = 0
        return shown

    def known(self) -> dict[str, dict[Operation, list[Reason]]]:
        """Every peer, what it did and why that failed: what is to be remembered."""
        known: dict[str, dict[Operation, list[Reason]]] = {}
        for operation, peer in self.totals.pages:
            known.setdefault(peer, {})[operation] = []
        for operation, reason, peer in self.totals.failures:
            known[peer][operation].append(reason)
        return known
