"""TLS over bytes: what a client sends goes in, what it means comes out, and the other way round.

asyncio's own TLS reserves 256 KiB for each connection, and does the handshakes of all clients
before anything else; this holds no more than what has come.
"""

import contextlib
import ssl
from enum import Enum, auto
from typing import Final

RECORD: Final = 16 * 1024
"""Bytes: the most that one record of TLS holds."""

_HANDSHAKE_RECORD: Final = b"\x16"
"""What a client of TLS says first."""


class Read(Enum):
    """Why there are no bytes to read."""

    LATER = auto()
    ENDED = auto()


class Tls:
    """The server's side of one connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Nothing has come yet."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.untouched = True
        """Nothing has been fed yet."""

    @staticmethod
    def begins(data: bytes) -> bool:
        """Whether these can be the first bytes of a client that speaks TLS."""
        return data[:1] == _HANDSHAKE_RECORD

    def feed(self, data: bytes) -> None:
        """Takes what came from the network."""
        self.untouched = False
        self._incoming.write(data)

    def shake_hands(self) -> bool:
        """Goes on with the handshake. Returns whether it is over. Raises ssl.SSLError if there will
        be none; what is to be sent then tells the client why."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> bytes | Read:
        """What the client said, a record at most. Raises ssl.SSLError if it broke off."""
        try:
            return self._object.read(RECORD) or Read.ENDED
        except ssl.SSLWantReadError:
            return Read.LATER

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypts what is to be said."""
        if len(data):
            self._object.write(data)

    def end(self) -> None:
        """Says that no more will follow."""
        with contextlib.suppress(ssl.SSLError):  # the client's own end need not be waited for
            self._object.unwrap()

    def to_send(self) -> bytes:
        """What is to go to the network, once."""
        return self._outgoing.read()
