"""The exporter's poller in a conversation with a PBX whose words are arbitrary bytes.

No socket, no real time and no atheris: ami.py has them found by coverage, tests/test_hostile.py
by hypothesis. Whatever the bytes, what comes after them must be understood and counted exactly.
"""

import asyncio
import contextlib
import logging
import re
import socket
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from pydantic import SecretStr

from exporter.ami import connection, stream
from exporter.fax import Operation
from exporter.ledger import EVENT_LATENESS, Ledger
from exporter.log import Json, Logfmt
from exporter.polling import REFUSED_PAUSE, Failure, Poller
from exporter.settings import AmiSettings
from harness.virtual_time import clock, run

TRANSCRIPTS: Final = Path(__file__).parent.parent / "tests" / "transcripts"
NEXT: Final = b"\x00\x00"
"""Between two parts of a script: each is said in answer to one request, the first as greeting."""
END: Final = b"\r\n\r\n"
MOST_PARTS: Final = 16
INTERVAL: Final = EVENT_LATENESS
"""Seconds from poll to poll; long, for a conversation to be short."""
PATIENCE: Final = 100
"""Times INTERVAL after which the exporter has found its way back, whatever was said."""
SMALL: Final[dict[str, Any]] = {"MAX_MESSAGE": 1000, "MAX_LISTED": 5, "MAX_LIST": 900}
"""Limits of exporter.ami.stream that so few bytes can reach."""
MOST_OUTSTANDING: Final = 2
"""Likewise MAX_OUTSTANDING of exporter.ami.connection."""
CHANNEL: Final = "Local/recv@fax-after-0badcafe;2"
"""Of the fax that is sent after the script."""

_SETTINGS: Final = AmiSettings(username="u", secret=SecretStr("s"))
_ASKS: Final = {
    b"Challenge": 1,
    b"Login": 2,
    b"CoreSettings": 3,
    b"CoreStatus": 4,
    b"FAXSessions": 5,
    b"FAXSession": 6,
    b"FAXStats": 7,
}
"""How many things the PBX has said before it answers this action for the first time."""


def script(begin: int, *parts: bytes, piece: int = 0, hang_up: bool = False) -> bytes:
    """Parts to be said from the `begin`th thing that the PBX says on; the rest is proper.

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


class Pbx:
    """Says the parts of a script, then only what an Asterisk would, over all connections."""

    def __init__(self, data: bytes) -> None:
        head = data[:2].ljust(2, b"\0")
        self.piece = head[0]
        self.hangs_up = head[1] > 127
        parts = data[2:].split(NEXT, MOST_PARTS - 1)
        self.script = deque([b""] * (head[1] & 15) + parts)
        """An empty part stands for the proper answer."""
        self.pages = self.bad_lines = 0
        self.there = False
        self.completed = 5
        self.line: Line | None = None

    @property
    def done(self) -> bool:
        """Whether the script is over."""
        return not self.script

    def answer(self, action: bytes) -> bytes:
        """What an Asterisk says, `=0` standing for the ActionID."""
        says = "Response: Success\r\nActionID: =0\r\n"
        event = "\r\nEvent: {}\r\nActionID: =0\r\n"
        number = 8 if self.done else 7
        match action:
            case b"FAXSessions":
                if self.there or not self.done:
                    says += event.format("FAXSessionsEntry") + (
                        f"Channel: {CHANNEL}\r\nSessionNumber: {number}\r\n"
                        "SessionType: G.711\r\nOperation: receive\r\nState: Active\r\n"
                    )
                says += event.format("FAXSessionsComplete")
            case b"FAXSession":
                says += event.format("FAXSession") + (
                    f"SessionNumber: {number}\r\nOperation: receive\r\nState: Active\r\n"
                    "ErrorCorrectionMode: No\r\nDataRate: 9600\r\nImageResolution: 8031x3850\r\n"
                    f"PageNumber: {self.pages + 1}\r\nPagesReceived: {self.pages}\r\n"
                    f"TotalBadLines: {self.bad_lines}\r\n"
                )
            case b"FAXStats":
                says += event.format("FAXStats") + f"CompletedFAXes: {self.completed}\r\n"
        return f"{says}\r\n".encode()


class Line(asyncio.Transport):
    """One connection, seen from the exporter."""

    def __init__(self, pbx: Pbx, protocol: Any) -> None:
        super().__init__()
        self.pbx, self.protocol = pbx, protocol
        self.closed = False
        self.latest = b"none"
        self.answered: deque[bytes] = deque(maxlen=9)
        self.loop = asyncio.get_running_loop()
        protocol.connection_made(self)
        self.loop.call_soon(self.say, b"", b"")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Actions of the exporter's."""
        for action in bytes(data).split(END)[:-1]:
            headers = dict(line.partition(b": ")[::2] for line in action.split(b"\r\n"))
            self.latest = headers[b"ActionID"]
            self.loop.call_soon(self.say, headers[b"Action"], self.latest)

    def pause_reading(self) -> None:
        """Pieces come as they were cut all the same."""

    def resume_reading(self) -> None:
        """See pause_reading."""

    def say(self, action: bytes, identity: bytes) -> None:
        """The next part of the script, or the proper answer."""
        pbx = self.pbx
        self.answered.appendleft(identity)
        if self.closed:
            return
        over = pbx.done
        part = pbx.script.popleft() if pbx.script else b""
        said = part or (pbx.answer(action) if action else b"Asterisk Call Manager/11.0.0\r\n")
        if pbx.done and not over and (part or action):
            # What is proper is not to be a part of the last message.
            said = said + END if part else END + said
        self.send(said, 0 if over else pbx.piece)
        if pbx.done and not over and pbx.hangs_up:
            self.end(ConnectionResetError("reset"))

    def send(self, said: bytes, piece: int = 0) -> None:
        """Delivers bytes in pieces, with real ActionIDs: `=0` is that of the request that is
        being answered, `=1` to `=8` of those before it, `=9` of the latest."""
        known = [*self.answered, *[b"none"] * (9 - len(self.answered)), self.latest]
        said = re.sub(rb"(?<=ActionID: )=(\d)", lambda found: known[int(found[1])], said)
        size = piece or len(said)
        for start in range(0, len(said), size):
            if self.closed:
                return
            self.protocol.data_received(said[start : start + size])
            assert len(self.protocol.unread) <= stream.MAX_MESSAGE or self.closed
            outstanding = len(self.protocol._unanswered)
            assert outstanding <= connection.MAX_OUTSTANDING + 2  # a poll cut, a Ping

    def end(self, error: Exception | None) -> None:
        """The connection is over; the protocol hears of it, but not at once."""
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, error)

    def abort(self) -> None:
        """Ends the connection, as the exporter does."""
        self.end(None)


