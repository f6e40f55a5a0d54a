"""What all floods have in common: connections that are made again, and the process they are in.

Attackers run at a lower priority, since a real one has a machine of its own.
"""

import asyncio
import contextlib
import logging
import os
import re
import socket
import ssl
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

NICENESS: Final = 19
"""The lowest priority: the web process of the exporter has a low one, too."""
PAUSE: Final = 0.25
"""Seconds before a connection that was ended is made again: with 560 at most 2240 a second."""
CHUNK: Final = 8000
"""Bytes of a line that a victim can still take for a header."""


@dataclass(frozen=True)
class Victim:
    """What is attacked, and all that an attacker knows of it."""

    port: int
    tls: bool = False
    pid: int = 0
    """For signals."""
    web_file: Path | None = None
    """--web.config.file, for floods that damage it; they leave it as it was."""
    metrics: str = "/metrics"
    open_path: str = "/-/healthy"
    """What it answers to everybody."""
    host: str = "127.0.0.1"


@dataclass
class Count:
    """What attackers did."""

    connections: int = 0
    ended: int = 0
    """Of those, how many the victim ended or refused."""
    sent: int = 0
    """Bytes."""
    answers: Counter[int] = field(default_factory=Counter)
    """By status."""

    def add(self, other: "Count") -> None:
        """Adds what others did."""
        self.connections += other.connections
        self.ended += other.ended
        self.sent += other.sent
        self.answers += other.answers


class Wire:
    """One connection to the victim, plain or over TLS."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._loop = asyncio.get_running_loop()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._read = b""

    async def open(self, victim: Victim, source: str, *, window: int = 0, tls: bool = True) -> None:
        """Connects; `window`: bytes of the receive buffer. Raises OSError."""
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        if source != victim.host:
            self.socket.bind((source, 0))
        await self._loop.sock_connect(self.socket, (victim.host, victim.port))
        self._count.connections += 1
        if victim.tls and tls:
            self._streams = await asyncio.open_connection(
                sock=self.socket, ssl=_anybody(), server_hostname=""
            )

    async def send(self, data: bytes) -> None:
        """Raises OSError."""
        if self._streams is not None:
            if self._streams[1].is_closing():
                raise ConnectionResetError("the victim has ended it")
            self._streams[1].write(data)
            await self._streams[1].drain()
        else:
            await self._loop.sock_sendall(self.socket, data)
            await asyncio.sleep(0)  # what can be sent at once lets nobody else have a turn
        self._count.sent += len(data)

    async def receive(self, most: int = 65536) -> bytes:
        """Raises OSError, ConnectionResetError also at the end."""
        if self._streams is not None:
            data = await self._streams[0].read(most)
        else:
            data = await self._loop.sock_recv(self.socket, most)
        if not data:
            raise ConnectionResetError("the victim has ended it")
        return data

    async def answer(self) -> int:
        """Reads one whole answer; returns its status. Raises OSError, ValueError."""
        while b"\r\n\r\n" not in self._read:
            self._read += await self.receive()
        head, _, body = self._read.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length is None and b"chunked" in head.lower():
            while not body.endswith(b"0\r\n\r\n"):
                body += await self.receive()
            self._read = b""
        else:
            size = int(length[1]) if length else 0
            while len(body) < size:
                body += await self.receive()
            self._read = body[size:]
        status = int(head[9:12])
        self._count.answers[status] += 1
        return status

    async def until_ended(self) -> None:
        """Returns once the victim has ended it, though nothing is read. For plain TCP."""
        while self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01":
            await asyncio.sleep(0.2)

    def close(self) -> None:
        """Ends it at once."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self.socket.close()


def _anybody() -> ssl.SSLContext:
    global _context
    if _context is None:
        _context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _context.check_hostname = False
        _context.verify_mode = ssl.CERT_NONE
    return _context


_context: ssl.SSLContext | None = None


class Attack(NamedTuple):
    """One flood, or several at once; they are of the same setup, which is that of the first."""

    name: str
    floods: tuple["type[Flood]", ...]

    @property
    def setup(self) -> str:
        """How the victim is set up: see victims.py."""
        return self.floods[0].setup


class Flood(ABC):
    """Many connections that do the same, each made again when the victim has ended it."""

    name: ClassVar[str]
    point: ClassVar[str]
    """Of which kind it is: see floods/__init__.py."""
    setup: ClassVar[str] = "open"
    """How the victim is set up: see victims.py."""
    connections: ClassVar[int] = 300
    sources: ClassVar[int] = 1
    """Addresses that it comes from, 127.0.0.1 and on; or, if more than one, 127.0.0.2 and on."""
    window: ClassVar[int] = 0
    tls: ClassVar[bool] = True
    """Whether it speaks TLS, to a victim that does."""
    for_node_exporter: ClassVar[bool] = True
    """Whether it makes sense there."""
    cuts_ami: ClassVar[bool] = False
    """Whether the connection to the PBX is cut meanwhile."""
    logs_in_late: ClassVar[bool] = False
    """Whether a user whose password is not yet known to be right logs in meanwhile."""
    least: ClassVar[float] = 0.0
    """Seconds that it has to last, to show what it is about."""
    ends_it: ClassVar[bool] = False
    """Whether the victim gets SIGTERM right after it."""

    def __init__(self, victim: Victim) -> None:
        self.victim = victim
        self.count = Count()

    @abstractmethod
    async def client(self, number: int, wire: Wire) -> None:
        """What one connection does. Raises OSError when the victim ends it."""

    def source(self, number: int) -> str:
        """Where the connection comes from."""
        if self.sources == 1:
            return "127.0.0.1"
        high, low = divmod(2 + number % self.sources, 256)
        return f"127.0.{high}.{low}"

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.connections):
                group.create_task(self._again(number))

    async def _again(self, number: int) -> None:
        while True:
            wire = Wire(self.count)
            try:
                await wire.open(self.victim, self.source(number), window=self.window, tls=self.tls)
                await self.client(number, wire)
            except (OSError, ValueError):  # ValueError: no HTTP came back
                self.count.ended += 1
            finally:
                wire.close()
            await asyncio.sleep(PAUSE)


async def _flood(pipe: "Pipe[Any, Any]", kinds: Sequence[type[Flood]], victim: Victim) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)  # connections that ended in mid-handshake
    floods = [kind(victim) for kind in kinds]
    told = asyncio.Event()
    loop.add_reader(pipe.fileno(), told.set)
    running = [asyncio.create_task(flood.run()) for flood in floods]
    pipe.send("begun")
    enough = asyncio.create_task(told.wait())
    await asyncio.wait([enough, *running], return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    total = Count()
    for flood in floods:
        total.add(flood.count)
    with contextlib.suppress(OSError):
        pipe.send(total)


def flood_until_told(pipe: "Pipe[Any, Any]", kinds: Sequence[type[Flood]], victim: Victim) -> None:
    """The attackers' process: says when it has begun, floods until it is told to stop, and says
    what it did."""
    os.nice(NICENESS)
    logging.disable()  # what asyncio says of connections that are ended
    asyncio.run(_flood(pipe, kinds, victim))
