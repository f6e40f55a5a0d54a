"""HTTP by aiohttp: the size of a request, what is no request, the headers of every response."""

import asyncio
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import WebConfigFile
from exporter.web import connection, http
from harness import virtual_time
from harness.virtual_time import in_virtual_time, until
from tests.web.serving import (
    GET,
    POST,
    about,
    connected,
    messages_shown,
    seconds_until_ended,
    serving,
)

# --- the size of a request ------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        b"GET /" + b"x" * connection.MAX_HEAD,
        b"GET /healthy HTTP/1.1\r\nHost: x\r\nX: " + b"x" * connection.MAX_HEAD,
        b"GET /healthy HTTP/1.1\r\nHost: x\r\n" + b"x" * connection.MAX_HEAD,
        b"GET /healthy HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * connection.MAX_HEAD,
        b"\r\n" * connection.MAX_HEAD + b"x" * connection.MAX_HEAD + b"y",
        GET[:-2] + b"X: " + b"x" * connection.MAX_HEAD + b"\r\n\r\n",
    ],
    ids=["line", "value", "name", "count", "empty lines", "whole"],
)
@in_virtual_time
async def test_a_head_that_is_too_large_is_refused_before_it_ends(start: bytes) -> None:
    async with serving() as served, connected(served) as client:
        client.send(start)
        received = await client.ended()
        assert received.startswith(b"HTTP/1.1 431 ")
        assert served.arrived == []


@in_virtual_time
async def test_a_head_with_too_many_headers_is_refused() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET[:-2] + b"X: y\r\n" * (http.MAX_HEADERS + 1) + b"\r\n")
        assert (await client.ended()).startswith(b"HTTP/1.0 400 ")
        assert served.arrived == []


@in_virtual_time
async def test_a_head_that_is_no_ascii_is_refused() -> None:
    for sent in (b"Expect: \x80", b"X: \xc3\xa9", b"\xff: x"):
        async with serving() as served, connected(served) as client:
            client.send(GET[:-2] + sent + b"\r\n\r\n")
            assert (await client.ended()).startswith(b"HTTP/1.1 400 ")
            assert served.arrived == []


@in_virtual_time
async def test_a_head_that_is_just_small_enough_is_served() -> None:
    head = b"GET /healthy? HTTP/1.1\r\nHost: x\r\n" + b"Y: z\r\n" * 60 + b"X: \r\n\r\n"
    left = connection.MAX_HEAD - len(head)
    head = head.replace(b"?", b"?" + b"x" * (left // 2)).replace(
        b"X: ", b"X: " + b"x" * (left // 2)
    )
    async with serving() as served, connected(served) as client:
        client.send(head)
        assert (await client.answer())[0] == 200


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (POST + b"Content-Length: 16385\r\n\r\n", b""),
        (POST + b"Content-Length: 99999999999\r\n\r\n", b"x" * 4096),
        (POST + b"Expect: 100-continue\r\nContent-Length: 16385\r\n\r\n", b""),
    ],
    ids=["promised", "promised and sent", "expected"],
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


@in_virtual_time
async def test_a_body_that_is_small_enough_is_read_and_dropped() -> None:
    async with serving() as served, connected(served) as client:
        body = POST + b"Content-Length: 16384\r\n\r\n" + b"x" * 16384
        client.send(body + b"\r\n" + body + GET)
        assert [(await client.answer())[0] for _ in range(3)] == [200, 200, 200]


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"0\r\n\r\n",
        b"1000\r\n" + b"x" * 4096 + b"\r\n",
        b"0\r\nX: " + b"a" * 8000 + b"\r\n",
        b"1;x=" + b"a" * 8000 + b"\r\nx\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["empty", "endless", "trailers", "extensions", "none"],
)
@in_virtual_time
async def test_a_body_whose_length_is_not_said_is_refused_and_not_looked_at(body: bytes) -> None:
    async with serving() as served, connected(served) as client:
        client.send(POST + CHUNKED + body)
        status, headers, _ = await client.answer()
        assert (status, headers["Connection"]) == (411, "close")
        for _ in range(100):
            client.send(body)
        assert await client.ended() == b""
        assert served.arrived == []


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@in_virtual_time
async def test_after_a_request_for_another_protocol_the_connection_ends(protocol: bytes) -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n")
        status, headers, _ = await client.answer()
        assert (status, headers["Connection"]) == (200, "close")
        client.send(b"x" * 100_000)
        assert await client.ended() == b""


@in_virtual_time
async def test_who_expects_what_there_is_not_is_told_that_it_ends_here() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET[:-2] + b"Expect: a-miracle\r\n\r\n")
        status, headers, _ = await client.answer()
        assert (status, headers["Connection"]) == (417, "close")
        assert await seconds_until_ended(client) < connection.REQUEST_SECONDS


