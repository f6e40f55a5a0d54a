"""One connection to the demo PBX: what is said whole, in which order, and what ends it."""

import asyncio
import gc

import pytest

from harness.ami_client import Client, values
from harness.pbx import FaultyPbx


async def test_pipelined_actions_are_answered_in_order_whole(
    pbx: FaultyPbx, client: Client
) -> None:
    pbx.begin("receive", "PJSIP/x-0").state = "Active"
    pbx.sleep = lambda seconds: asyncio.sleep(0)
    pbx.delay["FAXSessions"] = 10
    client.say("FAXSessions", ActionID="a")
    client.say("FAXSession", ActionID="b", SessionNumber=0)
    client.say("Ping", ActionID="c")

    messages = [values(await client.message()) for _ in range(6)]

    assert [message["ActionID"] for message in messages] == ["a", "a", "a", "b", "b", "c"]


async def test_an_event_waits_for_the_answer_that_is_under_way(
    pbx: FaultyPbx, client: Client
) -> None:
    go_on, asked = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        asked.set()
        await go_on.wait()

    pbx.sleep, pbx.delay["FAXStats"] = sleep, 10
    client.say("FAXStats", ActionID="a")
    await asyncio.wait_for(asked.wait(), 5)
    pbx.end(pbx.begin("send", "PJSIP/x-0"))
    go_on.set()

    messages = [values(await client.message()) for _ in range(3)]

    assert [message.get("Event", "-") for message in messages] == ["-", "FAXStats", "SendFAX"]


async def test_a_line_without_end_costs_the_connection_only(
    pbx: FaultyPbx, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.writer.write(b"x" * 200_000)

    assert await client.has_ended()
    async with await Client.connect(pbx) as another:
        assert values(await another.ask("Ping"))["Ping"] == "Pong"
    gc.collect()  # asyncio tells of a task's error when it forgets the task
    assert not caplog.records


@pytest.mark.parametrize("said", [b"\r\n", b"garbage\r\n\r\n", b"ActionID: 7\r\n\r\n"])
async def test_a_message_without_an_action_is_answered(client: Client, said: bytes) -> None:
    client.writer.write(said)

    assert values(await client.message())["Message"] == "Missing action in request"


async def test_names_can_hold_any_bytes(pbx: FaultyPbx, client: Client) -> None:
    pbx.begin("V.21", b"PJSIP/\xff\x1b<b>".decode(errors="surrogateescape"))

    listed = await client.ask_all("FAXSessions", last="FAXSessionsComplete")

    assert b"Channel: PJSIP/\xff\x1b<b>\r\n" in listed
