"""What the exporter's side lacks: the variables of its login, and the file of the secret; and how
both are as they were before."""

import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.settings import AmiSettings
from exporter.setup_pbx import block
from exporter.setup_pbx.change import HIDDEN, Change, Owned
from exporter.setup_pbx.conf_files import content_of
from exporter.setup_pbx.environment_file import variables
from exporter.setup_pbx.refusal import Refusal

FOLDER: Final = Path("/etc/asterisk-fax-exporter")
USER: Final = "asterisk-fax-exporter"
"""Of the service."""
MARK: Final = "#"
_AMI: Final = "FAX_EXPORTER_AMI_"
_SECRET_FILE: Final = f"{_AMI}SECRET_FILE"
_WAS: Final = "# secret before: "
_NONE, _EMPTY = "none", "empty"
_OURS: Final = re.compile(rf"\s*|{_WAS}.*|({_AMI}[A-Z_]+|FAX_EXPORTER_DEMO)=.*")
"""A line as those that `plan` writes, whatever its value."""


@dataclass(frozen=True)
class ExporterSide:
    """What to write, in this order, and what to know of it."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


def secret_of(folder: Path) -> str | None:
    """The secret that the exporter's side has; None without. Raises Refusal."""
    content = content_of(folder / "secret")
    return None if content is None else content.decode("utf-8", "replace").strip("\r\n") or None


def plan(folder: Path, login: AmiSettings, copy: Path, user: str = USER) -> ExporterSide:
    """What is to be written in `folder` for this login. `copy`: where a secret that is there is
    kept. `user`: of the service.

    Raises Refusal.
    """
    file, secret_file = folder / "environment", folder / "secret"
    before, secret_before = content_of(file), content_of(secret_file)
    secret = login.secret.get_secret_value().encode()
    found = _found(file, before)
    others = b"" if before is None else block.taken(file, before) or b""
    set_by_others = variables(others)
    if set_by_others.is_open:
        raise Refusal(
            f"{file}: ends inside a value, by a quote or a backslash, so that what is added would "
            "be of that value: end it, and run this again"
        )
    if set_by_others.values.get("FAX_EXPORTER_CONFIG_FILE", ("", 0))[0]:
        number = set_by_others.values["FAX_EXPORTER_CONFIG_FILE"][1]
        raise Refusal(
            f"{file}:{number}: FAX_EXPORTER_CONFIG_FILE names several PBXs, and no other can be "
            "set beside it: add this one to that file, with a user made by hand, as "
            "docs/fleet.md and deploy/asterisk/snippets/ say"
        )
    was = _was(found, secret_before, copy) if secret_before != secret + b"\n" else _kept(found)
    said = dict(_variables(login, set_by_others.values, secret_file))
    lines = (f"{_WAS}{was}", *(f"{name}={value}" for name, value in said.items()))
    notes = [
        f"{file}:{set_by_others.values[name][1]}: sets {name}, and the line below it holds"
        for name in said
        if set_by_others.values.get(name, ("", 0))[0]
    ]
    words = f"{HIDDEN}, a new random secret" + (
        f"; what was in it is kept in {copy}" if was not in (_NONE, _EMPTY) else ""
    )
    return ExporterSide(
        (
            Change(file, before, block.put(file, before, lines, MARK), _of_this_user(before)),
            Change(secret_file, secret_before, secret + b"\n", _owner(user), True, words),
        ),
        tuple(notes),
    )


def removal(folder: Path, ami_secrets: set[str]) -> ExporterSide:
    """What is to be written so that both files are as they were. `ami_secrets`: those in the lines
    that go from Asterisk's side; another one is not ours, and stays. Raises Refusal."""
    file, secret_file = folder / "environment", folder / "secret"
    before, secret = content_of(file), content_of(secret_file)
    found = _found(file, before)
    if before is None or found is None:
        return ExporterSide(())
    changes, notes = [Change(file, before, block.taken(file, before))], []
    was = _kept(found)
    if secret is None:
        pass
    elif ami_secrets and secret.decode("utf-8", "replace").strip("\r\n") not in ami_secrets:
        notes.append(f"{secret_file}: holds another secret than --setup-pbx has written, and stays")
    elif was == _NONE:
        changes.append(Change(secret_file, secret, None, None, True))
    elif was == _EMPTY:
        changes.append(Change(secret_file, secret, b"", None, True, "is empty again"))
    else:
        kept = content_of(folder / Path(was).name)
        if kept is None:
            notes.append(f"{secret_file}: stays, since {was}, which has what was in it, is gone")
        else:
            words = f"has again what {was} has"
            changes.append(Change(secret_file, secret, kept, None, True, words))
    return ExporterSide(tuple(changes), tuple(notes))


def _found(file: Path, content: bytes | None) -> block.Block | None:
    """Our lines. Raises Refusal if they cannot be told from others."""
    found = None if content is None else block.find(file, content)
    if found is not None:
        block.check_all_is_ours(file, found, _OURS)
    return found


def _was(found: block.Block | None, secret: bytes | None, copy: Path) -> str:
    """What was in the file of the secret before the first run."""
    if found is not None:
        return _kept(found)
    if secret is None:
        return _NONE
    return str(copy) if secret else _EMPTY


def _kept(found: block.Block | None) -> str:
    lines = () if found is None else found.lines
    return next((line.removeprefix(_WAS) for line in lines if line.startswith(_WAS)), _EMPTY)


def _variables(
    login: AmiSettings, others: dict[str, tuple[str, int]], secret_file: Path
) -> Iterator[tuple[str, str]]:
    """What to set: what is not the default, and what others set and must not hold."""
    defaults = AmiSettings.model_fields
    wanted = {f"{_AMI}USERNAME": login.username}
    for name in ("host", "port"):
        if getattr(login, name) != defaults[name].default:
            wanted[f"{_AMI}{name.upper()}"] = str(getattr(login, name))
    for name, (value, _) in others.items():
        unwanted = name.startswith(_AMI) or name == "FAX_EXPORTER_DEMO"
        if unwanted and value and name not in wanted and not name.endswith("_TIMEOUT"):
            wanted[name] = str(secret_file) if name == _SECRET_FILE else ""
    yield from wanted.items()


def _owner(user: str) -> Owned:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return Owned(os.geteuid(), os.getegid(), 0o600)
    return Owned(entry.pw_uid, entry.pw_gid, 0o600)


def _of_this_user(before: bytes | None) -> Owned | None:
    return Owned(os.geteuid(), os.getegid(), 0o644) if before is None else None
