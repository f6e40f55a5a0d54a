"""The PBX of the tests can be at fault in every way that it offers."""

import asyncio

import pytest

from harness.ami_client import Client, values
from harness.pbx import FaultyPbx


async def test_an_answer_can_be_rewritten(pbx: FaultyPbx, client: Client) -> None:
    pbx.rewrite = lambda action, answer: answer.replace(b"Pong", action.encode())

    assert values(await client.ask("ping"))["Ping"] == "Ping"


async def test_a_mute_pbx_loses_what_it_would_have_said(pbx: FaultyPbx, client: Client) -> None:
    asked = asyncio.Event()

    def notice(action: str, answer: bytes) -> bytes:
        asked.set()
        return answer

    pbx.mute, pbx.rewrite = True, notice
    client.say("Ping", ActionID="lost")
    await asyncio.wait_for(asked.wait(), 5)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pbx.mute = False

    assert values(await client.ask("Ping", ActionID="heard"))["ActionID"] == "heard"


async def test_answers_can_come_in_pieces(pbx: FaultyPbx, client: Client) -> None:
    whole = await client.ask_all("FAXStats", last="FAXStats")
    pbx.chunk = 1

    client.say("FAXStats")

    pieces: list[bytes] = []
    async with asyncio.timeout(5):
        while len(pieces) < len(whole):
            pieces.append(await client.reader.read(65536))
    assert pieces == [bytes([byte]) for byte in whole]


async def test_bytes_can_be_injected(pbx: FaultyPbx, client: Client) -> None:
    pbx.inject(b"Event: \xff\x00\r\n\r\n")

    assert await client.message() == b"Event: \xff\x00\r\n\r\n"


async def test_connections_can_be_dropped_and_refused(pbx: FaultyPbx, client: Client) -> None:
    pbx.refuse_connections()
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(pbx)
    assert values(await client.ask("Ping"))["Ping"] == "Pong"

    pbx.drop_connections()
    assert await client.has_ended()

    pbx.accept_connections()
    async with await Client.connect(pbx):
        assert len(pbx.connections) == len(pbx.logins) == 2
