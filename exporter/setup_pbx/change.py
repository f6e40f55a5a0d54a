"""One file that is to be written: what was in it, what will be, and how that is shown."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.setup_pbx.block import find

HIDDEN: Final = "********"
_SECRET: Final = re.compile(r"^(\s*secret\s*=>?\s*).*", re.IGNORECASE)


@dataclass(frozen=True)
class Owned:
    """Who owns a file, and what its mode lets others do."""

    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class Change:
    """What becomes of one file. `before`, `after`: its bytes, None where there is none."""

    path: Path
    before: bytes | None
    after: bytes | None
    owned: Owned | None = None
    """Of the file as it is to be; None keeps what it has."""
    is_secret: bool = False
    """Whether the file is nothing but a secret."""
    words: str = ""
    """Why this file; of a secret what happens, as nothing of it is shown."""

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after

    def shown(self) -> Iterator[str]:
        """As a diff of our lines alone: those of others beside them may hold secrets. None of ours
        does, as it is shown."""
        became = "new" if self.before is None else "goes" if self.after is None else ""
        about = ", ".join(filter(None, (became, self.words)))
        yield f"{self.path}: {about}" if about else f"{self.path}:"
        if self.is_secret:
            return
        before, after = (_of_ours(self.path, content) for content in (self.before, self.after))
        for line in difflib.ndiff(before, after):
            if line[0] in "+- ":
                yield f"  {line}".rstrip()


def _of_ours(path: Path, content: bytes | None) -> list[str]:
    """Our lines, and those that mark them, as they may be shown."""
    found = None if content is None else find(path, content)
    lines = () if found is None else (found.begin, *found.lines, found.ended)
    return [_SECRET.sub(rf"\g<1>{HIDDEN}", line) for line in lines]
