"""systemd as a test plays it: the receiving end of NOTIFY_SOCKET."""

import contextlib
import socket
import time


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.environment = {"NOTIFY_SOCKET": address.replace("\0", "@")}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self._messages: list[str] = []

    def read(self) -> None:
        """Takes what has come, since the kernel holds only ten messages."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._messages.append(self.socket.recv(4096).decode())

    def heard(self) -> list[str]:
        """All that came since the last call."""
        self.read()
        heard, self._messages = self._messages, []
        return heard

    def wait_for(self, start: str, seconds: float = 20) -> str:
        """The next message that begins so."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            if (message := self.socket.recv(4096).decode()).startswith(start):
                return message
        raise AssertionError(f"no {start} within {seconds} s")
