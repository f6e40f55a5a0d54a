"""The lines of a configuration file as Asterisk parts them: comments, and which are too long.

Facts are from config_text_file_load in main/config.c, and seen on 16.28 and 22.10.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

BLANKS: Final = "".join(map(chr, range(33)))
"""What Asterisk strips: all control characters and the blank."""
_LONGEST: Final = 8190
"""Bytes from which on Asterisk skips a line, with its end, or that and the next."""
_DEEPEST: Final = 128
"""Comments within each other; at one more Asterisk never comes back."""


@dataclass
class ConfLines:
    """The lines of one file that say something, and how the file ends."""

    content: bytes
    depth: int = 0
    """Comments that are open at the end. Below 0: more were closed than opened, and to Asterisk
    what follows is a comment as well."""
    since: int = 0
    """The line where that began."""
    too_deep: bool = False
    too_long: int = 0
    """A line that is too long to tell how Asterisk reads the file; 0 if none is."""

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Each line with its number, stripped, without comments, if anything is left."""
        self.depth = 0
        for number, raw in enumerate(self.content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            if len(raw) + 1 >= _LONGEST:
                self.too_long = number
                return
            text = raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            if said := (self._without_comments(text, number) or "").strip(BLANKS):
                yield number, said

    @property
    def is_comment(self) -> bool:
        """Whether what is written at the end of the file would be read as a comment."""
        return self.depth != 0

    def _without_comments(self, rest: str, number: int) -> str | None:
        """What is left of a line; None if it begins and ends within a comment."""
        kept = None if self.is_comment else ""
        cut, at = False, 0  # whether what follows is not of the line any more
        while (found := rest.find(";", at)) >= 0:
            if found > at and rest[found - 1] == "\\":
                rest = rest[: found - 1] + rest[found:]
                at = found
            elif rest.startswith(";--", found) and not rest.startswith(";---", found):
                if self.depth == _DEEPEST:
                    self.too_deep = True
                    return None
                if kept is not None and not cut:
                    kept += rest[:found]
                rest, at, cut = rest[found + 3 :], 0, True
                self._count(+1, number)
            elif found >= at + 2 and rest[found - 2 : found] == "--":
                at = found + 1
                self._count(-1, number)
                if not self.is_comment:
                    kept, cut = kept or "", False
                    rest, at = rest[at:], 0
            elif not self.is_comment:
                rest = rest[:found]
            else:
                at = found + 1
        return kept if kept is None or cut else kept + rest

    def _count(self, change: int, number: int) -> None:
        if not self.is_comment:
            self.since = number
        self.depth += change
