"""What Asterisk's side lacks: the lines of a user of least privilege and of [general], in the right
file, tried out on Asterisk's reading of all files before any is written."""

import asyncio
import ipaddress
import os
import re
import secrets
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from exporter.check_pbx import manager_conf
from exporter.check_pbx.addresses import Address, address_here, permit
from exporter.check_pbx.ami_user import OWN_USER
from exporter.fax import Version
from exporter.settings import AmiSettings
from exporter.setup_pbx import block
from exporter.setup_pbx.change import Change, Owned
from exporter.setup_pbx.conf import Conf, Section, read
from exporter.setup_pbx.conf_files import content_of
from exporter.setup_pbx.places import Place, places, same_user_elsewhere
from exporter.setup_pbx.refusal import Refusal

NAMES: Final = (OWN_USER, "asterisk-fax-exporter", "prometheus-fax-exporter")
"""Of the user; the first that is free."""
MARK: Final = ";"
_OURS: Final = re.compile(
    r"\s*|\[[^\]]*\](\(\+\))?|(enabled|bindaddr|channelvars|secret|deny|permit|read|write|writetimeout"
    r"|displayconnects|eventfilter(\(.*\))?)\s*=.*"
)
"""A line as those of `_Wanted.lines`, whatever its value."""
_PORT: Final = 5038
_NEW_MODE: Final = 0o640


@dataclass(frozen=True)
class AmiSide:
    """What to write, and how to log in then."""

    change: Change
    login: AmiSettings
    notes: tuple[str, ...] = ()
    """What the administrator should know of it."""


@dataclass(frozen=True)
class _Wanted:
    """Of the files without our lines: what ours are to be."""

    user: str
    secret: str
    version: Version
    bare: Conf
    login: AmiSettings
    general: tuple[str, ...]
    notes: list[str] = field(default_factory=list)

    def lines(self, head: str) -> tuple[str, ...]:
        """Ours, where `head` begins [general]."""
        here = asyncio.run(address_here(self.login))
        general = (head, *self.general, "") if self.general else ()
        return (
            *general,
            f"[{self.user}]",
            f"secret = {self.secret}",
            "deny = 0.0.0.0/0.0.0.0",
            "deny = ::/0",
            permit(here or ipaddress.ip_address("127.0.0.1")),
            manager_conf.READ,
            manager_conf.WRITE,
            "writetimeout = 5000",
            "displayconnects = no",
            *_eventfilters(self.version),
        )


def plan(folder: Path, version: Version, kept: str | None, asterisks_group: int | None) -> AmiSide:
    """What is to be written in `folder`. `kept`: the secret that the exporter's side has, which
    stays if Asterisk's side has the same. `asterisks_group`: the id of the group that Asterisk runs
    as, None if unknown.

    Raises Refusal.
    """
    if not folder.is_dir():
        raise Refusal(f"{folder}: there is no such folder: run this where Asterisk runs")
    there = read(folder)
    ours = ours_in(there)
    for path in ours:
        check_all_is_ours(path, there.files[path])
    without = {path: block.taken(path, there.files[path]) for path in ours}
    bare = read(folder, without)
    if len(ours) > 1:
        raise Refusal(
            f"{' and '.join(map(str, ours))} both have lines of --setup-pbx: run this with "
            "--remove first"
        )
    earlier = _earlier_user(there, ours)
    user = _free_name(bare, earlier[0])
    secret = earlier[1] if earlier[1] and earlier[1] == kept else secrets.token_hex(32)
    login = _login(bare, user, secret)
    wanted = _Wanted(user, secret, version, bare, login, tuple(_general(bare)))
    candidates = [Place(ours[0], "")] if ours else list(places(bare))
    found: tuple[Change, list[str]] | None = None
    problems: list[str] = []
    for place in candidates:
        try:
            change, overridden = _tried(wanted, place)
        except Refusal as refusal:
            problems.append(str(refusal))
            continue
        if found is None or (found[1] and not overridden):
            found = change, overridden
    if found is None:
        raise Refusal("\n".join(problems))
    change, overridden = found
    notes = [*overridden, *_notes(wanted, earlier[0], change)]
    return AmiSide(_owned(change, folder, asterisks_group), login, tuple(notes))


def ended_by_reloads(conf: Conf) -> str:
    """Why a `manager reload` may end Asterisk, '' if it does not: the second one after its start
    does, seen on 16.28 and 22.10, where a user sets variables: they are freed twice."""
    for section in conf.sections:
        line = None if section.name.lower() == "general" else section.last("setvar")
        if line is not None and "=" in line.value and not section.template:
            return (
                f"{line.file}:{line.number}: setvar of [{section.name}], with which Asterisk "
                "crashes at the second manager reload since its start. So it is not told to "
                "reload, and reads the files when it restarts, which this does once no call runs: "
                "asterisk -rx 'core restart when convenient'"
            )
    return ""


