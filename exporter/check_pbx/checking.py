"""What an Asterisk lacks for the exporter, found by one connection that changes nothing.

The actions that polls ask are asked once, FAXSession never. ListCommands tells the write classes,
since it lists what this user may; Getvar with AST_CONFIG reads what no action tells out of
manager.conf and res_fax.conf, where func_config is loaded (measured on Asterisk 16.28 and 22.10).
Where the PBX is on this machine, `manager_files` shows a second [general]. What the lines of
manager.conf mean is `manager_conf`'s business, how it is printed `report`'s.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from exporter.ami import (
    SHUTTING_DOWN,
    AmiError,
    Answer,
    Cause,
    ConnectError,
    Connection,
    ConnectionLost,
    LoginRefused,
    Request,
    ShuttingDown,
    connect,
    read_event,
)
from exporter.check_pbx import manager_conf, manager_files
from exporter.check_pbx.manager_conf import (
    COMPLETIONS,
    INCLUDED,
    NEW_EVENTFILTERS,
    READ,
    WRITE,
    setting,
)
from exporter.check_pbx.manager_files import Section
from exporter.check_pbx.report import Finding, Lines, Report, Verdict
from exporter.fax import FaxResult, Version, parse_result, printable
from exporter.polling import CORESETTINGS, CORESTATUS, FAXSESSIONS, FAXSTATS
from exporter.settings import AmiSettings

LISTEN: Final = 2.0
"""Seconds to listen for events that nobody asked for."""
OWN_USER: Final = "fax-exporter"
"""The name of the user that README and snippets make."""

_LISTCOMMANDS: Final = Request("ListCommands")
_NEEDED: Final = frozenset({"call", "reporting"})
_PRIVILEGES: Final = re.compile(r"\(Priv: ([a-z,]+)\)\s*$")
_FILTERS: Final = 10
_SHOWN: Final = 5
_STEP: Final = 0.05
_VALUE: Final = 1000
"""Characters from which on a value may have been cut: Getvar has room for 1023 bytes."""
_RELOAD: Final = "asterisk -rx 'manager reload'"
_RESOLVING: Final = 5.0
"""Seconds; the connection has just been to that name."""
_SPANDSP: Final = "Spandsp"
_RES_FAX_SPANDSP: Final = "IFMODULE(res_fax_spandsp.so)"
_SHARED: Final = frozenset(
    {"admin", "administrator", "asterisk", "astmanager", "cdr", "cxpanel", "fop2", "freepbx"}
    | {"issabel", "manager", "monitor", "root", "user"}
)
"""Names that PBX distributions and other programs log in by."""
_MANY_CLASSES: Final = 3
"""From so many classes beyond need on a user is taken for somebody else's."""
_LOWEST_PORT: Final = 1024
"""What `port` in manager.conf may be at least."""
_LOST_WITHOUT: Final = {
    "call": "without it there are no sessions, pages, bad lines and data rates",
    "reporting": "without it Asterisk's own totals, its version and its restarts are unknown",
}


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

    def hear(self, event: str) -> None:
        self.events += 1
        result = parse_result(event, [])
        if result is not None:
            self.results.append(result)

    def value(self, file: str, section: str, name: str) -> str:
        """Of a line, '' if it was not read."""
        return self.values.get(setting(file, section, name), "")

    def classes(self, user: str, name: str) -> set[str]:
        """Those of the user's read or write line; none if it cannot be read."""
        return manager_conf.classes(self.value("manager.conf", user, name))

    @property
    def reads_files(self) -> bool:
        # `enabled` stands in every manager.conf that lets anybody in.
        return bool(self.value("manager.conf", "general", "enabled"))

    @property
    def shutting_down(self) -> bool:
        return any(answer.shutting_down for answer in self.answers.values())


