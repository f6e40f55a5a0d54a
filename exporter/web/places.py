"""How many connections there may be at once, and which of them is ended for a new one.

Pure bookkeeping: all it knows of a connection is that it can be aborted.
"""

import logging
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)


class Abortable(Protocol):
    """What can hold a place."""

    def abort(self) -> None:
        """Ends it at once; this must free its place."""


Holder = TypeVar("Holder", bound=Abortable)


class Places(Generic[Holder]):
    """The places for connections. When all are taken, the connection that has been evictable for
    longest is aborted for a new one; busy ones keep their places."""

    def __init__(self, count: int) -> None:
        """All are free."""
        self._count = count
        self._taken: set[Holder] = set()
        self._evictable: dict[Holder, None] = {}  # in the order in which they were marked
        self._closed = False
        self._warned = False

    def __iter__(self) -> Iterator[Holder]:
        """Those that have a place now; places may be freed while one goes through them."""
        return iter(list(self._taken))

    def take(self, one: Holder) -> bool:
        """Gives `one` a place, busy at first. Returns False if there is none for it."""
        if self._closed:
            return False
        if len(self._taken) >= self._count:
            longest = next(iter(self._evictable), None)
            if longest is None:
                if not self._warned:
                    self._warned = True
                    log.warning(
                        "all of %d connections are busy, new ones are refused; "
                        "see --web.max-connections",
                        self._count,
                    )
                return False
            longest.abort()
        self._taken.add(one)
        return True

    def mark_evictable(self, one: Holder) -> None:
        """`one`, which has a place, may lose it. If it could before, its time begins anew."""
        self._evictable.pop(one, None)
        self._evictable[one] = None

    def mark_busy(self, one: Holder) -> None:
        """`one` keeps its place."""
        self._evictable.pop(one, None)

    def free(self, one: Holder) -> None:
        """`one` has ended; it need not have had a place."""
        self._taken.discard(one)
        self._evictable.pop(one, None)
        if len(self._taken) < self._count:
            self._warned = False

    def close(self) -> None:
        """Gives no more places."""
        self._closed = True
