"""What an Asterisk lacks for the exporter, found by one connection that changes nothing.

The actions that polls ask are asked once, FAXSession never. ListCommands tells the write classes,
since it lists what this user may; Getvar with AST_CONFIG reads what no action tells out of
manager.conf and res_fax.conf, where func_config is loaded (measured on Asterisk 16.28 and 22.10).
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from exporter.ami import (
    AmiError,
    Answer,
    Connection,
    ConnectionLost,
    Expects,
    LoginRefused,
    Request,
    connect,
)
from exporter.fax import FaxResult, Headers, parse_result, printable
from exporter.poller import (
    CHANNELVARS,
    CORESETTINGS,
    CORESTATUS,
    FAXSTATS,
    refusal,
)
from exporter.settings import AmiSettings

LISTEN: Final = 2.0
"""Seconds to listen for events that nobody asked for."""

READ: Final = "read = call"
WRITE: Final = "write = call,reporting"
EVENTFILTER: Final = "eventfilter = Event: (SendFAX|ReceiveFAX)"
"""The old syntax, which every version takes."""
NEW_EVENTFILTERS: Final = {
    f"eventfilter(action(include),name({event}),method(starts_with))": f"Event: {event}"
    for event in ("SendFAX", "ReceiveFAX")
}
"""The new syntax, with values: a line without one AST_CONFIG cannot tell from no line."""

_LISTCOMMANDS: Final = Request("ListCommands")
_FAXSESSIONS: Final = Request("FAXSessions", Expects.LIST)
"""With all headers: a poll does not read who runs the faxes."""
_NEEDED: Final = frozenset({"call", "reporting"})
_PRIVILEGES: Final = re.compile(r"\(Priv: ([a-z,]+)\)\s*$")
_PLAIN_NAME: Final = re.compile(r"[\w.@-]+", re.ASCII)
"""Names of sections that cannot be taken for further arguments of AST_CONFIG."""
_FILTERS: Final = 10
_SHOWN: Final = 5
_STEP: Final = 0.05
_RES_FAX_SPANDSP: Final = "IFMODULE(res_fax_spandsp.so)"
_PASSING: Final = (
    {"Event: (SendFAX|ReceiveFAX)"},
    {"Event: (ReceiveFAX|SendFAX)"},
    {"Event: SendFAX", "Event: ReceiveFAX"},
)
_NEW_SYNTAX: Final = {18: 26, 20: 11, 21: 6, 22: 1}
"""The minor version from which a major one knows eventfilter(...)."""


class Verdict(StrEnum):
    """As it is printed."""

    OK = "ok"
    WRONG = "WRONG"
    UNKNOWN = "?"


@dataclass(frozen=True)
class Lines:
    """What belongs into a file of Asterisk's, and where."""

    file: str
    section: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """Return it on one line."""
        return f"{self.file} [{self.section}]: {'; '.join(self.lines)}"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `lines`: to add if it is wrong, to look at if unknown."""

    subject: str
    verdict: Verdict
    text: str
    lines: Lines | None = None


@dataclass(frozen=True)
class Report:
    """All that was found at one Asterisk."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> int:
        """How many things are; what is unknown is not."""
        return sum(finding.verdict is Verdict.WRONG for finding in self.findings)


def text(report: Report) -> str:
    """The report as people read it: the name, a line for each finding, and the sum."""
    lines = [f"{report.name}:"]
    for finding in report.findings:
        where = f" -> {finding.lines}" if finding.lines is not None else ""
        lines.append(f"  {finding.verdict:<5}  {finding.subject}: {finding.text}{where}")
    unknown = sum(finding.verdict is Verdict.UNKNOWN for finding in report.findings)
    rest = f", {unknown} cannot be told from here" if unknown else ""
    return "\n".join([*lines, f"  {report.wrong or 'nothing'} wrong{rest}"])


@dataclass
class _Seen:
    """What came back."""

    answers: dict[str, Answer] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    """What Getvar read; '' is also what it says where there is no such function."""
    may_getvar: bool = True
    filters: list[str] = field(default_factory=list)
    results: list[FaxResult] = field(default_factory=list)
    events: int = 0
    unwanted: bool = False

    def hear(self, headers: Headers) -> None:
        self.events += 1
        result = parse_result(headers, [])
        if result is not None:
            self.results.append(result)


