"""Where the exporter listens: one address, its connections, and what a reload changes for them.

What is served is in routes.py, how one connection fares in connection.py.
"""

import asyncio

from aiohttp import web

from exporter.settings import ListenAddress, WebConfigFile
from exporter.web import http
from exporter.web.connection import Connection, Phase
from exporter.web.places import Places


class Server:
    """Serves an application at one address."""

    def __init__(
        self,
        app: web.Application,
        address: ListenAddress,
        config: WebConfigFile,
        *,
        max_connections: int,
    ) -> None:
        """Listens nowhere yet."""
        self._config = config
        self._address = address
        self._runner = http.runner(app, config)
        self._listening: asyncio.Server | None = None
        self._places: Places[Connection] = Places(max_connections)

    async def start(self) -> None:
        """Listens. Raises OSError if the address is not free."""
        await self._runner.setup()
        new_http = self._runner.server
        assert new_http is not None
        try:
            listening = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._config, new_http, self._places),
                self._address.host,
                self._address.port,
            )
            if not listening.sockets:  # older asyncio ignores a family that the machine lacks
                raise OSError("this machine has no addresses of that kind")
            self._listening = listening
        except BaseException:
            await self._runner.cleanup()
            raise
        self._config.changed.append(self._close_outdated)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port of each socket."""
        sockets = self._listening.sockets if self._listening is not None else ()
        return [socket.getsockname()[:2] for socket in sockets]

    async def stop(self) -> None:
        """Stops listening; what is under way has SHUTDOWN_SECONDS to finish."""
        if self._listening is None:
            return
        self._config.changed.remove(self._close_outdated)
        self._listening.close()
        self._listening = None
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
