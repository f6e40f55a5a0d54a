"""The web process's side: asks the main process for what is shown, once for all who want it."""

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Generic, TypeVar

from exporter.history import FaxPage, Query
from exporter.link.columns import Columns
from exporter.link.messages import (
    Answer,
    FleetState,
    Keys,
    Order,
    Piece,
    read_frame,
    send_line,
    unpacked,
)
from exporter.link.told import Known, News
from exporter.polling import Counts, Health, Row, Shown
from exporter.shared import Recent, Shared

T = TypeVar("T")

SHOWN_SECONDS: Final = 1.0
"""Nobody who looks sees more in a second than what is new in it."""
MAX_IDLE: Final = 4096
"""Targets whose keys are kept while nobody asks for them."""


class NoSuchTarget(Exception):
    """No target has this name, or no longer."""


class NoFaxes(Exception):
    """The history cannot say; why."""


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    """A value that is read only when it is needed; two with the same version are the same."""

    version: object
    read: Callable[[], T]
    """May take long, and may run in any thread."""
    size: int = 0
    """Of what is read, bytes, where that is known."""


class Source:
    """What the main process knows."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        lasts: float = SHOWN_SECONDS,
    ) -> None:
        """Over a connection whose set-up has been read. `lasts`: for how many seconds what is
        shown to people is good for all of them."""
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._columns: dict[str, Columns] = {}
        self._asking: dict[int, str] = {}
        self._pieces: dict[int, list[bytes]] = {}
        """What has come of the asks that are answered in pieces."""
        self._fleet = Shared(self._ask_fleet)
        self._recent_names = Recent(self._ask_names, lasts)
        self._names_now = Shared(self._ask_names)
        self._reload = Shared(partial(self._ask, "reload"))
        self._lasts = lasts
        self._rows = Recent(self._ask_rows, lasts)
        self._known_rows = Known()
        self._row_of: dict[str, Row] = {}
        self._all_rows: Versioned[list[Row]] = Versioned((0, 0), list)
        self._sessions = Recent(self._ask_sessions, lasts)
        self._behind = Recent(partial(self._ask, "behind"), lasts)
        self._targets: dict[tuple[str, str], Shared[Any] | Recent[Any]] = {}
        self._names: tuple[str, ...] = ()
        self._names_number = 0
        self._there: frozenset[str] = frozenset()
        """The same, to look one up."""

    async def run(self, obey: Callable[[Order], None]) -> None:
        """Takes what the main process says, until it ends the connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await read_frame(self._reader)
                if isinstance(message, Keys):
                    self._take_keys(message)
                elif isinstance(message, Piece):
                    if (pieces := self._pieces.get(message.ask)) is not None:
                        pieces.append(message.content)
                elif isinstance(message, Answer):
                    future = self._answers.get(message.ask)
                    if future is None or future.done():
                        continue
                    if message.failed:
                        future.set_exception(RuntimeError("the main process cannot say"))
                    else:
                        future.set_result(message.value)
                elif isinstance(message, Order):
                    obey(message)

    async def fleet(self) -> FleetState:
        """The targets as they are now."""
        state: FleetState = await self._fleet()
        return state

    async def _ask_fleet(self) -> FleetState:
        number, names, state = await self._ask("fleet", names=self._names_number)
        whole: FleetState = replace(state, names=self._take_names(number, names))
        return whole

    async def names(self) -> tuple[str, ...]:
        """The names of the targets, up to `lasts` seconds old: for pages that stay open."""
        return await self._recent_names()

    async def _ask_names(self) -> tuple[str, ...]:
        return self._take_names(*await self._ask("names", names=self._names_number))

    def _take_names(self, number: int, names: tuple[str, ...] | None) -> tuple[str, ...]:
        # Of two that were asked for at once, the later one may have been taken already.
        if names is not None and number > self._names_number:
            self._names_number, self._names, self._there = number, names, frozenset(names)
            self._forget_others(self._there)
        return self._names

    def _forget_others(self, names: frozenset[str]) -> None:
        """Keeps nothing of targets that are no more. With peers their keys are many."""
        for key, shared in list(self._targets.items()):
            if key[1] not in names and shared.idle:
                self._forget(key)

    def _forget(self, key: tuple[str, str]) -> None:
        """Nobody may be asking for it: keys that are still to come would be taken for the first."""
        del self._targets[key]
        if key[0] == "counts":
            self._columns.pop(key[1], None)

    async def reload(self) -> tuple[bool, str]:
        """Has the files read again. Whether there are any, and what is wrong; empty if nothing."""
        outcome: tuple[bool, str] = await self._reload()
        return outcome

    async def counts(self, name: str) -> Versioned[Counts]:
        """What the metrics of a target are made from. Raises NoSuchTarget."""
        await self._known(name)
        counts: Versioned[Counts] | None = await self._shared("counts", name)()
        if counts is None:
            raise NoSuchTarget
        return counts

    async def shown(self, name: str) -> Versioned[Shown]:
        """What page and API tell of a target; up to `lasts` seconds old. Raises NoSuchTarget."""
        await self._known(name)
        packed: bytes | None = await self._shared("shown", name)()
        if packed is None:
            raise NoSuchTarget
        return Versioned(_version([packed]), partial(unpacked, packed))

    async def targets(self, known: Known) -> tuple[News, list[bytes]]:
        """What is new of all targets, but for their sessions: lists of pairs, a name and a `Shown`,
        packed. Who asks has to ask for one after the other, and to take all of it."""
        return await self._ask_news("targets", known)

    async def some(
        self, healths: frozenset[Health], part: str, *, after: str | None, limit: int | None
    ) -> list[bytes]:
        """Of those that fare so and have this part in their names, whether small or capital, the
        first `limit` in the order of the file, behind the one named `after`; packed as those of
        `targets`. Raises NoSuchTarget."""
        if after is not None:
            await self._known(after)
        there, pieces = await self._ask_in_pieces(
            "some", healths=sorted(healths), part=part.lower(), after=after, limit=limit
        )
        if not there:
            raise NoSuchTarget
        return pieces

    async def sessions(self) -> list[bytes]:
        """The running sessions of those targets that have any, up to `lasts` seconds old: lists of
        pairs, a name and a list of RunningSession, packed."""
        return await self._sessions()

    async def _ask_sessions(self) -> list[bytes]:
        return (await self._ask_in_pieces("sessions"))[1]

    async def faxes(self, query: Query) -> Callable[[], FaxPage]:
        """Of the history what is asked for, to be read in any thread. Raises NoFaxes, and
        NoSuchTarget if the target is neither watched nor in the history."""
        answer: tuple[bool, bytes] | str = await self._ask("faxes", query=query.said())
        if isinstance(answer, str):
            raise NoFaxes(answer)
        there, packed = answer
        if query.target is not None and not there:
            await self._known(query.target)
        return partial(unpacked, packed)

    async def behind(self) -> str:
        """That the main process does not keep up with its polls, and what to do; empty if it does.
        Up to `lasts` seconds old."""
        behind: str = await self._behind()
        return behind

    async def rows(self) -> Versioned[list[Row]]:
        """What is told of each target among many, in the order of the file; up to `lasts` seconds
        old. The version is the same as long as nothing in them changes."""
        return await self._rows()

    async def _ask_rows(self) -> Versioned[list[Row]]:
        known = self._known_rows
        news, pieces = await self._ask_news("rows", known)
        for piece in pieces:
            self._row_of.update((row.name, row) for row in unpacked(piece))
            await asyncio.sleep(0)  # there may be many, and others wait for a scrape
        if known.take(news):
            self._row_of = {name: self._row_of[name] for name in known.names}
        version = known.number, known.names_number
        if version != self._all_rows.version:
            rows = [self._row_of[name] for name in known.names]
            self._all_rows = Versioned(version, lambda: rows)
        return self._all_rows

    async def _known(self, name: str) -> None:
        """So that only names that exist reach the other process, or the memory of this one."""
        # One that was there a moment ago may be asked for; the other process knows if it is gone.
        await self.names()
        if name not in self._there:
            await self._names_now()  # not the fleet, which takes the other process far longer
            if name not in self._there:
                raise NoSuchTarget

    def _shared(self, what: str, name: str) -> Shared[Any] | Recent[Any]:
        shared = self._targets.get((what, name))
        if shared is None:
            while len(self._targets) >= MAX_IDLE:
                idle = next((key for key, one in self._targets.items() if one.idle), None)
                if idle is None:
                    break
                self._forget(idle)
            if what == "counts":
                shared = Shared(partial(self._ask_counts, name))
            else:
                shared = Recent(partial(self._ask, what, name=name), self._lasts)
            self._targets[what, name] = shared
        return shared

    async def _ask_counts(self, name: str) -> Versioned[Counts] | None:
        columns = self._columns.setdefault(name, Columns(0))
        answer = await self._ask(
            "counts", name=name, identity=columns.identity, known=columns.known
        )
        if answer is None:
            self._columns.pop(name, None)
            return None
        identity, content = answer
        columns = self._columns_of(name, identity)
        version = _version([b"%d" % identity, content])
        return Versioned(version, partial(columns.counts, content), len(content))

    def _columns_of(self, name: str, identity: int) -> Columns:
        columns = self._columns.get(name)
        if columns is None or columns.identity != identity:
            columns = self._columns[name] = Columns(identity)
        return columns

    def _take_keys(self, message: Keys) -> None:
        name = self._asking.get(message.ask)
        if name is not None:
            self._columns_of(name, message.identity).add(message.table, message.keys)

    async def _ask_news(self, what: str, known: Known) -> tuple[News, list[bytes]]:
        news: News
        news, pieces = await self._ask_in_pieces(what, **known.ask)
        return news, pieces

    async def _ask_in_pieces(self, what: str, **details: Any) -> tuple[Any, list[bytes]]:
        """The answer, and the pieces that came before it."""
        number = next(self._numbers)
        pieces = self._pieces[number] = []
        try:
            return await self._ask(what, number, **details), pieces
        finally:
            del self._pieces[number]

    async def _ask(self, what: str, number: int | None = None, **details: Any) -> Any:
        number = next(self._numbers) if number is None else number
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        if what == "counts":
            self._asking[number] = details["name"]
        try:
            await send_line(self._writer, {"ask": number, "what": what, **details})
            return await future
        finally:
            del self._answers[number]
            self._asking.pop(number, None)


def _version(parts: Iterable[bytes]) -> bytes:
    """The same for the same parts. A response is kept with its version, so that is to be small."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()
