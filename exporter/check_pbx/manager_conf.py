"""manager.conf as Asterisk reads it: what its lines mean, which to write, how they are asked for.

Facts are from main/manager.c and main/app.c of Asterisk 22, and seen on 16.28 and 22.10. Nothing
here does I/O.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.fax import RESULT_VARIABLES, Version

READ: Final = "read = call"
WRITE: Final = "write = call,reporting"
COMPLETIONS: Final = ("SendFAX", "ReceiveFAX")
EVENTFILTER: Final = "eventfilter = Event: (SendFAX|ReceiveFAX)"
"""The old syntax, which every version from 13 on takes."""
BASIC_EVENTFILTERS: Final = tuple(f"eventfilter = Event: {event}" for event in COMPLETIONS)
"""The same where a filter is a basic regular expression, up to 12."""
NEW_EVENTFILTERS: Final = {
    f"eventfilter(action(include),name({event}),method(starts_with))": f"Event: {event}"
    for event in COMPLETIONS
}
"""The new syntax, with values, since AST_CONFIG cannot tell a line without a value from no line."""
INCLUDED: Final = ("manager_custom.conf", "manager_additional.conf", "manager.d/*.conf")
"""What manager.conf includes at FreePBX, Issabel and Debian."""

_ON: Final = frozenset({"yes", "true", "y", "t", "1", "on"})
_NO_ARGUMENT: Final = re.compile(r'[,()\[\]"\\\r\n]')


def setting(file: str, section: str, name: str, index: int = -1) -> str:
    """The function that reads a setting; the last of its lines is the one that holds. Of several
    sections of one name it reads the first, as Asterisk does with [general]."""
    return f"AST_CONFIG({file},{section},{name},{index})"


def can_ask_for(section: str) -> bool:
    """Whether this name can be an argument of AST_CONFIG and is sure to be taken for just one."""
    return section.isprintable() and not _NO_ARGUMENT.search(section)


def can_be_pasted(line: str) -> bool:
    """Whether this line, made of what came from a PBX, is what it looks like wherever it is shown,
    also where letters beyond ASCII are shown as something else."""
    return line.isascii() and line.isprintable()


def is_on(value: str) -> bool:
    """Whether Asterisk's ast_true takes it for yes."""
    return value.lower() in _ON


def classes(value: str) -> set[str]:
    """The classes that a read or write line names."""
    return {name.strip().lower() for name in value.split(",") if name.strip()}


# --- channelvars, disabledevents ------------------------------------------------------------


def missing_variables(channelvars: str) -> list[str]:
    """Which of the variables that tell a fax's result this value does not put on events.

    Asterisk splits it at commas and strips nothing: ` FAXERROR` is a variable that nobody sets.
    """
    names = _split(channelvars)
    return [name for name in RESULT_VARIABLES if name not in names]


def with_blanks(channelvars: str) -> list[str]:
    """The names in it that have blanks around them."""
    return [name.strip() for name in _split(channelvars) if name != name.strip()]


def all_variables(channelvars: str) -> str:
    """The line with the names of this value, and those that tell a fax's result."""
    # Asterisk takes names in quotes for one; whoever wrote them meant several.
    parted = [part.strip() for name in _split(channelvars) for part in _split(name)]
    present = [name for name in parted if name]
    return f"channelvars = {','.join(dict.fromkeys([*present, *RESULT_VARIABLES]))}"


def _split(value: str) -> list[str]:
    """The names between commas, where one in parentheses, brackets or quotes parts nothing, as in
    `CDR(a,b)`. Quotes are left out, and a backslash before any character. Source:
    __ast_app_separate_args."""
    names, round_, square, quoted = [""], 0, 0, False
    chars = iter(value)
    for char in chars:
        if char == "," and not (round_ or square or quoted):
            names.append("")
        elif char == '"':
            quoted = not quoted
        elif char == "\\":
            names[-1] += next(chars, "")
        else:
            round_ = max(0, round_ + {"(": 1, ")": -1}.get(char, 0))
            square = max(0, square + {"[": 1, "]": -1}.get(char, 0))
            names[-1] += char
    return names