def ours_in(conf: Conf) -> list[Path]:
    """The files with lines of ours. Raises Refusal, see `block.find`."""
    return [path for path, content in conf.files.items() if block.find(path, content)]


def check_all_is_ours(path: Path, content: bytes) -> None:
    """Raises Refusal if somebody has put lines of his own between ours."""
    found = block.find(path, content)
    if found is None:
        return
    block.check_all_is_ours(path, found, _OURS)
    users = [
        (number, line)
        for number, line in enumerate(found.lines, found.first + 1)
        if line.startswith("[") and not line.startswith("[general]")
    ]
    for number, line in users[1:]:
        raise Refusal(
            f"{path}:{number}: {line} is between the lines BEGIN and END of --setup-pbx and not of "
            "it: move it below the END, and run this again"
        )


def check_only_ours_goes(folder: Path, overlay: dict[Path, bytes | None]) -> None:
    """Raises Refusal if, without our lines, Asterisk would read lines of others otherwise."""
    there, after = read(folder), read(folder, overlay)
    if _others(there, ours_in(there)) != _others(after, []):
        where = ", ".join(map(str, overlay))
        raise Refusal(
            f"{where}: below the lines of --setup-pbx there are others that belong to the last "
            "section of those; begin them with a section of their own, then run this again"
        )


def _earlier_user(conf: Conf, ours: list[Path]) -> tuple[str, str]:
    """Name and secret of the user in our lines; empty if there are none."""
    for path in ours:
        found = block.find(path, conf.files[path])
        for section in conf.sections:
            if section.name == "general":
                continue
            if found and section.file == path and found.first < section.number < found.last:
                line = section.last("secret")
                return section.name, "" if line is None else line.value
    return "", ""


def _free_name(bare: Conf, earlier: str) -> str:
    for name in (*filter(None, (earlier,)), *NAMES):
        if bare.begun_as(name) is None and not same_user_elsewhere(bare.folder, name):
            return name
    taken = ", ".join(f"[{name}]" for name in NAMES)
    raise Refusal(
        f"{bare.folder}: {taken} are all there, and not by --setup-pbx: delete one that is not "
        "used any more, or give the exporter one of them with --ami.username and --ami.secret-file"
    )


def _general(bare: Conf) -> Iterator[str]:
    """What [general] lacks. AMI that was off for all goes on for this machine alone."""
    enabled = bare.general("enabled")
    if enabled is None or not manager_conf.is_on(enabled.value):
        yield "enabled = yes"
        yield "bindaddr = 127.0.0.1"
    line = bare.general("channelvars")
    variables = "" if line is None else line.value
    if manager_conf.missing_variables(variables):
        said = manager_conf.all_variables(variables)
        if line is not None and (not manager_conf.can_be_pasted(said) or {*said} & {*';\\"'}):
            missing = ",".join(manager_conf.missing_variables(variables))
            raise Refusal(
                f"{line.file}:{line.number}: has names that cannot be repeated as they are: add "
                f",{missing} to this channelvars line, and run this again"
            )
        yield said


def _login(bare: Conf, user: str, secret: str) -> AmiSettings:
    """Where Asterisk listens without TLS, seen from this machine, and the user."""
    given: dict[str, object] = {"username": user, "secret": SecretStr(secret)}
    enabled = bare.general("enabled")
    bound = bare.general("bindaddr")
    if enabled is not None and manager_conf.is_on(enabled.value) and bound is not None:
        address = _address(bound.value)
        if address is not None and not address.is_unspecified:
            given["host"] = str(address)
    port = bare.general("port")
    if port is not None and re.fullmatch("[0-9]{1,5}", port.value):
        given["port"] = int(port.value) if 1024 <= int(port.value) <= 65535 else _PORT
    return AmiSettings.model_validate(given)


def _address(bound: str) -> Address | None:
    """The address in the value of bindaddr, whose port Asterisk ignores; None if it is none, and
    Asterisk takes all addresses."""
    for text in (bound, bound.rpartition(":")[0]):
        try:
            return ipaddress.ip_address(text.strip("[]"))
        except ValueError:
            continue
    return None


def _tried(wanted: _Wanted, place: Place) -> tuple[Change, list[str]]:
    """The change of this file, and what keeps it from its whole effect. Raises Refusal."""
    bare, path = wanted.bare, place.path
    before = content_of(path)
    # A [general] that is not added to the first would hide it, or be hidden by it.
    head = "[general](+)" if bare.section("general") else "[general]"
    after = block.put(path, before, wanted.lines(head), MARK)
    overridden = _judged(wanted, path, after, read(bare.folder, {path: after}))
    return Change(path, before, after, words=place.why), overridden


