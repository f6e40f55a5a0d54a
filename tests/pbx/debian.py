"""Bare Debians to install packages into: as debootstrap makes them, and the same with a systemd.

Each is made once, below the cache, under a key of its recipe; remove its folder there to get newer
packages. Tests write to overlays on them only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packages.sources import cache, run
from tests.pbx.asterisk import chroot
from tests.pbx.kept import once

SUITES: Final = ("bullseye", "bookworm", "trixie", "sid")
"""With systemd 247, 252, 257 and what comes next."""

_BARE: Final = ("debootstrap", "--variant=minbase")
_WITH_SYSTEMD: Final = """
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
mount -t proc proc "$4/proc"
cp /etc/resolv.conf "$4/etc/resolv.conf"
shift 3
root=$1
shift
chroot "$root" apt-get install -qy --no-install-recommends "$@"
rm -rf "$root"/var/cache/apt/archives/*.deb
"""
_SYSTEMD_PACKAGES: Final = ("systemd",)


def _key(*recipe: str) -> str:
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:10]


def _run(*command: str | Path) -> None:
    """Raises BuildFailed."""
    run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


def bare(suite: str) -> Sequence[Path]:
    """The layers of a Debian with what every Debian has, and no systemd; the uppermost first."""

    def make(building: Path) -> None:
        _run(*_BARE, suite, building)
        shutil.rmtree(building / "var/cache/apt/archives", ignore_errors=True)

    return [once(cache() / f"debian-{_key(*_BARE, suite)}" / suite, make)]


def with_systemd(suite: str) -> Sequence[Path]:
    """The layers of the same with systemd, not running."""
    (base,) = bare(suite)

    def make(building: Path) -> None:
        upper, work, root = building, building.with_suffix(".work"), building.with_suffix(".root")
        for folder in (upper, work, root):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        own = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _WITH_SYSTEMD, "sh"]
        _run(*own, base, upper, work, root, *_SYSTEMD_PACKAGES)
        shutil.rmtree(work)
        root.rmdir()

    key = _key(*_BARE, suite, _WITH_SYSTEMD, *_SYSTEMD_PACKAGES)
    return [once(cache() / f"debian-{key}" / f"{suite}-systemd", make), base]


def with_asterisk(suite: str) -> Sequence[Path]:
    """The layers of the Debian that `asterisk.Asterisk` runs in. Raises BuildFailed."""
    return [chroot(suite)]


_ENTER: Final = """
set -e
root=$1 inside=$2 user=$3
shift 3
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/mnt/given"
mount --bind "$inside" "$root/mnt/given"
exec chroot --userspec="$user" "$root" "$@"
"""


@dataclass(frozen=True)
class Root:
    """An overlay on a Debian that is written to. `given`: what is below /mnt/given there."""

    path: Path
    given: Path

    def command(self, *words: str, user: str = "0:0") -> list[str]:
        """What runs a command in it, with the machine's network and processes."""
        own = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh"]
        return [*own, str(self.path), str(self.given), user, *words]

    def run(self, *words: str, user: str = "0:0") -> subprocess.CompletedProcess[str]:
        """Runs it; stdout and stderr together."""
        return self.from_outside(*self.command(*words, user=user))

    @staticmethod
    def from_outside(*words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of the machine; stdout and stderr together."""
        return subprocess.run(
            words,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )

    def files(self) -> set[str]:
        """Every path in it but those of what only runs."""
        skipped = {"proc", "sys", "dev", "run", "tmp", "mnt"}
        found = set()
        for folder, folders, files in os.walk(self.path):
            if Path(folder) == self.path:
                folders[:] = [one for one in folders if one not in skipped]
            found |= {f"{folder}/{name}".removeprefix(str(self.path)) for name in folders + files}
        return found


def opened(layers: Sequence[Path], folder: Path, given: Path) -> Root:
    """An overlay on these layers in `folder`; `closed` ends it."""
    parts = [folder / name for name in ("upper", "work", "root")]
    for part in parts:
        part.mkdir(parents=True)
    upper, work, root = parts
    options = f"lowerdir={':'.join(map(str, layers))},upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "overlay", "-o", options, root)
    return Root(root, given)


def closed(root: Root) -> None:
    """Unmounts it and removes what was written."""
    _run("umount", "--lazy", root.path)
    with suppress(OSError):
        shutil.rmtree(root.path.parent)
