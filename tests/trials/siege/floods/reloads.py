"""The files of 300 targets are read again and again."""

import asyncio
import os
import signal
from typing import Final

from tests.trials.siege.attacking import Flood, Wire

_RELOAD: Final = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


class Reloads(Flood):
    name, point = "reloads, waited for", "reloads"
    setup = "fleet"
    connections = 520
    for_node_exporter = False

    async def client(self, number: int, wire: Wire) -> None:
        while True:
            await wire.send(_RELOAD)
            await wire.answer()


class AbandonedReloads(Flood):
    name, point = "reloads, posted and gone at once", "reloads"
    setup = "fleet"
    connections = 100
    for_node_exporter = False
    ends_it = True

    async def client(self, number: int, wire: Wire) -> None:
        await wire.send(_RELOAD)


class Hangups(Flood):
    name, point = "SIGHUP 1000 times a second", "reloads"
    setup = "fleet"
    connections = 1
    for_node_exporter = False
    ends_it = True

    async def client(self, number: int, wire: Wire) -> None:
        while True:
            os.kill(self.victim.pid, signal.SIGHUP)
            await asyncio.sleep(0.001)
