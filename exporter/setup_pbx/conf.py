"""manager.conf with all it includes, as Asterisk takes it: sections, and what is set in them.

Facts are from process_text_line in main/config.c, and seen on 16.28 and 22.10. Nothing is executed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter.setup_pbx.conf_files import content_of, included
from exporter.setup_pbx.conf_lines import BLANKS, ConfLines
from exporter.setup_pbx.refusal import Refusal

_DEEPEST: Final = 11
"""Files within each other; what one more includes is not read."""
_MAX_FILES: Final = 200
_MAX_BYTES: Final = 4 * 1024 * 1024
"""Of all files together."""
_MAX_LINES: Final = 10_000
"""Of all sections together, those they inherit counted; the largest PBXs have some hundred."""
_QUOTES: Final = {'"': '"', "<": ">"}


class Invalid(Refusal):
    """Asterisk refuses manager.conf as a whole, and keeps what it had, or AMI off."""


@dataclass(frozen=True)
class Line:
    """One thing that is set."""

    name: str
    value: str
    file: Path
    number: int


@dataclass
class Section:
    """One section, with what later ones of its name with (+) add to it."""

    name: str
    file: Path
    number: int
    template: bool = False
    lines: list[Line] = field(default_factory=list)

    def last(self, name: str) -> Line | None:
        """The line that holds, of those that set this."""
        return next((one for one in reversed(self.lines) if _same(one.name, name)), None)


@dataclass(frozen=True)
class Include:
    """One #include, as it is written."""

    name: str
    file: Path
    number: int


@dataclass
class Conf:
    """All sections, in order."""

    folder: Path
    sections: list[Section] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    files: dict[Path, bytes] = field(default_factory=dict)
    """What was read, in order."""
    comments: dict[Path, int] = field(default_factory=dict)
    """The files that end inside a comment, and the line where it begins."""
    cut: dict[Path, str] = field(default_factory=dict)
    """The included files that Asterisk does not read to their end, and why."""
    programs: list[Include] = field(default_factory=list)
    """The #exec lines, whose output is not known here."""

    _named: dict[str, list[Section]] = field(default_factory=dict)

    def add(self, section: Section) -> None:
        """Puts a section after all others."""
        self.sections.append(section)
        self._named.setdefault(section.name.lower(), []).append(section)

    def section(self, name: str) -> Section | None:
        """The first of this name, which is the one that Asterisk takes."""
        return next((s for s in self._named.get(name.lower(), ()) if not s.template), None)

    def begun_as(self, name: str) -> Section | None:
        """The first of this name, be it a template."""
        return next(iter(self._named.get(name.lower(), ())), None)

    def general(self, name: str) -> Line | None:
        """The line of [general] that sets this."""
        general = self.section("general")
        return None if general is None else general.last(name)


def read(
    folder: Path, overlay: Mapping[Path, bytes | None] | None = None, name: str = "manager.conf"
) -> Conf:
    """Read a file and all it includes; an empty Conf if there is none. `overlay`: what is in some
    files instead of what is there, None if they are gone.

    Raises Invalid if Asterisk would refuse it, Refusal if it cannot be told how it reads it.
    """
    reader = _Reader(Conf(folder), overlay or {})
    if reader.content(folder / name) is not None:
        reader.file(folder / name, 1)
    return reader.conf


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


