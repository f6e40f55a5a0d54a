"""How many connections there may be, and which gives way: real sockets, virtual time."""

import asyncio
import contextlib
import threading
from pathlib import Path

import bcrypt
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import WebConfigFile
from exporter.web.places import FEW, Places, Standing
from harness.virtual_time import in_virtual_time, until
from tests.web.serving import (
    GET,
    POST,
    Client,
    about,
    config_of,
    connected,
    seconds_until_ended,
    serving,
    trusting,
)

SLOW = GET.replace(b"healthy", b"slow")
LOGIN = GET.replace(b"\r\n\r\n", b"\r\nAuthorization: Basic YTp4\r\n\r\n")
"""Of the user `a`, whose password is `x`."""


def users(folder: Path) -> WebConfigFile:
    path = folder / "web.yml"
    path.write_text(f"basic_auth_users: {{a: {bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}}}")
    return WebConfigFile(path)


@in_virtual_time
async def test_a_new_connection_takes_the_place_of_the_one_that_waited_longest() -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(max_connections=3))

        async def one_more() -> Client:
            await asyncio.sleep(1)
            return await stack.enter_async_context(connected(served))

        slow, idle, silent = [await one_more() for _ in range(3)]
        assert await idle.get() == 200
        slow.send(GET[:5])
        await asyncio.sleep(1)
        assert await idle.get() == 200
        for longest in (slow, silent, idle):
            newest = await one_more()
            assert await newest.get() == 200
            assert await seconds_until_ended(longest) == about(0)


@in_virtual_time
async def test_who_is_being_answered_gives_way_last(caplog: pytest.LogCaptureFixture) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(max_connections=3))
        busy = [await stack.enter_async_context(connected(served)) for _ in range(3)]
        for client in busy[:2]:
            before = len(served.arrived)
            client.send(SLOW)
            while len(served.arrived) == before:
                await asyncio.sleep(0)
        for _ in range(3):
            async with connected(served) as client:
                assert await client.get() == 200
        newest = await stack.enter_async_context(connected(served))
        newest.send(SLOW)
        await until(lambda: served.arrived.count("slow") == 3)
        async with connected(served) as client:
            assert await client.get() == 200
        assert await busy[0].ended() == b""
        served.go_on.set()
        for client in (busy[1], newest):
            assert (await client.answer())[0] == 200
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "--web.max-connections" in caplog.text


@in_virtual_time
async def test_who_does_not_read_gives_way_first() -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(max_connections=4))
        idle = await stack.enter_async_context(connected(served))
        assert await idle.get() == 200
        deaf = [await stack.enter_async_context(connected(served)) for _ in range(3)]
        for client in deaf:
            before = len(served.arrived)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(GET.replace(b"healthy", b"huge"))
            while len(served.arrived) == before:
                await asyncio.sleep(0)
        for _ in range(10):
            async with connected(served) as client:
                assert await client.get() == 200
        kept = [await stack.enter_async_context(connected(served)) for _ in range(3)]
        assert [await client.get() for client in [*kept, idle]] == [200] * 4


@in_virtual_time
async def test_who_is_refused_while_he_sends_gives_way_first() -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(max_connections=4))
        idle = await stack.enter_async_context(connected(served))
        assert await idle.get() == 200
        for _ in range(20):
            refused = await stack.enter_async_context(connected(served))
            refused.send(POST + b"Content-Length: 1000000000000\r\n\r\nx")
            assert (await refused.answer())[0] == 413
        assert await idle.get() == 200


