"""Connections that take up all places: they do not read, do not ask, or ask what is open to all."""

import asyncio
from typing import Final

from tests.trials.siege.attacking import Flood, Wire

_WINDOW: Final = 1024
"""Bytes of a receive buffer; the kernel makes it a little more."""


class Deaf(Flood):
    name, point = "ask for /metrics and read nothing", "places"
    connections = 560
    window = _WINDOW

    async def client(self, number: int, wire: Wire) -> None:
        await wire.send(
            f"GET {self.victim.metrics} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 20
        )
        await wire.until_ended()
        raise ConnectionResetError


class DeafWithUsers(Deaf):
    name = "ask for /metrics, without a password, and read nothing"
    setup = "users"


class DeafFromManyAddresses(Deaf):
    name = "ask for /metrics from 510 addresses and read nothing"
    sources = 510


class Slow(Deaf):
    name = "ask for /metrics and read a byte at a time"

    async def client(self, number: int, wire: Wire) -> None:
        await wire.send(
            f"GET {self.victim.metrics} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 20
        )
        while True:
            await wire.receive(1)
            await asyncio.sleep(0.1)


class OpenPaths(Flood):
    name, point = "pipelined requests of what is open to all, without a password", "places"
    setup = "users"
    connections = 560
    window = _WINDOW

    async def client(self, number: int, wire: Wire) -> None:
        request = f"GET {self.victim.open_path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        while True:
            await wire.send(request * 420)


class Idle(Flood):
    name, point = "connect and say nothing", "places"
    connections = 560

    async def client(self, number: int, wire: Wire) -> None:
        await wire.receive()


class ConnectAndClose(Flood):
    name, point = "connect and close", "places"

    async def client(self, number: int, wire: Wire) -> None:
        return


class HalfOpenTls(Flood):
    name, point = "TLS handshakes that stop in the middle", "places"
    setup = "tls"
    connections = 560
    tls = False

    async def client(self, number: int, wire: Wire) -> None:
        await wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32)
        await wire.receive()
