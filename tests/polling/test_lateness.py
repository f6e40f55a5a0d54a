"""Whether the process keeps up with its polls: told once, with what to do, and once when it does
again; and a PBX is not blamed for it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from exporter.polling import Clock, Failure, Lateness, LoopTime, Poller, cancel_and_wait
from exporter.polling.lateness import SLOT_SECONDS, TURNS
from harness.pbx import FaultyPbx
from harness.virtual_time import clock, in_virtual_time, spent, until, work
from harness.watching import begin, watched


class Time:
    """A clock and a loop that a test moves."""

    def __init__(self, interval: float = 1.0) -> None:
        self.now = 0.0
        self.spent = LoopTime()
        self.lateness = Lateness(interval, self.spent, Clock(monotonic=lambda: self.now))

    def slots(self, number: int, late: float = 0.0, share: float = 1.0) -> None:
        """So many, in each of which this share of 200 polls is so late."""
        for _ in range(number):
            for poll in range(200):
                self.lateness.begun(late if poll < 200 * share else 0.0)
            self.now += SLOT_SECONDS
            self.spent.waited += 0.2 * SLOT_SECONDS
            self.lateness.tick(0.0, 40)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_it_is_told_once_with_what_to_do_and_once_when_it_is_over(
    told: pytest.LogCaptureFixture,
) -> None:
    time = Time()
    time.slots(2, late=0.8, share=0.05)
    assert time.lateness.keeps_up
    time.slots(9, late=0.8, share=0.05)
    assert not time.lateness.keeps_up
    time.slots(2)
    assert not time.lateness.keeps_up
    time.slots(5)
    assert time.lateness.keeps_up
    warning, over = told.records
    assert warning.levelname == "WARNING"
    assert warning.message == (
        "this process cannot keep up with its 40 targets: of the last 600 polls 5 % began more "
        "than 0.5 s late, one of them 0.8 s, and it was busy for 80 % of the time; bad lines may "
        "be missed; let one more exporter share the targets (docs/fleet.md has the steps), "
        "give it more CPU, or set a longer --poll.interval"
    )
    assert over.levelname == "INFO"


def test_between_the_two_shares_nothing_changes_so_that_it_does_not_come_and_go(
    told: pytest.LogCaptureFixture,
) -> None:
    time = Time()
    time.slots(9, late=0.8, share=0.015)
    assert time.lateness.keeps_up
    time.slots(3, late=0.8, share=0.5)
    time.slots(9, late=0.8, share=0.015)
    assert not time.lateness.keeps_up
    assert len(told.records) == 1


def test_what_happens_for_once_is_no_overload() -> None:
    time = Time()
    for _ in range(10):
        time.slots(2, late=5.0)
        time.slots(1)
        assert time.lateness.keeps_up


def test_polls_that_are_a_little_late_are_in_time() -> None:
    time = Time()
    time.slots(5, late=0.4)
    assert time.lateness.keeps_up
    slow = Time(interval=60.0)
    slow.slots(50, late=20.0)
    assert slow.lateness.keeps_up
    fast = Time(interval=0.05)
    fast.slots(5, late=0.09)
    assert fast.lateness.keeps_up


def test_one_target_cannot_be_spread() -> None:
    time = Time()
    for _ in range(3):
        time.lateness.begun(2.0)
        time.now += SLOT_SECONDS
        time.lateness.tick(0.0, 1)
    assert "its 1 target:" in time.lateness.pace.behind
    assert "share" not in time.lateness.pace.behind
    assert "--poll.interval" in time.lateness.pace.behind


def test_busy_is_of_the_last_minute() -> None:
    time = Time()
    assert time.lateness.busy is None
    for _ in range(100):
        time.now += 1
        time.lateness.tick(0.0, 1)
    assert time.lateness.busy == 1
    for _ in range(60):
        time.now += 1
        time.spent.waited += 0.75
        time.lateness.tick(0.0, 1)
    assert time.lateness.busy == 0.25
    assert Lateness().busy is None


def test_of_a_wait_for_a_pbx_is_ours_what_the_turns_took_that_it_needed() -> None:
    time = Time()
    part = time.lateness.part(0.0)
    time.spent.turns = 2 * TURNS
    time.spent.waited = 1.0
    assert part.ours(5.0) == 2.0  # half of the 4 s in which others were served
    time.spent.turns = TURNS // 2
    assert part.ours(5.0) == 4.0
    assert Lateness().part(0.0).ours(5.0) == 0.0


def test_of_a_wait_for_a_pbx_is_ours_what_this_process_stood_still() -> None:
    time = Time()
    time.spent.stood = 100.0
    part = time.lateness.part(0.0)
    time.spent.turns = 1000 * TURNS
    time.spent.stood += 7.0
    assert part.ours(9.0) == 7.0
    time.spent.waited = 4.0  # most of that turn was over when the wait began
    assert part.ours(9.0) == 5.0


# --- with a real poller ---------------------------------------------------------------------


@contextlib.asynccontextmanager
async def noted() -> AsyncIterator[tuple[FaultyPbx, Poller, Lateness]]:
    """A poller whose lateness is noted and followed."""
    lateness = Lateness(1.0, spent(), clock())
    async with watched(lateness=lateness) as (pbx, poller):
        following = asyncio.create_task(lateness.follow(lambda: 1))
        try:
            yield pbx, poller, lateness
        finally:
            await cancel_and_wait(following)


async def polls_fail_and_not_by_the_pbx(poller: Poller) -> None:
    await until(lambda: poller.status.failures[Failure.TIMEOUT] > 0)
    assert "the PBX is not to blame" in (poller.status.outage or "")


async def it_goes_on(poller: Poller, connects: int, told: pytest.LogCaptureFixture) -> None:
    """By the same connection."""
    await asyncio.sleep(5)
    assert poller.status.up
    assert poller.status.connects == connects
    assert "the PBX is slow" not in told.text


@in_virtual_time
async def test_a_loop_that_is_too_busy_makes_polls_late_and_that_is_over_when_it_is_not() -> None:
    async with noted() as (_, _, lateness):
        for _ in range(80):
            work(0.9)
            await asyncio.sleep(0.2)
        assert not lateness.keeps_up
        assert lateness.busy is not None
        assert lateness.busy > 0.75
        await asyncio.sleep(60)
        assert lateness.keeps_up
        assert lateness.busy < 0.1


@in_virtual_time
async def test_a_slow_pbx_is_not_the_lateness_of_the_process(
    told: pytest.LogCaptureFixture,
) -> None:
    async with noted() as (pbx, poller, lateness):
        begin(pbx)
        pbx.delay["FAXSessions"] = 3.5
        polls, before = poller.status.polls, lateness.pace.lateness.counts[:]
        for _ in range(1200):  # meanwhile it serves others, three quarters of the time
            work(0.075)
            await asyncio.sleep(0.025)
        assert poller.status.polls - polls < 40
        assert poller.status.late_polls > 20  # that is counted, whoever is the cause
        added = [n - b for n, b in zip(lateness.pace.lateness.counts, before, strict=True)]
        assert sum(added) == sum(added[:1])
        assert lateness.keeps_up
        assert not [one for one in told.records if one.levelname == "WARNING"]


@in_virtual_time
async def test_a_process_that_was_stopped_tells_it_once_and_goes_on(
    told: pytest.LogCaptureFixture,
) -> None:
    async with noted() as (pbx, poller, lateness):
        begin(pbx)
        await asyncio.sleep(3)
        status = poller.status
        late, connects, polls = status.late_polls, status.connects, status.polls
        before = lateness.pace.lateness.sum
        told.clear()
        work(60)
        await asyncio.sleep(30)
        (line,) = [one for one in told.records if one.levelname == "WARNING"]
        assert "for 60.0 s this process did nothing at all" in line.message or "59" in line.message
        assert lateness.keeps_up
        assert poller.fresh
        assert status.late_polls == late + 1
        assert status.connects == connects
        assert 30 <= status.polls - polls <= 32
        assert 59 < lateness.pace.lateness.sum - before < 61
        assert not sum(status.failures.values())


@in_virtual_time
async def test_a_machine_that_was_suspended_is_told_of_though_its_monotonic_clock_stood_still(
    told: pytest.LogCaptureFixture,
) -> None:
    asleep, loop = 0.0, asyncio.get_running_loop()
    lateness = Lateness(clock=clock(), since_boot=lambda: loop.time() + asleep)
    following = asyncio.create_task(lateness.follow(lambda: 1))
    await asyncio.sleep(2.5)
    asleep = 3600
    await asyncio.sleep(60)
    await cancel_and_wait(following)
    assert [one.message.split(", and")[0] for one in told.records] == [
        "for 3600.0 s this process did nothing at all"
    ]
    assert lateness.keeps_up


@in_virtual_time
async def test_a_poll_that_this_process_had_no_time_for_is_not_blamed_on_the_pbx(
    told: pytest.LogCaptureFixture,
) -> None:
    async with noted() as (pbx, poller, _):
        pbx.delay["FAXSessions"] = 0.5
        polls, connects = poller.status.polls, poller.status.connects
        await until(lambda: poller.status.polls > polls)
        work(20)  # while the answer is awaited
        await polls_fail_and_not_by_the_pbx(poller)
        await it_goes_on(poller, connects, told)


@in_virtual_time
async def test_a_process_that_was_stopped_does_not_blame_pbxs_that_are_far_away(
    told: pytest.LogCaptureFixture,
) -> None:
    """Though it had many turns, in which it served others, before and after that."""
    async with noted() as (pbx, poller, _):
        pbx.delay["FAXSessions"] = 0.3
        polls, connects = poller.status.polls, poller.status.connects
        await until(lambda: poller.status.polls > polls)
        for _ in range(20 * TURNS):
            await asyncio.sleep(0.001)
        work(8)
        await polls_fail_and_not_by_the_pbx(poller)
        await it_goes_on(poller, connects, told)


@in_virtual_time
async def test_as_long_as_this_process_is_slow_a_poll_has_more_time_and_does_not_fail() -> None:
    async with noted() as (pbx, poller, lateness):
        begin(pbx)
        polls = poller.status.polls
        for _ in range(200):  # each turn of a poll takes 0.9 s: all of it more than the timeout
            work(0.9)
            await asyncio.sleep(0)
        assert poller.status.polls - polls > 10
        assert poller.status.failures[Failure.TIMEOUT] <= 1
        assert not lateness.keeps_up


@in_virtual_time
async def test_a_login_that_this_process_had_no_time_for_is_not_blamed_on_the_pbx() -> None:
    async with noted() as (pbx, poller, _):
        pbx.delay["Login"] = 0.5
        logins = len(pbx.logins)
        pbx.drop_connections()
        await until(lambda: not poller.status.connected)
        await until(lambda: len(pbx.logins) > logins)
        work(20)  # while the answer is awaited
        await polls_fail_and_not_by_the_pbx(poller)
        pbx.delay.clear()
        await until(lambda: poller.status.up)


@in_virtual_time
async def test_a_login_that_the_pbx_does_not_answer_is_blamed_on_it_however_busy_the_loop() -> None:
    async with noted() as (pbx, poller, _):
        pbx.delay["Login"] = 60
        pbx.drop_connections()
        for _ in range(200):
            work(0.075)
            await asyncio.sleep(0.025)
        assert poller.status.failures[Failure.TIMEOUT] > 0
        assert "the PBX or the network is slow" in (poller.status.outage or "")
