"""From settings to a login; what each refusal means is in test_diagnosis.py, TLS in test_tls.py."""

import asyncio
import random
import re
import socket
import struct

import pytest
from pydantic import SecretStr

from exporter.ami import Cause, Challenges, ConnectError, LoginRefused, connect
from exporter.demo.actions import Dialogue, Headers
from exporter.settings import AmiSettings
from harness.pbx import FaultyPbx
from harness.virtual_time import in_virtual_time, wall
from harness.watching import SECRET, settings_for


async def test_a_server_that_hangs_up_says_the_same_whether_by_a_reset_or_not() -> None:
    """Which of both comes depends on whether it had read what we sent."""
    orderly = [True, False]

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not orderly.pop():
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            await asyncio.sleep(0.1)  # until our request is there, or it would be a reset, too
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = AmiSettings(port=port, username="x", secret=SecretStr("y"))
        failures = []
        for _ in range(2):
            with pytest.raises(ConnectError) as caught:
                await connect(settings, lambda _: None)
            failures.append((caught.value.cause, str(caught.value)))
    first, second = failures
    assert first == second


@in_virtual_time
async def test_a_user_who_may_read_more_asks_for_call_events_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Headers] = []
    answer = Dialogue.answer

    def noted(self: Dialogue, headers: Headers) -> bytes:
        asked.append(headers)
        return answer(self, headers)

    monkeypatch.setattr(Dialogue, "answer", noted)
    pbx = FaultyPbx(secret=SECRET, clock=wall, read=("call", "system"))
    await pbx.start()
    connection = await connect(settings_for(pbx), lambda _: None)
    connection.close()
    await pbx.stop()
    assert [headers["action"] for headers in asked] == ["Challenge", "Login"]
    assert asked[1]["events"] == "call"


@pytest.mark.parametrize("challenge", [b"", b"Challenge: \r\n", b"Challenge:   \r\n"])
def test_an_empty_challenge_is_not_answered(challenge: bytes) -> None:
    """The key would be md5 of the bare secret."""

    @in_virtual_time
    async def scenario() -> None:
        asked = []

        def rewrite(action: str, answer: bytes) -> bytes:
            asked.append(action)
            return re.sub(rb"Challenge: .*\r\n", challenge, answer)

        pbx = FaultyPbx(secret=SECRET, clock=wall)
        pbx.rewrite = rewrite
        await pbx.start()
        with pytest.raises(LoginRefused, match="the challenge to log in with is empty") as caught:
            await connect(settings_for(pbx), lambda _: None)
        await pbx.stop()
        assert caught.value.cause is Cause.NO_CHALLENGE
        assert asked == ["Challenge"]

    scenario()


@in_virtual_time
async def test_a_challenge_that_came_before_is_answered_and_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "randrange", lambda *_: 612049343)
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start()
    challenges = Challenges()
    for repeated in (False, True, True):
        (await connect(settings_for(pbx), lambda _: None, challenges)).close()
        assert challenges.repeated is repeated
    await pbx.stop()
    assert len(pbx.logins) == 3
