"""Words of others, of a PBX, a client or a file, made fit to be shown: which characters are not
shown as they are, in one rule for log, terminal, page and labels.
"""

import contextlib
import sys
from collections.abc import Callable
from typing import Final, TextIO

MARK: Final = "?"
"""What stands for a character that is not shown."""


def visible(text: str, instead: Callable[[str], str] = lambda _: MARK) -> str:
    """The text, in one line, with `instead(char)`, a mark, for each character that nobody would
    see, or that steers what shows it.

    These are Unicode's categories C (what gives commands to a terminal, changes the direction of
    the text around it, has no width, is half of a character, or is not assigned) and Z (what
    separates, lines too), but for the plain blank. Letters of any script stay.
    """
    # Nearly every text is printable, and asking that takes a hundredth of the time.
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else instead(char) for char in text)


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints a text, which may have many lines, at once, each line `visible`. `stream`: standard
    output unless given.

    If that fails, since nobody reads it or the disk is full, nothing is raised: the exit status is
    still right. What the encoding of the stream lacks, such as an é on a terminal of ASCII, is
    printed as an escape.
    """
    stream = sys.stdout if stream is None else stream
    lines = "\n".join(visible(line) for line in text.split("\n"))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
        print(lines.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
