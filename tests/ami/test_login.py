"""From settings to a login; what each refusal means is in test_diagnosis.py, TLS in test_tls.py."""

import asyncio
import socket
import struct

import pytest
from pydantic import SecretStr

from exporter.ami import ConnectError, connect
from exporter.settings import AmiSettings


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
