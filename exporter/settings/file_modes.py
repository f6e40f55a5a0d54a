"""What the mode of a file lets every user of the machine do, and the command that ends it.

As ssh does, this looks at the file's own bits: a folder around it that is closed can be opened.
Nothing is said of what is mounted read-only, as secrets and configuration are in a container: there
the exporter is alone, and nobody could change the mode. Nor of the bits of the group, which
somebody chose, as Kubernetes does with fsGroup, nor of what is no file, such as a pipe.
"""

import os
import shlex
import stat
from pathlib import Path


def read_by_all(file: Path) -> list[str]:
    """Return a warning if all may read the file, which holds a secret."""
    mode = _mode(file)
    if not mode & stat.S_IROTH:
        return []
    name = shlex.quote(str(file))
    first = "" if _readable_without_others(file) else f"chown {os.geteuid()} {name}; "
    return [
        f"{file}: its mode lets all users of this machine read it (o+r): {first}chmod o= {name}"
    ]


def written_by_all(file: Path) -> list[str]:
    """Return a warning if all may write the file, and so decide what the exporter does."""
    if not _mode(file) & stat.S_IWOTH:
        return []
    name = shlex.quote(str(file))
    return [f"{file}: its mode lets all users of this machine write it (o+w): chmod o-w {name}"]


def _mode(file: Path) -> int:
    """The bits of a file; 0 if they matter to nobody."""
    try:
        now = file.stat()
        if not stat.S_ISREG(now.st_mode) or os.statvfs(file).f_flag & os.ST_RDONLY:
            return 0
    except (OSError, ValueError):  # such as a file that has just been removed
        return 0
    return now.st_mode


def _readable_without_others(file: Path) -> bool:
    """Whether this process could read it if others could not."""
    now = file.stat()
    of_group = now.st_gid in {os.getegid(), *os.getgroups()} and now.st_mode & stat.S_IRGRP
    return os.geteuid() in {0, now.st_uid} or bool(of_group)
