"""An AMI client that changes nothing: it returns each message byte for byte."""

import asyncio
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Self

from exporter.demo import DemoPbx


def values(message: bytes) -> dict[str, str]:
    """The headers of one message; of a repeated one, the last."""
    lines = message.decode().split("\r\n")
    return {name: value for name, _, value in (line.partition(": ") for line in lines) if name}


class Client:
    """One connection to a manager."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, pbx: DemoPbx, *, login: bool = True, **tls: ssl.SSLContext) -> Self:
        """Connected and greeted, and logged in unless told otherwise."""
        client = cls(*await asyncio.open_connection(pbx.host, pbx.port, **tls))  # type: ignore[arg-type]
        assert await client.reader.readline() == (
            f"Asterisk Call Manager/{pbx.ami_version}\r\n".encode()
        )
        if login:
            accepted = await client.ask("Login", Username=pbx.username, Secret=pbx.secret)
            assert values(accepted)["Message"] == "Authentication accepted"
        return client

    def say(self, action: str, **headers: str | int) -> None:
        """Sends an action."""
        lines = [f"Action: {action}", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def message(self) -> bytes:
        """The next one, with the empty line at its end."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)

    async def ask(self, action: str, **headers: str | int) -> bytes:
        """The first message of the answer."""
        self.say(action, **headers)
        return await self.message()

    async def ask_all(self, action: str, *, last: str, **headers: str | int) -> bytes:
        """The whole answer, up to the event that ends it, or the Error."""
        answer = await self.ask(action, **headers)
        while b"Response: Error" not in answer and f"Event: {last}\r\n".encode() not in answer:
            answer += await self.message()
        return answer

    async def has_ended(self) -> bool:
        """Whether the other end closes the connection, after at most what it still had to say."""
        with suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), 5)
        return self.reader.at_eof() or self.reader.exception() is not None

    async def close(self) -> None:
        """Hangs up."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
