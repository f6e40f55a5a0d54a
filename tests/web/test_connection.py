"""A client's connection and its deadlines: real sockets on loopback, virtual time."""

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme

from exporter.settings import WebConfigFile
from exporter.web.connection import (
    IDLE_SECONDS,
    RECEIVE_SECONDS,
    REQUEST_SECONDS,
    Connection,
    Phase,
)
from exporter.web.places import Places, Standing
from exporter.web.turns import Turns
from harness.virtual_time import in_virtual_time, until
from tests.web.serving import (
    GET,
    HUGE,
    POST,
    about,
    config_of,
    connected,
    messages_shown,
    seconds_until_ended,
    serving,
    trusting,
)


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /",
        b"GET /healthy HTTP/1.1\r\nHost: x\r\nX: ",
        POST + b"Content-Length: 100\r\n\r\n",
    ],
    ids=["line", "header", "body"],
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
        assert seconds == about(REQUEST_SECONDS)
        assert len(served.arrived) == kept


@in_virtual_time
async def test_the_first_byte_of_a_connection_has_ten_seconds() -> None:
    async with serving() as served, connected(served) as client:
        assert await seconds_until_ended(client) == about(REQUEST_SECONDS)


@in_virtual_time
async def test_a_request_begun_during_another_has_ten_seconds_too() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET.replace(b"healthy", b"slow"))
        await until(lambda: "slow" in served.arrived)
        client.send(GET[:10])
        await asyncio.sleep(60)  # it is our turn, not the client's
        served.go_on.set()
        assert (await client.answer())[0] == 200
        assert await seconds_until_ended(client) == about(REQUEST_SECONDS)


@in_virtual_time
async def test_a_request_that_came_with_another_has_ten_seconds_too() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET + POST + b"Content-Length: 100\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await seconds_until_ended(client) == about(REQUEST_SECONDS)


@in_virtual_time
async def test_an_idle_connection_is_kept_for_two_minutes() -> None:
    async with serving() as served, connected(served) as client:
        assert await client.get() == 200
        await asyncio.sleep(IDLE_SECONDS - 1)
        assert await client.get() == 200
        assert await seconds_until_ended(client) == about(IDLE_SECONDS)


@in_virtual_time
async def test_after_requests_on_each_others_heels_a_connection_is_kept_as_long_as_others() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET.replace(b"healthy", b"slow"))
        await until(lambda: "slow" in served.arrived)
        client.send(GET)
        await asyncio.sleep(1)
        served.go_on.set()
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]
        assert await seconds_until_ended(client) == about(IDLE_SECONDS)


@in_virtual_time
async def test_a_client_that_takes_no_response_is_cut_off() -> None:
    async with serving() as served, connected(served) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(GET.replace(b"healthy", b"huge"))
        await until(lambda: "huge" in served.arrived)
        (cut_off,) = served.server._places
        begun = asyncio.get_running_loop().time()
        await until(lambda: cut_off.phase is Phase.ENDED)
        assert asyncio.get_running_loop().time() - begun == about(RECEIVE_SECONDS)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await client.ended()) < HUGE


@in_virtual_time
async def test_a_further_request_waits_until_the_response_before_is_taken() -> None:
    async with serving() as served, connected(served) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(GET.replace(b"healthy", b"huge") + GET)
        await until(lambda: "huge" in served.arrived)
        await asyncio.sleep(RECEIVE_SECONDS / 2)
        assert served.arrived == ["huge"]
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]


@in_virtual_time
async def test_a_client_that_takes_its_response_gets_all_of_it() -> None:
    async with serving() as served, connected(served) as client:
        client.send(GET.replace(b"healthy", b"huge"))
        status, _, body = await client.answer()
        assert (status, len(body)) == (200, HUGE)
        assert await client.get() == 200


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a part"])
@in_virtual_time
async def test_a_handshake_that_does_not_go_on_has_ten_seconds(
    tmp_path: Path, ca: trustme.CA, sent: bytes
) -> None:
    async with serving(config_of(tmp_path)) as served, connected(served) as client:
        client.send(sent)
        assert await seconds_until_ended(client) == about(REQUEST_SECONDS)


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
    assert messages_shown(caplog.records) == []


async def test_connections_leave_nothing_in_memory(tmp_path: Path, ca: trustme.CA) -> None:
    gc.collect()
    gc.disable()
    try:
        async with serving(config_of(tmp_path)) as served:
            for context in [None, trusting(ca)] * 10:
                async with connected(served, context) as client:
                    client.send(GET)
                    await client.ended() if context is None else await client.answer()
            while list(served.server._places):
                await asyncio.sleep(0)
        gc.collect()
        assert [one for one in gc.get_objects() if isinstance(one, Connection)] == []
    finally:
        gc.enable()