@in_virtual_time
async def test_who_sends_all_of_a_body_that_is_too_large_is_told_that_it_ends_here() -> None:
    async with serving() as served, connected(served) as client:
        client.send(POST + b"Content-Length: 16385\r\n\r\n" + b"x" * 16385)
        status, headers, _ = await client.answer()
        assert (status, headers["Connection"]) == (413, "close")
        assert await seconds_until_ended(client) < connection.REQUEST_SECONDS


@in_virtual_time
async def test_who_is_still_sending_when_refused_has_time_to_read_why() -> None:
    async with serving() as served, connected(served) as client:
        client.send(POST + b"Content-Length: 99999999\r\n\r\n")
        assert (await client.answer())[0] == 413
        assert await seconds_until_ended(client) == about(connection.LINGER_SECONDS)


# --- what is not HTTP -----------------------------------------------------------------------


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
    assert messages_shown(handler.records) == []


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
        "http_server_config: {headers: {X-Frame-Options: deny, Content-Security-Policy: mine}}\n"
        "basic_auth_users: {}"
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


@in_virtual_time
async def test_a_client_that_may_go_on_with_its_body_is_told_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(
        "{basic_auth_users: {}, http_server_config: {headers: {X-Frame-Options: deny}}}"
    )
    async with serving(WebConfigFile(path)) as served, connected(served) as client:
        client.send(POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"x")
        status, headers, _ = await client.answer()
        assert (status, headers["X-Frame-Options"]) == (200, "deny")


# --- aiohttp --------------------------------------------------------------------------------


@in_virtual_time
async def test_aiohttp_knows_every_option_it_is_given(caplog: pytest.LogCaptureFixture) -> None:
    """If it does not know one, it goes on without any of them, and only warns."""
    async with serving() as served, connected(served) as client:
        assert await client.get() == 200
    assert messages_shown(caplog.records) == []


@in_virtual_time
async def test_nobody_works_for_a_client_that_has_gone() -> None:
    async with serving() as served:
        async with connected(served) as client:
            client.send(GET.replace(b"healthy", b"slow"))
            await until(lambda: "slow" in served.arrived)
        await until(lambda: "given up" in served.arrived)
        assert not served.go_on.is_set()


@in_virtual_time
async def test_a_compressed_body_is_not_expanded() -> None:
    async with serving() as served, connected(served) as client:
        client.send(POST + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello")
        assert (await client.answer())[0] == 200  # what is no gzip is nobody's business


@pytest.mark.parametrize(
    "long",
    [
        GET.replace(b"/healthy", b"/healthy?" + b"a" * 12_000),
        GET.replace(b"Host:", b"Cookie: " + b"a" * 12_000 + b"\r\nHost:"),
    ],
    ids=["line", "header"],
)
@in_virtual_time
async def test_of_a_head_one_line_may_take_nearly_all(long: bytes) -> None:
    async with serving() as served, connected(served) as client:
        client.send(long)
        assert (await client.answer())[0] == 200


# --- what is being received -----------------------------------------------------------------


class Reader:
    """What sends a body to a client that takes its pieces when the test lets it."""

    def __init__(self) -> None:
        self.received = b""
        self.takes = asyncio.Event()

    async def write(self, piece: memoryview) -> None:
        self.received += piece

    async def drain(self) -> None:
        await self.takes.wait()


async def test_a_body_is_under_way_until_the_last_client_has_it_or_is_gone() -> None:
    under_way, body, other = http.UnderWay(), bytes(3 * http.PIECE), bytes(2 * http.PIECE)
    readers = [Reader() for _ in range(3)]
    sent = [
        asyncio.create_task(http.InPieces(each, under_way).write(reader))  # type: ignore[arg-type]
        for each, reader in zip((body, body, other), readers, strict=True)
    ]
    await asyncio.sleep(0)
    assert under_way.size == len(body) + len(other)
    readers[0].takes.set()
    await sent[0]
    assert readers[0].received == body
    assert under_way.size == len(body) + len(other)
    sent[1].cancel()
    await asyncio.wait(sent[1:2])
    assert under_way.size == len(other)
    readers[2].takes.set()
    await sent[2]
    assert under_way.size == 0
    assert not under_way._clients


def test_while_much_is_under_way_only_little_is_sent_and_what_others_are_receiving() -> None:
    under_way, large = http.UnderWay(), bytes(http.LITTLE + 1)
    under_way.begin(body := bytes(http.MAX_UNDER_WAY - 1))
    assert under_way.has_room(large)
    under_way.begin(another := b"x")
    assert not under_way.has_room(large)
    assert under_way.has_room(body)
    assert under_way.has_room(bytes(http.LITTLE))
    under_way.end(another)
    assert under_way.has_room(large)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "large"), ("HEAD", "large"), ("GET", "large-refused")]
)
@in_virtual_time
async def test_of_what_was_sent_nothing_is_kept_while_a_client_may_ask_again(
    method: str, path: str
) -> None:
    async with serving() as served, connected(served) as client:
        client.send(f"{method} /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await (client.reader.readuntil(b"\r\n\r\n") if method == "HEAD" else client.answer())
        (body,) = served.bodies
        await until(lambda: body() is None)
        assert await client.get() == 200