async def check(
    name: str,
    settings: AmiSettings,
    *,
    listen: float = LISTEN,
    folder: Path = manager_files.FOLDER,
) -> Report:
    """Connects, asks, listens for `listen` seconds and leaves. Raises nothing of AMI's: what goes
    wrong is a finding. `folder`: where manager.conf is, if the PBX is on this machine."""
    user, timeout, seen = settings.username, settings.timeout, _Seen()
    waited = f"no answer within {timeout:g} s; the PBX or the network is slow, see --ami.timeout"
    try:
        connection = await connect(settings, seen.hear)
    except AmiError as error:
        return Report(name, (await _not_connected(error, settings),))
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
    if seen.shutting_down:
        return Report(name, (_shutting_down(SHUTTING_DOWN),))
    here = await _address_here(settings)
    findings = [*_findings(seen, settings, ami_version, here)]
    if here is not None and here.is_loopback:
        findings[2:2] = _second_general(manager_files.sections(folder), user)
    return Report(name, tuple(findings))


# --- no connection --------------------------------------------------------------------------


async def _not_connected(error: AmiError, settings: AmiSettings) -> Finding:
    """Why there is none, and what to do where that is for Asterisk to mend."""
    said = str(error)
    if isinstance(error, ShuttingDown):
        return _shutting_down(said)
    if isinstance(error, LoginRefused):
        if error.cause is Cause.CREDENTIALS:
            return await _refused(said, settings)
        return Finding("login", Verdict.WRONG, said)
    if isinstance(error, ConnectError) and error.cause is Cause.REFUSED:
        return await _closed(said, settings)
    return Finding("connection", Verdict.WRONG, said)


def _shutting_down(said: str) -> Finding:
    do = (
        "wait: it refuses every action and login until its last call has ended, and then stops or "
        "starts again. Name and secret were not looked at. What calls it off:"
    )
    commands = ("asterisk -rx 'core abort shutdown'",)
    return Finding("shutting down", Verdict.WRONG, said, None, do, commands)


async def _refused(said: str, settings: AmiSettings) -> Finding:
    """Asterisk gives one answer for a wrong name, a wrong secret and a wrong address."""
    secret = settings.secret.get_secret_value()
    lines = ["secret = what --ami.secret-file holds"]
    # Asterisk does not say which, and (+) to a section that is not there has it refuse the file.
    do = (
        f"the user has to be there: if manager.conf and what it includes have no "
        f"[{settings.username}], paste a whole one, from the README or its snippets, and not the "
        "lines below, for which Asterisk would refuse all of the file. If there is one, it has to "
        "have this secret, and to be let in from this machine's address"
    )
    if ";" in secret:
        lines = [r"secret = what --ami.secret-file holds, with \; for each ;"]
        do += r"; the secret has a ';', where manager.conf ends a value: there it is written '\;'"
    if secret != secret.strip(" "):
        do += "; the secret has blanks at an end, which manager.conf takes away: use another"
    if here := await _address_here(settings):
        lines.append(f"permit = {here}/{32 if here.version == 4 else 128}")
    if here is None or not here.is_loopback:
        do += "; permit is the address that the PBX sees this machine by, if it is another there"
    do += ". Who is there:"
    commands = ("asterisk -rx 'manager show users'",)
    found = Lines("manager.conf", settings.username, tuple(lines))
    return Finding("login", Verdict.WRONG, said, found, do, commands)


async def _closed(said: str, settings: AmiSettings) -> Finding:
    """What makes Asterisk listen there, and nowhere else."""
    host, port = settings.host, settings.port
    flag, default = ("tlsbindaddr", 5039) if settings.tls else ("bindaddr", 5038)
    do = (
        f"if {flag} has another port in Asterisk than {port}, set --ami.port to that (Asterisk's "
        f"own is {default}); "
    )
    commands = ("asterisk -rx 'manager show settings'",)
    if port < _LOWEST_PORT:
        do += f"it cannot have one below {_LOWEST_PORT}. Where it listens:"
        return Finding("connection", Verdict.WRONG, said, None, do, commands)
    address = await _address_of(host)
    # There is one such line: moved to this address, it is gone for whoever uses another.
    if address is not None and address.is_loopback:
        do += "if another address, set --ami.host to that, which others may use; if it listens "
        do += "nowhere, add the lines, (+) only if there is a [general]"
    else:
        do += (
            "if it listens nowhere, or not at this address, add the lines, (+) only if there is a "
        )
        do += "[general] (with the PBX's own address, if it is another there); but what uses the "
        do += "other address is then shut out"
        if not settings.tls:
            do += ", as FreePBX itself at 127.0.0.1: rather give tlsbindaddr this address, and set "
            do += "--ami.tls"
    do += ". Where it listens, if Asterisk runs:"
    shown = str(address) if address is not None else f"the address of {host}"
    lines: tuple[str, ...] = (f"port = {port}", f"bindaddr = {shown}")
    if settings.tls:
        shown = f"[{shown}]" if address is not None and address.version == 6 else shown
        listen = f"tlsbindaddr = {shown}:{port}"
        lines = ("tlsenable = yes", listen, "tlscertfile = FILE", "tlsprivatekey = FILE")
    return Finding(
        "connection",
        Verdict.WRONG,
        said,
        Lines("manager.conf", "general", ("enabled = yes", *lines)),
        do,
        commands,
    )


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


