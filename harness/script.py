"""A PBX that says arbitrary bytes, given as a script, and afterwards only what an Asterisk would.

It is the demo PBX without a socket: its bytes are delivered to the exporter's protocol at once.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from exporter.ami import connection, stream
from exporter.demo.actions import Headers
from exporter.demo.connection import Connection, Reader
from harness.pbx import FaultyConnection, FaultyPbx
from harness.virtual_time import wall

TRANSCRIPTS: Final = Path(__file__).parent.parent / "tests" / "transcripts"
NEXT: Final = b"\x00\x00"
"""Separates the parts of a script. The first is the greeting, each other answers one request."""
END: Final = b"\r\n\r\n"
MOST_PARTS: Final = 16
CHANNEL: Final = "Local/recv@fax-after-0badcafe;2"
"""Of the fax that is in the list while the script lasts, and of the one that is sent after it."""
_ASKS: Final = {
    b"Challenge": 1,
    b"Login": 2,
    b"CoreSettings": 3,
    b"CoreStatus": 4,
    b"Getvar": 5,
    b"FAXSessions": 8,
    b"FAXSession": 9,
    b"FAXStats": 10,
}
"""How many answers, with the greeting, come before the first one to this action."""


def script(begin: int, *parts: bytes, piece: int = 0, hang_up: bool = False) -> bytes:
    """A script whose parts replace the answers of the PBX from the `begin`th on, the greeting being
    answer 0; all before and after is what an Asterisk would say.

    `piece`: bytes that arrive at once, 0 is all. `hang_up`: the connection ends with the script.
    """
    return bytes((piece, begin | hang_up << 7)) + NEXT.join(parts)


def seeds() -> Iterator[bytes]:
    """What real Asterisks said, each where it belongs, as it came and cut into pieces."""
    for transcript in sorted(TRANSCRIPTS.glob("*/*.txt")):
        said = re.sub(rb"ActionID: \d+", b"ActionID: =0", transcript.read_bytes())
        if said.startswith(b"Asterisk"):
            greeting, _, rest = said.partition(b"\r\n")
            parts = [greeting + b"\r\n", *re.split(rb"(?<=\r\n\r\n)(?=Response)", rest)]
            yield script(0, *parts)
            continue
        subject = transcript.stem.rpartition("-denied-")[2].rpartition("not-loaded-")[2]
        name = subject.partition("-")[0].encode()
        begin = next((at for action, at in _ASKS.items() if action.lower() == name), 5)
        yield script(begin, said)
        yield script(begin, said, piece=7)


class ScriptedTransport(asyncio.Transport):
    """One connection without a socket: to the exporter a transport, to the PBX a writer."""

    def __init__(self, pbx: "ScriptedPbx", protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.closed = False
        self.latest = b"none"
        self.answered: deque[bytes] = deque(maxlen=9)
        self.transport = self
        self._loop = asyncio.get_running_loop()
        self._actions = asyncio.StreamReader()
        protocol.connection_made(self)
        pbx.spawn(pbx.serve(self._actions, cast(Any, self)))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Takes actions from the exporter."""
        self.latest = re.findall(rb"ActionID: ([^\r]*)\r\n", bytes(data))[-1]
        if not self.closed:
            self._actions.feed_data(bytes(data))

    def pause_reading(self) -> None:
        """Does nothing: pieces come as they were cut."""

    def resume_reading(self) -> None:
        """See pause_reading."""

    def send(self, said: bytes, piece: int = 0) -> None:
        """Delivers bytes in pieces, with real ActionIDs: `=0` is that of the request that is
        being answered, `=1` to `=8` of those before it, `=9` of the latest."""
        known = [*self.answered, *[b"none"] * (9 - len(self.answered)), self.latest]
        said = re.sub(rb"(?<=ActionID: )=(\d)", lambda found: known[int(found[1])], said)
        size = piece or len(said) or 1
        for start in range(0, len(said), size):
            if self.closed:
                return
            try:
                self.protocol.data_received(said[start : start + size])
                assert len(self.protocol.unread) <= stream.MAX_MESSAGE or self.closed
                outstanding = len(self.protocol._unanswered)
                assert outstanding <= connection.MAX_OUTSTANDING + 2  # a poll cut, a Ping
            except Exception as error:  # as a real transport does it
                self._loop.call_exception_handler({"message": "harmed", "exception": error})
                raise

    def end(self, error: Exception | None) -> None:
        """Ends the connection; the protocol is told in the next turn of the loop."""
        if not self.closed:
            self.closed = True
            self._actions.feed_eof()
            self._loop.call_soon(self.protocol.connection_lost, error)

    def abort(self) -> None:
        """Ends the connection, as the exporter does; likewise the next two, as the PBX does."""
        self.end(None)

    def close(self) -> None:
        """See abort."""
        self.end(None)

    async def wait_closed(self) -> None:
        """See abort."""

    def is_closing(self) -> bool:
        """Whether nothing more is said."""
        return self.closed


class ScriptedConnection(FaultyConnection):
    """Says the next part of the script instead of the proper answer, as long as there is one."""

    pbx: "ScriptedPbx"

    def __init__(self, pbx: "ScriptedPbx", reader: Reader, writer: Any) -> None:
        super().__init__(pbx, reader, writer)
        self._transport: ScriptedTransport = writer
        self._piece = 0
        self._hangs_up = False
        self.dialogue.accept()  # whatever the script answers to the login

    async def greet(self) -> None:
        """The first part, or a greeting."""
        await self.send(self._next(b"", b"Asterisk Call Manager/11.0.0\r\n"))

    async def answer(self, headers: Headers) -> bytes:
        """The next part, or the answer."""
        return self._next(headers["actionid"].encode(), await super().answer(headers))

    def _next(self, identity: bytes, proper: bytes) -> bytes:
        pbx = self.pbx
        self._transport.answered.appendleft(identity)
        if pbx.done:
            return proper
        part = pbx.next_part()
        self._piece, self._hangs_up = pbx.piece, pbx.done and pbx.hangs_up
        if not pbx.done:
            return part or proper
        # END, so that the proper answer is not read as part of the script's last message.
        return part + END if part else END + proper if identity else proper

    async def send(self, data: bytes) -> None:
        """Sends a part of the script in its pieces."""
        self._transport.send(data, self._piece)
        self._piece = 0
        if self._hangs_up:
            self._transport.end(ConnectionResetError("reset"))

    def write(self, data: bytes) -> None:
        """Sends bytes in one piece."""
        self._transport.send(data)


class ScriptedPbx(FaultyPbx):
    """Says the parts of a script, then only what an Asterisk would, over all connections.

    Until the script is over a fax is in the list, so that there is something to ask about.
    """

    connection: type[Connection] = ScriptedConnection

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(clock=wall)
        head = data[:2].ljust(2, b"\0")
        self.piece = head[0]
        self.hangs_up = head[1] > 127
        self._script = deque([b""] * (head[1] & 15) + data[2:].split(NEXT, MOST_PARTS - 1))
        """An empty part stands for the proper answer."""
        self.next_number = 7
        self._fax = self.begin("receive", CHANNEL, state="Active")
        self.transport: ScriptedTransport | None = None
        """The latest connection."""

    @property
    def done(self) -> bool:
        """Whether the script is over."""
        return not self._script

    def next_part(self) -> bytes:
        """The next part of the script, which must not be over."""
        part = self._script.popleft()
        if self.done:
            self.drop(self._fax, announce=False)
        return part

    def connected(self, protocol: Any) -> ScriptedTransport:
        """The exporter connects with this protocol."""
        self.transport = ScriptedTransport(self, protocol)
        return self.transport
