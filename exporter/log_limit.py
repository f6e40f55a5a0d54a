"""How often lines of one kind are logged: kinds and times in, which to write and counts of the rest
out. log.py tells the kind of a line, and writes. No I/O, no clock.
"""

import logging
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

SECONDS: Final = 60.0
"""What is called a minute here: from the first line of a kind on."""
LINES: Final = 5
"""Lines of one kind that are written in a minute."""
LINES_OF_ALL_KINDS: Final = 60
"""Lines that are written in a minute from one logger, of one level, about one target, for what has
other words each time."""
DEBUG_FACTOR: Final = 12
"""How many times as much that is of level DEBUG and below: a line a second, such as one of each
poll, is what somebody who looks for a fault wants to see."""
MOST_KINDS: Final = 4096
"""Kinds that are counted at once. Of one more, the one whose minute began first is forgotten, with
its count told."""

_CHARACTERS: Final = 200
_FIGURES: Final = re.compile(r"0x[0-9A-Fa-f]+|\d+")
_CONVERSIONS: Final = re.compile(r"%(?:\(\w*\))?[^A-Za-z%]*[A-Za-z%]")


class Kind(NamedTuple):
    """What lines have in common that say the same."""

    logger: str
    level: int
    target: str
    """What they are about; empty if about no target."""
    words: str
    """By `words_of`; empty for all there are."""
    error: str
    """The type of the exception they have a traceback of; empty without any."""


class LeftOut(NamedTuple):
    """Lines that were not written."""

    kind: Kind
    lines: int


@dataclass(slots=True)
class _Minute:
    ends: float
    written: int = 0
    left_out: int = 0


class Limiter:
    """Lets the first lines of each kind through, and counts the others. Times are monotonic
    seconds, none earlier than the one before."""

    def __init__(self, seconds: float = SECONDS, most_kinds: int = MOST_KINDS) -> None:
        self._seconds = seconds
        self._most_kinds = most_kinds
        self._minutes: dict[Kind, _Minute] = {}
        """In the order in which they end."""
        self._forgotten: list[LeftOut] = []

    def __len__(self) -> int:
        """Kinds that are counted now."""
        return len(self._minutes)

    @property
    def due(self) -> float | None:
        """When `over` next has something to tell; None if nothing was left out."""
        return min((one.ends for one in self._minutes.values() if one.left_out), default=None)

    def over(self, now: float) -> list[LeftOut]:
        """What was left out in the minutes that are over. To be asked before `admit`."""
        told, self._forgotten = self._forgotten, []
        while self._minutes:
            kind, first = next(iter(self._minutes.items()))
            if first.ends > now:
                break
            told += self._end(kind)
        return told

    def admit(self, kind: Kind, now: float) -> int:
        """Takes a line. Returns how many of its kind there have been in this minute, with this one;
        0 if it is not to be written."""
        factor = DEBUG_FACTOR if kind.level <= logging.DEBUG else 1
        every = self._minute(kind._replace(words="", error=""), now)
        full = every.written >= LINES_OF_ALL_KINDS * factor
        if full and kind not in self._minutes:
            every.left_out += 1
            return 0
        this = self._minute(kind, now)
        if full or this.written >= LINES * factor:
            this.left_out += 1
            return 0
        every.written += 1
        this.written += 1
        return this.written

    def _minute(self, kind: Kind, now: float) -> _Minute:
        minute = self._minutes.get(kind)
        if minute is None:
            if len(self._minutes) >= self._most_kinds:
                self._forgotten += self._end(next(iter(self._minutes)))
            minute = self._minutes[kind] = _Minute(now + self._seconds)
        return minute

    def _end(self, kind: Kind) -> list[LeftOut]:
        count = self._minutes.pop(kind).left_out
        return [LeftOut(kind, count)] if count else []


def has_words(template: str) -> bool:
    """Whether a message says something before values are put in: `%s` does not."""
    return any(map(str.isalpha, _CONVERSIONS.sub("", template)))


def without_values(template: str) -> str:
    """A message as people read it who are not told its values: `lost ...` of `lost %s`."""
    return _CONVERSIONS.sub(lambda found: "%" if found[0] == "%%" else "...", template)


def words_of(text: str) -> str:
    """What a text has in common with others that say the same: its first line, or the beginning of
    that, without figures."""
    return _FIGURES.sub("#", text[:_CHARACTERS].partition("\n")[0])