class _Lines(logging.Handler):
    """Log lines as users see them, in both formats."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [Logfmt().format(record), Json().format(record)]


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    handler, logger = _Lines(), logging.getLogger("exporter")
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates


def converse(data: bytes) -> Poller:
    """One conversation, given as bytes like those of `script`. AssertionError, or whatever came
    up, if it did any harm."""
    few = patch.object(connection, "MAX_OUTSTANDING", MOST_OUTSTANDING)
    with patch.multiple(stream, None, **SMALL), few, _logged() as lines:
        poller = run(_converse(data))
    for line in lines:
        assert line.isprintable(), line
    return poller


async def _converse(data: bytes) -> Poller:
    async with conversation(Pbx(data)) as poller:
        return poller


@contextlib.asynccontextmanager
async def conversation(pbx: Pbx) -> AsyncIterator[Poller]:
    """In virtual time: a poller that has found its way back after the script, and that afterwards
    counts a fax exactly. Nothing may have come up meanwhile."""
    loop = asyncio.get_running_loop()
    escaped: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: escaped.append(context))

    async def sock_connect(*_: Any) -> None:
        pass

    async def create_connection(factory: Any, *, sock: socket.socket, **_: Any) -> Any:
        sock.close()
        protocol = factory()
        pbx.line = Line(pbx, protocol)
        return pbx.line, protocol

    setattr(loop, "sock_connect", sock_connect)  # noqa: B010
    setattr(loop, "create_connection", create_connection)  # noqa: B010
    poller = Poller(_SETTINGS, INTERVAL, Ledger(5), clock=clock(), jitter=lambda: 1.0)
    task = asyncio.create_task(poller.run())
    try:
        await _found_back(pbx, poller)
        yield poller
        await _found_back(pbx, poller)
        await asyncio.sleep(EVENT_LATENESS + INTERVAL)
        if poller.status.failures[Failure.DENIED]:
            await asyncio.sleep(REFUSED_PAUSE)
        await _fax(pbx, poller)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert not escaped, escaped
    assert poller.status.failures[Failure.INTERNAL] == 0


async def _found_back(pbx: Pbx, poller: Poller) -> None:
    for _ in range(PATIENCE):
        await asyncio.sleep(INTERVAL)
        if pbx.done and poller.status.up:
            return
    raise AssertionError("the exporter has not found its way back")


async def _fax(pbx: Pbx, poller: Poller) -> None:
    """Two pages and three bad lines, after which exactly these are counted and nothing failed."""
    before = _counts(poller)
    pbx.there = True
    await asyncio.sleep(INTERVAL)
    pbx.bad_lines = 3
    await asyncio.sleep(INTERVAL)
    pbx.pages, pbx.bad_lines = 1, 0
    await asyncio.sleep(INTERVAL)
    pbx.there = False
    pbx.completed += 1
    assert pbx.line is not None
    pbx.line.send(
        f"Event: ReceiveFAX\r\nPrivilege: call,all\r\nChannel: {CHANNEL}\r\n"
        "ChanVariable: FAXSTATUS=SUCCESS\r\nChanVariable: FAXMODE=audio\r\n"
        "PagesTransferred: 2\r\n\r\n".encode()
    )
    await asyncio.sleep(EVENT_LATENESS + INTERVAL)
    counted = _counts(poller)
    counted.subtract(before)
    told = {"started": 1, "ended": 1, "pages": 2, "bad lines": 3, "finished": 1}
    assert +counted == told, f"{+counted} instead of {told}"
    assert not -counted, "a counter went down"


def _counts(poller: Poller) -> Counter[str]:
    totals, status = poller.ledger.totals, poller.status
    return Counter(
        {
            "started": totals.started[Operation.RECEIVE],
            "ended": totals.ended[Operation.RECEIVE],
            "pages": totals.pages.total(),
            "bad lines": totals.bad_lines.total(),
            "finished": totals.finished.total(),
            "failures": totals.failures.total(),
            "unobserved": poller.ledger.unobserved.total,
        }
        | {f"failed polls: {reason}": times for reason, times in status.failures.items()}
    )
