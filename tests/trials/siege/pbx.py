"""The PBX of a siege: faxes with known bad lines, a door for each exporter, and when each asked.

It has a process of its own, so that neither the attackers nor the measuring take time from it.
"""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any, Final, TypeAlias

from exporter.demo import DemoPbx
from exporter.demo.actions import Headers
from exporter.demo.connection import Connection

SECRET: Final = "besieged"
BESIEGED: Final = "besieged"
CONTROL: Final = "control"
DOORS: Final = (BESIEGED, CONTROL)

QUIET: Final = 1.25
"""Seconds before and after the bad lines of a page: at 1 s from poll to poll none is missed."""
LINES: Final = 3
"""Faxes at once."""

Polls: TypeAlias = dict[str, list[tuple[int, float]]]
"""By door: number of the connection, and when a list of sessions was asked for on it, seconds of
the monotonic clock, which all processes of a machine share."""


@dataclass(frozen=True)
class Truth:
    """What has happened so far."""

    pages: int = 0
    bad_lines: int = 0
    finished: int = 0
    """Completions of which an event told."""

    def since(self, earlier: "Truth") -> "Truth":
        """What happened after `earlier`."""
        return Truth(
            self.pages - earlier.pages,
            self.bad_lines - earlier.bad_lines,
            self.finished - earlier.finished,
        )


class _NotingConnection(Connection):
    pbx: "BesiegedPbx"

    async def answer(self, headers: Headers) -> bytes:
        if headers.get("action", "").lower() == "faxsessions":
            self.pbx.note_poll(self)
        return await super().answer(headers)


class BesiegedPbx(DemoPbx):
    """A demo PBX that two exporters watch, each through a port of its own."""

    connection: type[Connection] = _NotingConnection

    def __init__(self, rng: random.Random) -> None:
        super().__init__(secret=SECRET)
        self.polls: Polls = {door: [] for door in DOORS}
        self.ports: dict[str, int] = {}
        self._rng = rng
        self._numbers: dict[Connection, int] = {}
        self._moving = asyncio.Event()
        self._faxes: list[asyncio.Task[None]] = []

    async def open_doors(self) -> None:
        """Listens on a port for each."""
        await self.start()
        self.ports[CONTROL] = self.port
        second = socket.create_server((self.host, 0), backlog=100)
        second.setblocking(False)
        asyncio.get_running_loop().add_reader(second, self._accept, second)
        self.ports[BESIEGED] = second.getsockname()[1]

    def door(self, client: Connection) -> str:
        """The one that a client came through."""
        assert isinstance(client.writer, asyncio.StreamWriter)
        port = client.writer.get_extra_info("sockname")[1]
        return next(door for door, its_port in self.ports.items() if its_port == port)

    def note_poll(self, client: Connection) -> None:
        """A list was asked for."""
        number = self._numbers.setdefault(client, len(self._numbers))
        self.polls[self.door(client)].append((number, time.monotonic()))

    def begin_faxes(self) -> None:
        """On all lines, until they are stopped."""
        self._moving.set()
        self._faxes = [asyncio.create_task(self._line(number)) for number in range(LINES)]

    async def end_faxes(self, seconds: float) -> None:
        """All end, once everybody has seen all there is, or has not within that many seconds."""
        self._moving.clear()
        await self.seen(DOORS, seconds)
        for task in self._faxes:
            task.cancel()
        await asyncio.gather(*self._faxes, return_exceptions=True)
        for session in list(self.sessions.values()):
            self.drop(session)

    async def seen(self, doors: tuple[str, ...], seconds: float) -> bool:
        """Waits until somebody behind each of these doors has polled twice more; False if one did
        not within that many seconds."""
        before = {door: len(self.polls[door]) for door in doors}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(len(self.polls[door]) < before[door] + 2 for door in doors):
                    await asyncio.sleep(0.02)
                return True
        return False

    async def cut(self, seconds: float) -> bool:
        """Cuts the besieged one's connection while all faxes stand still, as nobody can count what
        he cannot see. False if it was not back within that many seconds."""
        self._moving.clear()
        await self.seen(DOORS, seconds)
        for client in list(self.clients):
            if self.door(client) == BESIEGED:
                client.abort()
        back = await self.seen(DOORS, seconds)
        self._moving.set()
        return back

    async def show_peers(self, count: int, seconds: float) -> None:
        """That many peers have a call at the same time, which everybody sees."""
        calls = [self.begin("V.21", f"PJSIP/peer{n}-{n:08x}") for n in range(count)]
        await self.seen(DOORS, seconds)
        for call in calls:
            self.end(call)
        await self.seen(DOORS, seconds)

    def true(self) -> Truth:
        """What has happened so far."""
        pages, heard = self.truth.pages, self.truth.heard
        return Truth(pages["receive"], self.truth.bad_lines, heard.total())

    async def _line(self, number: int) -> None:
        await asyncio.sleep(number * 0.7)
        while True:
            fax = self.begin("receive", self.new_channel(f"PJSIP/trunk-{number}"))
            await self._wait(QUIET)
            fax.negotiate()
            pages = self._rng.randint(1, 3)
            for page in range(1, pages + 1):
                await self._wait(QUIET)
                fax.add_bad_lines(self._rng.randint(1, 30))
                await self._wait(QUIET)
                fax.finish_page(last=page == pages)
            await self._wait(QUIET)
            self.end(fax)
            await self._wait(0.5)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._moving.wait()


