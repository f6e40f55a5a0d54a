"""Where the exporter listens: one address, its connections, and what a reload changes for them.

What is served is in routes.py, how one connection fares in connection.py.
"""

import asyncio
import socket
from collections.abc import Sequence

from aiohttp import web

from exporter.listening import open_sockets
from exporter.settings import ListenAddress, WebConfigFile, WebSettings
from exporter.web import http
from exporter.web.connection import Connection, Phase
from exporter.web.places import Places


class Server:
    """Serves an application at one address."""

    def __init__(
        self,
        app: web.Application,
        address: ListenAddress | Sequence[socket.socket],
        config: WebConfigFile,
        *,
        max_connections: int,
    ) -> None:
        """Listens nowhere yet. `address`: where to, or the sockets that listen there."""
        self._config = config
        self._address = address
        self._runner = http.runner(app, config)
        self._listening: list[asyncio.Server] = []
        self._places: Places[Connection] = Places(max_connections)

    async def start(self) -> None:
        """Serves. Raises OSError if an address is not free."""
        await self._runner.setup()
        new_http = self._runner.server
        assert new_http is not None
        try:
            sockets = self._address
            if isinstance(sockets, ListenAddress):
                sockets = open_sockets(WebSettings(listen_address=(sockets,)))
            for one in sockets:
                listening = await asyncio.get_running_loop().create_server(
                    lambda: Connection(self._config, new_http, self._places), sock=one
                )
                self._listening.append(listening)
        except BaseException:
            await self._runner.cleanup()
            raise
        self._config.changed.append(self._close_outdated)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port of each socket."""
        return [one.getsockname()[:2] for server in self._listening for one in server.sockets]

    async def stop(self) -> None:
        """Stops listening; what is under way has SHUTDOWN_SECONDS to finish."""
        if not self._listening:
            return
        self._config.changed.remove(self._close_outdated)
        for listening in self._listening:
            listening.close()
        self._listening = []
        self._places.close()
        for connection in self._places:
            if connection.phase is Phase.HANDSHAKE:  # aiohttp ends the others; it has no such one
                connection.abort()
        await self._runner.cleanup()
        for connection in self._places:
            connection.abort()

    def _close_outdated(self) -> None:
        for connection in self._places:
            connection.close_if_outdated()
