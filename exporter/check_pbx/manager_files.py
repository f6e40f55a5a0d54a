"""The manager.conf of this machine, where the PBX is on it: where its sections begin.

AST_CONFIG reads the first section of a name only, so that a second one shows nowhere else.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path("/etc/asterisk")
_SECTION: Final = re.compile(r"\[([^\]]*)\](?:\(([^)]*)\))?")
_INCLUDE: Final = re.compile(r"#(?:try)?include\s+[\"<']?([^\"<>';]+)", re.IGNORECASE)
_SEMICOLON: Final = re.compile(r"(?<!\\);(?:--(?!-))?")
_MAX_FOUND: Final = 200
"""Files of one include, and sections; there are more only if a file includes itself."""
_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class Section:
    """Where a section begins."""

    name: str
    adds: bool
    """Whether it has (+), and so is a part of the first one of its name."""
    file: Path
    line: int


def sections(folder: Path = FOLDER) -> list[Section]:
    """The sections of manager.conf and what it includes, in order; none if it cannot be read."""
    found: list[Section] = []
    for section in _sections_of(folder, folder / "manager.conf", 0):
        found.append(section)
        if len(found) == _MAX_FOUND:
            break
    return found


def repeated(name: str, found: Sequence[Section]) -> list[Section]:
    """The sections of this name that are not the first and do not add to it."""
    named = [section for section in found if section.name.lower() == name.lower()]
    return list(dict.fromkeys(section for section in named[1:] if not section.adds))


def _sections_of(folder: Path, file: Path, depth: int) -> Iterator[Section]:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            lines = opened.read(_MAX_BYTES).splitlines()
    except (OSError, ValueError):
        return
    for number, line in enumerate(_without_comments(lines), 1):
        if match := _SECTION.match(line):
            yield Section(match[1], "+" in (match[2] or ""), file, number)
        elif depth < 5 and (match := _INCLUDE.match(line)):
            for included in _files(folder, match[1].strip()):
                yield from _sections_of(folder, included, depth + 1)


def _without_comments(lines: Sequence[str]) -> Iterator[str]:
    """Each line without what follows a `;`, and without what stands between `;--` and `--;`, which
    can be on other lines, and within each other. Source: config_text_file_load."""
    depth = 0
    for line in lines:
        kept, at = "", 0
        while match := _SEMICOLON.search(line, at):
            before, at = line[at : match.start()], match.end()
            if not depth:
                kept += before
            if match[0] != ";":
                depth += 1
            elif not depth:
                at = len(line)
            elif before.endswith("--"):
                depth -= 1
        yield (kept if depth else kept + line[at:]).strip()


def _files(folder: Path, pattern: str) -> list[Path]:
    """What an include means: a path below the folder of manager.conf, or with wildcards."""
    pattern = pattern.replace("**", "*")  # to Asterisk it is the same
    base, relative = (Path("/"), pattern[1:]) if pattern.startswith("/") else (folder, pattern)
    try:
        return sorted(path for path in base.glob(relative) if path.is_file())[:_MAX_FOUND]
    except (OSError, ValueError, NotImplementedError):
        return []
