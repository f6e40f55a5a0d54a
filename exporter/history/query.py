"""What can be asked of the history, and what comes back. Values only: no I/O, no clock.

The web process asks, and it may say anything if somebody has broken into it: `Query.read` takes
nothing for granted.
"""

import base64
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple

from exporter.fax import MAX_TEXT, Operation, Reason
from exporter.ledger import EndedFax

MAX_LIMIT: Final = 1000
"""Faxes in one answer."""
RESULTS: Final = {"success": 1, "failed": 0, "unknown": -1}
"""How a fax can have ended, and what stands for it in the database."""
MAX_TIME: Final = 253_370_764_800.0
"""Seconds since the epoch: the year 9999, the last that can be written."""

_POSITION: Final = struct.Struct(">dq")
_CURSOR_LENGTH: Final = 22


class Position(NamedTuple):
    """Where a page of faxes ended: the next one begins after this one, and is older."""

    ended: float
    """Seconds since the epoch."""
    id: int

    def __str__(self) -> str:
        """Returns it as a cursor: 22 letters, digits, - and _."""
        return base64.urlsafe_b64encode(_POSITION.pack(*self)).rstrip(b"=").decode()

    @classmethod
    def read(cls, cursor: str) -> "Position":
        """The one that a cursor stands for. Raises ValueError."""
        try:
            content = base64.b64decode(cursor + "==", b"-_", validate=True)
            position = cls(*_POSITION.unpack(content))
        except (ValueError, struct.error):
            raise ValueError("no cursor of an answer") from None
        if len(cursor) != _CURSOR_LENGTH or str(position) != cursor:
            raise ValueError("no cursor of an answer")
        return position


@dataclass(frozen=True, slots=True)
class Query:
    """Which faxes are wanted, the newest first; None: whatever it is."""

    target: str | None = None
    operation: str | None = None
    result: str | None = None
    """A key of RESULTS."""
    reason: str | None = None
    peer: str | None = None
    uniqueid: str | None = None
    """Of its channel, or the Linkedid of the call that this is part of."""
    since: float | None = None
    """Seconds since the epoch: ended then or later."""
    until: float | None = None
    """Ended before then."""
    cursor: str | None = None
    """As an answer had it: only those after it."""
    limit: int = 100

    @classmethod
    def read(cls, said: object) -> "Query":
        """The query that the web process sent. Raises ValueError."""
        if not isinstance(said, Mapping) or not said.keys() <= {
            field.name for field in fields(cls)
        }:
            raise ValueError("no query")
        query = cls(**said)
        query.check()
        return query

    def check(self) -> None:
        """Raises ValueError if a value is not of the kind that it has to be."""
        texts: list[Any] = [self.target, self.operation, self.result, self.reason]
        texts += [self.peer, self.uniqueid, self.cursor]
        for text in texts:
            if text is not None and not (isinstance(text, str) and len(text) <= MAX_TEXT):
                raise ValueError("a text is none, or too long")
        for word, known in (
            (self.operation, list(Operation)),
            (self.result, list(RESULTS)),
            (self.reason, list(Reason)),
        ):
            if word is not None and word not in known:
                raise ValueError("a word is not known")
        for time in (self.since, self.until):
            if time is not None and not (
                type(time) in (int, float) and 0 <= time <= MAX_TIME  # no NaN is
            ):
                raise ValueError("a time is none")
        if type(self.limit) is not int or not 1 <= self.limit <= MAX_LIMIT:
            raise ValueError("the limit is none")
        if self.cursor is not None:
            Position.read(self.cursor)

    def said(self) -> dict[str, Any]:
        """It, as what `read` reads."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def after(self) -> Position | None:
        """Where to begin; None for the newest."""
        return None if self.cursor is None else Position.read(self.cursor)


class Stored(NamedTuple):
    """A fax of the history."""

    id: int
    """The higher, the later it was stored."""
    target: str
    fax: EndedFax
    """All of it but `ended_at`, which is 0: that clock was another one."""


@dataclass(frozen=True, slots=True)
class FaxPage:
    """An answer."""

    faxes: list[Stored]
    """The newest first."""
    cursor: str | None
    """For the next page; None if there is no older fax."""
    kept: int
    """How many faxes there are in the history, whatever was asked for."""
    there: bool
    """Whether any of them is of the target that was named, if one was."""
    in_file: bool
    """Whether a restart leaves them there."""
