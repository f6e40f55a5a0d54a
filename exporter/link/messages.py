"""The messages of the two processes, and how they are framed on the socket between them.

The web process reads what strangers send, so the main process takes from it only lines of JSON,
and those are short. The other way go pickles, each with its length before it: the web process may
trust whoever started it.
"""

import asyncio
import json
import pickle
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from exporter.polling import Pace
from exporter.settings import Protection, Settings

MAX_LINE: Final = 64 * 1024
"""Bytes of a line from the web process; it names one target, or says what is wrong in a file."""

_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class WebSetup:
    """The first thing the web process is told: all it needs to know."""

    settings: Settings
    """Without the login to Asterisk."""
    sockets: tuple[int, ...]
    """Descriptors it has inherited, on which it is to listen."""
    main_process: int
    """The id of the other process."""
    protections: frozenset[Protection] = frozenset()
    """What a web process before this one kept others out with."""


@dataclass(frozen=True, slots=True)
class FileState:
    """How the last reading of a file went; see metrics.File."""

    successful: bool
    success_timestamp: float


@dataclass(frozen=True, slots=True)
class FleetState:
    """The targets, and what is known of all of them together."""

    names: tuple[str, ...]
    """Sent apart, and only if they are others than before."""
    stale: tuple[tuple[str, str | None], ...]
    """Those whose last poll is not fresh, and why they are not up; None if they are."""
    config: FileState | None
    """Of the file of targets; None if there is none."""
    web_restarts: int
    pace: Pace
    """How late the polls of all of them begin."""
    fax_lines_lost: int | None = None
    """None if there are no lines of faxes."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of a table of counts that are new to the web process."""

    ask: int
    identity: int
    """Of the poller; with another one, all that was known is void."""
    table: int
    keys: list[Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what was asked for."""

    ask: int
    content: bytes
    """A list, packed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The last message that answers an ask."""

    ask: int
    value: Any
    failed: bool = False
    """Nothing can be said, because of a defect; it is in the log."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the main process wants: reload, stop or ping. To the first and last there is an answer,
    by `number`."""

    what: str
    number: int = 0


def packed(value: object) -> bytes:
    """A value of the main process as bytes, which can be a part of a message."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> Any:
    """The value that was packed. For bytes of the main process only: unpacking runs code."""
    return pickle.loads(content)


def read_pieces(pieces: Iterable[bytes]) -> Iterator[Any]:
    """What is in these pieces, the first ones first; each is read when it is come to."""
    for piece in pieces:
        yield from unpacked(piece)


async def read_frame(reader: asyncio.StreamReader) -> object:
    """The next message of the main process. Raises asyncio.IncompleteReadError at the end."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return unpacked(await reader.readexactly(length))


async def send_frame(writer: asyncio.StreamWriter, message: object) -> None:
    """Sends a message to the web process. Raises ConnectionError if that is gone."""
    body = packed(message)
    writer.write(_LENGTH.pack(len(body)) + body)
    await writer.drain()


async def send_line(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    """Sends a message to the main process. Raises ConnectionError if that is gone."""
    writer.write(json.dumps(message).encode() + b"\n")
    await writer.drain()


def shortened(text: str) -> str:
    """As many of a text's lines as a message to the main process has room for, and how many more
    there are: a file may have any number of faults."""
    lines, room = text.splitlines(), MAX_LINE // 2
    for number, line in enumerate(lines):
        room -= len(json.dumps(line))
        if room < 0:
            return "\n".join([*lines[:number], f"and {len(lines) - number} more"])
    return text
