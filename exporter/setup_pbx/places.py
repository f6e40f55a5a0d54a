"""In which file of Asterisk's the exporter's user belongs: one that is made for additions where
there is one, else the end of manager.conf."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from exporter.setup_pbx.conf import Conf
from exporter.setup_pbx.conf_files import content_of, included
from exporter.setup_pbx.refusal import Refusal

OWN_FILE: Final = "asterisk-fax-exporter.conf"
"""In a folder that manager.conf includes as a whole."""
CUSTOM: Final = "manager_custom.conf"
"""What FreePBX, and those made of it, include and leave to the administrator."""
_HEAD: Final = 4096
_GENERATED: Final = re.compile(
    rb"^[ \t]*;.*(FreePBX|Issabel|Elastix)", re.IGNORECASE | re.MULTILINE
)
_WILD_FOLDER: Final = re.compile(r"[*?\[{]")


@dataclass(frozen=True)
class Place:
    """A file to write into, and why this one."""

    path: Path
    why: str


def generated_by(conf: Conf) -> str:
    """The program that writes manager.conf anew whenever it likes, by the comment at its head; ''
    if it is the administrator's."""
    head = conf.files.get(conf.folder / "manager.conf", b"")[:_HEAD]
    match = _GENERATED.search(head)
    return "" if match is None else match[1].decode()


def places(conf: Conf) -> Iterator[Place]:
    """The files that could be written, the best first. `conf`: as it is without our lines.

    Raises Refusal if manager.conf is written by a program, and has no place for additions.
    """
    main, generator = conf.folder / "manager.conf", generated_by(conf)
    for one in conf.includes:
        if PurePosixPath(one.name).name == CUSTOM:
            owner = generator or "the PBX' own program"
            why = f"{owner} writes manager.conf, and leaves this file to you"
            yield Place(conf.folder / one.name, why)
            return
    if generator:
        raise Refusal(
            f"{main}: {generator} writes this file, so that what is added is lost, and it does not "
            f"include {CUSTOM}, where it would stay: see what {generator} has for additional users"
        )
    for one in conf.includes:
        path = conf.folder / PurePosixPath(one.name).parent / OWN_FILE
        if _WILD_FOLDER.search(str(path.parent)) or not path.parent.is_dir():
            continue
        if path in included(conf.folder, one.name, {path: b""}) and "*" in one.name:
            yield Place(path, f"{one.file}:{one.number} includes {one.name}")
    yield Place(main, "at its end" if main in conf.files else "there is none yet")


def same_user_elsewhere(folder: Path, name: str) -> bool:
    """Whether users.conf, up to Asterisk 20, has a section of this name, which may be a user of AMI
    too."""
    try:
        content = content_of(folder / "users.conf")
    except Refusal:
        return False
    begins = rf"^\s*\[{re.escape(name)}\]"
    return content is not None and bool(
        re.search(begins.encode(), content, re.IGNORECASE | re.MULTILINE)
    )
