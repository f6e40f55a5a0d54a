"""Entries with fields for systemd's journal, in journald's native protocol.

Where systemd connects standard error to the journal it says so in JOURNAL_STREAM (systemd.exec(5)),
and whoever speaks the protocol may send there what a line alone cannot carry: a field for each
value, by which `journalctl FAX_REASON=no_fax` chooses. An entry is one datagram.
"""

import errno
import fcntl
import os
import re
import socket
from collections.abc import Mapping
from typing import Final

SOCKET: Final = "/run/systemd/journal/socket"
IDENTIFIER: Final = "asterisk-fax-exporter"
"""What `journalctl -t` chooses by, and what stands before each line."""
PREFIX: Final = "FAX_"
MESSAGE_ID: Final = "39b8c01f8998439a95a291d0ce454269"
"""Of every entry about a fax, whatever fields it has: what chooses them all."""
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_INFO: Final = 6
"""syslog's number of what is no warning."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
"""With the prefix it is a field that journald takes: no more than 64 of A-Z, 0-9 and _."""


class Journal:
    """Where entries go; a `Sink` of line_writer.py, so one thread at a time, which may wait here
    while journald is busy."""

    def __init__(self, path: str = SOCKET) -> None:
        """Connects to journald's socket; OSError if there is none."""
        self._path = path
        self._socket = _connected(path)

    @classmethod
    def of_this_process(
        cls, environment: Mapping[str, str] = os.environ, descriptor: int = 2, path: str = SOCKET
    ) -> "Journal | None":
        """The one that the descriptor, standard error, leads to; None if it leads elsewhere or
        journald cannot be reached.

        A process that passes its environment on, but not its standard error, has the variable too:
        so it names device and inode.
        """
        try:
            found = os.fstat(descriptor)
            if environment.get("JOURNAL_STREAM") != f"{found.st_dev}:{found.st_ino}":
                return None
            return cls(path)
        except OSError:
            return None

    def write(self, entry: bytes) -> None:
        """Sends what `entry_of` has made. Raises OSError."""
        try:
            self._send(entry)
        except OSError:
            # journald was started anew, with another socket.
            self.reopen()
            self._send(entry)

    def reopen(self) -> None:
        """Connects anew. Raises OSError."""
        fresh = _connected(self._path)
        self._socket.close()
        self._socket = fresh

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.send(entry)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            # Larger than a datagram: then journald takes a sealed file in memory.
            with open(
                os.memfd_create("entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb"
            ) as file:
                file.write(entry)
                file.flush()
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
                socket.send_fds(self._socket, [b""], [file.fileno()])


def entry_of(message: str, fields: Mapping[str, object]) -> bytes:
    """An entry with this message and FAX_NAME for each field; those that are None are left out.

    ValueError if a name is not of a-z, 0-9 and _.
    """
    entry = {
        "MESSAGE": message,
        "MESSAGE_ID": MESSAGE_ID,
        "PRIORITY": str(_INFO),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
    }
    for name, value in fields.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a field in the journal")
        if value is not None:
            entry[PREFIX + name.upper()] = _text(value)
    return b"".join(_field(name, value.encode(errors="replace")) for name, value in entry.items())


def _text(value: object) -> str:
    # As in the line.
    return str(value).lower() if isinstance(value, bool) else str(value)


def _field(name: str, value: bytes) -> bytes:
    """NAME=value, or where the value has lines of its own NAME, its length and then the value."""
    if b"\n" in value:
        return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def _connected(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made
