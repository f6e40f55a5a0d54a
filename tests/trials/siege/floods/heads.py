"""Requests that never end, and bytes that are none: what a server may keep of them is bounded."""

import asyncio
import random
from typing import Final

from tests.trials.siege.attacking import CHUNK, Flood, Wire

_POST: Final = b"POST /-/healthy HTTP/1.1\r\nHost: localhost\r\n"
_GET: Final = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
_LINE: Final = b"X: " + b"a" * CHUNK + b"\r\n"
_SLOWLY: Final = 1.0
"""Seconds from byte to byte."""


class Trailers(Flood):
    name, point = "trailers without end", "memory"

    async def client(self, number: int, wire: Wire) -> None:
        await wire.send(_POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        while True:
            await wire.send(_LINE)


class ChunkExtensions(Flood):
    name, point = "chunk extensions without end", "memory"

    async def client(self, number: int, wire: Wire) -> None:
        await wire.send(_POST + b"Transfer-Encoding: chunked\r\n\r\n1;x=")
        while True:
            await wire.send(b"a" * CHUNK)


class Upgrades(Flood):
    name, point = "upgrades, then raw bytes", "memory"

    async def client(self, number: int, wire: Wire) -> None:
        protocol = b"h2c" if number % 2 else b"websocket"
        await wire.send(_GET + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n")
        while True:
            await wire.send(b"\0" * CHUNK)


class Heads(Flood):
    name, point = "heads of 500 kB that never end", "memory"
    connections = 512

    async def client(self, number: int, wire: Wire) -> None:
        await wire.send(_GET)
        for header in range(62):
            await wire.send(b"X-%d: " % header + b"a" * 8100 + b"\r\n")
        await wire.receive()


class TlsHeads(Heads):
    name = "heads of 500 kB that never end, over TLS"
    setup = "tls"


class EndlessHandshakes(Flood):
    name, point = "TLS handshakes without end", "memory"
    setup = "tls"
    tls = False

    async def client(self, number: int, wire: Wire) -> None:
        while True:  # records as long as they may be, of a handshake that says nothing
            await wire.send(b"\x16\x03\x01\x40\x00" + b"\0" * 0x4000)


class EndlessLines(Flood):
    name, point = "lines without end", "memory"

    async def client(self, number: int, wire: Wire) -> None:
        await wire.send(b"GET /")
        while True:
            await wire.send(b"a" * CHUNK)


class SlowHeads(Flood):
    name, point = "heads of a byte a second", "memory"
    connections = 560

    async def client(self, number: int, wire: Wire) -> None:
        for byte in _GET * 1000:
            await wire.send(bytes([byte]))
            await asyncio.sleep(_SLOWLY)


class SlowBodies(Flood):
    name, point = "bodies of a terabyte, slowly, half of them 100-continue", "memory"
    connections = 560

    async def client(self, number: int, wire: Wire) -> None:
        expect = b"Expect: 100-continue\r\n" if number % 2 else b""
        await wire.send(_POST + expect + b"Content-Length: 1000000000000\r\n\r\n")
        while True:
            await wire.send(b"a" * 1000)
            await asyncio.sleep(_SLOWLY)


class Garbage(Flood):
    name, point = "garbage and pipelined requests with it", "memory"

    async def client(self, number: int, wire: Wire) -> None:
        rng = random.Random(number)
        while True:
            await wire.send(_GET + b"\r\n" + _GET + b"\r\n" + rng.randbytes(CHUNK))
