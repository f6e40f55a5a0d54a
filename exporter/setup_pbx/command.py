"""--setup-pbx: what it shows, asks, writes and says, in this order. Raises nothing; its status is
that of --check-pbx if it gets that far."""

import asyncio
import select
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter.check_pbx import WIDTH, Verdict, check, text
from exporter.fax import Version
from exporter.settings import PROGRAM, AmiSettings
from exporter.setup_pbx import ami_side, asterisk_here, block, exporter_side, writing
from exporter.setup_pbx.asterisk_here import AsteriskHere
from exporter.setup_pbx.change import Change
from exporter.setup_pbx.conf import read
from exporter.setup_pbx.conf_files import content_of
from exporter.setup_pbx.places import CUSTOM, OWN_FILE
from exporter.setup_pbx.refusal import Refusal
from exporter.words import say

_UNIT: Final = "asterisk-fax-exporter"
_NOTHING: Final = "nothing was changed"
_LOOK_SECONDS: Final = 0.2
"""Between two looks whether a signal has come."""
_NOT_AGAIN: Final = (
    "If AMI was switched off by a reload before, Asterisk 16 does not listen again until it is "
    "restarted, which this does once no call runs: asterisk -rx 'core restart when convenient'"
)


@dataclass(frozen=True)
class Machine:
    """What is looked for on it, and where; another one only in tests."""

    exporter: Path = exporter_side.FOLDER
    find: Callable[[], AsteriskHere] = asterisk_here.find
    service_is_active: Callable[[], bool | None] = asterisk_here.service_is_active
    listen: float = 2.0
    """Seconds that --check-pbx listens for events."""


@dataclass(frozen=True)
class Wish:
    """What the flags say."""

    dry_run: bool = False
    remove: bool = False
    yes: bool = False


@dataclass
class _Plan:
    changes: list[Change]
    notes: list[str] = field(default_factory=list)
    login: AmiSettings | None = None
    no_reload: str = ""
    """Why Asterisk is not told to reload; '' if it is."""


def setup_pbx(wish: Wish, machine: Machine | None = None) -> int:
    """Do it, and return the exit status: that of --check-pbx; 0 after --remove and --dry-run; 1 if
    it cannot be done, or was not agreed to."""
    machine = machine or Machine()
    try:
        asterisk = machine.find()
        if wish.remove:
            return _remove(wish, machine, asterisk)
        return _add(wish, machine, asterisk)
    except Refusal as refusal:
        say(f"--setup-pbx: {refusal}", sys.stderr)
        return 1
    except OSError as error:
        say(f"--setup-pbx: {error.filename}: {error.strerror}", sys.stderr)
        return 1


def _add(wish: Wish, machine: Machine, asterisk: AsteriskHere) -> int:
    if not asterisk.runs and not wish.dry_run:
        raise Refusal(
            f"Asterisk does not run, or this user may not ask it: {asterisk.why_not}. Start it, "
            "and run this as root"
        )
    plan = _plan_to_add(machine, asterisk)
    login = plan.login
    assert login is not None
    where = f"{login.host}:{login.port}"
    what = f"Asterisk {asterisk.version}" if asterisk.runs else "Asterisk, which does not run now"
    say(f"{what}, in {asterisk.folder}; the exporter logs in as {login.username} at {where}")
    changes = [change for change in plan.changes if change.changes]
    if not changes:
        _say_notes(plan.notes)
        say("all is there already: nothing is to be written")
    elif not _agreed(wish, changes, plan.notes):
        return 0 if wish.dry_run else 1
    else:
        with writing.alone(asterisk.folder):
            _say_copies(writing.write(changes))
    if wish.dry_run:
        return 0
    if plan.no_reload and changes:
        say("Once it has restarted, run this again, which then checks it")
        return 1
    status = _reloaded_and_checked(asterisk, login, machine, reload=not plan.no_reload)
    _say_next(machine, login, bool(changes), status)
    return status


def _remove(wish: Wish, machine: Machine, asterisk: AsteriskHere) -> int:
    plan = _plan_to_remove(machine, asterisk)
    if not plan.changes:
        _say_notes(plan.notes)
        say(f"there is nothing of --setup-pbx in {asterisk.folder} or {machine.exporter}")
        return 0
    if not _agreed(wish, plan.changes, plan.notes):
        return 0 if wish.dry_run else 1
    with writing.alone(asterisk.folder):
        writing.write(plan.changes, keep=False)
    say("removed")
    if plan.no_reload:
        pass  # a note has said why, and what to do
    elif asterisk.runs:
        asterisk.reload()
        say("Asterisk has read it: manager reload")
        say("A channelvars line that is taken away holds until Asterisk is restarted.")
    else:
        say("Asterisk does not run, and reads it when it starts")
    for left in _copies(plan.changes):
        say(f"left as it is: {left}, a copy of what was there before")
    if machine.service_is_active():
        say(f"The exporter runs, and can no longer log in: systemctl disable --now {_UNIT}")
    return 0


