"""Findings about [general] of manager.conf, which holds for all users: the variables on completion
events, events that are disabled, and a second [general], which Asterisk ignores."""

from collections.abc import Iterable, Sequence
from typing import Final

from exporter.check_pbx import manager_conf, manager_files
from exporter.check_pbx.asking import Seen
from exporter.check_pbx.manager_conf import INCLUDED
from exporter.check_pbx.manager_files import Section
from exporter.check_pbx.report import Finding, Lines, Verdict
from exporter.check_pbx.unread import NOT_RELOADED, RELOAD, cannot_be_told
from exporter.fax import Version
from exporter.polling import troubles

_MAX_WHOLE: Final = 1000
"""Characters from which on a value may have been cut: Getvar has room for 1023 bytes."""
_SECOND_GENERAL: Final = (
    "if the file has this line, it is below a second [general], and Asterisk only takes the first: "
    "make that [general](+), or add the lines at the end of the file"
)


def _second_in(file: str) -> str:
    return (
        f"{file} has them, below a second [general], and Asterisk only takes the first: make it "
        "[general](+) there, or instead add the lines at the end of manager.conf"
    )


def channelvars(seen: Seen, version: Version) -> Finding:
    """Whether completion events carry the variables that tell a fax's result."""
    subject = "channelvars"
    if version.before_fax_actions:
        text = (
            f"Asterisk {version.major} puts no variables on fax events, whatever the file says: "
            "failures and their reasons stay unknown"
        )
        return Finding(subject, Verdict.WRONG, text, do="use Asterisk 13 or newer")
    value = seen.value("manager.conf", "general", "channelvars")
    missing = manager_conf.missing_variables(value)
    line = manager_conf.all_variables(value)
    # A line that was cut, or has what cannot be pasted, would take away names that are there.
    whole = len(value) < _MAX_WHOLE and manager_conf.can_be_pasted(line)
    lines = Lines("manager.conf", "general", (line,)) if whole else None
    came = any(result.succeeded is not None for result in seen.results)
    unknown = f"{troubles.NO_REASONS} without"
    if seen.results and not came and seen.reads_files and not missing:
        text = f"in the file, but a completion event came without its result; {unknown}"
        return Finding(subject, Verdict.WRONG, text, None, *NOT_RELOADED)
    if not seen.reads_files:
        if came:
            return Finding(subject, Verdict.OK, "a completion event came with its result")
        if seen.results:
            text = f"a completion event came without its result; {unknown}"
            return Finding(subject, Verdict.WRONG, text, lines, _SECOND_GENERAL)
        return cannot_be_told(subject, lines, seen)
    if not missing:
        text = "a completion event came with its result" if came else "in the file"
        return Finding(subject, Verdict.OK, text)
    text = f"{', '.join(missing)} missing; {unknown}"
    if came:
        text = (
            f"{', '.join(missing)} missing in the file, yet a completion event came with its "
            "result: Asterisk keeps what it once read until it restarts, and then loses it"
        )
    if blanks := [name for name in manager_conf.with_blanks(value) if name in missing]:
        text += f"; {', '.join(blanks)} has a blank beside it, and Asterisk takes that for a part "
        text += "of the name"
    for file in INCLUDED:
        if lines and not manager_conf.missing_variables(seen.value(file, "general", subject)):
            return Finding(subject, Verdict.WRONG, text, lines, _second_in(file))
    if lines is None:
        do = f"add ,{','.join(missing)} to the line that is there, which cannot be shown whole"
        return Finding(subject, Verdict.WRONG, text, None, do, (RELOAD,))
    return Finding(subject, Verdict.WRONG, text, lines, "" if value else _SECOND_GENERAL)


def disabledevents(seen: Seen) -> Iterable[Finding]:
    """A finding if completion events are disabled for everybody."""
    value = seen.value("manager.conf", "general", "disabledevents")
    if events := manager_conf.disabled(value):
        text = f"{', '.join(events)} disabled for all users: no such event comes"
        line = manager_conf.without_completions(value)
        if len(value) < _MAX_WHOLE and manager_conf.can_be_pasted(line):
            lines = Lines("manager.conf", "general", (line,))
            yield Finding("disabledevents", Verdict.WRONG, text, lines)
        else:
            do = f"take {' and '.join(events)} out of the line, which cannot be shown whole"
            yield Finding("disabledevents", Verdict.WRONG, text, None, do, (RELOAD,))


def second_general(sections: Sequence[Section], user: str) -> Iterable[Finding]:
    """A finding for each [general] after the first. None if the files have no section of this user:
    then they are not those of this PBX."""
    if not any(section.name == user for section in sections):
        return
    for section in manager_files.repeated("general", sections):
        where = f"{section.file}:{section.line}"
        text = f"{where} begins another [general]; Asterisk takes the first alone, and ignores this"
        do = "make it [general](+), which adds to the first; then, what is below it is read by:"
        yield Finding("second [general]", Verdict.WRONG, text, None, do, (RELOAD,))
