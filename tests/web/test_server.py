"""The listening socket and its limits: real sockets on loopback, deadlines in virtual time."""

import asyncio
import asyncio.sslproto
import contextlib
import errno
import gc
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import bcrypt
import pytest
import trustme
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import ListenAddress, WebConfigFile
from exporter.web import server as listen
from harness import virtual_time
from harness.certificates import renewed
from harness.virtual_time import in_virtual_time, until

LOCAL = ListenAddress("127.0.0.1", 0)
GET = b"GET /healthy HTTP/1.1\r\nHost: x\r\n\r\n"
HUGE = 64 * 1024 * 1024
"""Bytes; more than the sockets of both sides hold."""


class Served:
    """A server that is running, and what its handlers wait for."""

    def __init__(self, config: WebConfigFile, max_connections: int) -> None:
        self.config = config
        self.arrived: list[str] = []
        self.go_on = asyncio.Event()
        app = web.Application(middlewares=listen.middlewares(config))
        app.router.add_route("*", "/healthy", self._healthy)
        app.router.add_get("/slow", self._slow)
        app.router.add_get("/huge", self._huge)
        app.router.add_get("/broken", self._broken)
        self.server = listen.Server(app, LOCAL, config, max_connections=max_connections)

    @property
    def port(self) -> int:
        return self.server.addresses[0][1]

    async def _healthy(self, request: web.Request) -> web.Response:
        self.arrived.append("healthy")
        return web.Response(text="healthy\n", headers={"Content-Security-Policy": "of the page"})

    async def _slow(self, request: web.Request) -> web.Response:
        self.arrived.append("slow")
        await self.go_on.wait()
        return web.Response(text="slow\n")

    async def _huge(self, request: web.Request) -> web.Response:
        self.arrived.append("huge")
        return web.Response(body=b"x" * HUGE)

    async def _broken(self, request: web.Request) -> web.Response:
        raise RuntimeError("a defect")


@contextlib.asynccontextmanager
async def serving(
    config: WebConfigFile | None = None, max_connections: int = 10
) -> AsyncIterator[Served]:
    served = Served(config or WebConfigFile(None), max_connections)
    await served.server.start()
    try:
        yield served
    finally:
        await served.server.stop()


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
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
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


# --- serving --------------------------------------------------------------------------------


@in_virtual_time
async def test_it_serves_at_the_address_it_names() -> None:
    async with serving() as served:
        assert served.server.addresses == [("127.0.0.1", served.port)]
        async with connected(served) as client:
            client.send(GET)
            status, _, body = await client.answer()
    assert (status, body) == (200, b"healthy\n")


async def test_an_address_that_is_taken_is_an_error() -> None:
    async with serving() as served:
        other = Served(WebConfigFile(None), 10)
        address = ListenAddress("127.0.0.1", served.port)
        other.server = listen.Server(web.Application(), address, other.config, max_connections=1)
        with pytest.raises(OSError, match="address already in use"):
            await other.server.start()
        assert other.server.addresses == []
        await other.server.stop()


async def test_a_machine_without_that_kind_of_address_is_no_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class OldSocket(socket.socket):
        def __init__(self, family: int = -1, *more: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *more)

    monkeypatch.setattr(socket, "socket", OldSocket)
    config = WebConfigFile(None)
    server = listen.Server(web.Application(), ListenAddress("::1", 0), config, max_connections=1)
    # The second is what a newer asyncio says itself.
    with pytest.raises(OSError, match=r"no addresses of that kind|could not bind on any address"):
        await server.start()
    await server.stop()


async def test_without_a_host_it_serves_on_every_interface() -> None:
    config = WebConfigFile(None)
    server = listen.Server(web.Application(), ListenAddress(None, 0), config, max_connections=1)
    await server.start()
    try:
        assert "0.0.0.0" in {host for host, _ in server.addresses}
    finally:
        await server.stop()


@in_virtual_time
async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with serving() as served, connected(served) as client:
        for _ in range(3):
            assert await client.get() == 200
            await asyncio.sleep(60)  # as long as Prometheus may take to come again
        client.send(GET + GET + GET)
        assert [(await client.answer())[0] for _ in range(3)] == [200, 200, 200]


