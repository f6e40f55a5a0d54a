"""The web configuration file loses its users while it is in use."""

import asyncio
import itertools
from typing import Final

from tests.trials.siege.attacking import Flood, Wire

_DAMAGED: Final = (b"basic_auth_users:", b"# nothing\n")
_DAMAGED_SECONDS: Final = 3.5
_WHOLE_SECONDS: Final = 1.0
"""The exporter looks once a second, and believes what it has seen twice."""


class Truncation(Flood):
    name, point = "the web configuration file is cut short", "web file"
    setup = "users"
    connections = 8
    least = _DAMAGED_SECONDS + _WHOLE_SECONDS

    async def run(self) -> None:
        assert self.victim.web_file is not None
        whole = self.victim.web_file.read_bytes()
        asking = asyncio.create_task(super().run())
        try:
            for damaged in itertools.cycle(_DAMAGED):
                self.victim.web_file.write_bytes(damaged)
                await asyncio.sleep(_DAMAGED_SECONDS)
                self.victim.web_file.write_bytes(whole)
                await asyncio.sleep(_WHOLE_SECONDS)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            self.victim.web_file.write_bytes(whole)

    async def client(self, number: int, wire: Wire) -> None:
        while True:
            await wire.send(
                f"GET {self.victim.metrics} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
            await wire.answer()
            await asyncio.sleep(0.02)
