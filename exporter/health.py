"""Where `--health-check` asks: a socket of the main process, which asks the web process in turn."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from exporter.health_check import HEALTHY, PREFIX
from exporter.shared import Recent

_FRESH_SECONDS: Final = 1.0
"""So long an answer is given again: who asks without end gets no more."""
_PAUSE_SECONDS: Final = 0.005
"""After each that was answered: the polls come first."""
_NO_SOCKET_SECONDS: Final = 1.0
"""After which it is tried again to take one that waits, if there are too many open files."""
_BACKLOG: Final = 64
_MAX_PORTS: Final = 8
"""In the name, which is short."""

logger = logging.getLogger(__name__)


class HealthSocket:
    """Listens from the beginning on."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        """`sockets`: where clients are served."""
        ports = sorted({str(s.getsockname()[1]) for s in sockets if s.family != socket.AF_UNIX})
        name = f"{PREFIX}{','.join(ports[:_MAX_PORTS])}/{os.urandom(8).hex()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listens = False
        try:
            self._socket.setblocking(False)
            self._socket.bind(f"\0{name}")
            self._socket.listen(_BACKLOG)
            self._listens = True
        except OSError as error:
            why = error.strerror
            logger.warning("--health-check finds nobody to ask: no socket for it: %s", why)

    async def answer(self, fault: Callable[[], Awaitable[str]]) -> None:
        """Answers until it is cancelled. `fault`: says why clients are not served, empty if they
        are."""
        loop, recent = asyncio.get_running_loop(), Recent(fault, _FRESH_SECONDS)
        while self._listens:
            try:
                client, _ = await loop.sock_accept(self._socket)
            except OSError:
                await asyncio.sleep(_NO_SOCKET_SECONDS)
                continue
            with client:
                said = await recent() or HEALTHY
                with contextlib.suppress(OSError):  # it has gone
                    client.send(f"{said}\n".encode())
            await asyncio.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        """From now on nobody is found who could be asked."""
        self._socket.close()
