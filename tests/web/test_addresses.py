"""Clients that share an address, or a network that one of them has to itself, are one group."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from exporter.web.addresses import UNIX_SOCKET, client_of, group


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::5", "2001:db8:0:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", UNIX_SOCKET),
        (None, UNIX_SOCKET),
        ("of no kind known", "of no kind known"),
    ],
)
def test_addresses_that_one_client_can_change_between_are_one_group(
    remote: str | None, expected: str
) -> None:
    assert group(remote) == expected


@pytest.mark.parametrize("name", ["", "\0one", "\0another"])
async def test_what_a_client_calls_its_end_of_a_unix_socket_is_no_address(
    name: str, tmp_path: Path
) -> None:
    clients: list[str] = []
    came = asyncio.Event()

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(client_of(writer.transport))
        writer.close()
        came.set()

    path = str(tmp_path / "socket")
    async with await asyncio.start_unix_server(connected, path):
        with socket.socket(socket.AF_UNIX) as client:
            if name:
                client.bind(f"{name}-{os.getpid()}")
            client.connect(path)
            await came.wait()
    assert clients == [UNIX_SOCKET]