@in_virtual_time
async def test_stopping_lets_what_is_under_way_finish_and_ends_the_rest() -> None:
    async with serving() as served, connected(served) as idle, connected(served) as busy:
        assert await idle.get() == 200
        busy.send(GET.replace(b"healthy", b"slow"))
        await until(lambda: "slow" in served.arrived)
        port = served.port
        stopping = asyncio.create_task(served.server.stop())
        assert await idle.ended() == b""
        served.go_on.set()
        assert (await busy.answer())[2] == b"slow\n"
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


@in_virtual_time
async def test_stopping_waits_for_nobody_longer_than_it_says() -> None:
    loop = asyncio.get_running_loop()
    async with serving() as served, connected(served) as busy, connected(served) as deaf:
        busy.send(GET.replace(b"healthy", b"slow"))
        deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
        deaf.send(GET.replace(b"healthy", b"huge"))
        await until(lambda: len(served.arrived) == 2)
        begun = loop.time()
        await served.server.stop()
        assert loop.time() - begun <= 2 * listen.SHUTDOWN_SECONDS + 0.1
        assert await busy.ended() == b""
        deaf.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await deaf.ended()) < HUGE


# --- the size of a request ------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        b"GET /" + b"x" * (listen.MAX_LINE + 1),
        b"GET /healthy HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (listen.MAX_HEADER + 1),
        b"GET /healthy HTTP/1.1\r\nHost: x\r\n" + b"x" * (listen.MAX_HEADER + 1),
        b"GET /healthy HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * (listen.MAX_HEADERS + 1) + b"\r\n",
    ],
    ids=["line", "value", "name", "count"],
)
@in_virtual_time
async def test_a_head_that_is_too_large_is_refused_before_it_ends(start: bytes) -> None:
    async with serving() as served, connected(served) as client:
        client.send(start)
        received = await client.ended()
        assert received.startswith(b"HTTP/1.0 400 ")
        assert served.arrived == []


@in_virtual_time
async def test_a_head_that_is_just_small_enough_is_served() -> None:
    line = b"GET /healthy?" + b"x" * (listen.MAX_LINE - 100) + b" HTTP/1.1\r\nHost: x\r\n"
    headers = b"X: " + b"x" * (listen.MAX_HEADER - 100) + b"\r\n" + b"Y: z\r\n" * 60
    async with serving() as served, connected(served) as client:
        client.send(line + headers + b"\r\n")
        assert (await client.answer())[0] == 200


POST = b"POST /healthy HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (POST + b"Content-Length: 16385\r\n\r\n", b""),
        (POST + b"Content-Length: 99999999999\r\n\r\n", b"x" * 4096),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        (POST + b"Expect: 100-continue\r\nContent-Length: 16385\r\n\r\n", b""),
        (
            POST + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1000\r\n" + b"x" * 4096 + b"\r\n",
        ),
    ],
    ids=["promised", "promised and sent", "endless", "expected", "compressed"],
)
@in_virtual_time
async def test_a_body_that_is_too_large_is_refused_and_the_connection_ended(
    head: bytes, part: bytes
) -> None:
    async with serving() as served, connected(served) as client:
        client.send(head)

        async def sending() -> None:
            while part:
                client.send(part)
                await asyncio.sleep(0.01)

        task = asyncio.create_task(sending())
        received = await client.ended()
        task.cancel()
        assert received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(b"HTTP/1.1 413 ")
        assert served.arrived == []


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 16384\r\n\r\n" + b"x" * 16384,
        b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n0\r\n\r\n",
    ],
)
@in_virtual_time
async def test_a_body_that_is_small_enough_is_read_and_dropped(rest: bytes) -> None:
    async with serving() as served, connected(served) as client:
        client.send(POST + rest)
        assert (await client.answer())[0] == 200
        assert await client.get() == 200


@in_virtual_time
async def test_who_sends_all_of_a_body_that_is_too_large_is_told_that_it_ends_here() -> None:
    async with serving() as served, connected(served) as client:
        client.send(POST + b"Content-Length: 16385\r\n\r\n" + b"x" * 16385)
        status, headers, _ = await client.answer()
        assert (status, headers["Connection"]) == (413, "close")
        assert await seconds_until_ended(client) < listen.REQUEST_SECONDS


@in_virtual_time
async def test_who_is_still_sending_when_refused_has_time_to_read_why() -> None:
    async with serving() as served, connected(served) as client:
        client.send(POST + b"Content-Length: 99999999\r\n\r\n")
        assert (await client.answer())[0] == 413
        assert await seconds_until_ended(client) == about(listen.LINGER_SECONDS)


