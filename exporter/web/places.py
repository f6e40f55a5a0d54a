"""How many connections there may be at once, and which of them is ended for a new one.

Pure bookkeeping: all it knows of a connection is that it can be aborted.
"""

import logging
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, Generic, Protocol, TypeVar

log = logging.getLogger(__name__)

KEPT: Final = 8
"""One in so many places is kept for those who have logged in."""
FEW: Final = 4
"""Connections of one address that are not many: two servers of Prometheus, and a browser."""


class Standing(IntEnum):
    """How much a connection has to say for itself; the lowest is ended first."""

    STALLED = 0
    """It does not read what it asked for."""
    OPEN = 1
    """Its last request brought no more than everybody gets."""
    WAITING = 2
    """No request of it is under way."""
    BUSY = 3
    """It is being answered."""


class Abortable(Protocol):
    """What can hold a place."""

    def abort(self) -> None:
        """Ends it at once; this must free its place."""


Holder = TypeVar("Holder", bound=Abortable)


class _Group(Generic[Holder]):
    """The connections of one client address, by their standing, in the order they came to it."""

    def __init__(self) -> None:
        self._by_standing: tuple[dict[Holder, None], ...] = tuple({} for _ in Standing)
        self.size = 0

    def put(self, one: Holder, standing: Standing) -> None:
        self._by_standing[standing][one] = None
        self.size += 1

    def remove(self, one: Holder, standing: Standing) -> None:
        del self._by_standing[standing][one]
        self.size -= 1

    @property
    def lowest(self) -> Standing:
        return next(standing for standing in Standing if self._by_standing[standing])

    @property
    def first_to_go(self) -> Holder:
        return next(iter(self._by_standing[self.lowest]))


class Places(Generic[Holder]):
    """The places for connections. When all are taken, one is ended for each that is new: of the
    address that has most of them, the one with the lowest standing, and of those the one that has
    had it for longest. So who takes many takes them from himself. Addresses with FEW or less are
    alike: of these the one goes that has the lowest standing.

    Who has logged in is `known`: he has to go for a stranger only where there are no strangers.
    """

    def __init__(self, count: int, has_users: Callable[[], bool]) -> None:
        """All are free. `has_users`: whether anybody can log in."""
        self._count = count
        self._has_users = has_users
        self._held: dict[Holder, tuple[bool, str, Standing]] = {}
        """Whether it is known, its address, and its standing."""
        self._groups: dict[bool, dict[str, _Group[Holder]]] = {False: {}, True: {}}
        self._known = 0
        self._closed = False
        self._warned = False

    def __iter__(self) -> Iterator[Holder]:
        """Those that have a place now; places may be freed while one goes through them."""
        return iter(list(self._held))

    def take(self, one: Holder, address: str) -> bool:
        """Gives a place to `one`, a stranger. Returns False if there are no more to be had."""
        if self._closed:
            return False
        kept = max(1, self._count // KEPT) if self._has_users() and self._count > 1 else 0
        strangers = len(self._held) - self._known
        if len(self._held) >= self._count or strangers >= self._count - kept:
            self._warn()
            of_strangers = self._groups[False]
            groups = (of_strangers or self._groups[True]).values()
            max(groups, key=lambda group: (max(group.size, FEW), -group.lowest)).first_to_go.abort()
        self._put(one, False, address, Standing.WAITING)
        return True

    def mark(self, one: Holder, standing: Standing) -> None:
        """`one` has this standing from now on. Without a place, it has none."""
        held = self._held.get(one)
        if held is not None and held[2] is not standing:
            self._remove(one)
            self._put(one, held[0], held[1], standing)

    def logged_in(self, one: Holder) -> None:
        """`one` is known from now on."""
        held = self._held.get(one)
        if held is not None:
            self._remove(one)
            self._put(one, True, *held[1:])

    def free(self, one: Holder) -> None:
        """`one` has ended; it need not have had a place."""
        if one in self._held:
            self._remove(one)
            if len(self._held) < self._count // 2:
                self._warned = False

    def close(self) -> None:
        """Gives no more places."""
        self._closed = True

    def _put(self, one: Holder, known: bool, address: str, standing: Standing) -> None:
        self._held[one] = known, address, standing
        self._known += known
        self._groups[known].setdefault(address, _Group()).put(one, standing)

    def _remove(self, one: Holder) -> None:
        known, address, standing = self._held.pop(one)
        self._known -= known
        groups = self._groups[known]
        groups[address].remove(one, standing)
        if not groups[address].size:
            del groups[address]

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "all of %d connections are taken, for each new one an old one is ended; "
                "see --web.max-connections",
                self._count,
            )