async def _serve(pipe: "Pipe[Any, Any]") -> None:
    pbx = BesiegedPbx(random.Random(1))
    await pbx.open_doors()
    pipe.send(pbx.ports)
    asked = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
    orders: dict[str, Callable[..., Any]] = {
        "begin": pbx.begin_faxes,
        "end": pbx.end_faxes,
        "seen": pbx.seen,
        "cut": pbx.cut,
        "peers": pbx.show_peers,
        "truth": pbx.true,
        "polls": lambda: pbx.polls,
    }
    while True:
        await asked.wait()
        asked.clear()
        while pipe.poll():
            try:
                order, *options = pipe.recv()
            except EOFError:
                return
            if order == "stop":
                await pbx.stop()
                return
            answer = orders[order](*options)
            pipe.send(await answer if asyncio.iscoroutine(answer) else answer)


def serve(pipe: "Pipe[Any, Any]") -> None:
    """The process: tells the ports, then obeys orders until told to stop."""
    asyncio.run(_serve(pipe))


class Orders:
    """The PBX as the other end of its pipe sees it."""

    def __init__(self, pipe: "Pipe[Any, Any]") -> None:
        self._pipe = pipe
        self.ports: dict[str, int] = pipe.recv()

    async def _order(self, *order: object) -> Any:
        self._pipe.send(order)
        return await asyncio.to_thread(self._pipe.recv)

    async def begin_faxes(self) -> None:
        """On all lines."""
        await self._order("begin")

    async def end_faxes(self, seconds: float) -> Truth:
        """Ends them all; returns what has happened so far."""
        await self._order("end", seconds)
        truth: Truth = await self._order("truth")
        return truth

    async def seen(self, seconds: float) -> bool:
        """Until both exporters have polled twice more; False if one has not."""
        return bool(await self._order("seen", DOORS, seconds))

    async def cut(self, seconds: float) -> bool:
        """Cuts the besieged one's connection; False if it did not come back."""
        return bool(await self._order("cut", seconds))

    async def show_peers(self, count: int) -> None:
        """That many peers have a call, which both exporters see."""
        await self._order("peers", count, 30)

    async def polls(self) -> Polls:
        """All so far."""
        polls: Polls = await self._order("polls")
        return polls

    def stop(self) -> None:
        """Ends the process."""
        self._pipe.send(("stop",))
