"""Warnings about a secret, or about the file it is in. Neither is refused for it.

The login may work all the same, and whoever mounts a file decides who may read it.
"""

import os
import shlex
import stat
from pathlib import Path

from exporter.settings.models import AmiSettings


def secret_cautions(settings: AmiSettings) -> list[str]:
    """Return what may be wrong with a secret or its file, and what to do; never the secret."""
    file = settings.secret_file
    name = settings.secret_is_set_by if file is None else str(file)
    secret = settings.secret.get_secret_value()
    cautions = []
    if secret != secret.strip(" "):
        cautions.append(
            f"{name}: the secret has blanks at an end, and manager.conf takes them away: "
            "if the login is refused, take them away here too"
        )
    if ";" in secret:
        cautions.append(
            f"{name}: the secret has a ';', where manager.conf ends a value: there it has to be "
            "written '\\;'"
        )
    if file is not None and _everybody_may_read(file):
        quoted = shlex.quote(name)
        first = "" if _readable_without_others(file) else f"chown {os.geteuid()} {quoted}; "
        cautions.append(f"{name}: all users of this machine may read it: {first}chmod o= {quoted}")
    return cautions


def _everybody_may_read(file: Path) -> bool:
    """Whether every user of the machine can read it, by its mode and those of the folders above.

    False for what is mounted read-only, as secrets are in a container: there the exporter is
    alone, and nobody could change the mode.
    """
    try:
        path = file.resolve()
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return False
        return bool(path.stat().st_mode & stat.S_IROTH) and all(
            folder.stat().st_mode & stat.S_IXOTH for folder in path.parents
        )
    except OSError:  # such as a file that has just been removed
        return False


def _readable_without_others(file: Path) -> bool:
    """Whether this process could read it if others could not."""
    now = file.stat()
    of_group = now.st_gid in {os.getegid(), *os.getgroups()} and now.st_mode & stat.S_IRGRP
    return os.geteuid() in {0, now.st_uid} or bool(of_group)