class _Reader:
    def __init__(self, conf: Conf, overlay: Mapping[Path, bytes | None]) -> None:
        self.conf, self._overlay = conf, overlay
        self._current: Section | None = None
        self._latest: Section | None = None
        """The last that was begun anywhere: what an included file goes on with."""
        self._files = self._bytes = self._lines = 0

    def content(self, path: Path) -> bytes | None:
        if path in self._overlay:
            return self._overlay[path]
        return content_of(path)

    def file(self, path: Path, depth: int) -> bool:
        """Whether there is such a file."""
        content = self.content(path)
        if content is None:
            return False
        self._files += 1
        self._bytes += len(content)
        if self._files > _MAX_FILES or self._bytes > _MAX_BYTES:
            raise Refusal(
                f"{path}: more than {_MAX_FILES} files, or {_MAX_BYTES} bytes, include each other"
            )
        self.conf.files[path] = content
        lines = ConfLines(content)
        try:
            for number, said in lines:
                self._line(said, path, number, depth)
        except Invalid as invalid:
            if depth == 1:
                raise
            self.conf.cut[path] = str(invalid)
            return True
        if lines.too_long:
            raise Refusal(
                f"{path}:{lines.too_long}: is a line of 8190 bytes or more, of which Asterisk "
                "skips a part: shorten it, and run this again"
            )
        if lines.is_comment:
            self.conf.comments[path] = lines.since
        if lines.too_deep:
            raise Invalid(f"{path}: has too many comments within each other")
        return True

    def _line(self, said: str, file: Path, number: int, depth: int) -> None:
        if said.startswith("["):
            self._begin(said, file, number)
        elif said.startswith("#"):
            self._directive(said, file, number, depth)
        else:
            self._set(said, file, number)

    def _begin(self, said: str, file: Path, number: int) -> None:
        name, end, rest = said[1:].partition("]")
        if not end:
            raise Invalid(f"{file}:{number}: a [ without its ]: Asterisk reads no further")
        section = Section(name, file, number)
        adds_to: Section | None = None
        if rest.startswith("("):
            options, end, _ = rest[1:].partition(")")
            if not end:
                raise Invalid(f"{file}:{number}: a ( without its ): Asterisk reads no further")
            for option in options.split(","):
                if option == "!":
                    (adds_to or section).template = True
                elif option.startswith("+"):
                    adds_to = self.conf.section(name)
                    if adds_to is None:
                        raise Invalid(
                            f"{file}:{number}: [{name}](+) adds to a section that does not come "
                            "before it: Asterisk reads no further"
                        )
                else:
                    base = self.conf.begun_as(option)
                    if base is None:
                        raise Invalid(
                            f"{file}:{number}: [{name}]({option}): there is no such section before "
                            "it: Asterisk reads no further"
                        )
                    self._count(len(base.lines), file, number)
                    (adds_to or section).lines += base.lines
        if adds_to is None:
            self._count(1, file, number)
            self.conf.add(section)
        self._current = self._latest = adds_to or section

    def _set(self, said: str, file: Path, number: int) -> None:
        if self._current is None:
            raise Invalid(f"{file}:{number}: stands in no section: Asterisk reads no further")
        name, equals, value = said.partition("=")
        if not equals:
            return  # Asterisk warns, and goes on
        adds = name.endswith("+")
        name = name.removesuffix("+").strip(BLANKS).removeprefix("\\")
        if not name:
            return  # as above
        self._count(1, file, number)
        lines = self._current.lines
        if adds and (earlier := self._current.last(name)) is not None:
            before = [(line.name.lower(), line.value) for line in lines]
            value = earlier.value + value  # with the blank between
            # Of several that say the same Asterisk takes the first.
            at = before.index((name.lower(), earlier.value))
            lines[at] = Line(name, value, file, number)
        else:
            value = (value if adds else value.removeprefix(">")).strip(BLANKS)
            lines.append(Line(name, value, file, number))

    def _count(self, more: int, file: Path, number: int) -> None:
        self._lines += more
        if self._lines > _MAX_LINES:
            raise Refusal(
                f"{file}:{number}: more than {_MAX_LINES} lines, which no manager.conf has"
            )

    def _directive(self, said: str, file: Path, number: int, depth: int) -> None:
        words = said[1:].split(None, 1)
        word = words[0].lower() if words else ""
        name = words[1].strip(BLANKS) if len(words) > 1 else ""
        if name and _QUOTES.get(name[0]) == name[-1] and len(name) > 1:
            name = name[1:-1]
        if word == "exec":
            self.conf.programs.append(Include(name, file, number))
        if word not in ("include", "tryinclude") or not name:
            return  # Asterisk warns, and goes on
        self.conf.includes.append(Include(name, file, number))
        there, current = False, self._current
        if depth < _DEEPEST:
            for path in included(self.conf.folder, name, self._overlay):
                self._current = self._latest
                there |= self.file(path, depth + 1)
                self._current = current  # a section that began there ends there
        if not there and word == "include":
            raise Invalid(
                f"{file}:{number}: what it includes is not there, or includes itself: Asterisk "
                "reads no further"
            )
