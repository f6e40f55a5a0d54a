"""A server with handlers that wait for the test, and clients that send bytes as the test likes."""

import asyncio
import contextlib
import logging
import ssl
import weakref
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from exporter.settings import WebConfigFile
from exporter.web.http import PIECE, InPieces, UnderWay
from exporter.web.server import Server
from harness.web_side import listening

GET = b"GET /healthy HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /healthy HTTP/1.1\r\nHost: x\r\n"
"""The beginning of one."""
HUGE = 64 * 1024 * 1024
"""Bytes; more than the sockets of both sides hold."""


class Served:
    """A server that is running, and what its handlers wait for."""

    def __init__(self, config: WebConfigFile, max_connections: int) -> None:
        self.config = config
        self.arrived: list[str] = []
        self.go_on = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/healthy", self._healthy)
        app.router.add_get("/slow", self._slow)
        app.router.add_get("/huge", self._huge)
        app.router.add_get("/broken", self._broken)
        app.router.add_get("/large", self._large)
        app.router.add_get("/large-refused", self._large_refused)
        self.bodies: list[weakref.ref[InPieces]] = []
        """Of those that were large."""
        self.server = Server(app, config, max_connections=max_connections)
        self.socket = listening()

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    async def _healthy(self, request: web.Request) -> web.Response:
        self.arrived.append("healthy")
        return web.Response(text="healthy\n", headers={"Content-Security-Policy": "of the page"})

    async def _slow(self, request: web.Request) -> web.Response:
        self.arrived.append("slow")
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.arrived.append("given up")
            raise
        return web.Response(text="slow\n")

    async def _huge(self, request: web.Request) -> web.Response:
        self.arrived.append("huge")
        return web.Response(body=b"x" * HUGE)

    async def _large(self, request: web.Request) -> web.Response:
        body = InPieces(bytes(2 * PIECE), UnderWay())
        self.bodies.append(weakref.ref(body))
        return web.Response(body=body)

    async def _large_refused(self, request: web.Request) -> web.Response:
        body = InPieces(bytes(2 * PIECE), UnderWay())
        self.bodies.append(weakref.ref(body))
        raise web.HTTPServiceUnavailable

    async def _broken(self, request: web.Request) -> web.Response:
        raise RuntimeError("a defect")


@contextlib.asynccontextmanager
async def serving(
    config: WebConfigFile | None = None, max_connections: int = 10
) -> AsyncIterator[Served]:
    served = Served(config or WebConfigFile(None), max_connections)
    await served.server.start([served.socket])
    try:
        yield served
    finally:
        await served.server.stop()
        served.socket.close()


class Client:
    """One connection, of which the test sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next response."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        pairs = [line.split(": ", 1) for line in lines[1:] if line]
        headers = {name: value for name, value in pairs}
        assert len(headers) == len(pairs), "a header is there twice"
        body = await self.reader.readexactly(int(headers.get("Content-Length", 0)))
        return int(lines[0].split()[1]), headers, body

    async def get(self) -> int:
        self.send(GET)
        return (await self.answer())[0]

    async def ended(self) -> bytes:
        """What comes until the server ends the connection."""
        received = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await self.reader.read(65536):
                received += data
        return received


@contextlib.asynccontextmanager
async def connected(served: Served, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        writer.transport.abort()


async def seconds_until_ended(client: Client) -> float:
    """In the loop's time, which is virtual."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await client.ended()
    return loop.time() - begun


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.2)


def messages_shown(records: Sequence[logging.LogRecord]) -> list[str]:
    return [r.getMessage() for r in records if r.levelno >= logging.INFO]


def config_of(folder: Path, keys: str = "") -> WebConfigFile:
    path = folder / "web.yml"
    path.write_text(f"tls_server_config: {{cert_file: fax.pem, key_file: fax.key{keys}}}\n")
    return WebConfigFile(path)


def trusting(ca: trustme.CA, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
