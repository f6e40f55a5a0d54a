"""What many connections bring within a moment is read together, and nothing else waits for it."""

import asyncio
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from exporter.loop import GATHERED, GatheringSelector, gathering_loop


class Time:
    """A clock, and what happens while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def selector(time: Time) -> Iterator[GatheringSelector]:
    selector = GatheringSelector(lambda: time.now, time.sleep)
    yield selector
    selector.close()


@pytest.fixture
def pairs(selector: GatheringSelector) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Two connections: our end, which is selected, and the other."""
    pairs = [socket.socketpair() for _ in range(2)]
    for ours, _ in pairs:
        ours.setblocking(False)
        selector.register(ours, selectors.EVENT_READ)
    yield pairs
    for pair in pairs:
        for each in pair:
            each.close()


def test_what_comes_while_it_gathers_is_found_in_one_look(
    selector: GatheringSelector, time: Time, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    (first, far), (second, other) = pairs
    far.send(b"1")
    (found,) = selector.select()
    assert (found[0].fileobj, time.slept) == (first, [])
    first.recv(10)

    def more() -> None:
        far.send(b"2")
        far.send(b"3")
        other.send(b"4")

    time.meanwhile = more
    assert {key.fileobj for key, _ in selector.select()} == {first, second}
    assert (first.recv(10), second.recv(10)) == (b"23", b"4")
    assert time.slept == [pytest.approx(GATHERED)]


def test_what_comes_to_a_loop_at_rest_is_found_at_once(
    selector: GatheringSelector, time: Time, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    for _ in range(3):
        pairs[0][1].send(b"x")
        assert selector.select()
        pairs[0][0].recv(10)
        time.now += GATHERED
    assert not time.slept


def test_a_look_that_found_nothing_delays_no_other(
    selector: GatheringSelector, time: Time, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    assert selector.select(0) == []
    pairs[0][1].send(b"x")
    assert selector.select(0)
    assert not time.slept


def test_what_is_due_sooner_does_not_wait_for_it(
    selector: GatheringSelector, time: Time, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    pairs[0][1].send(b"x")
    assert selector.select()
    assert selector.select(0) == []
    assert selector.select(-1) == []
    assert not time.slept
    assert selector.select(GATHERED / 4) == []
    assert time.slept == [GATHERED / 4]
    assert selector.select(1)
    assert sum(time.slept) == pytest.approx(GATHERED)


def test_a_loop_that_gathers_waits_no_longer_than_it_was_to(
    selector: GatheringSelector,
    time: Time,
    pairs: list[tuple[socket.socket, socket.socket]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs[0][1].send(b"x")
    assert selector.select()
    waits: list[float | None] = []

    def select(_: object, timeout: float | None = None) -> list[object]:
        waits.append(timeout)
        return []

    monkeypatch.setattr(selectors.DefaultSelector, "select", select)
    selector.select(0.5)
    selector.select(0.5)
    selector.select()
    assert waits == [pytest.approx(0.5 - GATHERED), 0.5, None]


def test_a_loop_with_it_hears_connections_timers_threads_and_signals() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        signalled, called, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, signalled.set)

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line)
            writer.close()
            await writer.wait_closed()
            ended.set()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for number in range(20):
                writer.write(b"%d\n" % number)
                assert await reader.readline() == b"%d\n" % number
                await asyncio.sleep(0)
            thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(called.set))
            thread.start()
            await called.wait()
            thread.join()
            signal.raise_signal(signal.SIGUSR1)
            await signalled.wait()
            await asyncio.sleep(GATHERED / 2)
            writer.close()
            await writer.wait_closed()
            await ended.wait()

    with asyncio.Runner(loop_factory=gathering_loop) as runner:
        runner.run(asyncio.wait_for(work(), 20))
