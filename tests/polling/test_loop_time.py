"""What a loop waited for, and what it did not."""

import asyncio
import selectors
import socket
from time import monotonic

from exporter.polling import LoopTime, new_loop, since_boot
from exporter.polling.loop_time import SLACK, NotingSelector
from harness.virtual_time import in_virtual_time, spent, work


@in_virtual_time
async def test_what_it_waits_is_noted_and_what_it_works_is_not() -> None:
    time, begun = spent(), asyncio.get_running_loop().time()
    waited = time.waited
    await asyncio.sleep(3)
    work(5)
    await asyncio.sleep(4)
    assert asyncio.get_running_loop().time() - begun == 12
    assert time.waited - waited == 7


@in_virtual_time
async def test_it_looks_once_in_a_turn() -> None:
    turns = spent().turns
    for _ in range(5):
        await asyncio.sleep(0)
    assert spent().turns - turns == 5


class _Stopped(selectors.DefaultSelector):
    """Comes back from a wait when its process goes on, so many seconds too late."""

    now, late = 0.0, 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += (timeout or 0.0) + self.late
        return []


class _NotingStopped(NotingSelector, _Stopped):
    pass


def test_a_process_that_is_stopped_while_it_waits_does_not_wait_for_longer_than_it_wanted() -> None:
    time = LoopTime()
    with _NotingStopped(time, lambda: selector.now) as selector:
        selector.select(0.3)
        assert time.waited == 0.3
        selector.late = 60.0
        selector.select(0.3)
        assert abs(time.waited - 0.6 - SLACK) < 1e-9
        selector.select(0)
        assert abs(time.waited - 0.6 - SLACK) < 1e-9
        assert time.turns == 3


def test_a_real_loop_notes_its_time_and_does_what_a_loop_does() -> None:
    time = LoopTime()

    async def talk() -> bytes:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        _, other = await asyncio.open_connection(sock=theirs)
        await asyncio.sleep(0.01)
        other.write(b"line\n")
        line = await reader.readline()
        for one in (writer, other):
            one.close()
            await one.wait_closed()
        return line

    with asyncio.Runner(loop_factory=lambda: new_loop(time)) as runner:
        assert runner.run(talk()) == b"line\n"
    assert time.waited > 0
    assert time.turns > 1


def test_the_clock_since_boot_is_not_behind_the_monotonic_one() -> None:
    before = monotonic()
    assert since_boot() >= before
