"""How many connections there may be, and which gives way: real sockets, virtual time."""

import asyncio
import contextlib
import threading
from pathlib import Path

import bcrypt
import pytest
import trustme

from exporter.settings import WebConfigFile
from exporter.web.places import Places
from harness.virtual_time import in_virtual_time, until
from tests.web.serving import (
    GET,
    Client,
    about,
    config_of,
    connected,
    seconds_until_ended,
    serving,
    trusting,
)


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


@in_virtual_time
async def test_handshakes_that_failed_leave_their_places(tmp_path: Path, ca: trustme.CA) -> None:
    async with (
        serving(config_of(tmp_path), max_connections=2) as served,
        connected(served, trusting(ca)) as kept,
    ):
        assert await kept.get() == 200
        for _ in range(5):
            async with connected(served) as client:
                client.send(GET)
                await client.ended()
        assert await kept.get() == 200


@in_virtual_time
async def test_handshakes_are_counted_and_give_way(tmp_path: Path, ca: trustme.CA) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(config_of(tmp_path), max_connections=3))
        silent = [await stack.enter_async_context(connected(served)) for _ in range(3)]
        await asyncio.sleep(1)
        client = await stack.enter_async_context(connected(served, trusting(ca)))
        assert await client.get() == 200
        assert await seconds_until_ended(silent[0]) == about(0)


class Held:
    """What holds a place, and frees it as a connection does."""

    def __init__(self, places: Places["Held"]) -> None:
        self.places = places

    def abort(self) -> None:
        self.places.free(self)


def test_each_time_that_all_get_busy_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    places: Places[Held] = Places(1)
    for times in (1, 2):
        busy = Held(places)
        assert places.take(busy)
        assert [places.take(Held(places)) for _ in range(3)] == [False] * 3
        assert len(caplog.records) == times
        places.mark_evictable(busy)
        assert places.take(Held(places))
        assert busy not in places
        for one in places:
            one.abort()


def test_once_closed_there_is_no_place_and_nobody_is_told(caplog: pytest.LogCaptureFixture) -> None:
    places: Places[Held] = Places(1)
    places.close()
    assert not places.take(Held(places))
    assert list(places) == []
    assert caplog.records == []
