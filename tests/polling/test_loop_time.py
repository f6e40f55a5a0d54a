"""What a loop waited for, and what it did not."""

import asyncio
import selectors
import socket
import subprocess
import sys
from time import monotonic

from exporter.loop import GATHERED
from exporter.polling import LoopTime, new_loop, since_boot
from exporter.polling.loop_time import SLACK, STANDING, NotingSelector
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


def test_what_a_turn_takes_is_standing_still_if_it_is_long() -> None:
    time = LoopTime()
    with _NotingStopped(time, lambda: selector.now) as selector:
        selector.now = 100.0  # what was before the first turn is of none
        selector.select(0)
        for _ in range(20):  # a turn may look without waiting
            selector.now += STANDING * 0.9
            selector.select(0)
            selector.now += STANDING * 0.9
            selector.select(0.3)
        assert time.stood == 0
        selector.now += 2.0
        selector.select(0.3)
        assert abs(time.stood - 2.0) < 1e-9
        selector.late = 60.0  # stopped while it waits
        selector.select(0.3)
        selector.late = 0.0
        selector.select(None)
        assert abs(time.stood - 62.0 + SLACK) < 1e-9
        selector.select(0.3)
        assert abs(time.stood - 62.0 + SLACK) < 1e-9


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


def test_where_no_clock_goes_on_while_the_machine_is_suspended_it_is_the_monotonic_one() -> None:
    program = (
        "import time; del time.CLOCK_BOOTTIME\n"
        "from exporter.polling import since_boot\n"
        "assert abs(since_boot() - time.monotonic()) < 5"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_let_gather_is_waited_for_too() -> None:
    time, waits = LoopTime(), []

    async def wait() -> None:
        loop, (ours, theirs) = asyncio.get_running_loop(), socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            for _ in range(50):
                theirs.send(b"x")
                await loop.sock_recv(ours, 1)
                begun, waited = monotonic(), time.waited
                loop.call_later(GATHERED / 2, lambda: None)
                await asyncio.sleep(GATHERED / 4)
                waits.append((monotonic() - begun, time.waited - waited))

    with asyncio.Runner(loop_factory=lambda: new_loop(time)) as runner:
        runner.run(wait())
    assert all(0 < noted <= took for took, noted in waits)
