"""What goes from one process to the other, and how the end is noticed."""

import asyncio
import json
import socket

import pytest

from exporter.link.messages import Answer, read_frame, send_frame, send_line


async def pair() -> tuple[
    tuple[asyncio.StreamReader, asyncio.StreamWriter],
    tuple[asyncio.StreamReader, asyncio.StreamWriter],
]:
    ours, theirs = socket.socketpair()
    return await asyncio.open_connection(sock=ours), await asyncio.open_connection(sock=theirs)


async def test_a_message_of_any_size_arrives_as_it_was_sent() -> None:
    (reader, near), (_, far) = await pair()
    for value in (None, b"", b"x" * 3_000_000, ["ä\n\0", {1: 2.5}]):
        sending = asyncio.create_task(send_frame(far, Answer(1, value)))
        assert await read_frame(reader) == Answer(1, value)
        await sending
    far.write(b"\0\0\0\x09half")
    far.close()
    with pytest.raises(asyncio.IncompleteReadError):
        await read_frame(reader)
    near.close()


async def test_a_line_holds_any_name() -> None:
    (reader, near), (_, far) = await pair()
    await send_line(far, {"ask": 1, "name": "a\nb\u2028 ü\ud800"})
    assert json.loads(await reader.readline())["name"] == "a\nb\u2028 ü\ud800"
    near.close()
    far.close()