async def check(name: str, settings: AmiSettings, *, listen: float = LISTEN) -> Report:
    """Connects, asks, listens for `listen` seconds and leaves. Raises nothing of AMI's: what goes
    wrong is a finding."""
    user, timeout, seen = settings.username, settings.timeout, _Seen()
    waited = f"no answer within {timeout:g} s; the PBX or the network is slow, see --ami.timeout"
    try:
        async with asyncio.timeout(timeout):
            connection = await connect(settings, seen.hear)
    except LoginRefused as error:
        secret = "secret = what --ami.secret-file holds"
        permit = "permit = ADDRESS/32 of this machine"
        login = Lines("manager.conf", user, (secret, permit))
        return Report(name, (Finding("login", Verdict.WRONG, str(error), login),))
    except (AmiError, TimeoutError) as error:
        said = str(error) or f"{settings.host}:{settings.port}: {waited}"
        # An unknown name or a refused certificate is not for Asterisk to mend.
        here = isinstance(error.__cause__, socket.gaierror | ssl.SSLCertVerificationError)
        lines = None if here else _listening(settings)
        return Report(name, (Finding("connection", Verdict.WRONG, said, lines),))
    try:
        async with asyncio.timeout(timeout):
            await _ask(connection, user, seen)
        seen.unwanted = await _unwanted(connection, seen, listen)
        ami_version = connection.ami_version
    except (AmiError, TimeoutError) as error:
        said = str(error) or waited
        return Report(name, (Finding("connection", Verdict.WRONG, f"logged in, then: {said}"),))
    finally:
        connection.close()
    return Report(name, tuple(_findings(seen, settings, ami_version)))


def _listening(settings: AmiSettings) -> Lines:
    """What makes Asterisk listen there."""
    lines: tuple[str, ...] = (f"port = {settings.port}", "bindaddr = 0.0.0.0")
    if settings.tls:
        listen = f"tlsbindaddr = 0.0.0.0:{settings.port}"
        lines = ("tlsenable = yes", listen, "tlscertfile = FILE", "tlsprivatekey = FILE")
    return Lines("manager.conf", "general", ("enabled = yes", *lines))


# --- asking ---------------------------------------------------------------------------------


async def _ask(connection: Connection, user: str, seen: _Seen) -> None:
    requests = [_LISTCOMMANDS, CORESETTINGS, CORESTATUS, _FAXSESSIONS, FAXSTATS]

    def take(request: Request, answer: Answer) -> None:
        seen.answers[request.action] = answer

    await connection.ask_each(requests, take)
    await _get(connection, _RES_FAX_SPANDSP, seen)
    # Asterisk logs an error for a function it does not have, so the rest only if there is one.
    # `enabled` stands in every manager.conf that lets anybody in.
    if not await _get(connection, _setting("manager.conf", "general", "enabled"), seen):
        return
    await _get(connection, _setting("manager.conf", "general", "channelvars"), seen)
    await _get(connection, _setting("res_fax.conf", "general", "ecm"), seen)
    if _PLAIN_NAME.fullmatch(user):
        for setting in ("read", "write"):
            await _get(connection, _setting("manager.conf", user, setting), seen)
        for index in range(_FILTERS):
            key = _setting("manager.conf", user, "eventfilter", index)
            if not (value := await _get(connection, key, seen)):
                break
            seen.filters.append(value)
        if not seen.filters:
            for name in NEW_EVENTFILTERS:
                await _get(connection, _setting("manager.conf", user, name), seen)


def _setting(file: str, section: str, name: str, index: int = -1) -> str:
    """The function that reads a setting; the last of its lines is the one that holds."""
    return f"AST_CONFIG({file},{section},{name},{index})"


async def _get(connection: Connection, variable: str, seen: _Seen) -> str:
    answer = await connection.ask(Request("Getvar", headers={"Variable": variable}))
    seen.may_getvar &= not answer.denied
    value = str(answer.headers.get("Value", "")) if answer.success else ""
    seen.values[variable] = value
    return value


async def _unwanted(connection: Connection, seen: _Seen, seconds: float) -> bool:
    """Whether anything but completion events comes: nothing is asked now, so it is an event."""
    loop = asyncio.get_running_loop()
    unwanted, end = False, loop.time() + seconds
    while (begun := loop.time()) < end:
        events = seen.events
        await asyncio.wait([connection.lost], timeout=min(_STEP, end - begun))
        if connection.lost.done():
            raise ConnectionLost(f"connection lost: {connection.lost.result()}")
        if seen.events == events and connection.silent_for < loop.time() - begun:
            unwanted = True
    return unwanted


# --- judging --------------------------------------------------------------------------------


