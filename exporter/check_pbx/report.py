"""The report of --check-pbx: its findings as values, and how they are printed.

Of each finding what came back is printed first, then what to do. checking.py asks and judges.
"""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from exporter.words import visible

WIDTH: Final = 100
"""Columns, where neither the terminal nor COLUMNS says another number."""
_NARROWEST: Final = 40

_RELOAD_COMMANDS: Final = {
    "manager.conf": "asterisk -rx 'manager reload'",
    "modules.conf": "asterisk -rx 'module load {module}'",
}
_RESTART: Final = (
    "and restart the exporter if it runs: a login keeps the classes and filters it had"
)


class Verdict(StrEnum):
    """Of one finding, as it is printed."""

    OK = "ok"
    WRONG = "WRONG"
    UNKNOWN = "?"


@dataclass(frozen=True)
class Lines:
    """Lines to add to a configuration file of Asterisk, and where."""

    file: str
    section: str
    lines: tuple[str, ...]
    new: bool = False
    """Whether these lines make the section; otherwise it is there, and they are added to it."""

    @property
    def head(self) -> str:
        """How the section begins where it is."""
        return f"[{self.section}]"

    @property
    def block(self) -> str:
        """As it can be pasted at the end of the file, whatever is above: Asterisk ignores a second
        section of one name, unless (+) adds it to the first."""
        return "\n".join([self.head + ("" if self.new else "(+)"), *self.lines, ""])

    @property
    def of_login(self) -> bool:
        """Whether they change a user that is there: a login keeps what it began with."""
        return self.file == "manager.conf" and self.section != "general" and not self.new

    @property
    def then(self) -> tuple[str, ...]:
        """The commands that make Asterisk read them."""
        names = [line.partition("= ")[2] for line in self.lines]
        command = _RELOAD_COMMANDS[self.file]
        # Each command once, though several lines need it.
        return tuple(dict.fromkeys(command.format(module=name) for name in names))

    def __str__(self) -> str:
        """Return it on one line."""
        return f"{self.file} [{self.section}]: {'; '.join(self.lines)}"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    text: str
    """What was asked or looked at, and what came back."""
    lines: Lines | None = None
    """To add if the verdict is WRONG, to look for if it is UNKNOWN."""
    do: str = ""
    """What to do besides adding the lines, or to know before."""
    commands: tuple[str, ...] = ()
    """To type for what `do` says."""


@dataclass(frozen=True)
class Report:
    """All that was found at one Asterisk."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> int:
        """How many findings are WRONG."""
        return sum(finding.verdict is Verdict.WRONG for finding in self.findings)


def text(report: Report, width: int = WIDTH) -> str:
    """The report as people read it, `width` columns wide: the name, each finding, and how many are
    wrong.

    What is to be pasted or typed is never wrapped, even if it is wider.
    """
    lines = [f"{report.name}:"]
    told = set()
    for finding in report.findings:
        # The advice how to have something checked is often the same, and printed once.
        again = finding.verdict is Verdict.UNKNOWN and finding.do in told
        told.add(finding.do)
        shown = replace(finding, do="", commands=()) if again else finding
        lines += _shown(shown, max(width, _NARROWEST))
    unknown = sum(finding.verdict is Verdict.UNKNOWN for finding in report.findings)
    rest = f", {unknown} cannot be told from here" if unknown else ""
    lines.append(f"  {report.wrong or 'nothing'} wrong{rest}")
    # What a PBX says could contain commands to the terminal.
    return "\n".join(map(visible, lines))


def _shown(finding: Finding, width: int) -> Iterator[str]:
    yield from _wrapped(f"{finding.subject}: {finding.text}", f"  {finding.verdict:<5}  ", width)
    if finding.do:
        yield from _wrapped(finding.do, f"{'':9}-> ", width)
        yield from _typed(finding.commands)
    lines = finding.lines
    if lines is None:
        return
    if finding.verdict is Verdict.UNKNOWN:
        yield f"{'':9}-> look for this in {lines.file}:"
        yield from _typed((lines.head, *lines.lines))
    else:
        yield f"{'':9}-> add to {lines.file}:"
        yield from _typed(lines.block.splitlines())
        yield f"{'':12}then:"
        yield from _typed(lines.then)
        if lines.of_login:
            yield from _wrapped(_RESTART, f"{'':12}", width)


def _typed(lines: Iterable[str]) -> Iterator[str]:
    return (f"{'':16}{line}" for line in lines)


def _wrapped(words: str, begin: str, width: int) -> list[str]:
    return textwrap.wrap(
        " ".join(words.split()),
        width,
        initial_indent=begin,
        subsequent_indent=" " * len(begin),
        break_long_words=False,
        break_on_hyphens=False,
    )
