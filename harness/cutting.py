"""A network between Asterisk and exporter that cuts bytes into pieces, delays them, and now and
then cuts the connection; and what came through it, which nobody else can know."""

import asyncio
import random
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Final

SIZES: Final = (2, 40, 400, 1460)
"""Bytes of the largest piece; which of these it is changes from time to time."""
LONGEST_DELAY: Final = 0.02
"""Seconds by which what follows a piece is late, once in so many bytes:"""
_UNDELAYED: Final = 1000
_END: Final = b"\r\n\r\n"
_COMPLETIONS: Final = (b"Event: SendFAX\r\n", b"Event: ReceiveFAX\r\n")


class CuttingProxy:
    """Passes connections on to one port of the loopback. `rng` decides what happens to them."""

    def __init__(self, port: int, rng: random.Random) -> None:
        """`port`: of Asterisk's manager. Listens nowhere yet."""
        self._to = port
        self._rng = rng
        self._passing: set[asyncio.Task[None]] = set()
        self.port = 0
        self.refuses = False
        """New connections end at once."""
        self.cuts = 0
        """Connections that were cut."""
        self.completions: list[str] = []
        """The channels of completion events that came through whole."""

    async def start(self) -> None:
        """Listens on a free port."""
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends everything."""
        self._listening.close()
        self.cut()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def cut(self) -> None:
        """Cuts all connections, in the middle of whatever they carry."""
        for passing in self._passing:
            passing.cancel()
            self.cuts += 1

    async def misbehave(self, least: float, most: float, blind: float) -> None:
        """Cuts for ever, so many seconds apart. Some of the cuts last, up to `blind` seconds."""
        while True:
            await asyncio.sleep(self._rng.uniform(least, most))
            self.cut()
            if self._rng.random() < 0.3:
                self.refuses = True
                await asyncio.sleep(self._rng.uniform(0, blind))
                self.refuses = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        passing = asyncio.create_task(self._pass(reader, writer))
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it or it is cut."""
        ends = [writer]
        try:
            there, to = await asyncio.open_connection("127.0.0.1", self._to)
            ends.append(to)
            ways = (
                asyncio.create_task(self._carry(reader, to, _Messages([]))),
                asyncio.create_task(self._carry(there, writer, _Messages(self.completions))),
            )
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        except OSError:  # Asterisk does not listen
            pass
        finally:
            for end in ends:
                end.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passed: "_Messages"
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                most = self._rng.choice(SIZES)
                while data:
                    size = self._rng.randint(1, most)
                    piece, data = data[:size], data[size:]
                    writer.write(piece)
                    passed.take(piece)
                    for _ in range(3):  # by then a reader in this loop has seen these bytes alone
                        await asyncio.sleep(0)
                    if self._rng.random() < size / _UNDELAYED:
                        await asyncio.sleep(self._rng.uniform(0, LONGEST_DELAY))


class _Messages:
    """What passes in one direction, as messages; those of completion events are noted."""

    def __init__(self, completions: list[str]) -> None:
        self._completions = completions
        self._begun = b""

    def take(self, piece: bytes) -> None:
        *whole, self._begun = (self._begun + piece).split(_END)
        for message in whole:
            if message.startswith(_COMPLETIONS):
                channel = message.partition(b"\r\nChannel: ")[2].partition(b"\r\n")[0]
                self._completions.append(channel.decode())


async def _serve(
    pipe: "Connection[Any, Any]", port: int, seed: int, cuts: tuple[float, float, float]
) -> None:
    proxy = CuttingProxy(port, random.Random(seed))
    await proxy.start()
    pipe.send(proxy.port)
    cutting = asyncio.create_task(proxy.misbehave(*cuts))
    await _asked(pipe)
    cutting.cancel()
    proxy.refuses = False
    pipe.send(proxy.cuts)
    await _asked(pipe)
    pipe.send(proxy.completions)
    await proxy.stop()


async def _asked(pipe: "Connection[Any, Any]") -> None:
    while not pipe.poll():
        await asyncio.sleep(0.1)
    pipe.recv()


def serve(
    pipe: "Connection[Any, Any]", port: int, seed: int, cuts: tuple[float, float, float]
) -> None:
    """In a process of its own, by `harness.apart`: tells its port, and misbehaves with `cuts` until
    it is sent something; tells how many connections it has cut, and passes everything on until it
    is sent something again; tells which completion events came through."""
    with suppress(EOFError):  # the other side has failed
        asyncio.run(_serve(pipe, port, seed, cuts))
