"""The lines of a configuration file as Asterisk parts them: comments, and which are too long.

Facts are from config_text_file_load in main/config.c, and seen on 16.28 and 22.10.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

BLANKS: Final = "".join(map(chr, range(33)))
"""What Asterisk strips: all control characters and the blank."""
_LONGEST: Final = 8191
"""Bytes from which on Asterisk skips a line, with its end."""
_DEEPEST: Final = 128
"""Comments within each other; at one more Asterisk never comes back."""


@dataclass
class ConfLines:
    """The lines of one file that say something, and how the file ends."""

    content: bytes
    open_since: list[int] = field(default_factory=list)
    """The lines that begin the comments which are still open."""
    unmatched: int = 0
    """The line of a `--;` that closes nothing: to Asterisk what follows is a comment; 0 if none."""
    too_deep: bool = False

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Each line with its number, stripped, without comments, if anything is left."""
        self.open_since, self.unmatched = [], 0
        for number, raw in enumerate(self.content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            if len(raw) + 1 > _LONGEST - 1:
                continue
            text = raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            if said := (self._without_comments(text, number) or "").strip(BLANKS):
                yield number, said

    @property
    def is_comment(self) -> bool:
        """Whether what is written at the end of the file would be read as a comment."""
        return bool(self.open_since or self.unmatched)

    def _without_comments(self, rest: str, number: int) -> str | None:
        """What is left of a line; None if it begins and ends within a comment."""
        kept = None if self.is_comment else ""
        at = 0
        while (found := rest.find(";", at)) >= 0:
            if found > at and rest[found - 1] == "\\":
                rest = rest[: found - 1] + rest[found:]
                at = found
            elif rest.startswith(";--", found) and not rest.startswith(";---", found):
                if len(self.open_since) == _DEEPEST:
                    self.too_deep = True
                    return None
                if not self.is_comment and kept is not None:
                    kept += rest[:found]
                rest, at = rest[found + 3 :], 0
                if self.unmatched:
                    self.unmatched = 0  # one that closes nothing, and one that opens, are even
                else:
                    self.open_since.append(number)
            elif found >= at + 2 and rest[found - 2 : found] == "--":
                at = self._close(number, found)
                if at == 0:
                    rest = rest[found + 1 :]
                    kept = kept or ""
            elif not self.is_comment:
                return (kept or "") + rest[:found]
            else:
                at = found + 1
        if self.open_since or kept is None:
            return kept
        return kept + rest

    def _close(self, number: int, found: int) -> int:
        """Ends a comment; returns where to look on: 0 if what follows is none any more."""
        if self.open_since:
            self.open_since.pop()
            if not self.open_since:
                return 0
        elif not self.unmatched:
            self.unmatched = number
        return found + 1
