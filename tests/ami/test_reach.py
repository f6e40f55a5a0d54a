"""The way to a host: its addresses one after the other, names, and how long each may take."""

import asyncio
import errno
import os
import socket
import threading
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.ami import Cause, ConnectError, connect, reach
from exporter.settings import AmiSettings
from harness.virtual_time import in_virtual_time

SETTINGS = AmiSettings(username="x", secret=SecretStr("y"))


async def failure(**changes: Any) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        await connect(SETTINGS.model_copy(update=changes), lambda _: None)
    return caught.value


@in_virtual_time
async def test_nobody_listening_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    error = await failure(port=port)
    assert error.cause is Cause.REFUSED
    assert str(error).startswith(f"127.0.0.1:{port}: refused: ")


@in_virtual_time
async def test_a_name_with_two_addresses_reaches_the_one_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though packets to the first vanish."""
    silent, there = "192.0.2.1", "127.0.0.1"
    tried = []
    connect = asyncio.SelectorEventLoop.sock_connect

    async def sock_connect(self: Any, sock: socket.socket, address: Any) -> None:
        tried.append(address[0])
        if address[0] == silent:
            await asyncio.sleep(3600)
        await connect(self, sock, address)

    async def resolve(*_: object, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in (silent, there)]

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", sock_connect)
    monkeypatch.setattr(reach, "look_up", resolve)
    with socket.create_server((there, 0)) as server:
        port = server.getsockname()[1]
        error = await failure(host="pbx.example", port=port)
    assert tried == [silent, there]
    assert error.cause is Cause.SILENT
    assert "no greeting within 5 s" in str(error)
    error = await failure(host="pbx.example", port=port)
    assert error.cause is Cause.REFUSED
    assert "timed out (192.0.2.1), refused (127.0.0.1)" in str(error)
    assert isinstance(error.__cause__, ConnectionRefusedError)


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (socket.EAI_NONAME, Cause.NO_NAME),
        (socket.EAI_NODATA, Cause.NO_NAME),
        (socket.EAI_AGAIN, Cause.NO_NAME_SERVER),
    ],
)
@in_virtual_time
async def test_a_name_that_does_not_resolve_is_told_from_a_name_server_that_does_not_answer(
    number: int, cause: Cause, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(*_: object, **__: Any) -> list[Any]:
        raise socket.gaierror(number, "said")

    monkeypatch.setattr(reach, "look_up", resolve)
    error = await failure(host="pbx.example")
    assert error.cause is cause
    assert "--ami.host" in str(error)


@in_virtual_time
async def test_a_name_server_that_is_silent_is_given_up_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(*_: object, **__: Any) -> list[Any]:
        await asyncio.sleep(3600)
        return []

    monkeypatch.setattr(reach, "look_up", resolve)
    assert (await failure(host="pbx.example")).cause is Cause.NO_NAME_SERVER


async def test_names_that_hang_hold_up_neither_addresses_nor_secrets_and_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, asked = threading.Event(), threading.Semaphore(0)
    really = socket.getaddrinfo

    def resolve(host: str, *arguments: Any, **more: Any) -> list[Any]:
        if host != "hangs.example":
            return list(really(host, *arguments, **more))
        if more.get("flags") == socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        asked.release()
        answered.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, "at last")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    names = [
        asyncio.create_task(failure(host="hangs.example", timeout=60.0))
        for _ in range(2 * reach.LOOK_UPS)
    ]
    try:
        for _ in range(reach.LOOK_UPS):
            assert await asyncio.to_thread(asked.acquire, timeout=20)
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        assert (await failure(port=port)).cause is Cause.REFUSED
        assert not asked.acquire(blocking=False)
    finally:
        answered.set()
    for name in names:
        assert (await name).cause is Cause.NO_NAME


async def test_a_name_that_no_host_can_have_is_no_defect() -> None:
    assert (await failure(host="a" * 70 + ".example")).cause is Cause.NO_NAME


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@in_virtual_time
async def test_too_many_open_files_are_told_as_such(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", none_left)
    error = await failure(port=5038)
    assert error.cause is Cause.LIMIT
    assert "too many open files" in str(error)
    assert "LimitNOFILE=" in str(error)
