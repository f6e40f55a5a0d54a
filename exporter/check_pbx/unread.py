"""Findings of what cannot be told, since Asterisk does not let it be read: why, and what helps."""

from typing import Final

from exporter.check_pbx import manager_conf
from exporter.check_pbx.asking import Seen
from exporter.check_pbx.report import Finding, Lines, Verdict
from exporter.fax import printable

RELOAD: Final = "asterisk -rx 'manager reload'"
NOT_RELOADED: Final = ("the file has this line, but was not read since", (RELOAD,))


def why_unread(seen: Seen, module: str) -> tuple[str, str, tuple[str, ...]]:
    """Why a function of this module told nothing, what to do about it, and the commands."""
    if not seen.may_getvar:
        return "the user may not Getvar", "", ()
    do = f"load {module}.so to have this checked, check again, and unload it if it is not wanted:"
    commands = tuple(f"asterisk -rx 'module {verb} {module}.so'" for verb in ("load", "unload"))
    return f"{module} is not loaded", do, commands


def cannot_be_told(subject: str, lines: Lines | None, seen: Seen, user: str = "") -> Finding:
    """The finding where neither manager.conf, and in it the section of `user` if one is named, nor
    an event tells."""
    why, do, commands = why_unread(seen, "func_config")
    if seen.reads_files and user:
        name = printable(user)
        why, do, commands = f"manager.conf has no [{name}] with classes to be read", "", ()
        if not manager_conf.can_ask_for(user):
            why = f"the name {name} cannot be asked for"
    text = f"cannot be told before a fax ends, since {why}"
    return Finding(subject, Verdict.UNKNOWN, text, lines, do, commands)
