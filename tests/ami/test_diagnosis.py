"""What it means that there is no connection: each cause has its name and its remedy."""

import asyncio
import errno
import socket
import struct
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.ami import Cause, ConnectError, connect
from exporter.ami.diagnosis import not_greeted, refused_login, unreached
from exporter.settings import AmiSettings
from harness.virtual_time import in_virtual_time

SETTINGS = AmiSettings(username="x", secret=SecretStr("y"))


def failed(number: int) -> OSError:
    # As asyncio raises it.
    return OSError(number, "Connect call failed ('192.0.2.1', 5038)")


@pytest.mark.parametrize(
    ("number", "cause", "said"),
    [
        (errno.ECONNREFUSED, Cause.REFUSED, "refused: nothing listens"),
        (errno.EHOSTUNREACH, Cause.NO_HOST, "host unreachable: nobody answers"),
        (errno.ENETUNREACH, Cause.NO_ROUTE, "no route: this machine has no network"),
        (errno.EADDRNOTAVAIL, Cause.NO_ROUTE, "no route: "),
        (errno.ETIMEDOUT, Cause.TIMED_OUT, "timed out: a firewall drops"),
        (errno.EPERM, Cause.FORBIDDEN, "not permitted: this machine"),
        (errno.EACCES, Cause.FORBIDDEN, "not permitted: this machine"),
        (errno.ECONNRESET, Cause.REFUSED, "refused: nothing listens on this port, or a firewall"),
        (errno.ENOPROTOOPT, Cause.REFUSED, "refused: nothing listens on this port, or a firewall"),
        (errno.EMFILE, Cause.OTHER, "Too many open files: check"),
    ],
)
def test_every_errno_has_its_cause_and_what_to_do(number: int, cause: Cause, said: str) -> None:
    text, found = unreached({"192.0.2.1": failed(number)})
    assert found is cause
    assert text.startswith(said)


def test_of_several_addresses_each_is_told_and_the_remedy_is_that_of_the_one_with_a_way() -> None:
    text, cause = unreached(
        {"::1": failed(errno.EADDRNOTAVAIL), "127.0.0.1": failed(errno.ECONNREFUSED)}
    )
    assert cause is Cause.REFUSED
    assert text.startswith("no route (::1), refused (127.0.0.1): nothing listens")


def test_addresses_that_all_say_the_same_are_one_cause() -> None:
    refused = {name: failed(errno.ECONNREFUSED) for name in ("::1", "127.0.0.1")}
    assert unreached(refused)[0].startswith("refused: nothing listens")


def test_an_alert_of_tls_tells_its_port_from_a_crowd() -> None:
    text, cause = not_greeted(b"\x15\x03\x01\x00\x02\x02\x46", "closed", tls=False)
    assert cause is Cause.CLOSED
    assert "it is the port of tlsbindaddr" in text
    assert "authlimit" not in text


@pytest.mark.parametrize(
    ("said", "cause", "remedy"),
    [
        ("Authentication failed", Cause.CREDENTIALS, "permit, deny and acl"),
        ("", Cause.LOGIN, "no reason given; Asterisk's log says why"),
        ("Go away", Cause.LOGIN, "Go away; Asterisk's log says why"),
        ("Login Already In Use", Cause.IN_USE, "allowmultiplelogin = no"),
    ],
)
def test_a_refused_login_has_the_remedy_of_its_cause(said: str, cause: Cause, remedy: str) -> None:
    text, found = refused_login(said)
    assert found is cause
    assert remedy in text


# --- over real sockets ------------------------------------------------------------------------


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
        first, second = [await failure(port=port) for _ in range(2)]
    assert first.cause is second.cause
    assert str(first) == str(second)


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
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
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

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
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

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    assert (await failure(host="pbx.example")).cause is Cause.NO_NAME_SERVER


async def test_a_name_that_no_host_can_have_is_no_defect() -> None:
    assert (await failure(host="a" * 70 + ".example")).cause is Cause.NO_NAME