@in_virtual_time
async def test_a_body_that_is_no_body_ends_the_connection() -> None:
    async with serving() as served, connected(served) as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.1)
        client.send(b"nonsense\r\n\r\n")
        assert await seconds_until_ended(client) <= listen.REQUEST_SECONDS
        assert served.arrived == []


# --- slow clients ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /",
        b"GET /healthy HTTP/1.1\r\nHost: x\r\nX: ",
        POST + b"Content-Length: 100\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n",
    ],
    ids=["line", "header", "body", "chunk"],
)
@pytest.mark.parametrize("drip", [b"", b"x"], ids=["silent", "byte by byte"])
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
@in_virtual_time
async def test_a_request_has_ten_seconds_from_its_first_byte_to_its_last(
    begun: bytes, drip: bytes, kept: bool
) -> None:
    async with serving() as served, connected(served) as client:
        if kept:
            assert await client.get() == 200
            await asyncio.sleep(100)
        client.send(begun)

        async def dripping() -> None:
            while drip:
                await asyncio.sleep(1)
                client.send(drip)

        task = asyncio.create_task(dripping())
        seconds = await seconds_until_ended(client)
        task.cancel()
        assert seconds == about(listen.REQUEST_SECONDS)
        assert len(served.arrived) == kept


@in_virtual_time
async def test_the_first_byte_of_a_connection_has_ten_seconds() -> None:
    async with serving() as served, connected(served) as client:
        assert await seconds_until_ended(client) == about(listen.REQUEST_SECONDS)


@in_virtual_time
async def test_a_request_begun_during_another_has_ten_seconds_too() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET.replace(b"healthy", b"slow"))
        await until(lambda: "slow" in served.arrived)
        client.send(GET[:10])
        await asyncio.sleep(60)  # it is our turn, not the client's
        served.go_on.set()
        assert (await client.answer())[0] == 200
        assert await seconds_until_ended(client) == about(listen.REQUEST_SECONDS)


@in_virtual_time
async def test_a_request_that_came_with_another_has_ten_seconds_too() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET + POST + b"Content-Length: 100\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await seconds_until_ended(client) == about(listen.REQUEST_SECONDS)


@in_virtual_time
async def test_an_idle_connection_is_kept_for_two_minutes() -> None:
    async with serving() as served, connected(served) as client:
        assert await client.get() == 200
        await asyncio.sleep(listen.IDLE_SECONDS - 1)
        assert await client.get() == 200
        assert await seconds_until_ended(client) == about(listen.IDLE_SECONDS)


@in_virtual_time
async def test_a_client_that_takes_no_response_is_cut_off() -> None:
    async with serving(max_connections=1) as served, connected(served) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(GET.replace(b"healthy", b"huge"))
        await until(lambda: "huge" in served.arrived)
        async with connected(served) as other:
            assert await other.ended() == b""  # the one place is taken
        await asyncio.sleep(listen.TAKE_SECONDS + 0.2)
        async with connected(served) as other:
            assert await other.get() == 200
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await client.ended()) < HUGE


@in_virtual_time
async def test_a_client_that_takes_its_response_gets_all_of_it() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET.replace(b"healthy", b"huge"))
        status, _, body = await client.answer()
        assert (status, len(body)) == (200, HUGE)
        assert await client.get() == 200


# --- how many -------------------------------------------------------------------------------


@in_virtual_time
async def test_a_new_connection_takes_the_place_of_the_one_that_waited_longest() -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(max_connections=3))

        async def one_more() -> Client:
            await asyncio.sleep(1)
            return await stack.enter_async_context(connected(served))

        idle, slow, silent = [await one_more() for _ in range(3)]
        assert await idle.get() == 200
        slow.send(GET[:5])
        await asyncio.sleep(1)
        assert await idle.get() == 200
        for longest in (silent, slow, idle):
            newest = await one_more()
            assert await newest.get() == 200
            assert await seconds_until_ended(longest) == about(0)


