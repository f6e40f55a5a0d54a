"""How many connections there may be at once, and which of them gives way to a new one.

Pure bookkeeping: it knows of a connection only that it can be aborted.
"""

import logging
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)


class Abortable(Protocol):
    """What can hold a place."""

    def abort(self) -> None:
        """Ends it at once; by that it must free its place."""


Holder = TypeVar("Holder", bound=Abortable)


class Places(Generic[Holder]):
    """The places for connections. When all are taken, a new connection gets that of the one that
    has been evictable for longest; busy ones keep theirs."""

    def __init__(self, count: int) -> None:
        """All are free."""
        self._count = count
        self._taken: set[Holder] = set()
        self._evictable: dict[Holder, None] = {}  # in the order in which they were marked
        self._closed = False
        self._warned = False

    def __iter__(self) -> Iterator[Holder]:
        """Who has a place now; it may be freed meanwhile."""
        return iter(list(self._taken))

    def take(self, one: Holder) -> bool:
        """Gives `one` a place, busy at first. False: there is none for it."""
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
        """`one`, which has a place, may lose it: from now on, if it was evictable before."""
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
