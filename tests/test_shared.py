"""Doing once what many ask for."""

import asyncio

import pytest

from exporter.shared import Recent, Shared
from harness.virtual_time import in_virtual_time


class Work:
    """Runs that end when the test lets them."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = asyncio.Semaphore(0)
        self.shared = Shared(self.do)

    async def do(self) -> int:
        self.begun += 1
        number = self.begun
        await self.go_on.acquire()
        return number

    async def ask(self) -> "asyncio.Task[int]":
        task = asyncio.create_task(self.shared())
        for _ in range(3):
            await asyncio.sleep(0)
        return task


@in_virtual_time
async def test_who_asks_gets_a_run_that_began_after_he_did_and_one_at_most_waits() -> None:
    work = Work()
    first = [await work.ask()]
    later = [await work.ask() for _ in range(100)]
    assert work.begun == 1
    work.go_on.release()
    assert await first[0] == 1
    await asyncio.sleep(0)
    latest = [await work.ask() for _ in range(100)]
    assert work.begun == 2
    for _ in range(2):
        work.go_on.release()
    assert set(await asyncio.gather(*later)) == {2}
    assert set(await asyncio.gather(*latest)) == {3}
    assert work.shared.idle


async def test_all_who_ask_at_once_share_a_run() -> None:
    work = Work()
    work.go_on.release()
    assert await asyncio.gather(*(work.shared() for _ in range(10))) == [1] * 10


def test_between_two_runs_there_is_a_pause_as_long_as_the_first() -> None:
    begun: list[float] = []

    @in_virtual_time
    async def ask() -> None:
        loop = asyncio.get_running_loop()

        async def slow() -> None:
            begun.append(loop.time())
            await asyncio.sleep(3)

        shared = Shared(slow)
        await asyncio.gather(shared(), shared())
        await asyncio.gather(shared(), shared())
        await asyncio.sleep(100)
        await shared()

    ask()
    assert begun == pytest.approx([0, 6, 109], abs=0.1)


async def test_who_has_gone_is_forgotten_and_nobody_else() -> None:
    work = Work()
    await work.ask()
    gone, stays = await work.ask(), await work.ask()
    gone.cancel()
    for _ in range(2):
        work.go_on.release()
    assert await stays == 2


async def test_an_error_goes_to_all_who_asked_and_the_next_run_is_another() -> None:
    runs = 0

    async def fail_once() -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("once")
        return runs

    shared = Shared(fail_once)
    outcomes = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["once", "once"]
    assert await shared() == 2


async def test_an_error_that_nobody_waits_for_is_no_news() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def fail() -> None:
        raise ValueError("unheard")

    asked = asyncio.create_task(Shared(fail)())
    await asyncio.sleep(0)
    asked.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    del asked
    assert told == []


async def test_closing_ends_what_runs_and_what_waits() -> None:
    work = Work()
    tasks = [await work.ask(), await work.ask()]
    await work.shared.close()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert work.begun == 1
    assert work.shared.idle


@in_virtual_time
async def test_what_is_recent_is_done_once_in_its_time_however_many_ask() -> None:
    begun: list[float] = []
    loop = asyncio.get_running_loop()

    async def do() -> int:
        begun.append(loop.time())
        await asyncio.sleep(0.2)
        return len(begun)

    recent = Recent(do, lasts=1.0)
    assert await asyncio.gather(*(recent() for _ in range(50))) == [1] * 50
    while loop.time() < 0.99:
        assert await recent() == 1
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.1)
    assert await recent() == 2
    assert begun[1] >= begun[0] + 1.0


@in_virtual_time
async def test_nothing_is_kept_of_what_nobody_asks_for_any_more() -> None:
    async def do() -> bytearray:
        return bytearray(1000)

    recent = Recent(do, lasts=1.0)
    await recent()
    assert recent._kept is not None
    await asyncio.sleep(1.1)
    assert recent._kept is None


@in_virtual_time
async def test_what_took_longer_than_it_is_good_for_is_not_kept() -> None:
    begun = 0

    async def do() -> int:
        nonlocal begun
        begun += 1
        await asyncio.sleep(2.0)
        return begun

    recent = Recent(do, lasts=1.0)
    assert [await recent(), await recent()] == [1, 2]


@in_virtual_time
async def test_what_is_newer_is_kept_for_as_long() -> None:
    loop, begun = asyncio.get_running_loop(), 0

    async def do() -> int:
        nonlocal begun
        begun += 1
        await asyncio.sleep(2.0)
        return begun

    recent = Recent(do, lasts=10.0)
    first = asyncio.create_task(recent())
    await asyncio.sleep(1.0)  # it runs, so who asks now gets the next
    assert await recent() == 2
    assert await first == 1
    await asyncio.sleep(10.5 - loop.time())  # the first one would be forgotten
    assert await recent() == 2


@in_virtual_time
async def test_a_failure_is_not_kept() -> None:
    tried = 0

    async def do() -> int:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise ValueError("the first")
        return tried

    recent = Recent(do, lasts=1.0)
    with pytest.raises(ValueError, match="the first"):
        await recent()
    assert await recent() == 2