async def _address_of(host: str) -> _Address | None:
    """The first that a connection to it tries, of IPv4 if there is one."""
    if (given := _ip(host)) is not None:
        if given.is_unspecified:  # which connects to this machine; to bind to, it is all addresses
            return ipaddress.ip_address("127.0.0.1" if given.version == 4 else "::1")
        return given
    try:
        async with asyncio.timeout(_RESOLVING):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError):
        return None
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return _ip(str(found[0][4][0])) if found else None


async def _address_here(settings: AmiSettings) -> _Address | None:
    """The one of this machine that packets to the PBX come from; none are sent."""
    address = await _address_of(settings.host)
    if address is None:
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), settings.port))
            return _ip(str(probe.getsockname()[0]))
    except OSError:
        return None


def _ip(said: str) -> _Address | None:
    try:
        return ipaddress.ip_address(said.partition("%")[0])
    except ValueError:
        return None


# --- asking ---------------------------------------------------------------------------------


async def _ask(connection: Connection, user: str, seen: _Seen) -> None:
    requests = [_LISTCOMMANDS, CORESETTINGS, CORESTATUS, FAXSESSIONS, FAXSTATS]

    def take(answer: Answer) -> None:
        seen.answers[answer.request.action] = answer

    await connection.ask_each(requests, take)
    if seen.shutting_down:
        return  # and logs an error for each action
    await _get(connection, _RES_FAX_SPANDSP, seen)

    async def get(file: str, section: str, name: str, index: int = -1) -> str:
        return await _get(connection, setting(file, section, name, index), seen)

    # Asterisk logs an error for a function it does not have, so the rest only if there is one.
    if not await get("manager.conf", "general", "enabled"):
        return
    there = await get("manager.conf", "general", "channelvars")
    if manager_conf.missing_variables(there):
        # Only then: of a file that adds to the section of another Asterisk logs a warning.
        for file in INCLUDED:
            await get(file, "general", "channelvars")
    await get("manager.conf", "general", "disabledevents")
    await get("res_fax.conf", "general", "ecm")
    if manager_conf.can_ask_for(user):
        for name in ("read", "write"):
            await get("manager.conf", user, name)
        if not any(seen.classes(user, name) for name in ("read", "write")):
            await get("users.conf", user, "hasmanager")
            await get("users.conf", "general", "hasmanager")
        for index in range(_FILTERS):
            if not (value := await get("manager.conf", user, "eventfilter", index)):
                break
            seen.filters.append(value)
        if not seen.filters:
            for name in NEW_EVENTFILTERS:
                await get("manager.conf", user, name)


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


def _findings(
    seen: _Seen, settings: AmiSettings, ami_version: str, here: _Address | None
) -> Iterable[Finding]:
    user = settings.username
    said = printable(str(seen.answers["CoreSettings"].headers.get("AsteriskVersion", "")))
    version = Version.parse(said)
    what = f"Asterisk {said}" if said else "an Asterisk that may not tell its version"
    how = "with TLS" if settings.tls else "without TLS"
    yield Finding("connection", Verdict.OK, f"{what}, AMI {ami_version}, {how}")
    yield Finding("login", Verdict.OK, f"user {user}")
    of_user = [
        _write_class("call", ("FAXSessions",), seen, user),
        _write_class("reporting", ("FAXStats", "CoreSettings", "CoreStatus"), seen, user),
        _no_wider(seen, user),
        _read_class(seen, user),
        _eventfilter(seen, user, version),
    ]
    # A user that is not the exporter's alone is told from it, never changed.
    if why := _not_its_own(seen, user, of_user):
        yield Finding("user", Verdict.WRONG, why, _own_user(here, version), _OWN)
        of_user = [finding for finding in of_user if finding.verdict is Verdict.OK]
    yield from of_user
    yield _res_fax(seen, version)
    yield _spandsp(seen)
    yield _channelvars(seen, version)
    yield from _disabledevents(seen)
    yield _ecm(seen)


