"""The files of a configuration: read without waiting for one or filling the memory, and found by
the names that an #include has."""

import fnmatch
import os
import re
import stat
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from exporter.setup_pbx.refusal import Refusal

MAX_BYTES: Final = 1024 * 1024
"""Of one file; FreePBX' manager.conf has 2 KiB."""
_MAX_ENTRIES: Final = 10_000
"""Of a folder that is looked through."""
_WILD: Final = re.compile(r"[*?\[]")
_BRACES: Final = re.compile(r"\{([^{}]*)\}")


def content_of(path: Path) -> bytes | None:
    """What is in a file; None if there is none.

    Raises Refusal if it is no file, as a pipe or a device, too large, or may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise Refusal(f"{path}: this user may not read it; run this as root") from None
    except OSError as error:
        raise Refusal(f"{path}: cannot be read: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refusal(f"{path}: is no file, but a folder, a pipe or a device")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refusal(f"{path}: cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise Refusal(f"{path}: has more than {MAX_BYTES} bytes, which no manager.conf has")
    return content


def included(folder: Path, name: str, overlay: Mapping[Path, bytes | None]) -> list[Path]:
    """The files that a name in an #include means, sorted as glob(3) does: below `folder` unless it
    is absolute. `overlay`: files that are to be written or, if None, to be gone.

    Raises Refusal where a folder's name has wildcards, or a folder too many entries.
    """
    found: list[Path] = []
    for each in _braces_spread(name):
        path = folder / each
        if not _WILD.search(each):
            found.append(path)
            continue
        if _WILD.search(str(path.parent)):
            raise Refusal(f"#include {name}: wildcards in the name of a folder are not followed")
        try:
            with os.scandir(path.parent) as entries:
                names = [entry.name for entry in islice(entries, _MAX_ENTRIES + 1)]
        except OSError:
            names = []
        if len(names) > _MAX_ENTRIES:
            raise Refusal(f"{path.parent}: has more than {_MAX_ENTRIES} entries")
        there = {path.parent / one for one in names if not (path.parent / one).is_dir()}
        there |= {one for one, after in overlay.items() if after is not None}
        found += sorted(
            one for one in there if one.parent == path.parent and _matches(one.name, path.name)
        )
    return [path for path in found if overlay.get(path, b"") is not None]


def _matches(name: str, pattern: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name, pattern)


def _braces_spread(name: str) -> list[str]:
    """`a{b,c}` as `ab` and `ac`."""
    names = [name]
    while (match := _BRACES.search(names[0])) and len(names) < 100:
        parts = match[1].split(",")
        names = [_BRACES.sub(lambda _, p=part: p, one, 1) for one in names for part in parts]  # type: ignore[misc]
    return names