def disabled(disabledevents: str) -> list[str]:
    """Which completion events this value keeps from everybody."""
    names = [name.lstrip() for name in disabledevents.split(",")]
    return [event for event in COMPLETIONS if event in names]


def without_completions(disabledevents: str) -> str:
    """The line that disables what this value does, except completion events."""
    names = [name.strip() for name in disabledevents.split(",")]
    kept = [name for name in names if name and name not in COMPLETIONS]
    return f"disabledevents = {','.join(kept)}".rstrip()


# --- event filters --------------------------------------------------------------------------

_NEW_SYNTAX: Final = {18: 26, 20: 11, 21: 6, 22: 1}
"""The minor version from which a major one knows eventfilter(...)."""


def knows_new_filters(version: Version) -> bool | None:
    """Whether this version has the filter syntax that AST_CONFIG cannot see; None if its number
    does not tell."""
    if version.major is None:
        return None
    if version.major > 22:
        return True
    if version.major not in _NEW_SYNTAX:
        return False
    if version.minor is not None and version.minor >= _NEW_SYNTAX[version.major]:
        return True
    return False if version.released and version.minor is not None else None


def eventfilters(version: Version) -> tuple[str, ...]:
    """The lines to write: up to 12 a filter is a basic regular expression."""
    return BASIC_EVENTFILTERS if version.before_fax_actions else (EVENTFILTER,)


_OTHERS: Final = ("Newchannel", "Newexten", "VarSet", "Hangup", "RTCPSent", "DTMFBegin")
"""The events that a busy PBX sends most of."""
_ABOUT_A_FAX: Final = "\r\nApplication: SendFAX\r\nAppData: ReceiveFAX\r\nVariable: FAXSTATUS"
"""Lines that some of these have: a filter is looked for in all lines of an event."""
_PLAIN: Final = re.compile(r"(?:[\w :/,^$|-]|\.\*?|\\[()|]|\([\w :|]*\))*", re.ASCII)
"""Expressions that Python reads as Asterisk does, and that take no time to match."""
_BASIC: Final = re.compile(r"(\\?)([()|])")
_MAX_LENGTH: Final = 200


@dataclass(frozen=True)
class Filters:
    """What the eventfilter lines of a user, in the old syntax, do."""

    passing: tuple[str, ...]
    """The completion events that come."""
    wide: bool
    """Whether other events come, too."""

    @property
    def stopped(self) -> list[str]:
        """The completion events that do not come."""
        return [event for event in COMPLETIONS if event not in self.passing]


def filters(values: Sequence[str], *, basic: bool = False) -> Filters | None:
    """What these lines do; None if that cannot be told. `basic`: they are basic regular
    expressions."""
    included: list[re.Pattern[str]] = []
    excluded: list[re.Pattern[str]] = []
    for value in values:
        exclude = value.startswith("!")
        expression = value[exclude:]
        if basic:
            if re.search(r".\^|\$.", expression):
                return None  # there ^ and $ are plain characters
            expression = _BASIC.sub(lambda m: m[2] if m[1] else f"\\{m[2]}", expression)
        known = len(value) <= _MAX_LENGTH and expression.count(".*") <= 2
        if not known or not _PLAIN.fullmatch(expression) or not re.search("Event|FAX", expression):
            return None
        (excluded if exclude else included).append(re.compile(expression, re.DOTALL))

    def passes(event: str, more: str = "") -> bool:
        told = f"Event: {event}\r\nPrivilege: call,all\r\nChannel: {more}"
        wanted = not included or any(one.search(told) for one in included)
        return wanted and not any(one.search(told) for one in excluded)

    wide = any(passes(event, more) for event in _OTHERS for more in ("", _ABOUT_A_FAX))
    return Filters(tuple(filter(passes, COMPLETIONS)), wide)


def new_filters(values: Mapping[str, str]) -> list[str]:
    """The completion events that lines in the new syntax, written as ours are, let through."""
    pairs = zip(COMPLETIONS, NEW_EVENTFILTERS.items(), strict=True)
    return [event for event, (name, value) in pairs if values.get(name) == value]
