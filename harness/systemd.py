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


class Journald:
    """The other end of journald's native socket: takes datagrams apart as its protocol says."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(20)

    def __enter__(self) -> "Journald":
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def entry(self) -> dict[str, str]:
        """The fields of the next entry."""
        rest, files, _, _ = socket.recv_fds(self.socket, 1 << 20, 1)
        if files:
            with open(files[0], "rb") as file:
                file.seek(0)
                rest = file.read()
        fields: dict[str, str] = {}
        while rest:
            line, newline, rest = rest.partition(b"\n")
            assert newline, line
            name, equals, value = line.partition(b"=")
            if not equals:
                size = int.from_bytes(rest[:8], "little")
                value, rest = rest[8 : 8 + size], rest[8 + size :]
                assert rest[:1] == b"\n", rest
                rest = rest[1:]
            assert name.decode() not in fields, name
            fields[name.decode()] = value.decode()
        return fields
