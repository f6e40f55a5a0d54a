"""What is counted of each peer, and which peers there are: a label must be bounded, so no more have
counters of their own than a limit; the others share one name.

Beside the totals of all, which are complete without these. Which peers and failures there will be
is not known beforehand, so a new series stands at 0 for a while before it shows what was counted:
Prometheus, which cannot see a series begin, would take its first value for no increase.
"""

from collections import Counter
from collections.abc import Collection, Mapping
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
        self._shown = PeerTotals()
        """The same with 0 where a series is new. Beside the totals and not made from them, since
        there can be ten thousand peers, and it is asked for while polls wait."""
        self._held: dict[OfPeer | Failed, float] = {}
        """Which keys are new, in the order in which they came, and until when."""
        self._known: set[str] = set()
        for peer, operations in (remembered or {}).items():
            if peer != OTHER_PEER and not self._is_known(peer):
                continue
            for operation, reasons in operations.items():
                self._open_counters(operation, peer)
                if operation in RESULT_OPERATIONS:
                    for reason in reasons:
                        self._set("failures", (operation, reason, peer), 0)

    @property
    def told_apart(self) -> bool:
        """Whether each peer has counters of its own."""
        return self._limit is not None

    def name(self, channel: str) -> str:
        """The peer's name, `other` for those beyond the limit; empty if not told apart."""
        return "" if self._limit is None else self.counted_as(peer_of(channel))

    def counted_as(self, peer: str) -> str:
        """The same of a name as `peer_of` has it."""
        if self._limit is None:
            return ""
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
            self._held[operation, peer] = at + HELD

    def _open_counters(self, operation: Operation, peer: str) -> None:
        if operation not in PAGE_OPERATIONS:
            return
        names = ["pages"]
        if operation in RESULT_OPERATIONS:
            names += "finished", "succeeded", "pages_timed", "page_seconds"
        if operation is Operation.RECEIVE:
            names += "bad_lines", "sessions_with_bad_lines"
        for name in names:
            self._set(name, (operation, peer), 0)

    def _set(self, table: str, key: OfPeer | Failed, value: float | Exemplar) -> None:
        """In both, but shown only where the key is not new."""
        getattr(self.totals, table)[key] = value
        if key not in self._held:
            getattr(self._shown, table)[key] = value

    def _add(self, table: str, key: OfPeer | Failed, more: float) -> None:
        if more:
            self._set(table, key, getattr(self.totals, table)[key] + more)

    def add(self, added: Added, operation: Operation, peer: str) -> None:
        """What a reading, or an event, adds to what was seen of its session."""
        if not peer:
            return
        key = operation, peer
        self._add("pages", key, added.pages)
        if added.pages and added.page_seconds is not None and key in self.totals.page_seconds:
            self._add("page_seconds", key, added.page_seconds * added.pages)
            self._add("pages_timed", key, added.pages)
        self._add("bad_lines", key, added.bad_lines)

    def add_result(self, result: FaxResult, peer: str, at: float, wall: float) -> None:
        """How a fax ended. `at`: now; `wall`: when its event came, seconds since the epoch."""
        if not peer:
            return
        self.open(result.operation, peer, at)
        key = (result.operation, peer)
        self._add("finished", key, 1)
        self._add("succeeded", key, bool(result.succeeded))
        if result.reason is None:
            return
        failed = (result.operation, result.reason, peer)
        if failed not in self.totals.failures:
            self._set("failures", failed, 0)
            self._held[failed] = at + HELD
        self._add("failures", failed, 1)
        if result.unique_id:
            self._shown.exemplars.setdefault(failed, None)
            self._set("exemplars", failed, Exemplar(result.unique_id, 1, wall))

    def add_ended(self, fax: EndedFax, peer: str) -> None:
        """What is known of a fax once, when it is over."""
        if peer and fax.bad_lines:
            self._add("sessions_with_bad_lines", (fax.operation, peer), 1)

    def add_unlisted(self, fax: EndedFax, peer: str) -> None:
        """A fax that began and ended between two lists: all that its event tells."""
        if peer:
            self._add("pages", (fax.operation, peer), fax.pages or 0)

    def shown(self, at: float) -> PeerTotals:
        """The totals as they are to be shown: with 0 where a series is new."""
        while self._held:
            key, until = next(iter(self._held.items()))
            if until > at:
                return self._shown
            del self._held[key]
            for name in _TABLES:
                table = getattr(self.totals, name)
                if key in table:
                    self._set(name, key, table[key])
        return self.totals

    def known(self) -> dict[str, dict[Operation, list[Reason]]]:
        """Every peer, what it did and why that failed: what is to be remembered."""
        known: dict[str, dict[Operation, list[Reason]]] = {}
        for operation, peer in self.totals.pages:
            known.setdefault(peer, {})[operation] = []
        for operation, reason, peer in self.totals.failures:
            known[peer][operation].append(reason)
        return known
