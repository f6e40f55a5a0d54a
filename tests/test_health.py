"""Where `--health-check` asks, in the test's own loop."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from exporter import health
from exporter.health import HealthSocket
from exporter.health_check import PREFIX
from exporter.polling import cancel_and_wait


def names() -> set[str]:
    with open("/proc/net/unix") as table:
        return {line.partition("@")[2].strip() for line in table if f"@{PREFIX}" in line}


@contextlib.asynccontextmanager
async def answering(
    fault: Callable[[], Awaitable[str]], sockets: Sequence[socket.socket]
) -> AsyncIterator[str]:
    """The name of the socket where checks are answered meanwhile."""
    ports = ",".join(sorted(str(each.getsockname()[1]) for each in sockets))
    there = HealthSocket(sockets)
    task = asyncio.create_task(there.answer(fault))
    try:
        (name,) = (each for each in names() if each.startswith(f"{PREFIX}{ports}/"))
        yield name
    finally:
        await cancel_and_wait(task)
        there.close()


async def ask(name: str) -> str:
    reader, writer = await asyncio.open_unix_connection(f"\0{name}")
    said = await reader.read()
    writer.close()
    await writer.wait_closed()
    return said.decode()


async def test_it_says_healthy_or_why_not_and_where_the_exporter_listens() -> None:
    fault = ""

    async def why() -> str:
        return fault

    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as other:
        async with answering(why, [one, other]) as name:
            assert await ask(name) == "healthy\n"
        fault = "the web process hangs"
        async with answering(why, [one, other]) as name:
            assert await ask(name) == "the web process hangs\n"
    assert name not in names()


async def test_however_often_it_is_asked_the_web_process_seldom_is() -> None:
    asked = 0

    async def why() -> str:
        nonlocal asked
        asked += 1
        return ""

    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with answering(why, [listening]) as name:
            for _ in range(50):
                assert await ask(name) == "healthy\n"
    assert asked < 50


async def test_who_asks_and_goes_or_never_reads_holds_up_nobody() -> None:
    async def why() -> str:
        return ""

    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listening:
        async with answering(why, [listening]) as name:
            for _ in range(20):
                stack.enter_context(socket.socket(socket.AF_UNIX)).connect(f"\0{name}")
                with socket.socket(socket.AF_UNIX) as gone:
                    gone.connect(f"\0{name}")
            assert await ask(name) == "healthy\n"


async def test_whom_it_has_no_file_for_it_answers_once_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def why() -> str:
        return ""

    monkeypatch.setattr(health, "_NO_SOCKET_SECONDS", 0.01)
    loop, limits = asyncio.get_running_loop(), resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        async with answering(why, []) as name, asyncio.timeout(20):
            os.close(next_free := os.dup(client.fileno()))
            resource.setrlimit(resource.RLIMIT_NOFILE, (next_free, limits[1]))
            try:
                await loop.sock_connect(client, f"\0{name}")
                for _ in range(10):  # turns of the loop: in the first it is refused a file
                    await asyncio.sleep(0)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            assert await loop.sock_recv(client, 100) == b"healthy\n"
