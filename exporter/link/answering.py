"""The main process's side: answers what the web process asks, never for long at a time.

The polls come first. After each piece of an answer the loop goes on, and answering takes no more
than half of the time, however much is asked for.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from weakref import WeakKeyDictionary

from exporter.history import FaxHistory, Query, TooSlow, Unavailable
from exporter.link import columns
from exporter.link.messages import Answer, FileState, FleetState, Keys, packed, send_frame
from exporter.polling import Counts, Fleet, Poller, Row, Shown
from exporter.settings import ConfigFile, SettingsError

log = logging.getLogger(__name__)

PIECE_SECONDS: Final = 0.002
"""Answering goes on for so long before it pauses for as long."""
UNUSED_SECONDS: Final = 10.0
"""After which what was made for who looks is forgotten, if nobody does any more."""
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
        self._histories: WeakKeyDictionary[Poller, tuple[int, bytes]] = WeakKeyDictionary()
        """While somebody looks: how long the history of each was, and the faxes in it as a pickle,
        which is most of what is told of a PBX, and seldom another."""
        self._unused: asyncio.TimerHandle | None = None
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
        if self._unused is not None:
            self._unused.cancel()
        self._histories.clear()

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
                return self._fleet_state()
            case "counts":
                return await self._counts(ask, writer)
            case "shown":
                return await self._shown(ask["name"])
            case "faxes":
                return await self._faxes(ask)
            case "rows":
                return await self._rows()
            case "behind":
                return self._fleet.lateness.behind
            case "reload":
                return await self._reloaded()
            case what:
                raise ValueError(f"nothing is known of {what!r}")

    def _fleet_state(self) -> FleetState:
        pollers, file = self._fleet.pollers, self._file
        return FleetState(
            names=tuple(pollers),
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

    async def _shown(self, name: str | None) -> list[tuple[str, bytes, bytes]] | None:
        """One target, or all: their names, and as pickles, made at once so that nothing changes in
        between, `Shown` without the faxes that ended, and these."""
        pollers = self._fleet.pollers
        if name is not None and name not in pollers:
            return None
        shown = []
        for each, poller in list(pollers.items()) if name is None else [(name, pollers[name])]:
            begun = time.perf_counter()
            shown.append((each, *self._packed(poller)))
            await self._pause(begun)
        if self._unused is not None:
            self._unused.cancel()
        loop = asyncio.get_running_loop()
        self._unused = loop.call_later(UNUSED_SECONDS, self._histories.clear)
        return shown

    def _packed(self, poller: Poller) -> tuple[bytes, bytes]:
        shown, added = Shown.of(poller), poller.ledger.history.added
        kept, history = self._histories.get(poller, (-1, b""))
        if kept != added:
            history = packed((shown.failed, shown.others))
            self._histories[poller] = added, history
        return packed(replace(shown, failed=[], others=[])), history

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

    async def _rows(self) -> list[bytes]:
        """A `Row` of each target as a pickle."""
        rows = []
        for name, poller in list(self._fleet.pollers.items()):
            begun = time.perf_counter()
            rows.append(packed(Row.of(name, poller)))
            await self._pause(begun)
        return rows

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
        if self._worked >= PIECE_SECONDS:
            pause, self._worked = self._worked, 0.0
            await asyncio.sleep(pause)
