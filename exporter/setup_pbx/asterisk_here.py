"""The Asterisk of this machine: which runs, what its console says, where its files are. Its console
is asked to read and to reload the manager, never for more, and not for longer than a while."""

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.check_pbx.manager_files import FOLDER
from exporter.setup_pbx.refusal import Refusal

SECONDS: Final = 10.0
"""That a command of the console, or of systemd, may take."""
_PATH: Final = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin:/bin"
_CONSOLE: Final = re.compile(r"-[A-Za-z]*[rRx]")
_FOLDER_LINE: Final = re.compile(r"^\s*Configuration directory:\s*(/.*?)\s*$", re.MULTILINE)
_VERSION_LINE: Final = re.compile(r"^\s*Version:\s*(\S+)\s*$", re.MULTILINE)
_MAX_SAID: Final = 64 * 1024


@dataclass(frozen=True)
class Running:
    """A process of Asterisk, on this machine and not in a container."""

    number: int
    conf: str
    """The asterisk.conf that it was started with; '' if that of its build."""
    group: int | None
    """The id of the group that it runs as."""


@dataclass(frozen=True)
class AsteriskHere:
    """The one Asterisk of this machine."""

    command: tuple[str, ...]
    """Its console, without what it is to say."""
    folder: Path
    version: str
    """As it says it; '' if it does not run."""
    group: int | None
    """The id of the group that it runs as; None if unknown."""
    why_not: str = ""
    """What came instead of an answer."""

    @property
    def runs(self) -> bool:
        """Whether it answered."""
        return bool(self.version)

    def reload(self) -> None:
        """Has it read manager.conf again. Raises Refusal."""
        _said([*self.command, "-rx", "manager reload"])


def find(*, proc: Path = Path("/proc"), path: str | None = None) -> AsteriskHere:
    """The Asterisk of this machine, whether it runs or not. `path`: where the command asterisk is
    looked for.

    Raises Refusal if there is none, or more than one.
    """
    here, contained = _processes(proc)
    # The PATH of a user who became root by su may lack the folders of the system's programs.
    program = shutil.which("asterisk", path=path or f"{os.environ.get('PATH', '')}:{_PATH}")
    if program is None and contained:
        raise Refusal(
            f"Asterisk runs in a container (process {contained[0]}): what is to be added there, "
            "and how the exporter is told, is in deploy/asterisk/snippets/README.md"
        )
    if program is None:
        raise Refusal(
            "there is no command asterisk on this machine: run this where Asterisk runs, as root; "
            "with Asterisk in a container or elsewhere, deploy/asterisk/snippets/README.md has the "
            "lines to add"
        )
    confs = sorted({one.conf for one in here})
    if len(here) > 1:
        each = ", ".join(f"process {one.number} ({one.conf or 'its own files'})" for one in here)
        raise Refusal(
            f"several Asterisks run here: {each}. Give each a user by hand, and name them in a "
            "file for --config.file: deploy/asterisk/snippets/README.md and docs/fleet.md say how"
        )
    command = (program, *(("-C", confs[0]) if confs and confs[0] else ()))
    group = here[0].group if here else None
    said = why_not = ""
    try:
        said = _said([*command, "-rx", "core show settings"])
    except Refusal as refusal:
        why_not = str(refusal)
    folder, version = _FOLDER_LINE.search(said), _VERSION_LINE.search(said)
    return AsteriskHere(
        command,
        Path(folder[1]) if folder else FOLDER,
        version[1] if version else "",
        group,
        why_not,
    )


def service_is_active(name: str = "asterisk-fax-exporter") -> bool | None:
    """Whether systemd runs the exporter; None if there is no systemd, or no such unit."""
    program = shutil.which("systemctl")
    if program is None:
        return None
    try:
        said = _said([program, "show", "--property=LoadState,ActiveState", name])
    except Refusal:
        return None
    if "LoadState=loaded" not in said:
        return None
    return "ActiveState=active" in said


def _processes(proc: Path) -> tuple[list[Running], list[str]]:
    """Those of this machine, and the numbers of those in containers."""
    here, contained = [], []
    for folder in sorted(proc.glob("[0-9]*"), key=lambda one: int(one.name)):
        try:
            if (folder / "comm").read_text().strip() != "asterisk":
                continue
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if any(_CONSOLE.match(word) for word in words[1:]):
                continue
            if not _same_root(folder):
                contained.append(folder.name)
                continue
            here.append(Running(int(folder.name), _after("-C", words), _group(folder)))
        except OSError:
            continue  # it ended, or is not ours to look at
    return here, contained


def _same_root(process: Path) -> bool:
    """Whether it sees the same files: a service of systemd does, a container does not."""
    try:
        return os.path.samefile(process / "root", "/")
    except PermissionError:
        return True


def _after(flag: str, words: Sequence[str]) -> str:
    for word, following in itertools.pairwise(words):
        if word == flag:
            return following
    return ""


def _group(process: Path) -> int | None:
    match = re.search(r"^Gid:\s+\d+\s+(\d+)", (process / "status").read_text(), re.MULTILINE)
    return int(match[1]) if match else None


def _said(command: Sequence[str]) -> str:
    """What a command prints. Raises Refusal if it fails, or takes too long."""
    shown = " ".join([*command[:-1], f"'{command[-1]}'"])
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
            env=dict(os.environ, LC_ALL="C", TERM="dumb"),
        )
    except subprocess.TimeoutExpired:
        raise Refusal(f"{shown}: no answer within {SECONDS:g} s") from None
    except OSError as error:
        raise Refusal(f"{shown}: {error.strerror}") from None
    text = done.stdout[:_MAX_SAID].decode(errors="replace")
    if done.returncode != 0:
        last = text.strip().splitlines()[-1:] or ["nothing said"]
        raise Refusal(f"{shown}: status {done.returncode}, {last[0]}")
    return text
