"""The thread that owns the history: it is told of faxes, writes them about once a second, and
answers what is asked, one after the other.

Where there is no file, or it cannot be used, it is the same in memory; a file that cannot be used
is tried again, and given then what was kept meanwhile. What is wrong is said once, and once when it
is over.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from exporter.ending import WRITTEN, seconds_left
from exporter.history import rows
from exporter.history.database import DAY, Database, TooSlow
from exporter.history.query import MAX_LIMIT, FaxPage, Query, Stored
from exporter.history.storage import CannotUse, HistoryFile, is_damage, keep, why
from exporter.ledger import Earlier, EndedFax
from exporter.settings import HistorySettings
from exporter.words import visible

T = TypeVar("T")

BATCH_SECONDS: Final = 1.0
"""From the first fax that waits until all that wait are written."""
RETRY_SECONDS: Final = 30.0
"""Until what could not be opened, or written, is tried again."""
TRIM_SECONDS: Final = 600.0
"""Between two looks for what is too old, while no fax comes."""
MAX_WAITING: Final = 20_000
"""Faxes that wait to be written; while they cannot, of more the history knows nothing."""
READ_SECONDS: Final = 5.0
"""So long `earlier` may take: polls begin after it."""
MAX_EARLIER: Final = 200_000
"""Faxes that `earlier` returns at most."""

_NOT_WRITTEN: Final = "they could not be written"

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """Nothing can be read now; the log says why."""


@dataclass(slots=True)
class _Told:
    target: str
    fax: EndedFax


@dataclass(slots=True)
class _Ask(Generic[T]):
    call: Callable[[Database], T]
    answer: "concurrent.futures.Future[T]"


class FaxHistory:
    """The history of one exporter. Its methods are for the event loop, and block for nothing."""

    def __init__(
        self, settings: HistorySettings, *, details: bool, wall: Callable[[], float] = time.time
    ) -> None:
        """`details`: keep personal data; else what there is of it in the file is wiped."""
        self._path = settings.file
        self._limit = settings.faxes
        self._seconds = settings.days * DAY
        self._details = details
        self._wall = wall
        self._queue: SimpleQueue[_Told | _Ask[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._ended = False
        self._turn = asyncio.Lock()
        self._free_at = 0.0
        self._lost = 0
        # What follows is the thread's own.
        self._file: HistoryFile | None = None
        self._database: Database
        self._waiting: list[Any] = []
        self._due = float("inf")
        self._retry = float("inf")
        self._said: str | None = None
        self._not_written = False

    def start(self) -> None:
        """Begins; the file is opened meanwhile."""
        self._thread.start()

    def take(self, target: str, fax: EndedFax) -> None:
        """Keeps a fax that is over. Never waits, and never raises."""
        if self._ended or self._queue.qsize() + len(self._waiting) >= MAX_WAITING:
            self._lost += 1
        else:
            self._queue.put(_Told(target, fax))

    async def find(self, query: Query, make: Callable[[FaxPage], T]) -> T:
        """What `make`, in the thread, makes of the faxes that are asked for. It takes half of the
        time at most, however many ask. Raises TooSlow, Unavailable."""
        async with self._turn:
            if (pause := self._free_at - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            begun = time.monotonic()
            try:
                return await self._ask(lambda database: make(database.find(query)))
            finally:
                self._free_at = 2 * time.monotonic() - begun

    async def earlier(self, wall: float) -> dict[str, Earlier]:
        """By target, the faxes that ended at that time, in seconds since the epoch, or later, in
        the order in which they were told, and since when all of them are there; nothing if they
        cannot all be read soon."""
        found: dict[str, list[EndedFax]] = {}
        after: int | None = 0
        count = 0
        try:
            async with asyncio.timeout(READ_SECONDS):
                begun = await self._ask(partial(_begun, limit=self._limit))
                while after is not None and count < MAX_EARLIER:
                    faxes, after = await self._ask(partial(_since, wall=wall, after=after))
                    count += len(faxes)
                    for one in faxes:
                        found.setdefault(one.target, []).append(one.fax)
        except Unavailable:  # the log says why
            return {}
        except (TimeoutError, TooSlow):
            after = 0
        if after is not None:
            log.warning("the faxes of today are too many to be read from the history in time")
            return {}
        return {
            target: Earlier(faxes, max(wall, begun.get(target, wall)))
            for target, faxes in found.items()
        }

    async def close(self) -> None:
        """Writes what was told, and ends; not for longer than the end of the exporter may take."""
        self._ended = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, seconds_left(WRITTEN))
        if self._thread.is_alive() and self._anything_waits():
            log.error("the last faxes of the history could not be written in time")

    def _anything_waits(self) -> bool:
        """Whether a fax does. A queue can only be looked through by emptying it."""
        waiting = []
        with contextlib.suppress(Empty):
            while True:
                waiting.append(self._queue.get_nowait())
        for one in waiting:  # the disk may answer in the last moment
            self._queue.put(one)
        return bool(self._waiting) or any(isinstance(one, _Told) for one in waiting)

    async def _ask(self, call: Callable[[Database], T]) -> T:
        if self._ended:
            raise Unavailable
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._queue.put(_Ask(call, answer))
        return await asyncio.wrap_future(answer)

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        self._database = Database()
        step = self._begin
        try:
            while True:
                try:
                    if not step():
                        break
                except Exception:  # a defect of ours must not end it: somebody may wait
                    log.exception("the history of faxes went wrong")
                    self._waiting.clear()
                step = self._next
            self._write()
            if missing := len(self._waiting) + self._lost:
                log.error("%d faxes are missing in the history: %s", missing, _NOT_WRITTEN)
        finally:
            self._close()

    def _begin(self) -> bool:
        self._open()
        return True

    def _next(self) -> bool:
        """Takes one thing, or does what is due. Returns False at the end."""
        now = time.monotonic()
        try:
            wait = max(0.0, min(self._due, self._retry, now + TRIM_SECONDS) - now)
            one = self._queue.get(timeout=wait)
        except Empty:
            pass
        else:
            if one is None:
                return False
            if isinstance(one, _Ask):
                self._answer(one)
            else:
                self._note(one)
            now = time.monotonic()
            if now < min(self._due, self._retry):
                return True
        if now >= self._retry:
            self._open()
        self._write()
        return True

    def _look_after_the_file(self) -> None:
        """Somebody may have removed it, perhaps for what it told of people."""
        if self._file is None or self._file.in_place:
            return
        log.warning(
            "%s was removed, or another file put in its place, while the exporter ran: the history "
            "of faxes goes on with what is there",
            visible(str(self._path)),
        )
        self._in_memory()
        self._open()

    def _note(self, told: _Told) -> None:
        row = rows.row_of(told.target, told.fax, self._wall(), details=self._details)
        self._waiting.append(row)
        if not self._not_written:
            self._due = min(self._due, time.monotonic() + BATCH_SECONDS)

    def _answer(self, ask: _Ask[Any]) -> None:
        if not ask.answer.set_running_or_notify_cancel():
            return
        self._look_after_the_file()
        try:
            ask.answer.set_result(ask.call(self._database))
        except sqlite3.Error as error:
            ask.answer.set_exception(Unavailable())
            self._failed(error)
        except Exception as error:  # TooSlow, or a defect, which the log of who asked tells
            ask.answer.set_exception(error)

    def _write(self) -> None:
        """Writes what waits, and takes out what is too old or too much."""
        self._due = float("inf")
        self._look_after_the_file()
        try:
            wrong = self._database.add(self._waiting) if self._waiting else 0
            self._waiting.clear()
            more = self._database.trim(self._limit, self._seconds, self._wall())
        except sqlite3.Error as error:
            self._failed(error)
            return
        if more:  # at once, but for who asks meanwhile
            self._due = time.monotonic()
        if wrong:
            log.error("%d faxes cannot be stored, because of a defect", wrong)
        if self._not_written:
            self._not_written = False
            log.info("%s: the history of faxes is written again", visible(str(self._path)))
        if self._lost:
            lost, self._lost = self._lost, 0
            log.warning("%d faxes are missing in the history: %s", lost, _NOT_WRITTEN)

    def _failed(self, error: sqlite3.Error) -> None:
        """Something could not be read or written."""
        if self._file is not None and is_damage(error):
            assert self._path is not None
            self._in_memory()
            try:
                keep(self._path, str(error))
            except OSError as failure:
                log.warning("%s cannot be moved: %s", visible(str(self._path)), failure.strerror)
            self._open()
            self._due = time.monotonic() + BATCH_SECONDS
            return
        if not self._not_written:
            self._not_written = True
            log.warning(
                "%s: the history of faxes cannot be written: %s. Up to %d faxes wait in memory; "
                "it is tried again every %.0f s",
                visible(str(self._path)) if self._file else "in memory",
                why(error),
                MAX_WAITING,
                RETRY_SECONDS,
            )
        self._due = time.monotonic() + RETRY_SECONDS

    def _open(self) -> None:
        """Goes from memory to the file, if there is to be one and it can be used."""
        self._retry = float("inf")
        if self._path is None or self._file is not None:
            return
        try:
            file = HistoryFile(self._path)
        except CannotUse as error:
            self._say(str(error))
            return
        try:
            self._take_over(file)
        except sqlite3.Error as error:
            file.close()
            self._say(why(error))
            return
        self._database.close()
        self._file, self._database = file, file.database
        if self._said is not None:
            self._said = None
            log.info("%s has the history of faxes from now on", visible(str(self._path)))

    def _take_over(self, file: HistoryFile) -> None:
        """What was kept in memory goes into the file."""
        database = file.database
        if not self._details and database.wipe():
            log.info(
                "%s: what the history of faxes had of channels, callers, station ids and files is "
                "wiped, since --web.show-details is off",
                visible(str(self._path)),
            )
        if not self._details and file.aside.exists():
            log.warning(
                "%s may have personal data of before, and nothing can be wiped in it: remove it",
                visible(str(file.aside)),
            )
        database.add(self._database.all())
        if database.trim(self._limit, self._seconds, self._wall()):
            self._due = time.monotonic()
        database.shrink()

    def _say(self, reason: str) -> None:
        self._retry = time.monotonic() + RETRY_SECONDS
        if reason != self._said:
            self._said = reason
            log.warning(
                "%s: the history of faxes is in memory, and gone at a restart: %s. It is tried "
                "again every %.0f s",
                visible(str(self._path)),
                reason,
                RETRY_SECONDS,
            )

    def _in_memory(self) -> None:
        """Leaves the file."""
        self._close()
        self._file, self._database = None, Database()

    def _close(self) -> None:
        try:
            (self._file or self._database).close()
        except sqlite3.Error as error:
            log.debug("the database did not close: %s", error)


def _begun(database: Database, *, limit: int) -> dict[str, float]:
    """By target: since when all its faxes are there, seconds since the epoch."""
    begun = database.begun()
    if database.kept < limit:  # nothing had to make room
        return dict.fromkeys(begun, min(begun.values(), default=0.0))
    return begun


def _since(database: Database, *, wall: float, after: int) -> tuple[list[Stored], int | None]:
    return database.since(wall, after, MAX_LIMIT)
