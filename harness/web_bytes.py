"""The exporter's web side against a client that sends arbitrary bytes, with the checks afterwards.

The server is a real one, on a port of the loopback, in virtual time. fuzz/web.py has the bytes
found by coverage, tests/web/test_hostile.py by hypothesis; web_seeds.py says what an input is.
Whatever it is, what comes back must be HTTP and no secret, and who comes next must be served.
"""

import asyncio
import contextlib
import gc
import logging
import socket
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import bcrypt
import h11
from pydantic import SecretStr

from exporter.ledger import Ledger
from exporter.polling import Fleet, Poller
from exporter.settings import AmiSettings, Settings, WebConfigFile
from exporter.web.routes import application
from exporter.web.server import Server
from harness.virtual_time import run
from harness.web_seeds import LOGIN, NEXT, PASSWORD, USER
from harness.web_side import linked, listening

FLOOD: Final = 1024 * 1024
"""Bytes that are sent at most of what is sent again and again."""
MOST_TIMES: Final = 64
"""How often it is sent at most."""
MOST_HELD: Final = 128 * 1024
"""Bytes that the exporter may hold for one connection, whatever came over it: 64 MiB for 512."""
QUIET_SECONDS: Final = 5.0
"""After which no further response comes. No time passes while there is something to do."""
LONGEST_SECONDS: Final = 60.0
"""In which a connection has to end after its client's last byte, while it takes what comes."""
_MOST_PIECES: Final = 64
_MAX_CONNECTIONS: Final = 4
_SETTINGS: Final = Settings(ami=None)
_TARGET: Final = AmiSettings(username="u", secret=SecretStr("s"))
_OPEN: Final = (b"healthy\n", b"ready\n", b"")
"""Bodies that are for everybody; none is what HEAD gets."""
_HEAD: Final = b" HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n" % LOGIN
_GOOD: Final = b"GET /metrics" + _HEAD + b"Connection: close\r\n\r\n"