_OWN: Final = (
    "leave that user as it is, and make one for the exporter alone, which goes into "
    "--ami.username, its secret into --ami.secret-file"
)


def _not_its_own(seen: _Seen, user: str, findings: Iterable[Finding]) -> str:
    """Why this user is not to be changed; '' if it may be, or need not."""
    name = printable(user)
    if not any(seen.classes(user, classes) for classes in ("read", "write")) and any(
        manager_conf.is_on(seen.value("users.conf", section, "hasmanager"))
        for section in (user, "general")
    ):
        return f"{name} is a user of users.conf, which knows no eventfilter and no permit"
    if user == OWN_USER or all(finding.verdict is not Verdict.WRONG for finding in findings):
        return ""
    beyond = _certain(_beyond(seen) or {})
    if "all" in seen.classes(user, "write"):
        return f"{name} may do everything (write = all), so others are likely to use it"
    if len(beyond) >= _MANY_CLASSES:
        classes = ", ".join(beyond)
        return f"{name} has write classes {classes} too, so others are likely to use it"
    if user.lower() in _SHARED:
        return f"{name} is a name that other programs log in by"
    return ""


def _own_user(here: _Address | None, version: Version) -> Lines:
    """The README's user."""
    permit = f"{here}/{32 if here.version == 4 else 128}" if here else "ADDRESS of this machine"
    lines = (
        "secret = a-long-random-secret",
        "deny = 0.0.0.0/0.0.0.0",
        "deny = ::/0",
        f"permit = {permit}",
        READ,
        WRITE,
        "writetimeout = 5000",
        "displayconnects = no",
        *manager_conf.eventfilters(version),
    )
    return Lines("manager.conf", OWN_USER, lines, new=True)


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


def _beyond(seen: _Seen) -> Mapping[str, frozenset[str]] | None:
    """The actions that neither call nor reporting allows."""
    may = _may(seen)
    return None if may is None else {action: c for action, c in may.items() if not c & _NEEDED}


def _certain(beyond: Mapping[str, frozenset[str]]) -> list[str]:
    """The classes that these actions prove."""
    return sorted({min(classes) for classes in beyond.values() if len(classes) == 1})


def _write_class(name: str, actions: tuple[str, ...], seen: _Seen, user: str) -> Finding:
    subject = f"write class {name}"
    lines = Lines("manager.conf", user, (WRITE,))
    answers = {action: seen.answers[action] for action in actions}
    for action, answer in answers.items():
        if answer.denied:
            said = f"{action}: {printable(answer.message)}; {_LOST_WITHOUT[name]}"
            if seen.classes(user, "write") >= _NEEDED:
                do, commands = _UNREAD
                do = f"if there is one [{printable(user)}], {do}; of several the last line holds, "
                do += "be it in an included file: leave one of them. Then:"
                return Finding(subject, Verdict.WRONG, said, None, do, commands)
            return Finding(subject, Verdict.WRONG, said, lines)
    may = _may(seen) or {}
    granted = [action for action, answer in answers.items() if answer.success]
    if granted:
        return Finding(subject, Verdict.OK, f"the user may {', '.join(granted)}")
    if any(classes == {name} for classes in may.values()):
        return Finding(subject, Verdict.OK, "there")
    failed = "; ".join(f"{a}: {_message(answer)}" for a, answer in answers.items())
    return Finding(subject, Verdict.UNKNOWN, f"cannot be told: {failed}", lines)


