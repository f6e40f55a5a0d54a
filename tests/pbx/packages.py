"""The packages that `make packages` made of this tree, and those of the commit before, which are
made once a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from harness.packages import built
from tests.pbx.asterisk import available
from tests.pbx.kept import once

ROOT: Final = Path(__file__).parents[2]
NAME: Final = "asterisk-fax-exporter"
PROGRAM: Final = f"/usr/bin/{NAME}"
LIBRARY: Final = f"/usr/lib/{NAME}"
ETC: Final = f"/etc/{NAME}"


@dataclass(frozen=True)
class Packages:
    """A folder with a .deb and an .rpm of this tree (new) and of the commit before (old)."""

    folder: Path

    def file(self, age: str, form: str) -> str:
        """Its name in the folder: `age` is new or old, `form` deb or rpm."""
        (found,) = (self.folder / age).glob(f"*.{form}")
        return f"{age}/{found.name}"


def missing() -> str | None:
    """None if packages can be installed here, else one line that says what is missing."""
    if (reason := available()) is not None:
        return reason
    lacking = [tool for tool in ("dpkg", "rpm", "debootstrap") if shutil.which(tool) is None]
    if lacking:
        needed = " ".join(lacking)
        return f"{needed} missing: apt-get install --no-install-recommends {needed}"
    return None


def made(base: Path) -> Packages:
    """Those of this run; the first process makes them. `base`: the run's folder."""

    def make(building: Path) -> None:
        (building / "new").mkdir(parents=True)
        for form in ("deb", "rpm"):
            shutil.copy(built(form), building / "new")
        _make(_before(base), building / "old", 0)

    return Packages(once(base / "packages", make))


def _before(base: Path) -> Path:
    """The tree of the commit before, if it makes packages too, or else this one."""
    tree = base / "tree-before"
    tree.mkdir(exist_ok=True)
    git = shutil.which("git")
    command = [git or "false", "-C", str(ROOT), "archive", "HEAD^"]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode == 0:
        subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    there = [(tree / "packages" / name).exists() for name in ("__main__.py", "python.py")]
    return tree if all(there) else ROOT


def _make(tree: Path, folder: Path, release: int) -> None:
    """Of one machine's: what runs here."""
    command = [sys.executable, "-m", "packages", f"--machine={os.uname().machine}"]
    done = subprocess.run(
        [*command, f"--release={release}", f"--output={folder}"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"no packages of {tree}:\n{done.stdout[-3000:]}")
