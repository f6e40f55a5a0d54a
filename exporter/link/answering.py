"""The main process's side: answers what the web process asks, never for long at a time.

The polls come first. After each piece of an answer the loop goes on, and answering takes no more
than half of the time, however much is asked for. Of what people look at only what has changed is
told again.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from exporter.history import FaxHistory, Query, TooSlow, Unavailable
from exporter.link import columns
from exporter.link.messages import (
    Answer,
    FileState,
    FleetState,
    Keys,
    Piece,
    packed,
    send_frame,
)
from exporter.link.told import News, Told
from exporter.polling import Counts, Fleet, Poller, Row, Shown, health
from exporter.settings import ConfigFile, SettingsError

log = logging.getLogger(__name__)

PIECE_SECONDS: Final = 0.002
"""Answering goes on for so long before it pauses for as long."""
LONGEST_PIECE: Final = 0.02
"""So long at most while pauses last as long, since the loop has much to do: of many short pieces
each would wait for that, and an answer take seconds."""
MAX_ASKS: Final = 1000
"""Answered at once; the next one waits. The web process asks once for what many clients want."""


class Answering:
    """What the web process may ask for."""

    def __init__(
        self, fleet: Fleet, file: ConfigFile | None, history: FaxHistory | None = None
    ) -> None:
        """`file`: that of the targets; None if there is none."""
        self._fleet = fleet
        self._history = history
        self._file = file
        self.reload: Callable[[], Awaitable[None]] | None = None
        """Reads the files again, and raises SettingsError; None if there are no files."""
        self.web_restarts = 0
        """How often the web process was started again."""
        self.fax_lines_lost: Callable[[], int] | None = None
        """How many lines of faxes were lost; None if there are none."""
        self._worked = 0.0
        self._paused = 0.0
        """Seconds that the last pause lasted."""
        self._told = Told()
        self._telling = asyncio.Lock()
        self._turn = asyncio.Lock()
        """Of those who answer in pieces: one piece each."""
        self._slots = asyncio.Semaphore(MAX_ASKS)
        self._asks: set[asyncio.Task[None]] = set()

    async def take(self, ask: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        """Answers one ask in the background, as soon as few enough are under way."""
        await self._slots.acquire()
        task = asyncio.create_task(self._answer(ask, writer))
        self._asks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._asks.discard(task)
        self._slots.release()

    def forget(self) -> None:
        """Ends what is under way: whoever asked is gone."""
        for task in self._asks:
            task.cancel()

    async def _answer(self, ask: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                answer = Answer(ask["ask"], await self._value(ask, writer))
            except ConnectionError:
                raise
            except Exception:  # a defect of ours must not leave the client without an answer
                log.exception("what the web process asked for cannot be said")
                answer = Answer(ask["ask"], None, failed=True)
            await send_frame(writer, answer)

    async def _value(self, ask: Mapping[str, Any], writer: asyncio.StreamWriter) -> object:
        match ask["what"]:
            case "fleet":
                return *self._names(ask), self._fleet_state()
            case "names":
                return self._names(ask)
            case "counts":
                return await self._counts(ask, writer)
            case "shown":
                return self._shown(ask["name"])
            case "faxes":
                return await self._faxes(ask)
            case "rows":
                return await self._news(ask, writer, Row.of)
            case "targets":
                return await self._news(ask, writer, _without_sessions, polled=True)
            case "some":
                return await self._some(ask, writer)
            case "sessions":
                await self._sessions(ask, writer)
                return None
            case "behind":
                return self._fleet.lateness.behind
            case "reload":
                return await self._reloaded()
            case what:
                raise ValueError(f"nothing is known of {what!r}")

    def _fleet_state(self) -> FleetState:
        pollers, file = self._fleet.pollers, self._file
        return FleetState(
            names=(),
            stale=tuple((name, pollers[name].status.outage) for name in self._fleet.stale),
            config=None if file is None else FileState(file.successful, file.success_timestamp),
            web_restarts=self.web_restarts,
            pace=self._fleet.lateness.pace,
            fax_lines_lost=None if self.fax_lines_lost is None else self.fax_lines_lost(),
        )

    async def _counts(
        self, ask: Mapping[str, Any], writer: asyncio.StreamWriter
    ) -> tuple[int, bytes] | None:
        """Sends the keys that are new, and returns the poller's identity and the values; None if
        there is no such target."""
        poller = self._fleet.pollers.get(ask["name"])
        if poller is None:
            return None
        known = ask["known"] if ask["identity"] == poller.identity else [0] * columns.TABLES
        while True:
            begun = time.perf_counter()
            counts = Counts.of(poller)
            piece = next(columns.new_keys(counts, known), None)
            if piece is None:
                content = columns.values(counts)
                await self._pause(begun)
                return poller.identity, content
            table, keys = piece
            known[table] += len(keys)
            await send_frame(writer, Keys(ask["ask"], poller.identity, table, keys))
            await self._pause(begun)

    def _shown(self, name: str) -> bytes | None:
        """One target, packed; None if there is no such target."""
        poller = self._fleet.pollers.get(name)
        return None if poller is None else packed(Shown.of(poller))

    async def _faxes(self, ask: Mapping[str, Any]) -> tuple[bool, bytes] | str:
        """Whether there are any faxes, of a target if one is named, and a FaxPage, packed; or why
        there is none."""
        query = Query.read(ask["query"])
        try:
            if self._history is None:
                raise Unavailable
            return await self._history.find(query, lambda page: (page.there, packed(page)))
        except TooSlow:
            return "it takes too long: ask for less, by target, since or until"
        except Unavailable:
            return "the history cannot be read now; the log says why"

    def _names(self, ask: Mapping[str, Any]) -> tuple[int, tuple[str, ...] | None]:
        return self._told.names(self._fleet.pollers, ask["names"])

    async def _news(
        self,
        ask: Mapping[str, Any],
        writer: asyncio.StreamWriter,
        of: Callable[[str, Poller], object],
        *,
        polled: bool = False,
    ) -> News:
        """Sends what is told `of` each target that has changed, in pieces."""
        since = ask["since"]
        async with self._telling:  # else what one has passed by would get a number meanwhile
            pollers = dict(self._fleet.pollers)
            names_number, names = self._told.names(pollers, ask["names"])
            news = (
                of(name, poller) if self._told.is_new(name, poller, since) else None
                for name, poller in pollers.items()
            )
            await self._send_pieces(ask, writer, news)
            return News(
                self._told.number,
                names_number,
                names,
                tuple(one.status.last_success for one in pollers.values()) if polled else (),
            )

    async def _some(self, ask: Mapping[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Sends of the targets that are like that the first ones behind another, in pieces. Whether
        there is that other one."""
        pollers = dict(self._fleet.pollers)
        after, healths, part = ask["after"], frozenset(ask["healths"]), ask["part"]
        if after is not None:
            if after not in pollers:
                return False
            for name in list(pollers):
                del pollers[name]
                if name == after:
                    break
        found = (
            _without_sessions(name, poller)
            if part in name.lower() and health(poller) in healths
            else None
            for name, poller in pollers.items()
        )
        await self._send_pieces(ask, writer, _first(found, ask["limit"]))
        return True

    async def _sessions(self, ask: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        """Sends the sessions of each target that has any, in pieces."""
        news = (
            (name, poller.ledger.running)
            if poller.status.lists_sessions and poller.ledger.session_count
            else None
            for name, poller in list(self._fleet.pollers.items())
        )
        await self._send_pieces(ask, writer, news)

    async def _send_pieces(
        self, ask: Mapping[str, Any], writer: asyncio.StreamWriter, things: Iterator[object]
    ) -> None:
        """Sends those that are not None."""
        done = False
        while not done:
            async with self._turn:  # else others would work while this one pauses
                content, done = self._piece_of(things)
                if self._worked >= self._piece:
                    await self._rest()
            if content is not None:
                await send_frame(writer, Piece(ask["ask"], content))

    def _piece_of(self, things: Iterator[object]) -> tuple[bytes | None, bool]:
        """The next ones, packed, and whether these are the last. They may refer to what changes: so
        it is made and packed before the loop goes on."""
        piece: list[object] = []
        to_pack, done = 0.0, True
        begun = before = time.perf_counter()
        for one in things:
            now = time.perf_counter()
            if one is not None:
                piece.append(one)
                to_pack += now - before  # it takes about as long as to make it
            before = now
            if self._worked + now - begun + to_pack >= self._piece:
                done = False
                break
        content = packed(piece) if piece else None
        self._worked += time.perf_counter() - begun
        return content, done

    async def _reloaded(self) -> tuple[bool, str]:
        """Whether there is something to read again, and what is wrong with it; empty if nothing."""
        if self.reload is None:
            return False, ""
        try:
            await self.reload()
        except SettingsError as error:
            return True, str(error)
        return True, ""

    async def _pause(self, begun: float) -> None:
        """Lets the polls go on, once some time was worked since `begun`."""
        self._worked += time.perf_counter() - begun
        if self._worked >= self._piece:
            await self._rest()

    @property
    def _piece(self) -> float:
        """Seconds to work until the next pause: no more than the last one lasted, or it is
        short."""
        return max(PIECE_SECONDS, min(self._paused, LONGEST_PIECE))

    async def _rest(self) -> None:
        """Lets the polls go on for as long as was worked."""
        pause, self._worked = self._worked, 0.0
        begun = time.perf_counter()
        await asyncio.sleep(pause)
        self._paused = time.perf_counter() - begun


def _first(things: Iterator[object], limit: int | None) -> Iterator[object]:
    """Until there were so many, beside those that are None."""
    left = math.inf if limit is None else limit
    for one in things:
        yield one
        left -= one is not None
        if left <= 0:
            return


def _without_sessions(name: str, poller: Poller) -> tuple[str, Shown]:
    shown = Shown.of(poller)
    shown.running = []
    return name, shown