def _plan_to_add(machine: Machine, asterisk: AsteriskHere) -> _Plan:
    kept = exporter_side.secret_of(machine.exporter)
    version = Version.parse(asterisk.version)
    ami = ami_side.plan(asterisk.folder, version, kept, asterisk.group)
    copy = writing.next_copy(machine.exporter / "secret")
    exporter = exporter_side.plan(machine.exporter, ami.login, copy)
    # Asterisk's side last: with a secret that only the exporter has, nobody gets in.
    changes = [*exporter.changes, ami.change]
    no_reload = _no_reload(asterisk)
    notes = [*ami.notes, *exporter.notes, *filter(None, [no_reload])]
    return _Plan(changes, notes, ami.login, no_reload)


def _plan_to_remove(machine: Machine, asterisk: AsteriskHere) -> _Plan:
    folder = asterisk.folder
    known = {folder / CUSTOM, folder / "manager.d" / OWN_FILE, folder / "manager.conf"}
    files = {path: content_of(path) for path in {*read(folder).files, *known}}
    ours = {p: c for p, c in sorted(files.items()) if c is not None and block.find(p, c)}
    for path, content in ours.items():
        ami_side.check_all_is_ours(path, content)
    overlay = {path: block.taken(path, content) for path, content in ours.items()}
    ami_side.check_only_ours_goes(folder, overlay)
    secrets = {
        line.partition("=")[2].strip()
        for path, content in ours.items()
        if (found := block.find(path, content))
        for line in found.lines
        if line.startswith("secret =")
    }
    exporter = exporter_side.removal(machine.exporter, secrets)
    changes = [Change(path, ours[path], overlay[path]) for path in ours]
    both = {
        *known,
        *read(folder).files,
        machine.exporter / "environment",
        machine.exporter / "secret",
    }
    # Last: a file that is written now is beside its place by the same name until then.
    left = writing.left_behind(both)
    no_reload = _no_reload(asterisk) if changes else ""
    notes = [*exporter.notes, *filter(None, [no_reload])]
    return _Plan([*changes, *exporter.changes, *left], notes, no_reload=no_reload)


def _no_reload(asterisk: AsteriskHere) -> str:
    return ami_side.ended_by_reloads(read(asterisk.folder)) if asterisk.runs else ""


def _agreed(wish: Wish, changes: Sequence[Change], notes: Sequence[str]) -> bool:
    """Shows what would be written, and asks. Raises Refusal if it could not be, or nobody can be
    asked."""
    for change in changes:
        say("")
        for line in change.shown():
            say(line)
    say("")
    _say_notes(notes)
    obstacles = [why for change in changes if (why := writing.why_not_writable(change))]
    if wish.dry_run:
        for why in obstacles:
            say(f"could not be done now: {why}")
        say("--dry-run: nothing was written")
        return False
    if obstacles:
        raise Refusal("\n".join(dict.fromkeys(obstacles)))
    if wish.yes:
        return True
    if not sys.stdin or not sys.stdin.isatty():
        raise Refusal("there is no terminal to ask on: with --yes it is done without; " + _NOTHING)
    if _answer("Do this? (y/N) ").strip().lower() not in ("y", "yes"):
        say(_NOTHING)
        return False
    return True


def _answer(question: str) -> str:
    """What is typed. Not `input`, which a signal that comes just before it does not end."""
    print(question, end="", flush=True)
    while not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        pass
    return sys.stdin.readline()


def _reloaded_and_checked(
    asterisk: AsteriskHere, login: AmiSettings, machine: Machine, *, reload: bool
) -> int:
    try:
        if reload:
            asterisk.reload()
    except Refusal as refusal:
        say(
            f"{refusal}\nAll is written, but Asterisk did not read it: type that",
            sys.stderr,
        )
        return 1
    if reload:
        say("Asterisk has read it: manager reload")
    report = asyncio.run(check("fax", login, listen=machine.listen, folder=asterisk.folder))
    say(text(report, shutil.get_terminal_size((WIDTH, 0)).columns))
    if any(f.subject == "connection" and f.verdict is Verdict.WRONG for f in report.findings):
        say(_NOT_AGAIN)
    return 1 if report.wrong else 0


def _say_next(machine: Machine, login: AmiSettings, changed: bool, status: int) -> None:
    if status:
        say(f"--check-pbx says above what is missing; {PROGRAM} --setup-pbx --remove undoes all")
    active = machine.service_is_active()
    if active is None:
        host = f" --ami.host={login.host}" if login.host != "127.0.0.1" else ""
        port = f" --ami.port={login.port}" if login.port != 5038 else ""
        file = shlex.quote(str(machine.exporter / "secret"))
        say(f"Next: {PROGRAM} --ami.username={login.username}{host}{port} --ami.secret-file={file}")
    elif not active:
        say(f"Next: systemctl enable --now {_UNIT}")
    elif changed:
        say(f"Next: systemctl restart {_UNIT}   (it runs, and still has the settings of before)")


def _say_notes(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"note: {note}")


def _say_copies(copies: Sequence[Path]) -> None:
    say("written")
    for copy in copies:
        say(f"what was there before: {copy}")


def _copies(changes: Sequence[Change]) -> Iterator[Path]:
    for change in changes:
        yield from sorted(change.path.parent.glob(f"{change.path.name}.{writing.COPY}*"))
