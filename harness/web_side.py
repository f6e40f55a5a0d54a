"""Both ends of the link between the two processes, in the test's own loop."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from exporter.history import FaxHistory
from exporter.link import Answering, Source
from exporter.polling import Fleet, cancel_and_wait
from exporter.settings import ConfigFile


@contextlib.asynccontextmanager
async def linked(
    fleet: Fleet,
    *,
    file: ConfigFile | None = None,
    reload: Callable[[], Awaitable[None]] | None = None,
    history: FaxHistory | None = None,
    lasts: float = 0.0,
    answering: Answering | None = None,
) -> AsyncIterator[Source]:
    """What a web process would know of these pollers. `lasts`: see `Source`. `answering`: what
    answered another one before it, if there was one."""
    ours, theirs = socket.socketpair()
    answering = answering or Answering(fleet, file, history)
    answering.reload = reload
    reader, writer = await asyncio.open_connection(sock=ours)
    far_reader, far_writer = await asyncio.open_connection(sock=theirs)

    async def answer() -> None:
        while line := await reader.readline():
            await answering.take(json.loads(line), writer)

    source = Source(far_reader, far_writer, lasts=lasts)
    answers = asyncio.create_task(answer())
    run = asyncio.create_task(source.run(lambda order: None))
    try:
        yield source
    finally:
        await cancel_and_wait(run)
        await cancel_and_wait(answers)
        answering.forget()
        writer.close()
        far_writer.close()


def listening(host: str = "127.0.0.1") -> socket.socket:
    """A socket on a free port."""
    one = socket.create_server((host, 0))
    one.setblocking(False)
    return one