def _message(answer: Answer) -> str:
    return printable(answer.message) or ("never answered" if answer.lost else "no reason given")


def _no_wider(seen: _Seen, user: str) -> Finding:
    subject, beyond = "no more than that", _beyond(seen)
    lines = Lines("manager.conf", user, (WRITE,))
    if beyond is None:
        said = "Asterisk does not list what the user may do; there should be no further class"
        return Finding(subject, Verdict.UNKNOWN, said, lines)
    if not beyond:
        return Finding(subject, Verdict.OK, "no action of another class is allowed")
    some = ", ".join(printable(action) for action in sorted(beyond)[:_SHOWN])
    more = f" and {len(beyond) - _SHOWN} more" if len(beyond) > _SHOWN else ""
    said = (
        f"the user may also {some}{more}: write class {', '.join(_certain(beyond)) or 'unknown'} "
        "is too much, and whoever learns the secret has it too"
    )
    do = "if anything else logs in as this user, make one for the exporter alone instead"
    return Finding(subject, Verdict.WRONG, said, lines, do)


def _res_fax(seen: _Seen, version: Version) -> Finding:
    for action in ("FAXSessions", "FAXStats"):
        answer = seen.answers[action]
        if answer.success:
            return Finding("res_fax", Verdict.OK, "loaded")
        if answer.denied or answer.lost:
            continue
        if not answer.unknown:
            said = f"{action}: {_message(answer)}; not an answer that Asterisk's res_fax gives"
            do = "see Asterisk's log, and who answers there if it is a proxy"
            return Finding("res_fax", Verdict.WRONG, said, do=do)
        said = f"{action}: {printable(answer.message)}"
        if version.before_fax_actions:
            said += (
                f"; Asterisk {version.major} has none of FAXSessions, FAXSession and FAXStats, "
                "they came with 13.0.0; only that faxes end is known"
            )
            return Finding("res_fax", Verdict.WRONG, said, do="use Asterisk 13 or newer")
        lines = Lines("modules.conf", "modules", ("load = res_fax.so",))
        said += "; res_fax is not loaded"
        return Finding("res_fax", Verdict.WRONG, said, lines, _kept_out("res_fax.so"))
    return Finding("res_fax", Verdict.UNKNOWN, "cannot be told without a write class")


def _kept_out(module: str) -> str:
    """What undoes a load line, wherever that stands, at Asterisk's next start."""
    return f"take a line 'noload = {module}' out of modules.conf: it goes before every load line"


def _spandsp(seen: _Seen) -> Finding:
    subject = "res_fax_spandsp"
    lines = Lines("modules.conf", "modules", ("load = res_fax_spandsp.so",))
    listed = [read_event(event) for event in seen.answers["FAXSessions"].events]
    technologies = {printable(str(headers.get("Technology"))) for headers in listed}
    if others := sorted(technologies - {_SPANDSP}):
        said = (
            f"faxes are run by {', '.join(others)}, of which FAXSession tells nothing: pages, bad "
            "lines and data rates of these are unknown, results are not"
        )
        do = "let res_fax_spandsp run them, if you can do without that technology"
        return Finding(subject, Verdict.WRONG, said, do=do)
    if technologies:
        return Finding(subject, Verdict.OK, f"faxes are run by {_SPANDSP}")
    if seen.values.get(_RES_FAX_SPANDSP) == "1":
        return Finding(subject, Verdict.OK, "loaded")
    if seen.values.get(_RES_FAX_SPANDSP) == "0":
        said = "not loaded, and without it, or another technology, res_fax runs no fax"
        return Finding(subject, Verdict.WRONG, said, lines, _kept_out("res_fax_spandsp.so"))
    why, do, commands = _why_unread(seen, "func_module")
    said = f"cannot be told while no fax runs, since {why}"
    return Finding(subject, Verdict.UNKNOWN, said, lines, do, commands)