def _findings(seen: _Seen, settings: AmiSettings, ami_version: str) -> Iterable[Finding]:
    user = settings.username
    version = printable(str(seen.answers["CoreSettings"].headers.get("AsteriskVersion", "")))
    what = f"Asterisk {version}" if version else "an Asterisk that may not tell its version"
    how = "with TLS" if settings.tls else "without TLS"
    yield Finding("connection", Verdict.OK, f"{what}, AMI {ami_version}, {how}")
    yield Finding("login", Verdict.OK, f"user {user}")
    yield _write_class("call", ("FAXSessions",), seen, user)
    yield _write_class("reporting", ("FAXStats", "CoreSettings", "CoreStatus"), seen, user)
    yield _no_wider(seen, user)
    yield _res_fax(seen, user)
    yield _spandsp(seen)
    yield _read_class(seen, user)
    yield _channelvars(seen)
    yield _eventfilter(seen, user, version)
    yield _ecm(seen)


def _may(seen: _Seen) -> Mapping[str, frozenset[str]] | None:
    """The classes of each action that this user may use and that needs one; any of them is
    enough. None if Asterisk did not tell."""
    answer = seen.answers["ListCommands"]
    if not answer.success:
        return None
    found: dict[str, frozenset[str]] = {}
    for action, said in answer.headers.items():
        if isinstance(said, str) and (match := _PRIVILEGES.search(said)):
            found[action] = frozenset(match[1].split(",")) - {"all"}
    return found


def _write_class(name: str, actions: tuple[str, ...], seen: _Seen, user: str) -> Finding:
    subject = f"write class {name}"
    lines = Lines("manager.conf", user, (WRITE,))
    answers = {action: seen.answers[action] for action in actions}
    for action, answer in answers.items():
        if answer.denied:
            said = refusal(action, user, answer)
            if _classes(seen, user, "write") >= _NEEDED:
                said += "; the file has it, but it was not read: 'manager reload' in Asterisk"
            return Finding(subject, Verdict.WRONG, said, lines)
    may = _may(seen) or {}
    granted = [action for action, answer in answers.items() if answer.success]
    if granted:
        return Finding(subject, Verdict.OK, f"the user may {', '.join(granted)}")
    if any(classes == {name} for classes in may.values()):
        return Finding(subject, Verdict.OK, "there")
    failed = [refusal(action, user, answer) for action, answer in answers.items()]
    return Finding(subject, Verdict.UNKNOWN, f"cannot be told: {failed[0]}", lines)


def _no_wider(seen: _Seen, user: str) -> Finding:
    subject, may = "no more than that", _may(seen)
    lines = Lines("manager.conf", user, (WRITE,))
    if may is None:
        said = "Asterisk does not list what the user may do; there should be no further class"
        return Finding(subject, Verdict.UNKNOWN, said, lines)
    beyond = {action: c for action, c in may.items() if not c & _NEEDED}
    if not beyond:
        return Finding(subject, Verdict.OK, "no action of another class is allowed")
    certain = sorted({min(classes) for classes in beyond.values() if len(classes) == 1})
    some = ", ".join(sorted(beyond)[:_SHOWN])
    more = f" and {len(beyond) - _SHOWN} more" if len(beyond) > _SHOWN else ""
    said = (
        f"the user may also {some}{more}: write class {', '.join(certain) or 'unknown'} is too "
        "much, and whoever learns the secret has it too"
    )
    return Finding(subject, Verdict.WRONG, said, lines)


def _res_fax(seen: _Seen, user: str) -> Finding:
    lines = Lines("modules.conf", "modules", ("load = res_fax.so",))
    for action in ("FAXSessions", "FAXStats"):
        if seen.answers[action].success:
            return Finding("res_fax", Verdict.OK, "loaded")
        if seen.answers[action].unknown:
            return Finding(
                "res_fax", Verdict.WRONG, refusal(action, user, seen.answers[action]), lines
            )
    return Finding("res_fax", Verdict.UNKNOWN, "cannot be told without a write class", lines)


def _spandsp(seen: _Seen) -> Finding:
    subject = "res_fax_spandsp"
    lines = Lines("modules.conf", "modules", ("load = res_fax_spandsp.so",))
    technologies = {printable(str(e.get("Technology"))) for e in seen.answers["FAXSessions"].events}
    if technologies:
        return Finding(subject, Verdict.OK, f"faxes are run by {', '.join(sorted(technologies))}")
    if seen.values[_RES_FAX_SPANDSP] == "1":
        return Finding(subject, Verdict.OK, "loaded")
    if seen.values[_RES_FAX_SPANDSP] == "0":
        said = "not loaded, and without it, or another technology, res_fax runs no fax"
        return Finding(subject, Verdict.WRONG, said, lines)
    why = _why_unread(seen, "func_module")
    said = f"cannot be told while no fax runs, since {why}; look at this line"
    return Finding(subject, Verdict.UNKNOWN, said, lines)


