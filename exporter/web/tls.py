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

MAX_UNSAID: Final = 4 * RECORD
"""Bytes that may come one after the other and say nothing, such as that there is a new key: each is
work, and has an answer that waits until there is something to send."""

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
        self._unsaid = 0
        """Bytes fed since it last said something."""

    @staticmethod
    def begins(data: bytes) -> bool:
        """Whether these can be the first bytes of a client that speaks TLS."""
        return data[:1] == _HANDSHAKE_RECORD

    def feed(self, data: bytes) -> None:
        """Takes what came from the network."""
        self.untouched = False
        self._unsaid += len(data)
        self._incoming.write(data)

    def shake_hands(self) -> bool:
        """Goes on with the handshake. Returns whether it is over. Raises ssl.SSLError if there will
        be none; what is to be sent then tells the client why."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self._unsaid = 0
        return True

    def read(self) -> bytes | Read:
        """What the client said, a record at most. Raises ssl.SSLError if it broke off, or sends and
        says nothing."""
        try:
            data = self._object.read(RECORD)
        except ssl.SSLWantReadError:
            if self._unsaid > MAX_UNSAID:
                raise ssl.SSLError("much was sent that says nothing") from None
            return Read.LATER
        self._unsaid = 0
        return data or Read.ENDED

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