@dataclass
class Response:
    """One that came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Knocked:
    """What became of an input."""

    received: bytes = b""
    responses: list[Response] = field(default_factory=list)
    held: int = 0
    """Bytes of memory after a flood, while its connection is there."""


def _without_threads(loop: asyncio.AbstractEventLoop) -> None:
    """What goes to a thread is done at once: a thread would not know that time is virtual."""

    def run_in_executor(_: object, work: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = loop.create_future()
        try:
            done.set_result(work(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    setattr(loop, "run_in_executor", run_in_executor)  # noqa: B010


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.wrong: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.wrong.append(logging.Formatter().format(record))


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    handler, root = _Log(), logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler.wrong
    finally:
        root.removeHandler(handler)


@cache
def _config(users: bool) -> WebConfigFile:
    if not users:
        return WebConfigFile(None)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "web.yml"
        path.write_text(f"basic_auth_users: {{{USER}: '{hashed}'}}\n")
        return WebConfigFile(path)


async def _reload() -> None:
    await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def _serving(users: bool) -> AsyncIterator[int]:
    """The port of an exporter that watches one target, which it has not reached yet."""
    fleet = Fleet(1.0, None)
    fleet.pollers["demo"] = Poller(_TARGET, 1.0, Ledger(), name="demo")
    config = _config(users)
    async with contextlib.AsyncExitStack() as stack:
        source = await stack.enter_async_context(linked(fleet, reload=_reload))
        app = application(_SETTINGS, source, config)
        server = Server(app, config, max_connections=_MAX_CONNECTIONS)
        listener = stack.enter_context(listening())
        await server.start([listener])
        try:
            yield int(listener.getsockname()[1])
        finally:
            await server.stop()


def offer(data: bytes) -> Knocked:
    """One input, made as by `knock`. Raises AssertionError if it did any harm."""
    with _logged() as wrong:
        knocked = run(_offer(data))
        if knocked.held > MOST_HELD:  # what is made once, for all, is there the second time
            knocked = run(_offer(data))
    assert not wrong, "\n".join(wrong)
    assert knocked.held <= MOST_HELD, f"{knocked.held} bytes are held for one connection"
    return knocked


async def _offer(data: bytes) -> Knocked:
    loop = asyncio.get_running_loop()
    _without_threads(loop)
    escaped: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: escaped.append(context))
    flags, piece = (data + b"\x00\x00")[:2]
    users = bool(flags & 1)
    async with _serving(users) as port:
        knocked = await _send(
            port,
            data[2:],
            piece,
            hang_up=bool(flags & 2),
            flood=bool(flags & 4),
            deaf=bool(flags & 8),
        )
        after = parse(await _whole(port, _GOOD), b"")
        assert [response.status for response in after] == [200], after
        assert b"asterisk_fax_up 0.0" in after[0].body
    assert not escaped, escaped
    knocked.responses = parse(knocked.received, data[2:])
    if users and LOGIN not in data:
        for response in knocked.responses:
            known = response.status != 200 or response.body in _OPEN
            assert known, f"shown to a stranger: {response}"
    return knocked


async def _send(
    port: int, data: bytes, piece: int, *, hang_up: bool, flood: bool, deaf: bool
) -> Knocked:
    loop = asyncio.get_running_loop()
    again = b""
    if flood:
        data, _, again = data.rpartition(NEXT)
        again *= min(MOST_TIMES, FLOOD // max(1, len(again)))
        tracemalloc.start()
    knocked = Knocked()
    try:
        with contextlib.closing(_connection(port, window=1024 if deaf else None)) as client:
            reading = None if deaf else asyncio.create_task(_read(client, knocked))
            with contextlib.suppress(ConnectionError):  # it may end at once what it does not like
                size = max(piece, len(data) // _MOST_PIECES) if piece else max(1, len(data))
                for start in range(0, len(data), size):
                    await loop.sock_sendall(client, data[start : start + size])
                    for _ in range(3):
                        await asyncio.sleep(0)
                if again:
                    await loop.sock_sendall(client, again)
            if not hang_up:
                await asyncio.sleep(QUIET_SECONDS)
            if flood:
                knocked.held = _held(knocked)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            if reading is not None:
                async with asyncio.timeout(LONGEST_SECONDS):
                    await reading
    finally:
        tracemalloc.stop()
    return knocked


def _held(knocked: Knocked) -> int:
    """Bytes, of which some may be garbage if they are few enough all the same."""
    if tracemalloc.get_traced_memory()[0] > MOST_HELD:
        gc.collect()
    return tracemalloc.get_traced_memory()[0] - len(knocked.received)


def _connection(port: int, window: int | None = None) -> socket.socket:
    """`window`: bytes that the kernel takes for a client that does not read; or its least."""
    client = socket.socket()
    if window is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    # Or the kernel holds small pieces back for some milliseconds, which do not pass here.
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


async def _read(client: socket.socket, knocked: Knocked) -> None:
    """Until the server ends the connection."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while received := await loop.sock_recv(client, 65536):
            knocked.received += received


async def _whole(port: int, request: bytes) -> bytes:
    """All that comes back for this request, which the server has to end."""
    knocked = Knocked()
    with contextlib.closing(_connection(port)) as client:
        await asyncio.get_running_loop().sock_sendall(client, request)
        async with asyncio.timeout(LONGEST_SECONDS):
            await _read(client, knocked)
    return knocked.received


def parse(received: bytes, sent: bytes) -> list[Response]:
    """The responses, by a strict parser; the last one may be cut short. `sent`: what they answer.
    Raises AssertionError if they are not HTTP."""
    responses = []
    while received:
        parser = h11.Connection(h11.CLIENT)
        # A response to HEAD has a length and no body; one to anything else has, and ours begin
        # otherwise than a response does.
        rest = received.partition(b"\r\n\r\n")[2]
        head = b"HEAD" in sent.upper() and (not rest or rest.startswith(b"HTTP/"))
        method = "HEAD" if head else "GET"
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(received)
        try:
            response = _next(parser)
        except h11.RemoteProtocolError as error:
            raise AssertionError(f"no HTTP: {error}: {received[:300]!r}") from error
        if response is None:
            break
        responses.append(response)
        received = parser.trailing_data[0]
    return responses


def _next(parser: h11.Connection) -> Response | None:
    """None if it is cut short."""
    response = None
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            return None
        if isinstance(event, h11.Response):
            names = [name.decode() for name, _ in event.headers]
            assert len(set(names)) == len(names), f"a header is there twice: {event.headers}"
            headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            response = Response(event.status_code, headers, b"")
        elif isinstance(event, h11.Data):
            assert response is not None
            response.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return response
        else:
            assert isinstance(event, h11.InformationalResponse), event