def _read_class(seen: _Seen, user: str) -> Finding:
    subject, lines = "read class call", Lines("manager.conf", user, (READ,))
    classes = seen.classes(user, "read")
    if classes & {"call", "all"}:
        if wide := sorted(classes - {"call"}):
            said = f"{printable(', '.join(wide))}: there, and more than is needed"
            return Finding(subject, Verdict.WRONG, said, lines)
        return Finding(subject, Verdict.OK, "in the file")
    if seen.events:
        return Finding(subject, Verdict.OK, "a completion event came")
    # Whoever has a write line in this file has no read line there either, if none was found.
    if classes or seen.classes(user, "write"):
        said = "missing; without it no completion event comes, and results and failures are unknown"
        return Finding(subject, Verdict.WRONG, said, lines)
    return _untold(subject, lines, seen, user)


def _channelvars(seen: _Seen, version: Version) -> Finding:
    subject = "channelvars"
    if version.before_fax_actions:
        said = (
            f"Asterisk {version.major} puts no variables on fax events, whatever the file says: "
            "failures and their reasons stay unknown"
        )
        return Finding(subject, Verdict.WRONG, said, do="use Asterisk 13 or newer")
    there = seen.value("manager.conf", "general", "channelvars")
    missing = manager_conf.missing_variables(there)
    line = manager_conf.all_variables(there)
    # A line that lacks a name of theirs would take it away.
    whole = len(there) < _VALUE and printable(line) == line
    lines = Lines("manager.conf", "general", (line,)) if whole else None
    came = any(result.succeeded is not None for result in seen.results)
    unknown = "failures and their reasons are unknown without"
    if seen.results and not came and seen.reads_files and not missing:
        said = f"in the file, but a completion event came without its result; {unknown}"
        return Finding(subject, Verdict.WRONG, said, None, *_UNREAD)
    if not seen.reads_files:
        if came:
            return Finding(subject, Verdict.OK, "a completion event came with its result")
        if seen.results:
            said = f"a completion event came without its result; {unknown}"
            return Finding(subject, Verdict.WRONG, said, lines, _FIRST)
        return _untold(subject, lines, seen)
    if not missing:
        said = "a completion event came with its result" if came else "in the file"
        return Finding(subject, Verdict.OK, said)
    said = f"{', '.join(missing)} missing; {unknown}"
    if came:
        said = (
            f"{', '.join(missing)} missing in the file, yet a completion event came with its "
            "result: Asterisk keeps what it once read until it restarts, and then loses it"
        )
    if blanks := [name for name in manager_conf.with_blanks(there) if name in missing]:
        said += f"; {', '.join(blanks)} has a blank beside it, and Asterisk takes that for a part "
        said += "of the name"
    for file in INCLUDED:
        if lines and not manager_conf.missing_variables(seen.value(file, "general", subject)):
            return Finding(subject, Verdict.WRONG, said, lines, _second(file))
    if lines is None:
        do = f"add ,{','.join(missing)} to the line that is there, which cannot be shown whole"
        return Finding(subject, Verdict.WRONG, said, None, do, (_RELOAD,))
    return Finding(subject, Verdict.WRONG, said, lines, "" if there else _FIRST)


_UNREAD: Final = ("the file has this line, but was not read since", (_RELOAD,))
_FIRST: Final = (
    "if the file has this line, it is below a second [general], and Asterisk only takes the first: "
    "make that [general](+), or add the lines at the end of the file"
)


def _second(file: str) -> str:
    return (
        f"{file} has them, below a second [general], and Asterisk only takes the first: make it "
        "[general](+) there, or instead add the lines at the end of manager.conf"
    )


def _disabledevents(seen: _Seen) -> Iterable[Finding]:
    there = seen.value("manager.conf", "general", "disabledevents")
    if events := manager_conf.disabled(there):
        said = f"{', '.join(events)} disabled for all users: no such event comes"
        line = manager_conf.without_completions(there)
        if len(there) < _VALUE and printable(line) == line:
            lines = Lines("manager.conf", "general", (line,))
            yield Finding("disabledevents", Verdict.WRONG, said, lines)
        else:
            do = f"take {' and '.join(events)} out of the line, which cannot be shown whole"
            yield Finding("disabledevents", Verdict.WRONG, said, None, do, (_RELOAD,))


