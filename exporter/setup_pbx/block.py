"""The lines that --setup-pbx adds to a file, between two lines that mark them, so that they are
found again: put in, put in place of the earlier ones, and taken away to the byte.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.setup_pbx.refusal import Refusal

_BEGIN: Final = "BEGIN asterisk-fax-exporter --setup-pbx"
_END: Final = "END asterisk-fax-exporter --setup-pbx"
_WITH_LINE_END: Final = ", with the line end before it"
_WITH_FILE: Final = ", with the file"
_HINT: Final = "; --remove takes it away"
_MARKS: Final = re.compile(
    rb"^(?P<begin>[;#] " + re.escape(_BEGIN.encode()) + rb"(?P<more>[^\r\n]*))\r?\n"
    rb"(?P<inner>.*?)^(?P<ended>[;#] " + re.escape(_END.encode()) + rb")[ \t]*(?:\r?\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
_ANY_MARK: Final = re.compile(rb"^[;#] (?:BEGIN|END) asterisk-fax-exporter --setup-pbx", re.M)


@dataclass(frozen=True)
class Block:
    """Where our lines are in a file."""

    start: int
    """Its first byte."""
    end: int
    """The byte after its last."""
    first: int
    """The number of the line that begins it."""
    begin: str
    """The line that begins it."""
    lines: tuple[str, ...]
    """Without those that mark it."""
    ended: str
    """The line that ends it."""
    with_line_end: bool
    """Whether the line end before it is of it, since the file had none at its end."""
    with_file: bool
    """Whether there was no file before."""

    @property
    def last(self) -> int:
        """The number of the line that ends it."""
        return self.first + len(self.lines) + 1


def find(path: Path, content: bytes) -> Block | None:
    """Our lines, None if there are none.

    Raises Refusal if a mark has no counterpart or is there twice: what is ours is unknown.
    """
    marks = _ANY_MARK.findall(content)
    if not marks:
        return None
    match = _MARKS.search(content)
    if match is None or len(marks) != 2:
        number = content.count(b"\n", 0, _first_mark(content)) + 1
        raise Refusal(
            f"{path}:{number}: of the lines BEGIN and END that --setup-pbx has written one is "
            "missing or there twice: delete what it had added, and both lines, by hand"
        )
    more = match["more"].decode("utf-8", "surrogateescape")
    inner = match["inner"].decode("utf-8", "surrogateescape").splitlines()
    first = content.count(b"\n", 0, match.start()) + 1
    ends = more.partition(";")[0]
    return Block(
        match.start(),
        match.end(),
        first,
        match["begin"].decode("utf-8", "surrogateescape"),
        tuple(inner),
        match["ended"].decode("utf-8", "surrogateescape"),
        _WITH_LINE_END in ends,
        _WITH_FILE in ends,
    )


def put(path: Path, content: bytes | None, lines: tuple[str, ...], mark: str) -> bytes:
    """The file with these lines, in place of those that were ours, else at its end. `mark`: what
    begins a comment. Raises Refusal, see `find`."""
    before = content or b""
    found = find(path, before)
    with_line_end = bool(before) and not before.endswith(b"\n") and found is None
    with_file = content is None
    if found is not None:
        with_line_end, with_file = found.with_line_end, found.with_file
    begin = f"{mark} {_BEGIN}{_WITH_LINE_END * with_line_end}{_WITH_FILE * with_file}{_HINT}"
    end = "\r\n" if _has_crlf(before) else "\n"
    text = "".join(line + end for line in (begin, *lines, f"{mark} {_END}"))
    block = text.encode("utf-8", "surrogateescape")
    if found is not None:
        return before[: found.start] + block + before[found.end :]
    return before + (end.encode() if with_line_end else b"") + block


def taken(path: Path, content: bytes) -> bytes | None:
    """The file without our lines; None if it is to go as a whole. Raises Refusal, see `find`."""
    found = find(path, content)
    if found is None:
        return content
    before, after = content[: found.start], content[found.end :]
    if found.with_line_end and not after:
        before = before.removesuffix(b"\n").removesuffix(b"\r")
    left = before + after
    return None if found.with_file and not left.strip() else left


def check_all_is_ours(path: Path, found: Block, ours: re.Pattern[str]) -> None:
    """Raises Refusal if somebody has added to the block what none of our lines is, since that
    would go with it. `ours`: matches all of a line that may be of ours."""
    for number, line in enumerate(found.lines, found.first + 1):
        if not ours.fullmatch(line):
            raise Refusal(
                f"{path}:{number}: is between the lines BEGIN and END of --setup-pbx and not of "
                "it: move what is yours below the END, and run this again"
            )


def _has_crlf(content: bytes) -> bool:
    return 2 * content.count(b"\r\n") > content.count(b"\n")


def _first_mark(content: bytes) -> int:
    match = _ANY_MARK.search(content)
    return 0 if match is None else match.start()
