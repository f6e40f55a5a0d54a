"""The web process, seen from the main one: how it is started, spoken to, watched over and ended.

All that strangers can reach runs there: HTTP, TLS, logins and the rendering of what is shown. So
nothing they do can delay a poll, and no login to Asterisk is in the memory they reach. If it ends,
or hangs, it is started again; the sockets that clients connect to are here, and stay open.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

from exporter import parts
from exporter.ending import cut_off_with_it
from exporter.link import MAX_LINE, Answering, Order, WebSetup, send_frame
from exporter.settings import Protection, Settings, SettingsError

START_SECONDS: Final = 60.0
"""For it to listen: on a slow machine Python alone takes some."""
ANSWER_SECONDS: Final = 30.0
"""For it to read its file again; so long it may also hang before it is ended."""
STOP_SECONDS: Final = 0.7
"""For the responses under way, when it is to end: less than half of what the end may take."""
HEALTH_SECONDS: Final = 2.0
"""For its answer when somebody asks whether it is healthy."""
PING_SECONDS: Final = 15.0
"""Between two questions whether it still answers."""
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 10.0
"""Seconds before it is started again; twice as many each time, unless it has lived for longer."""

_NO_ANSWER: Final = "the web process does not answer"
_ENDED: Final = "the web process ended meanwhile"

_ENVIRONMENT: Final = ("PATH", "HOME", "TZ", "TMPDIR", "LANG", "LD_LIBRARY_PATH")
_ENVIRONMENT_PREFIXES: Final = ("LC_", "PYTHON", "SSL_CERT_", "COVERAGE_")

log = logging.getLogger(__name__)


class WebProcess:
    """One process after the other, each until it ends."""

    def __init__(
        self, settings: Settings, sockets: Sequence[socket.socket], answering: Answering
    ) -> None:
        """`sockets`: bound and listening."""
        self._settings = settings
        self._sockets = sockets
        self._answering = answering
        self._numbers = itertools.count(1)
        self._outcomes: dict[int, asyncio.Future[str]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._starting = False
        """One is started that does not serve yet."""
        self._stopping = asyncio.Event()
        self._protections: frozenset[Protection] = frozenset()
        cut_off_with_it(self._kill)  # or it would stay for as long as what it hangs in

    @property
    def tls(self) -> bool:
        """Whether it serves TLS, as it said last."""
        return Protection.TLS in self._protections

    async def start(self) -> None:
        """Returns when it serves. Raises SettingsError if its file is wrong, or it cannot start."""
        try:
            reading = await self._begin()
        except (OSError, RuntimeError) as error:  # such as too many processes, threads, open files
            raise SettingsError(f"the web process did not start: {error}") from error
        self._supervision = asyncio.create_task(self._supervise(reading))

    async def reload(self) -> None:
        """Has it read its file again. Raises SettingsError with what is wrong in it."""
        problem = await self._order("reload")
        if problem in (_NO_ANSWER, _ENDED):  # what is wrong in the file it logs itself
            log.error("web configuration not read again: %s", problem)
        if problem:
            raise SettingsError(problem)

    async def fault(self) -> str:
        """Why no client is served now; empty if they are."""
        if self._starting:
            return "the web process is being started again"
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                return await self._order("ping")
        except TimeoutError:
            return f"the web process gave no answer within {HEALTH_SECONDS:.0f} s"

    async def stop(self) -> None:
        """Ends it; what it is answering has STOP_SECONDS to be sent."""
        self._stopping.set()
        if self._supervision is not None:
            if self._starting:  # it answers nobody yet
                self._kill()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    with contextlib.suppress(ConnectionError):
                        if self._writer is not None:
                            await send_frame(self._writer, Order("stop"))
                    await asyncio.shield(self._supervision)
            except TimeoutError:
                self._kill()
                await self._supervision
        self._answering.forget()

    # --- one process ----------------------------------------------------------------------------

    async def _begin(self) -> asyncio.Task[None]:
        """Starts it, and returns what reads its messages. Raises SettingsError, or OSError."""
        self._starting = True
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *parts.command("exporter.web"),
                    stdin=theirs.fileno(),
                    pass_fds=[each.fileno() for each in self._sockets],
                    env=_environment(),
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE)
        self._writer = writer
        try:
            # It has no use for a login to Asterisk.
            settings = self._settings.model_copy(update={"ami": None})
            sockets = tuple(each.fileno() for each in self._sockets)
            setup = WebSetup(settings, sockets, os.getpid(), self._protections)
            await send_frame(writer, setup)
            async with asyncio.timeout(START_SECONDS):
                line = await reader.readline()
            if not line:
                raise ConnectionError("it ended while it started")
            said = _said(line)
            if "wrong" in said:
                raise SettingsError(said["wrong"])
            self._take_state(said)
        except BaseException as error:
            self._kill()
            await self._process.wait()
            writer.close()
            if not isinstance(error, (OSError, ValueError, LookupError, TypeError)):
                raise  # such as the end of the exporter
            if isinstance(error, SettingsError):
                raise
            raise SettingsError(
                f"the web process did not start: {str(error) or 'no answer'}"
            ) from error
        self._starting = False
        return asyncio.create_task(self._read(reader, writer))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes what it says until it ends."""
        try:
            while line := await reader.readline():
                said = _said(line)
                if "ask" in said:
                    await self._answering.take(said, writer)
                    continue
                self._take_state(said)
                outcome = self._outcomes.get(said["done"])
                if outcome is not None and not outcome.done():
                    outcome.set_result(said["wrong"])
        except ConnectionError:
            pass  # it has ended, and `_supervise` says so
        except (ValueError, LookupError, TypeError) as error:
            log.error("the web process said what it should not: %r; it is ended", error)
            self._kill()
        finally:
            writer.close()

    def _take_state(self, said: Mapping[str, Any]) -> None:
        """Keeps what the next process is told, so that it notices a file that was cut short."""
        self._protections = frozenset(Protection[name] for name in said["protections"])

    async def _supervise(self, reading: asyncio.Task[None]) -> None:
        """Starts it again whenever it ends, until `stop`."""
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            assert self._process is not None
            begun = loop.time()
            pinging = asyncio.create_task(self._ping())
            status = await self._process.wait()
            for task in (pinging, reading):
                task.cancel()
            await asyncio.gather(pinging, reading, return_exceptions=True)
            self._answering.forget()
            for outcome in self._outcomes.values():
                if not outcome.done():
                    outcome.set_result(_ENDED)
            if self._stopping.is_set():
                return
            log.error("the web process ended with status %d; it is started again", status)
            if loop.time() - begun > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
                if self._stopping.is_set():
                    return
                pause = min(2 * pause, LONGEST_PAUSE)
                try:
                    reading = await self._begin()
                    self._answering.web_restarts += 1
                    break
                except (SettingsError, OSError, RuntimeError) as error:
                    if self._stopping.is_set():
                        return
                    log.error("the web process cannot be started: %s", error)

    async def _ping(self) -> None:
        """Ends the process if it hangs."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            if await self._order("ping"):
                log.error("the web process gave no answer for %.0f s", ANSWER_SECONDS)
                self._kill()
                return

    async def _order(self, what: str) -> str:
        """What went wrong, until there is an answer; empty if nothing did."""
        number = next(self._numbers)
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._outcomes[number] = outcome
        try:
            assert self._writer is not None
            async with asyncio.timeout(ANSWER_SECONDS):
                await send_frame(self._writer, Order(what, number))
                return await outcome
        except (TimeoutError, ConnectionError):
            return _NO_ANSWER
        finally:
            del self._outcomes[number]

    def _kill(self) -> None:
        """Whatever state it is in. Waits for nothing: called by another thread too."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


def _said(line: bytes) -> dict[str, Any]:
    """A line of the web process, which may say anything if somebody has broken into it. Raises
    ValueError."""
    try:
        said = json.loads(line)
    except RecursionError:
        said = None
    if not isinstance(said, dict):
        raise ValueError("no object of JSON")
    return said


def _environment() -> Mapping[str, str]:
    """What it inherits: nothing that may hold a secret, and what finds this Python's modules."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    return kept | parts.python_path()
