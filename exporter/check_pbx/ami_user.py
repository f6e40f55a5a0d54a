"""Findings about the AMI user: its classes, its event filter, and whether others use it too."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from exporter.check_pbx import manager_conf
from exporter.check_pbx.addresses import Address, permit
from exporter.check_pbx.asking import Seen, message_of
from exporter.check_pbx.manager_conf import COMPLETIONS, NEW_EVENTFILTERS, READ, WRITE
from exporter.check_pbx.report import Finding, Lines, Verdict
from exporter.check_pbx.unread import NOT_RELOADED, cannot_be_told
from exporter.fax import Version, printable
from exporter.polling import troubles

OWN_USER: Final = "fax-exporter"
"""The name of the user in docs/install.md and snippets."""

_NEEDED: Final = frozenset(troubles.WRITE_CLASS.values())
_PRIVILEGES: Final = re.compile(r"\(Priv: ([a-z,]+)\)\s*$")
_MAX_SHOWN: Final = 5
_SHARED_NAMES: Final = frozenset(
    {"admin", "administrator", "asterisk", "astmanager", "cdr", "cxpanel", "fop2", "freepbx"}
    | {"issabel", "manager", "monitor", "root", "user"}
)
"""Names that PBX distributions and other programs log in by."""
_MANY_CLASSES: Final = 3
"""With so many classes more than needed, a user is taken to be one that others use too."""

_MAKE_OWN_USER: Final = (
    "leave that user as it is, and make one for the exporter alone, which goes into "
    "--ami.username, its secret into --ami.secret-file"
)


def findings(seen: Seen, user: str, version: Version, here: Address | None) -> Iterator[Finding]:
    """All findings about the user. `here`: see `address_here`."""
    found = [
        _write_class("call", seen, user),
        _write_class("reporting", seen, user),
        _no_further_class(seen, user),
        _read_class(seen, user),
        _eventfilter(seen, user, version),
    ]
    # Of a user that others use too, nothing is advised that would change it.
    if why := _why_shared(seen, user, found):
        yield Finding("user", Verdict.WRONG, why, _own_user(here, version), _MAKE_OWN_USER)
        found = [finding for finding in found if finding.verdict is Verdict.OK]
    yield from found


def _why_shared(seen: Seen, user: str, findings: Iterable[Finding]) -> str:
    """Why this user should not be changed: others seem to use it, or it is one of users.conf; ''
    if it may be changed, or need not be."""
    name = printable(user)
    if not any(seen.classes(user, classes) for classes in ("read", "write")) and any(
        manager_conf.is_on(seen.value("users.conf", section, "hasmanager"))
        for section in (user, "general")
    ):
        return f"{name} is a user of users.conf, which knows no eventfilter and no permit"
    if user == OWN_USER or all(finding.verdict is not Verdict.WRONG for finding in findings):
        return ""
    unneeded = _certain_classes(_unneeded(seen) or {})
    if "all" in seen.classes(user, "write"):
        return f"{name} may do everything (write = all), so others are likely to use it"
    if len(unneeded) >= _MANY_CLASSES:
        classes = ", ".join(unneeded)
        return f"{name} has write classes {classes} too, so others are likely to use it"
    if user.lower() in _SHARED_NAMES:
        return f"{name} is a name that other programs log in by"
    return ""


def _own_user(here: Address | None, version: Version) -> Lines:
    """The whole section of a user for the exporter alone, as docs/install.md has it."""
    lines = (
        "secret = a-long-random-secret",
        "deny = 0.0.0.0/0.0.0.0",
        "deny = ::/0",
        permit(here) if here else "permit = ADDRESS of this machine",
        READ,
        WRITE,
        "writetimeout = 5000",
        "displayconnects = no",
        *manager_conf.eventfilters(version),
    )
    return Lines("manager.conf", OWN_USER, lines, new=True)


def _allowed(seen: Seen) -> Mapping[str, frozenset[str]] | None:
    """The classes of each action that this user may use and that needs one; any of them is
    enough. None if Asterisk did not tell."""
    answer = seen.answers["ListCommands"]
    if not answer.success:
        return None
    found: dict[str, frozenset[str]] = {}
    for action, description in answer.headers.items():
        if isinstance(description, str) and (match := _PRIVILEGES.search(description)):
            found[action] = frozenset(match[1].split(",")) - {"all"}
    return found


def _unneeded(seen: Seen) -> Mapping[str, frozenset[str]] | None:
    """The actions that the user may use by classes other than call and reporting; None if Asterisk
    did not tell."""
    may = _allowed(seen)
    return None if may is None else {action: c for action, c in may.items() if not c & _NEEDED}


def _certain_classes(unneeded: Mapping[str, frozenset[str]]) -> list[str]:
    """The classes that the user certainly has: each is the only one that allows some action."""
    return sorted({min(classes) for classes in unneeded.values() if len(classes) == 1})


def _write_class(name: str, seen: Seen, user: str) -> Finding:
    subject = f"write class {name}"
    lines = Lines("manager.conf", user, (WRITE,))
    answers = {
        action: seen.answers[action]
        for action, needed in troubles.WRITE_CLASS.items()
        if needed == name and action in seen.answers
    }
    for action, answer in answers.items():
        if answer.denied:
            text = f"{action}: {printable(answer.message)}; {troubles.WITHOUT_CLASS[name]}"
            if seen.classes(user, "write") >= _NEEDED:
                do, commands = NOT_RELOADED
                do = f"if there is one [{printable(user)}], {do}; of several the last line holds, "
                do += "be it in an included file: leave one of them. Then:"
                return Finding(subject, Verdict.WRONG, text, None, do, commands)
            return Finding(subject, Verdict.WRONG, text, lines)
    may = _allowed(seen) or {}
    granted = [action for action, answer in answers.items() if answer.success]
    if granted:
        return Finding(subject, Verdict.OK, f"the user may {', '.join(granted)}")
    if any(classes == {name} for classes in may.values()):
        return Finding(subject, Verdict.OK, "there")
    failed = "; ".join(f"{a}: {message_of(answer)}" for a, answer in answers.items())
    return Finding(subject, Verdict.UNKNOWN, f"cannot be told: {failed}", lines)


def _no_further_class(seen: Seen, user: str) -> Finding:
    subject, unneeded = "no more than that", _unneeded(seen)
    lines = Lines("manager.conf", user, (WRITE,))
    if unneeded is None:
        text = "Asterisk does not list what the user may do; there should be no further class"
        return Finding(subject, Verdict.UNKNOWN, text, lines)
    if not unneeded:
        return Finding(subject, Verdict.OK, "no action of another class is allowed")
    some = ", ".join(printable(action) for action in sorted(unneeded)[:_MAX_SHOWN])
    more = f" and {len(unneeded) - _MAX_SHOWN} more" if len(unneeded) > _MAX_SHOWN else ""
    classes = ", ".join(_certain_classes(unneeded)) or "unknown"
    text = (
        f"the user may also {some}{more}: write class {classes} "
        "is too much, and whoever learns the secret has it too"
    )
    do = "if anything else logs in as this user, make one for the exporter alone instead"
    return Finding(subject, Verdict.WRONG, text, lines, do)


def _read_class(seen: Seen, user: str) -> Finding:
    subject, lines = "read class call", Lines("manager.conf", user, (READ,))
    classes = seen.classes(user, "read")
    if classes & {"call", "all"}:
        if wide := sorted(classes - {"call"}):
            text = f"{printable(', '.join(wide))}: there, and more than is needed"
            return Finding(subject, Verdict.WRONG, text, lines)
        return Finding(subject, Verdict.OK, "in the file")
    if seen.events:
        return Finding(subject, Verdict.OK, "a completion event came")
    # This section could be read, as it has a write line: so the read line is really missing.
    if classes or seen.classes(user, "write"):
        text = "missing; without it no completion event comes, and results and failures are unknown"
        return Finding(subject, Verdict.WRONG, text, lines)
    return cannot_be_told(subject, lines, seen, user)


def _eventfilter(seen: Seen, user: str, version: Version) -> Finding:
    subject, lines = "eventfilter", Lines("manager.conf", user, manager_conf.eventfilters(version))
    if seen.unwanted:
        text = "other events than SendFAX and ReceiveFAX come, up to thousands a second"
        do = "put the lines in place of every eventfilter that is there" if seen.filters else ""
        return Finding(subject, Verdict.WRONG, text, lines, do)
    if seen.filters:
        return _old_filters(seen, lines, version)
    known = manager_conf.knows_new_filters(version)
    new = manager_conf.new_filters(
        {name: seen.value("manager.conf", user, name) for name in NEW_EVENTFILTERS}
    )
    if known and len(new) == len(COMPLETIONS):
        return Finding(subject, Verdict.OK, "in the file")
    if known and new:
        stopped = ", ".join(event for event in COMPLETIONS if event not in new)
        added = tuple(
            f"{name} = {value}"
            for name, value in NEW_EVENTFILTERS.items()
            if value.removeprefix("Event: ") not in new
        )
        text = f"lets {', '.join(new)} through, and no line for {stopped} is seen"
        return Finding(subject, Verdict.WRONG, text, replace(lines, lines=added))
    if not seen.classes(user, "write"):
        return cannot_be_told(subject, lines, seen, user)
    if known is not False:
        text = "none in the old syntax, and one in the new cannot be seen where it has no value; "
        text += "no other event came"
        return Finding(subject, Verdict.UNKNOWN, text, lines)
    text = "missing; a busy PBX sends thousands of events a second that nobody wants"
    return Finding(subject, Verdict.WRONG, text, lines)


def _old_filters(seen: Seen, lines: Lines, version: Version) -> Finding:
    subject = "eventfilter"
    text = printable("; ".join(seen.filters))
    do = "put the lines in place of every eventfilter that is there"
    effect = manager_conf.filters(seen.filters, basic=version.before_fax_actions)
    if effect is None:
        text = f"{text}: is not one whose effect can be told"
        return Finding(subject, Verdict.UNKNOWN, text, lines)
    if effect.stopped:
        text = f"{text}: lets no {' and no '.join(effect.stopped)} event through"
        if not any(value.startswith("!") for value in seen.filters):
            do = ""  # one that lets them through is enough
        if version.before_fax_actions:
            do = (
                "before Asterisk 13 a filter is a basic regular expression, where ( and | are plain"
            )
        return Finding(subject, Verdict.WRONG, text, lines, do)
    if effect.wide:
        text = f"{text}: lets other events through, and a busy PBX sends thousands a second"
        return Finding(subject, Verdict.WRONG, text, lines, do)
    return Finding(subject, Verdict.OK, "in the file")
