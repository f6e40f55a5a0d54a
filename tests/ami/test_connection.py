"""What is written at once, against what an Asterisk can take: over TLS that is 1024 bytes."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.ami import Answer, Connection, ConnectionLost, Expects, Request, TooLong
from harness.transport import NowhereTransport
from harness.virtual_time import in_virtual_time

BUFFER = 1024
LIST = Request("FAXSessions", Expects.LIST)
PING = Request("Ping")


def ask_about(number: int, filler: int = 0) -> Request:
    headers = {"SessionNumber": str(number)} | ({"X": "ü" * filler} if filler else {})
    return Request("FAXSession", Expects.EVENT, headers)


class Pbx(NowhereTransport):
    """The other end: what was written to it and is unanswered, and how much that may be."""

    def __init__(self, *, tls: bool = True) -> None:
        super().__init__({"ssl_object": object()} if tls else {})
        self.limit = BUFFER if tls else 10**9
        self.unanswered = b""
        self.writes: list[bytes] = []
        self.connection = Connection(lambda _: None)
        self.connection.connection_made(self)
        self.connection.data_received(b"Asterisk Call Manager/1\r\n")

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))
        self.unanswered += data
        assert len(self.unanswered) <= self.limit

    def answer(self, lost: bool = False) -> None:
        """Works one request off; its answer may be `lost`."""
        request, _, self.unanswered = self.unanswered.partition(b"\r\n\r\n")
        identity = re.findall(rb"ActionID: (\d+)", request)[0].decode()
        said = f"Response: Success\r\nActionID: {identity}\r\nMessage: x will follow\r\n\r\n"
        if b"Action: FAXSessions" in request:
            said += f"Event: FAXSessionsComplete\r\nActionID: {identity}\r\nTotal: 0\r\n\r\n"
        elif b"Action: FAXSession" in request:
            number = re.findall(rb"SessionNumber: (\d+)", request)[0].decode()
            said += f"Event: FAXSession\r\nActionID: {identity}\r\nSessionNumber: {number}\r\n\r\n"
        if not lost:
            self.connection.data_received(said.encode())


async def in_time(work: Coroutine[Any, Any, None]) -> None:
    """Fails, instead of hanging, if an answer never comes."""
    async with asyncio.timeout(20):
        await work


async def let_others_run() -> None:
    """Lets every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


REQUESTS = st.lists(
    st.just(LIST)
    | st.just(PING)
    | st.builds(ask_about, st.integers(0, 10**6), st.integers(0, 420)),
    min_size=1,
    max_size=30,
) | st.integers(1, 250).map(lambda count: [ask_about(number) for number in range(count)])


@settings(max_examples=300, deadline=None)
@given(REQUESTS, st.lists(st.integers(1, 20), max_size=20), st.sets(st.integers(0, 30)))
def test_over_tls_no_more_is_in_flight_than_asterisk_reads_and_all_is_answered_in_order(
    requests: list[Request], pace: list[int], lost: set[int]
) -> None:
    """`pace`: answers at once, one after the other; `lost`: which ones never come."""

    async def run() -> None:
        pbx = Pbx()
        taken: list[Answer] = []
        asking = asyncio.create_task(pbx.connection.ask_each(requests, taken.append))
        await let_others_run()
        steps, answered = iter(pace), 0
        while pbx.unanswered:
            for _ in range(next(steps, 1)):
                if pbx.unanswered:
                    pbx.answer(lost=answered in lost)
                    answered += 1
            await let_others_run()
        told = [number for number in range(answered) if number not in lost]
        assert [answer.request for answer in taken] == requests[: told[-1] + 1 if told else 0]
        for number, answer in enumerate(taken):
            assert answer.lost == (number in lost)
            if not answer.lost and answer.request.action == "FAXSession":
                assert answer.events == [
                    f"SessionNumber: {answer.request.headers['SessionNumber']}"
                ]
        if not lost:
            assert asking.done()
        asking.cancel()
        draining = asyncio.create_task(pbx.connection.drained())
        await let_others_run()
        if not draining.done():
            assert b"Action: Ping" in pbx.unanswered
            pbx.answer()
        await draining
        assert not pbx.unanswered

    asyncio.run(in_time(run()))


async def with_asked(pbx: Pbx, requests: list[Request]) -> "asyncio.Task[None]":
    task = asyncio.create_task(pbx.connection.ask_each(requests, lambda _: None))
    await let_others_run()
    return task


def in_a_loop(test: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(in_time(test()))

    run.__name__ = test.__name__
    return run


@in_a_loop
async def test_over_plain_tcp_50_requests_are_one_write() -> None:
    pbx = Pbx(tls=False)
    task = await with_asked(pbx, [ask_about(number) for number in range(120)])
    assert [write.count(b"Action: ") for write in pbx.writes] == [50, 50]
    while pbx.unanswered:
        pbx.answer()
        await let_others_run()
    await task


@in_a_loop
async def test_over_tls_answers_make_room_for_many_requests_at_once() -> None:
    """Each write is a record, and what one costs is paid for each."""
    pbx = Pbx()
    task = await with_asked(pbx, [ask_about(number) for number in range(100)])
    while pbx.unanswered:
        pbx.answer()
        await let_others_run()
    await task
    assert len(pbx.writes) <= 100 / 3


@pytest.mark.parametrize("tls", [False, True])
def test_a_ping_has_room_whatever_is_unanswered(tls: bool) -> None:
    async def test() -> None:
        pbx = Pbx(tls=tls)
        task = await with_asked(pbx, [ask_about(number) for number in range(120)])
        task.cancel()
        draining = asyncio.create_task(pbx.connection.drained())
        await let_others_run()
        assert pbx.unanswered.count(b"Action: Ping") == 1
        while pbx.unanswered:
            pbx.answer(lost=b"Action: FAXSession" in pbx.unanswered)
        await draining

    asyncio.run(in_time(test()))


@in_a_loop
async def test_what_nobody_waits_for_any_more_is_not_asked() -> None:
    pbx = Pbx()
    task = await with_asked(pbx, [ask_about(number) for number in range(100)])
    asked = pbx.unanswered.count(b"Action: ")
    task.cancel()
    await let_others_run()
    for _ in range(asked):
        pbx.answer()
    assert not pbx.unanswered
    await pbx.connection.drained()


@in_a_loop
async def test_a_lost_connection_ends_what_was_not_written_yet() -> None:
    pbx = Pbx()
    task = await with_asked(pbx, [ask_about(number) for number in range(60)])
    other = await with_asked(pbx, [LIST])
    pbx.connection.connection_lost(None)
    for waiting in (task, other):
        with pytest.raises(ConnectionLost, match="closed by the other end"):
            await waiting
    assert pbx.connection.lost.done()


@in_a_loop
async def test_a_request_longer_than_asterisk_reads_is_not_written() -> None:
    pbx = Pbx()
    with pytest.raises(TooLong, match="over TLS Asterisk reads 960"):
        await pbx.connection.ask(ask_about(1, filler=500))
    assert not pbx.writes
    await pbx.connection.drained()


@in_virtual_time
async def test_that_an_answer_was_lost_is_no_sign_that_the_pbx_answers() -> None:
    pbx = Pbx(tls=False)
    tasks = [await with_asked(pbx, [request]) for request in (PING, LIST)]
    await asyncio.sleep(5)
    lost, begun = re.findall(rb"ActionID: (\d+)", pbx.unanswered)
    pbx.connection.data_received(b"Response: Success\r\nActionID: %b\r\n\r\n" % begun)
    assert lost != begun
    await tasks[0]
    assert pbx.connection.unanswered_for >= 5
    tasks[1].cancel()