def _read_class(seen: _Seen, user: str) -> Finding:
    subject, lines = "read class call", Lines("manager.conf", user, (READ,))
    classes = _classes(seen, user, "read")
    if classes & {"call", "all"}:
        if wide := sorted(classes - {"call"}):
            said = f"{printable(', '.join(wide))}: there, and more than is needed"
            return Finding(subject, Verdict.WRONG, said, lines)
        return Finding(subject, Verdict.OK, "in the file")
    if seen.events:
        return Finding(subject, Verdict.OK, "a completion event came")
    # Whoever has a write line in this file has no read line there either, if none was found.
    if classes or _classes(seen, user, "write"):
        said = "missing; without it no completion event comes, and results and failures are unknown"
        return Finding(subject, Verdict.WRONG, said, lines)
    return _untold(subject, lines, seen)


def _channelvars(seen: _Seen) -> Finding:
    subject, lines = "channelvars", Lines("manager.conf", "general", (CHANNELVARS,))
    if any(result.succeeded is not None for result in seen.results):
        return Finding(subject, Verdict.OK, "a completion event came with its result")
    if seen.results:
        said = "a completion event came without its result; failures and their reasons are unknown"
        return Finding(subject, Verdict.WRONG, said, lines)
    if not _reads_files(seen):
        return _untold(subject, lines, seen)
    there = seen.values[_setting("manager.conf", "general", "channelvars")]
    wanted = CHANNELVARS.partition("= ")[2].split(",")
    missing = [name for name in wanted if name not in re.split(r"[\s,]+", there)]
    if missing:
        said = f"{', '.join(missing)} missing; failures and their reasons are unknown without"
        return Finding(subject, Verdict.WRONG, said, lines)
    return Finding(subject, Verdict.OK, "in the file")


def _eventfilter(seen: _Seen, user: str, version: str) -> Finding:
    subject, lines = "eventfilter", Lines("manager.conf", user, (EVENTFILTER,))
    filters = set(seen.filters)
    if seen.unwanted:
        said = "other events than SendFAX and ReceiveFAX come, up to thousands a second"
        return Finding(subject, Verdict.WRONG, said, lines)
    known = _knows_new_syntax(version)
    new = {n: seen.values.get(_setting("manager.conf", user, n)) for n in NEW_EVENTFILTERS}
    if filters in _PASSING or (known and new == NEW_EVENTFILTERS):
        return Finding(subject, Verdict.OK, "in the file")
    if filters:
        said = f"{printable('; '.join(seen.filters))}: is not the one known to be right"
        return Finding(subject, Verdict.UNKNOWN, said, lines)
    if not _classes(seen, user, "write"):
        return _untold(subject, lines, seen)
    if known:
        said = "none in the old syntax, and one in the new cannot be seen where it has no value; "
        said += "no other event came"
        return Finding(subject, Verdict.UNKNOWN, said, lines)
    said = "missing; a busy PBX sends thousands of events a second that nobody wants"
    return Finding(subject, Verdict.WRONG, said, lines)


def _ecm(seen: _Seen) -> Finding:
    if not _reads_files(seen):
        said = f"cannot be told, since {_why_unread(seen, 'func_config')}; on is Asterisk's default"
        return Finding("ECM", Verdict.UNKNOWN, said)
    if seen.values[_setting("res_fax.conf", "general", "ecm")].lower() not in _ON:
        return Finding("ECM", Verdict.OK, "off unless a call sets it: bad lines are counted")
    said = (
        "on unless a call sets it: damaged lines are sent again, and show only as pages that take "
        "longer"
    )
    return Finding("ECM", Verdict.OK, said)


_ON: Final = frozenset({"", "yes", "true", "y", "t", "1", "on"})
"""What ast_true takes, and no line at all; res_fax takes all else for off."""


def _classes(seen: _Seen, user: str, setting: str) -> set[str]:
    """Those of the user's read or write line in manager.conf; none if it cannot be read."""
    said = seen.values.get(_setting("manager.conf", user, setting), "")
    return {name.strip().lower() for name in said.split(",") if name.strip()}


def _reads_files(seen: _Seen) -> bool:
    return bool(seen.values.get(_setting("manager.conf", "general", "enabled")))


def _why_unread(seen: _Seen, module: str) -> str:
    return f"{module} is not loaded" if seen.may_getvar else "the user may not Getvar"


def _untold(subject: str, lines: Lines, seen: _Seen) -> Finding:
    why = _why_unread(seen, "func_config")
    said = f"cannot be told before a fax ends, since {why}; look at this line"
    return Finding(subject, Verdict.UNKNOWN, said, lines)


def _knows_new_syntax(version: str) -> bool:
    """Whether there may be a filter in the syntax that AST_CONFIG cannot see."""
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None:
        return True
    major, minor = int(match[1]), int(match[2])
    return major > 22 or minor >= _NEW_SYNTAX.get(major, 10**9)
