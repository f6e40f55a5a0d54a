"""The peers that have counters of their own, and no more than a limit: a label must be bounded."""

from typing import Final

from exporter.fax import peer_of

OTHER_PEER: Final = "other"


class Peers:
    """Names of peers, at most `limit` of them; None: peers are not told apart."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._known: set[str] = set()

    @property
    def told_apart(self) -> bool:
        """Whether each peer has counters of its own."""
        return self._limit is not None

    def name(self, channel: str) -> str:
        """The peer's name, `other` for those beyond the limit; empty if not told apart."""
        if self._limit is None:
            return ""
        peer = peer_of(channel)
        if peer and peer not in self._known and len(self._known) < self._limit:
            self._known.add(peer)
        return peer if peer in self._known else OTHER_PEER
