"""Where the exporter listens: its sockets, their connections, and what a reload changes for them.

What is served is in routes.py, how one connection fares in connection.py.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from exporter.listening import BACKLOG
from exporter.settings import WebConfigFile
from exporter.web import http
from exporter.web.connection import Connection, Phase
from exporter.web.places import Places
from exporter.web.tls import RECORD
from exporter.web.turns import Turns

_ACCEPTED_AT_ONCE: Final = 4
"""Before the others have their turn, and those that had to go for them are really gone."""


class Server:
    """Serves an application on sockets."""

    def __init__(
        self, app: web.Application, config: WebConfigFile, *, max_connections: int
    ) -> None:
        """Serves nobody yet."""
        self._config = config
        self._runner = http.runner(app, config)
        self._servers: list[asyncio.Server] = []
        self._places: Places[Connection] = Places(
            max_connections, lambda: bool(config.current.users)
        )
        self._handshakes = Turns()
        self._buffer = memoryview(bytearray(RECORD))

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serves whoever connects to these, which are bound."""
        await self._runner.setup()
        new_http = self._runner.server
        assert new_http is not None
        for each in sockets:
            server = await asyncio.get_running_loop().create_server(
                lambda: Connection(
                    self._config, new_http, self._places, self._handshakes, self._buffer
                ),
                sock=each,
                backlog=_ACCEPTED_AT_ONCE,
            )
            self._servers.append(server)
            each.listen(BACKLOG)  # asyncio has one number for both
        self._config.changed.append(self._close_outdated)

    async def stop(self) -> None:
        """Stops listening; what is under way has SHUTDOWN_SECONDS to finish."""
        if self._servers:
            self._config.changed.remove(self._close_outdated)
        while self._servers:
            self._servers.pop().close()
        self._places.close()
        for connection in self._places:
            if connection.phase is Phase.HANDSHAKE or connection.phase is Phase.NEW:
                connection.abort()  # aiohttp, which ends the others, does not know of it
        await self._runner.cleanup()
        for connection in self._places:
            connection.abort()

    def _close_outdated(self) -> None:
        for connection in self._places:
            connection.close_if_outdated()
