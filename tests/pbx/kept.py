"""What is made once and kept: below the cache, or for one run of all processes."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, made beside its place and renamed unless it is there, so that one whose making
    was interrupted is never taken for a ready one. Safe among processes: the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            building = folder.parent / f".{folder.name}.building"
            shutil.rmtree(building, ignore_errors=True)
            make(building)
            building.rename(folder)
    return folder