@in_virtual_time
async def test_only_when_all_are_busy_a_connection_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(max_connections=2))
        busy = [await stack.enter_async_context(connected(served)) for _ in range(2)]
        for client in busy:
            client.send(GET.replace(b"healthy", b"slow"))
        await until(lambda: served.arrived == ["slow", "slow"])
        for _ in range(3):
            refused = await stack.enter_async_context(connected(served))
            assert await refused.ended() == b""
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "--web.max-connections" in caplog.text
        served.go_on.set()
        for client in busy:
            assert (await client.answer())[0] == 200
        newest = await stack.enter_async_context(connected(served))
        assert await newest.get() == 200
        assert await seconds_until_ended(busy[0]) == about(0)


@in_virtual_time
async def test_connections_that_ended_leave_their_places() -> None:
    async with serving(max_connections=2) as served, connected(served) as kept:
        assert await kept.get() == 200
        for _ in range(20):
            async with connected(served) as client:
                assert await client.get() == 200
            await asyncio.sleep(0.1)
        assert await kept.get() == 200


async def test_who_waits_to_be_known_gives_way(tmp_path: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()
    hashpw = bcrypt.hashpw
    (tmp_path / "web.yml").write_text(
        f"basic_auth_users: {{a: {hashpw(b'x', bcrypt.gensalt(4)).decode()}}}"
    )

    def gated(password: bytes, salt: bytes) -> bytes:
        reached.set()
        go_on.wait(60)
        return hashpw(password, salt)

    guess = GET.replace(b"\r\n\r\n", b"\r\nAuthorization: Basic YTpi\r\n\r\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bcrypt, "hashpw", gated)
        async with serving(WebConfigFile(tmp_path / "web.yml"), 1) as served:
            async with connected(served) as guesser:
                guesser.send(guess)
                assert await asyncio.to_thread(reached.wait, 60)
                async with connected(served) as other:
                    other.send(GET)
                    assert (await other.answer())[0] == 401
                    assert await guesser.ended() == b""
            go_on.set()


# --- what is not HTTP -----------------------------------------------------------------------


def told(records: Sequence[logging.LogRecord]) -> list[str]:
    return [r.getMessage() for r in records if r.levelno >= logging.INFO]


HEAD = b"GET /healthy HTTP/1.1\r\nHost: x\r\n"
PIECES = st.sampled_from(
    [
        GET,
        HEAD,
        POST,
        b"\r\n",
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"Content-Length: 3\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"Expect: x\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n",
        b"CONNECT x:1 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n",
        b"GET //\xff%zz?# HTTP/1.0\r\n",
        b"HEAD * HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
    ]
)


@given(sent=st.lists(st.binary(max_size=40) | PIECES, max_size=6), cut=st.integers(1, 30))
def test_no_bytes_do_harm(sent: list[bytes], cut: int) -> None:
    """The next honest request is answered, and what is logged is nothing to wake anybody for."""
    handler = _Collecting()
    log = logging.getLogger()
    log.addHandler(handler)

    async def hostile() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        async with serving(max_connections=2) as served:
            async with connected(served) as client:
                data = b"".join(sent)
                for at in range(0, len(data), cut):
                    if client.writer.is_closing():
                        break
                    client.send(data[at : at + cut])
                    await asyncio.sleep(0.01)
                await client.ended()
            async with connected(served) as client:
                assert await client.get() == 200

    wrong: list[object] = []
    try:
        virtual_time.run(hostile())
    finally:
        log.removeHandler(handler)
    assert wrong == []
    assert told(handler.records) == []


class _Collecting(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@in_virtual_time
async def test_a_defect_of_ours_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET.replace(b"healthy", b"broken"))
        assert (await client.answer())[0] == 500
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "a defect" in caplog.text


# --- headers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET, 200),
        (GET.replace(b"healthy", b"none"), 404),
        (GET.replace(b"healthy", b"broken"), 500),
        (GET.replace(b"GET /healthy", b"POST /slow"), 405),
        (POST + b"Content-Length: 99999\r\n\r\n", 413),
        (POST + b"Expect: x\r\n\r\n", 417),
        (b"nonsense\r\n\r\n", 400),
    ],
)
@in_virtual_time
async def test_the_headers_of_the_file_are_in_every_response(
    tmp_path: Path, request_: bytes, status: int
) -> None:
    path = tmp_path / "web.yml"
    path.write_text(
        "http_server_config: {headers: {X-Frame-Options: deny, Content-Security-Policy: mine}}"
    )
    async with serving(WebConfigFile(path)) as served, connected(served) as client:
        client.send(request_)
        answered, headers, _ = await client.answer()
        assert answered == status
        assert headers["X-Frame-Options"] == "deny"
        assert headers["Content-Security-Policy"] == "mine"


