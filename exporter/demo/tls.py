"""TLS as Asterisk's manager reads it, for the demo PBX: record by record, into a small buffer.

asyncio's own TLS makes one stream of all records. Asterisk reads one at a time (main/iostream.c; up
to 13 main/tcptls.c) and can leave bytes unread; this was measured on 16.28 and 22.10.
"""

import asyncio
from contextlib import suppress
from ssl import MemoryBIO, SSLContext, SSLError, SSLWantReadError
from typing import Final

BUFFER: Final = 1024
"""Bytes of `inbuf` in main/manager.c, which holds what is read until a line is complete."""
_FILE_BUFFER: Final = 8192
"""BUFSIZ of glibc."""


class TlsStream(asyncio.Protocol):
    """A connection, read like an asyncio.StreamReader and written like a StreamWriter."""

    def __init__(self, context: SSLContext, *, buffered: bool) -> None:
        """`buffered`: Asterisk reads through a FILE, as it does up to version 13."""
        self._incoming, self._outgoing = MemoryBIO(), MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._buffered = buffered
        self._input_came = asyncio.Event()
        self._closed = asyncio.Event()
        self._file = b""
        self._lines = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport, which carries encrypted bytes."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Keeps encrypted bytes until Asterisk would read them."""
        self._incoming.write(data)
        self._input_came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wakes those who wait for bytes or for the end."""
        self._incoming.write_eof()
        self._input_came.set()
        self._closed.set()

    async def shake_hands(self) -> None:
        """Raises OSError if the handshake fails."""
        try:
            while True:
                try:
                    self._tls.do_handshake()
                except SSLWantReadError:
                    self._flush()
                    await self._wait_for_input()
                else:
                    break
            self._flush()
        except BaseException:
            self._flush()
            self.transport.close()
            raise

    async def readline(self) -> bytes:
        """The next line; b"" if there will be none. Raises ValueError if it is too long."""
        while b"\n" not in self._lines:
            room = BUFFER - len(self._lines)
            if not room:
                raise ValueError(f"a line longer than {BUFFER} bytes")
            await self._wait_for_input()
            # Asterisk reads once, and does not ask TLS whether that record holds more.
            read = self._read_file(room) if self._buffered else self._read(room)
            if not read:
                return b""
            self._lines += read
        line, end, self._lines = self._lines.partition(b"\n")
        return line + end

    async def _wait_for_input(self) -> None:
        """Waits as poll() on the socket does, which cannot see what TLS has already read."""
        while not self._incoming.pending and not self._incoming.eof:
            self._input_came.clear()
            await self._input_came.wait()

    def _read(self, room: int) -> bytes:
        """Reads from one record; b"" if that is incomplete, which Asterisk takes for the end."""
        try:
            return self._tls.read(room)
        except SSLError:
            return b""

    def _read_file(self, room: int) -> bytes:
        while len(self._file) < room and (record := self._read(_FILE_BUFFER)):
            self._file += record
        read, self._file = self._file[:room], self._file[room:]
        return read

    def write(self, data: bytes) -> None:
        """Sends data; hangs up if the FILE holds unread bytes, over which a write cannot seek."""
        if self._file:
            self.transport.abort()
            return
        left = memoryview(data)
        while left:
            left = left[self._tls.write(left) :]
        self._flush()

    def _flush(self) -> None:
        self.transport.write(self._outgoing.read())

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self.transport.is_closing()

    def close(self) -> None:
        """Ends the connection after sending what is left."""
        with suppress(SSLError):  # the other end has not said goodbye
            self._tls.unwrap()
        self._flush()
        self.transport.close()

    async def wait_closed(self) -> None:
        """Returns once it has ended."""
        await self._closed.wait()