@in_virtual_time
async def test_who_reads_nothing_through_tls_is_cut_off(tmp_path: Path, ca: trustme.CA) -> None:
    async with (
        serving(config_of(tmp_path)) as served,
        connected(served, trusting(ca)) as client,
    ):
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(GET.replace(b"healthy", b"huge"))
        await until(lambda: "huge" in served.arrived)
        (cut_off,) = served.server._places
        begun = asyncio.get_running_loop().time()
        await until(lambda: cut_off.phase is Phase.ENDED)
        assert asyncio.get_running_loop().time() - begun == about(RECEIVE_SECONDS)


@in_virtual_time
async def test_who_ends_tls_is_let_go_at_once(tmp_path: Path, ca: trustme.CA) -> None:
    async with (
        serving(config_of(tmp_path)) as served,
        connected(served, trusting(ca)) as client,
    ):
        assert await client.get() == 200
        begun = asyncio.get_running_loop().time()
        client.writer.close()  # asyncio says the end of TLS, and waits for that of the server
        await until(lambda: not list(served.server._places))
        assert asyncio.get_running_loop().time() - begun == about(0)


@in_virtual_time
async def test_what_came_in_advance_through_tls_is_answered_in_its_turn(
    tmp_path: Path, ca: trustme.CA
) -> None:
    async with (
        serving(config_of(tmp_path)) as served,
        connected(served, trusting(ca)) as client,
    ):
        client.send(GET.replace(b"healthy", b"slow"))
        await until(lambda: "slow" in served.arrived)
        client.send(GET * 1000)  # more than waits decrypted
        await asyncio.sleep(1)
        served.go_on.set()
        assert [(await client.answer())[0] for _ in range(1001)] == [200] * 1001


@in_virtual_time
async def test_who_breaks_tls_is_cut_off_at_once(tmp_path: Path, ca: trustme.CA) -> None:
    async with (
        serving(config_of(tmp_path)) as served,
        connected(served, trusting(ca)) as client,
    ):
        assert await client.get() == 200
        os.write(client.writer.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x05hello")
        assert await seconds_until_ended(client) == about(0)


# --- its end --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def accepted(
    config: WebConfigFile,
    places: Places[Connection],
    turns: Turns | None = None,
    sent: bytes = b"",
) -> AsyncIterator[Connection]:
    """One that asyncio has just accepted, without a server."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    buffer = memoryview(bytearray(1000))
    with theirs:
        theirs.send(sent)
        _, connection = await loop.connect_accepted_socket(
            lambda: Connection(config, asyncio.Protocol, places, turns or Turns(), buffer), ours
        )
        yield connection
        connection.abort()


async def test_what_is_sent_before_a_handshake_has_its_turn_is_not_read(
    tmp_path: Path, ca: trustme.CA
) -> None:
    fed: list[int] = []

    class Busy(Turns):
        def add(self, call: Callable[[], None]) -> None:
            fed.append(len(fed))  # its turn does not come

    places = Places[Connection](1, lambda: False)
    sent = b"\x16" + b"x" * 100_000
    async with accepted(config_of(tmp_path), places, Busy(), sent) as connection:
        for _ in range(50):
            await asyncio.sleep(0)
        assert connection.phase is Phase.HANDSHAKE
        assert len(fed) == 1
        assert places._held[connection][2] is Standing.BUSY  # it waits for us


async def test_what_the_network_does_not_take_pauses_who_writes() -> None:
    standings: list[Standing] = []

    class Noting(Places[Connection]):
        def mark(self, one: Connection, standing: Standing) -> None:
            standings.append(standing)

    async with accepted(WebConfigFile(None), Noting(1, lambda: False)) as connection:
        connection.received()
        connection.sending()
        assert standings[-1:] == [Standing.BUSY]
        while not connection._tcp.get_write_buffer_size():
            connection.write(b"x")
        assert standings[-1:] == [Standing.STALLED]


async def test_whatever_happens_after_its_end_a_connection_holds_no_place() -> None:
    config, places = WebConfigFile(None), Places[Connection](1, lambda: False)
    async with accepted(config, places) as ended:
        ended.abort()
        ended.received()
        ended.sent()
        assert ended.phase is Phase.ENDED
        async with accepted(config, places) as busy:
            busy.received()
            ended.logged_in()
            ended.pause_writing()
            assert list(places) == [busy]