@in_virtual_time
async def test_without_a_file_a_response_keeps_its_own_headers() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET)
        _, headers, _ = await client.answer()
        assert headers["Content-Security-Policy"] == "of the page"
        assert "X-Frame-Options" not in headers


# --- TLS ------------------------------------------------------------------------------------


def config_of(folder: Path, keys: str = "") -> WebConfigFile:
    path = folder / "web.yml"
    path.write_text(f"tls_server_config: {{cert_file: fax.pem, key_file: fax.key{keys}}}\n")
    return WebConfigFile(path)


DEMAND = ", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert"


def trusting(ca: trustme.CA, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_it_serves_through_tls(
    tmp_path: Path, ca: trustme.CA, version: ssl.TLSVersion
) -> None:
    async with (
        serving(config_of(tmp_path)) as served,
        connected(served, trusting(ca, version)) as client,
    ):
        for _ in range(3):
            assert await client.get() == 200
            await asyncio.sleep(60)
        client.send(GET.replace(b"healthy", b"huge"))
        assert len((await client.answer())[2]) == HUGE


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_a_version_below_the_least_is_refused(
    tmp_path: Path, ca: trustme.CA, version: ssl.TLSVersion
) -> None:
    async with serving(config_of(tmp_path, ", min_version: TLS13")) as served:
        if version is ssl.TLSVersion.TLSv1_3:
            async with connected(served, trusting(ca, version)) as client:
                assert await client.get() == 200
        else:
            with pytest.raises(OSError):  # noqa: PT011  # of many kinds
                await asyncio.open_connection("127.0.0.1", served.port, ssl=trusting(ca, version))


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_only_who_has_a_certificate_of_the_ca_gets_in(
    tmp_path: Path, ca: trustme.CA, version: ssl.TLSVersion
) -> None:
    async with serving(config_of(tmp_path, DEMAND)) as served:
        for signer, good in ((ca, True), (trustme.CA(), False), (None, False)):
            context = trusting(ca, version)
            if signer is not None:
                signer.issue_cert("prometheus").configure_cert(context)
            status = 0
            # Under TLS 1.3 the client hears of the refusal when it reads.
            with contextlib.suppress(ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
                async with connected(served, context) as client:
                    status = await client.get()
            assert status == (200 if good else 0)
        assert served.arrived == ["healthy"]


@in_virtual_time
async def test_an_intermediate_in_the_file_is_trusted_by_itself_as_in_go(
    tmp_path: Path, ca: trustme.CA
) -> None:
    intermediate = ca.create_child_ca()
    intermediate.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serving(config_of(tmp_path, DEMAND)) as served:
        context = trusting(ca)
        intermediate.issue_cert("prometheus").configure_cert(context)
        async with connected(served, context) as client:
            assert await client.get() == 200


@in_virtual_time
async def test_a_certificate_that_is_not_demanded_may_be_missing_but_not_wrong(
    tmp_path: Path, ca: trustme.CA
) -> None:
    keys = DEMAND.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    async with serving(config_of(tmp_path, keys)) as served:
        async with connected(served, trusting(ca)) as client:
            assert await client.get() == 200
        context = trusting(ca)
        trustme.CA().issue_cert("stranger").configure_cert(context)
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            async with connected(served, context) as client:
                await client.get()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a part"])
@in_virtual_time
async def test_a_handshake_that_does_not_go_on_has_ten_seconds(
    tmp_path: Path, ca: trustme.CA, sent: bytes
) -> None:
    async with serving(config_of(tmp_path)) as served, connected(served) as client:
        client.send(sent)
        assert await seconds_until_ended(client) == about(listen.REQUEST_SECONDS)


@pytest.mark.parametrize("sent", [GET, b"\0" * 100, b"\x16\x03\x01\x00\x05hello"])
@in_virtual_time
async def test_what_is_no_handshake_ends_the_connection_and_is_no_news(
    tmp_path: Path, ca: trustme.CA, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(config_of(tmp_path)) as served:
        async with connected(served) as client:
            client.send(sent)
            await client.ended()
        async with connected(served, trusting(ca)) as client:
            assert await client.get() == 200
    assert told(caplog.records) == []


async def test_failed_handshakes_leave_nothing_in_memory(tmp_path: Path, ca: trustme.CA) -> None:
    gc.collect()
    gc.disable()
    try:
        async with serving(config_of(tmp_path)) as served:
            for _ in range(20):
                async with connected(served) as client:
                    client.send(GET)
                    await client.ended()
        left = [one for one in gc.get_objects() if isinstance(one, asyncio.sslproto.SSLProtocol)]
        assert len(left) <= 2
    finally:
        gc.enable()


@in_virtual_time
async def test_handshakes_are_counted_and_give_way(tmp_path: Path, ca: trustme.CA) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(config_of(tmp_path), max_connections=3))
        silent = [await stack.enter_async_context(connected(served)) for _ in range(3)]
        await asyncio.sleep(1)
        client = await stack.enter_async_context(connected(served, trusting(ca)))
        assert await client.get() == 200
        assert await seconds_until_ended(silent[0]) == about(0)


@in_virtual_time
async def test_who_reads_nothing_through_tls_is_cut_off(tmp_path: Path, ca: trustme.CA) -> None:
    async with (
        serving(config_of(tmp_path), max_connections=1) as served,
        connected(served, trusting(ca)) as client,
    ):
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(GET.replace(b"healthy", b"huge"))
        await until(lambda: "huge" in served.arrived)
        with pytest.raises(OSError):  # noqa: PT011  # refused: the one place is taken
            await asyncio.open_connection("127.0.0.1", served.port, ssl=trusting(ca))
        await asyncio.sleep(listen.TAKE_SECONDS + 0.2)
        async with connected(served, trusting(ca)) as other:
            assert await other.get() == 200


async def test_a_renewed_certificate_is_shown_and_idle_connections_are_ended(
    tmp_path: Path, ca: trustme.CA
) -> None:
    config = config_of(tmp_path)
    async with serving(config) as served:
        async with connected(served, trusting(ca)) as idle, connected(served, trusting(ca)) as busy:
            assert await idle.get() == 200
            busy.send(GET.replace(b"healthy", b"slow"))
            while "slow" not in served.arrived:
                await asyncio.sleep(0)
            before = shown(idle)
            renewed(ca, tmp_path)
            assert await config.reload()
            assert await idle.ended() == b""
            served.go_on.set()
            status, headers, _ = await busy.answer()
            assert (status, headers["Connection"]) == (200, "close")
            assert await busy.ended() == b""
            assert shown(busy) == before
        async with connected(served, trusting(ca)) as client:
            assert await client.get() == 200
            assert shown(client) != before


async def test_a_renewed_certificate_ends_no_request_that_has_begun(
    tmp_path: Path, ca: trustme.CA
) -> None:
    config = config_of(tmp_path)
    async with serving(config) as served, connected(served, trusting(ca)) as client:
        client.send(GET[:10])
        while all(connection.idle for connection in served.server._connections):
            await asyncio.sleep(0)
        renewed(ca, tmp_path)
        assert await config.reload()
        client.send(GET[10:])
        status, headers, _ = await client.answer()
        assert (status, headers["Connection"]) == (200, "close")


async def test_a_client_cannot_have_the_keys_made_anew(tmp_path: Path, ca: trustme.CA) -> None:
    context = config_of(tmp_path).current.ssl_context
    assert context is not None
    assert context.options & ssl.OP_NO_RENEGOTIATION


def shown(client: Client) -> object:
    """The serial number of the server's certificate."""
    return client.writer.get_extra_info("peercert")["serialNumber"]


async def test_tls_can_be_turned_on_and_off_again(tmp_path: Path, ca: trustme.CA) -> None:
    config = config_of(tmp_path)
    text = (tmp_path / "web.yml").read_text()
    (tmp_path / "web.yml").write_text("{}")
    assert await config.reload()
    async with serving(config) as served:
        for now, then, context in (("{}", text, None), (text, "{}", trusting(ca))):
            async with connected(served, context) as client:
                assert await client.get() == 200, now
                (tmp_path / "web.yml").write_text(then)
                assert await config.reload()
                assert await client.ended() == b""
        async with connected(served) as client:
            assert await client.get() == 200


async def test_new_users_end_no_plain_connection(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("")
    config = WebConfigFile(path)
    async with serving(config) as served, connected(served) as client:
        assert await client.get() == 200
        known = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
        path.write_text(f"basic_auth_users: {{a: {known}}}")
        assert await config.reload()
        assert await client.get() == 401