@pytest.mark.parametrize("path", [b"/-/healthy", b"/-/ready", b"/healthy"])
@in_virtual_time
async def test_who_got_no_more_than_everybody_gets_gives_way_before_who_waits(
    tmp_path: Path, path: bytes
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(users(tmp_path), max_connections=3))
        silent = await stack.enter_async_context(connected(served))
        await asyncio.sleep(1)
        stranger = await stack.enter_async_context(connected(served))
        stranger.send(GET.replace(b"/healthy", path))
        assert (await stranger.answer())[0] == (401 if path == b"/healthy" else 404)
        newest = await stack.enter_async_context(connected(served))
        assert await newest.get() == 401
        assert await seconds_until_ended(stranger) == about(0)
        assert await silent.get() == 401


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

    def gated(password: bytes, salt: bytes) -> bytes:
        reached.set()
        go_on.wait(60)
        return hashpw(password, salt)

    config = users(tmp_path)
    guess = GET.replace(b"\r\n\r\n", b"\r\nAuthorization: Basic YTpi\r\n\r\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bcrypt, "hashpw", gated)
        async with serving(config, 1) as served:
            async with connected(served) as guesser:
                guesser.send(guess)
                assert await asyncio.to_thread(reached.wait, 60)
                async with connected(served) as other:
                    other.send(GET)
                    assert (await other.answer())[0] == 401
                    assert await guesser.ended() == b""
            go_on.set()


async def test_who_has_logged_in_never_gives_way_to_strangers(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(users(tmp_path), max_connections=4))
        known = [await stack.enter_async_context(connected(served)) for _ in range(2)]
        for client in known:
            client.send(LOGIN)
            assert (await client.answer())[0] == 200
        for _ in range(20):
            stranger = await stack.enter_async_context(connected(served))
            assert await stranger.get() == 401
        for client in known:
            client.send(GET)  # the connection is known, the request is not
            assert (await client.answer())[0] == 401
        late = await stack.enter_async_context(connected(served))
        late.send(LOGIN)
        assert (await late.answer())[0] == 200


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


# --- the bookkeeping --------------------------------------------------------------------------


class Held:
    """What holds a place, and frees it as a connection does."""

    def __init__(self, places: Places["Held"], address: str = "a") -> None:
        self.places = places
        self.address = address
        self.ended = False
        self.known = False

    def take(self) -> "Held":
        assert self.places.take(self, self.address)
        return self

    def abort(self) -> None:
        self.ended = True
        self.places.free(self)


def test_who_takes_many_places_takes_them_from_himself() -> None:
    places: Places[Held] = Places(100, lambda: False)
    quiet = [Held(places, f"q{number}").take() for number in range(10)]
    for one in quiet:
        places.mark(one, Standing.STALLED)
    for _ in range(1000):
        greedy = Held(places, "greedy").take()
        places.mark(greedy, Standing.BUSY)
    for number in range(50):
        Held(places, f"late{number}").take()
    assert not any(one.ended for one in quiet)
    assert len(list(places)) == 100


def test_of_addresses_with_few_the_one_goes_that_has_the_least_to_say() -> None:
    places: Places[Held] = Places(100, lambda: False)
    ours = [Held(places, "prometheus").take() for _ in range(FEW)]
    for number in range(500):
        deaf = Held(places, f"deaf{number}").take()
        places.mark(deaf, Standing.STALLED)
    assert not any(one.ended for one in ours)
    Held(places, "prometheus").take()
    Held(places, "late").take()
    assert ours[0].ended


def test_a_place_is_kept_for_who_has_a_password() -> None:
    with_users = True
    places: Places[Held] = Places(16, lambda: with_users)
    for number in range(100):
        Held(places, f"{number}").take()
    assert len(list(places)) == 14
    with_users = False
    for number in range(100):
        Held(places, f"{number}").take()
    assert len(list(places)) == 16


def test_where_all_have_logged_in_one_of_them_gives_way() -> None:
    places: Places[Held] = Places(4, lambda: True)
    known = [Held(places, f"{number}") for number in range(4)]
    for one in known:
        places.logged_in(one.take())
    Held(places, "new").take()
    assert [one.ended for one in known] == [True, False, False, False]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "known", "free", *Standing]),
            st.integers(0, 50),
            st.sampled_from("abc"),
        ),
        max_size=200,
    ),
    st.integers(1, 9),
)
def test_whatever_happens_there_are_never_too_many_and_strangers_never_end_the_known(
    steps: list[tuple[str | Standing, int, str]], count: int
) -> None:
    places: Places[Held] = Places(count, lambda: True)
    everybody: list[Held] = []
    for what, which, address in steps:
        if what == "take":
            before = {one for one in everybody if one.known and not one.ended}
            strangers = len(list(places)) - len(before)
            everybody.append(Held(places, address).take())
            if strangers:
                assert not any(one.ended for one in before)
        elif everybody:
            one = everybody[which % len(everybody)]
            if isinstance(what, Standing):
                places.mark(one, what)
            elif what == "known":
                places.logged_in(one)
                one.known = True
            else:
                one.abort()
        holding = set(places)
        assert len(holding) <= count
        assert holding == {one for one in everybody if not one.ended}
        assert everybody == [] or everybody[-1].ended is False or what != "take"


def test_it_is_said_once_that_all_are_taken(caplog: pytest.LogCaptureFixture) -> None:
    places: Places[Held] = Places(4, lambda: False)
    for times in (1, 2):
        for _ in range(20):
            Held(places).take()
        assert len(caplog.records) == times
        for one in places:
            one.abort()


def test_once_closed_there_is_no_place_and_nobody_is_told(caplog: pytest.LogCaptureFixture) -> None:
    places: Places[Held] = Places(1, lambda: False)
    places.close()
    assert not places.take(Held(places), "a")
    assert list(places) == []
    assert caplog.records == []
