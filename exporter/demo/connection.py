"""One AMI connection: reads actions, sends answers and events, one whole message after another."""

import asyncio
import socket
from contextlib import suppress
from ssl import SSLContext
from typing import TYPE_CHECKING, TypeAlias

from exporter.demo.actions import Dialogue, Headers
from exporter.demo.tls import TlsStream

if TYPE_CHECKING:
    from exporter.demo.pbx import DemoPbx

Reader: TypeAlias = asyncio.StreamReader | TlsStream
Writer: TypeAlias = asyncio.StreamWriter | TlsStream


async def streams(
    connection: socket.socket, ssl: SSLContext | None, *, buffered: bool
) -> tuple[Reader, Writer]:
    """What to read from and write to on an accepted connection; `buffered` as for TlsStream.

    Raises OSError if the TLS handshake fails.
    """
    loop = asyncio.get_running_loop()
    if ssl is None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
    tls = TlsStream(ssl, buffered=buffered)
    await loop.connect_accepted_socket(lambda: tls, connection)
    await tls.shake_hands()
    return tls, tls


class Connection:
    """A client that is connected, whether logged in or not."""

    def __init__(self, pbx: "DemoPbx", reader: Reader, writer: Writer) -> None:
        self.pbx, self.reader, self.writer = pbx, reader, writer
        self.dialogue = Dialogue(pbx)
        self._turn = asyncio.Lock()  # answers and events never mix

    async def talk(self) -> None:
        """Greets, and answers one action after the other until one side ends the connection.

        Raises ConnectionError if the other end is gone, ValueError if a line is too long.
        """
        async with self._turn:
            await self.greet()
        while not self.dialogue.over and (headers := await self._read_action()) is not None:
            async with self._turn:
                await self.send(await self.answer(headers))
                await self._send_events()

    async def greet(self) -> None:
        """Sends the first line."""
        await self.send(f"Asterisk Call Manager/{self.pbx.ami_version}\r\n".encode())

    async def _read_action(self) -> Headers | None:
        headers: dict[str, str] = {}
        while line := await self.reader.readline():
            text = line.decode(errors="replace").rstrip("\r\n")
            if not text:
                return headers
            name, _, value = text.partition(":")
            headers.setdefault(name.strip().lower(), value.strip())
        return None

    async def answer(self, headers: Headers) -> bytes:
        """The answer, once the manager would give it."""
        in_use = self.dialogue.is_in_use(headers)
        answer = self.dialogue.answer(headers)
        if in_use:
            await self.pbx.sleep(1)
        return answer

    def hears(self, event_class: str) -> bool:
        """Whether events of a class are for this client."""
        return not self.writer.is_closing() and self.dialogue.hears(event_class)

    def event(self, event: bytes) -> None:
        """Sends an event as soon as no action is being answered."""
        self.dialogue.events.append(event)
        self.pbx.spawn(self._flush())

    async def _flush(self) -> None:
        async with self._turn:
            await self._send_events()

    async def _send_events(self) -> None:
        while self.dialogue.events:
            await self.send(self.dialogue.events.popleft())

    async def send(self, data: bytes) -> None:
        """Sends one whole message or more."""
        self.write(data)

    def write(self, data: bytes) -> None:
        """Sends bytes now, even in the middle of an answer."""
        if not self.writer.is_closing():
            self.writer.write(data)

    def abort(self) -> None:
        """Ends the connection without sending what is left."""
        self.writer.transport.abort()

    async def leave(self) -> None:
        """Ends the connection after sending what is left, events too."""
        await self._flush()
        await self.close()

    async def close(self) -> None:
        """Ends the connection after sending what is left."""
        self.writer.close()
        with suppress(OSError):  # the other end was first
            await self.writer.wait_closed()
