"""The floor: a bare socket that sends the actions of one poll and only counts the bytes that come.

It asks everything at once. There are two kinds: one reads whatever has come, and one waits a moment
if that is little, as the exporter does. Where a PBX writes message by message the second costs
less, as most of the first is the kernel's work for each read.
"""

import socket
import time
from typing import Final

READ: Final = 64 * 1024
"""Bytes of one read, as exporter.ami.READ_SIZE."""
_STATS: Final = b"FailedFAXes: 1\r\n\r\n"


class Floor:
    """One connection. `pause`: seconds to wait after a read that brought little."""

    def __init__(self, port: int, sessions: int, *, pause: float = 0) -> None:
        self._pause = pause
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.recv(100)
        self._list = b"Action: FAXSessions\r\nActionID: floor\r\n\r\n"
        self._listed = b"Total: %d\r\n\r\n" % sessions
        asks = [
            f"Action: FAXSession\r\nActionID: floor\r\nSessionNumber: {number}\r\n\r\n".encode()
            for number in range(sessions)
        ] + [b"Action: FAXStats\r\nActionID: floor\r\n\r\n"]
        self._asks = b"".join(asks)

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    def poll(self) -> int:
        """List and ask for all. Returns the bytes that came."""
        self._socket.sendall(self._list)
        came = self._until(self._listed)
        self._socket.sendall(self._asks)
        return came + self._until(_STATS)

    def _until(self, end: bytes) -> int:
        came, tail = 0, b""
        while not tail.endswith(end):
            data = self._socket.recv(READ)
            came += len(data)
            if self._pause and len(data) < READ // 4:
                time.sleep(self._pause)
            tail = data[-len(end) :] if len(data) >= len(end) else tail + data
        return came