def _eventfilter(seen: _Seen, user: str, version: Version) -> Finding:
    subject, lines = "eventfilter", Lines("manager.conf", user, manager_conf.eventfilters(version))
    if seen.unwanted:
        said = "other events than SendFAX and ReceiveFAX come, up to thousands a second"
        do = "put the lines in place of every eventfilter that is there" if seen.filters else ""
        return Finding(subject, Verdict.WRONG, said, lines, do)
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
        said = f"lets {', '.join(new)} through, and no line for {stopped} is seen"
        return Finding(subject, Verdict.WRONG, said, replace(lines, lines=added))
    if not seen.classes(user, "write"):
        return _untold(subject, lines, seen, user)
    if known is not False:
        said = "none in the old syntax, and one in the new cannot be seen where it has no value; "
        said += "no other event came"
        return Finding(subject, Verdict.UNKNOWN, said, lines)
    said = "missing; a busy PBX sends thousands of events a second that nobody wants"
    return Finding(subject, Verdict.WRONG, said, lines)


def _old_filters(seen: _Seen, lines: Lines, version: Version) -> Finding:
    subject = "eventfilter"
    said = printable("; ".join(seen.filters))
    do = "put the lines in place of every eventfilter that is there"
    effect = manager_conf.filters(seen.filters, basic=version.before_fax_actions)
    if effect is None:
        said = f"{said}: is not one whose effect can be told"
        return Finding(subject, Verdict.UNKNOWN, said, lines)
    if effect.stopped:
        said = f"{said}: lets no {' and no '.join(effect.stopped)} event through"
        if not any(value.startswith("!") for value in seen.filters):
            do = ""  # one that lets them through is enough
        if version.before_fax_actions:
            do = (
                "before Asterisk 13 a filter is a basic regular expression, where ( and | are plain"
            )
        return Finding(subject, Verdict.WRONG, said, lines, do)
    if effect.wide:
        said = f"{said}: lets other events through, and a busy PBX sends thousands a second"
        return Finding(subject, Verdict.WRONG, said, lines, do)
    return Finding(subject, Verdict.OK, "in the file")


def _second_general(there: Sequence[Section], user: str) -> Iterable[Finding]:
    """Of files in which this user is too: others are not those of this PBX."""
    if not any(section.name == user for section in there):
        return
    for section in manager_files.repeated("general", there):
        where = f"{section.file}:{section.line}"
        said = f"{where} begins another [general]; Asterisk takes the first alone, and ignores this"
        do = "make it [general](+), which adds to the first; then, what is below it is read by:"
        yield Finding("second [general]", Verdict.WRONG, said, None, do, (_RELOAD,))


def _ecm(seen: _Seen) -> Finding:
    if not seen.reads_files:
        why, _, _ = _why_unread(seen, "func_config")
        said = f"cannot be told, since {why}; on is Asterisk's default"
        return Finding("ECM", Verdict.UNKNOWN, said)
    said = seen.value("res_fax.conf", "general", "ecm")
    if said and not manager_conf.is_on(said):
        return Finding("ECM", Verdict.OK, "off unless a call sets it: bad lines are counted")
    said = (
        "on unless a call sets it: damaged lines are sent again, and show only as pages that take "
        "longer"
    )
    return Finding("ECM", Verdict.OK, said)


def _why_unread(seen: _Seen, module: str) -> tuple[str, str, tuple[str, ...]]:
    """Why a function told nothing, how to have it tell, and the command."""
    if not seen.may_getvar:
        return "the user may not Getvar", "", ()
    do = f"load {module}.so to have this checked, check again, and unload it if it is not wanted:"
    commands = tuple(f"asterisk -rx 'module {verb} {module}.so'" for verb in ("load", "unload"))
    return f"{module} is not loaded", do, commands


def _untold(subject: str, lines: Lines | None, seen: _Seen, user: str = "") -> Finding:
    why, do, commands = _why_unread(seen, "func_config")
    if seen.reads_files and user:
        name = printable(user)
        why, do, commands = f"manager.conf has no [{name}] with classes to be read", "", ()
        if not manager_conf.can_ask_for(user):
            why = f"the name {name} cannot be asked for"
    said = f"cannot be told before a fax ends, since {why}"
    return Finding(subject, Verdict.UNKNOWN, said, lines, do, commands)