def _judged(wanted: _Wanted, path: Path, after: bytes, conf: Conf) -> list[str]:
    """What overrides ours. Raises Refusal if Asterisk would read the lines of others otherwise, or
    ours not at all."""
    bare, ours = wanted.bare, block.find(path, after)
    assert ours is not None
    if path not in conf.files:
        raise Refusal(f"{path}: is not what manager.conf includes")
    user = conf.section(wanted.user)
    if since := bare.comments.get(path):
        raise Refusal(
            f"{path}:{since}: has a ;-- without its --; or the reverse, so that to Asterisk all "
            "that is below it is a comment, and what is added too: correct that, and run this again"
        )
    if path in conf.cut:
        raise Refusal(f"{conf.cut[path]}, so that what is added below is not read: correct that")
    if user is None:
        raise Refusal(f"{path}: with our lines in it Asterisk would see no user {wanted.user}")
    if _others(conf, [path]) != _others(bare, []):
        raise Refusal(f"{path}: with our lines in it Asterisk would read those of others otherwise")
    overridden = []
    for said in wanted.general:
        name = said.partition(" ")[0]
        line = conf.general(name)
        if line is None or (line.file, ours.first < line.number < ours.last) != (path, True):
            where = "another line" if line is None else f"{line.file}:{line.number}"
            if name == "enabled":
                raise Refusal(
                    f"{where}: is read after our lines and switches AMI off again: take it away, "
                    "or make it enabled = yes, and run this again"
                )
            overridden.append(
                f"{where}: is read after our lines, and its {name} holds instead of ours: make it "
                f"{said}"
            )
    return overridden


def _others(conf: Conf, with_ours: list[Path]) -> list[tuple[str, bool, list[tuple[str, str]]]]:
    """What Asterisk reads of the lines that are not ours: sections and what they set."""
    blocks = {path: block.find(path, conf.files[path]) for path in with_ours}

    def is_ours(file: Path, number: int) -> bool:
        found = blocks.get(file)
        return found is not None and found.first < number < found.last

    def those(section: Section) -> list[tuple[str, str]]:
        return [
            (line.name, line.value) for line in section.lines if not is_ours(line.file, line.number)
        ]

    return [
        (section.name, section.template, those(section))
        for section in conf.sections
        if not is_ours(section.file, section.number) or those(section)
    ]


def _notes(wanted: _Wanted, earlier: str, change: Change) -> Iterator[str]:
    bare = wanted.bare
    first = bare.begun_as(NAMES[0])
    if first is not None and wanted.user != NAMES[0]:
        yield (
            f"{first.file}:{first.number}: there is a [{first.name}] that is not of --setup-pbx; "
            f"it is left as it is, and the user is named {wanted.user}"
        )
    if "enabled = yes" in wanted.general:
        yield "AMI was switched off for all, and is switched on, for 127.0.0.1 alone"
        tls = bare.general("tlsenable")
        if tls is not None and manager_conf.is_on(tls.value):
            yield (
                f"{tls.file}:{tls.number}: tlsenable = {tls.value}, so that AMI over TLS is "
                "switched on with it, for whom tlsbindaddr says"
            )
    yield from bare.cut.values()
    for program in bare.programs:
        yield (
            f"{program.file}:{program.number}: #exec is not executed here, so it is not known what "
            "it adds"
        )
    multiple = bare.general("allowmultiplelogin")
    if multiple is not None and not manager_conf.is_on(multiple.value):
        yield (
            f"{multiple.file}:{multiple.number}: allowmultiplelogin = {multiple.value}, so that "
            "--check-pbx is refused while the exporter is connected"
        )
    real = Path(os.path.realpath(change.path))
    if real != change.path:
        yield f"{change.path}: is a link; what it leads to is written, {real}"
    if change.before is not None and real.stat().st_mode & stat.S_IROTH:
        yield (
            f"{change.path}: its mode lets all users of this machine read it, and so the secrets "
            f"in it: chmod o= {shlex.quote(str(real))}"
        )


def _owned(change: Change, folder: Path, group: int | None) -> Change:
    """A new file has a secret in it, and Asterisk must read it."""
    if change.before is not None:
        return change
    main = folder / "manager.conf"
    like = (main if main.exists() else folder).stat()
    owned = Owned(like.st_uid, like.st_gid if group is None else group, _NEW_MODE)
    return Change(change.path, change.before, change.after, owned)


def _eventfilters(version: Version) -> tuple[str, ...]:
    """Those that compare names, which cost the PBX less, where Asterisk is sure to know them."""
    if manager_conf.knows_new_filters(version):
        return tuple(f"{name} = {value}" for name, value in manager_conf.NEW_EVENTFILTERS.items())
    return manager_conf.eventfilters(version)
