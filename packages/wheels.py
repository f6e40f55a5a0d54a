"""The site-packages of a package: wheels of the lock, by their hashes, for the target machine, and
the exporter of this tree. Nothing is compiled here, and nothing of the building Python gets in.
"""

import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from packages.release import NAME, ROOT

LOCK: Final = ROOT / "locks/runtime.txt"
_PLATFORMS: Final = ("manylinux2014", "manylinux_2_17")
"""Of wheels for glibc 2.17: both names are in use."""
_INSTALLED_BY: Final = re.compile(r"\.dist-info/(direct_url\.json|INSTALLER|REQUESTED)$")
"""What pip writes beside what a wheel has; the first has the path of the tree."""

_NOT_OF_LIBC: Final = ("frozenlist/_frozenlist*.so",)
"""What is linked with more than libc: this with libstdc++, of which it uses nothing. Without it its
package takes the same in Python."""


class WheelsFailed(Exception):
    """pip did not do what it was told; the text has what it says."""


def install(site: Path, machine: str, version: str, date: int) -> None:
    """Fill the folder, for a CPython of a version such as 3.14. Raises WheelsFailed."""
    platforms = [f"--platform={one}_{machine}" for one in _PLATFORMS]
    _pip(
        date, "install", "--target", site, *platforms, f"--python-version={version}",
        "--implementation=cp", "--only-binary=:all:", "--no-deps", "--no-compile",
        "--require-hashes", "--requirement", LOCK,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as wheels:
        # By hatchling as it is installed here: that asks no index for anything.
        _pip(
            date, "wheel", "--no-deps", "--no-build-isolation", "--no-index",
            "--wheel-dir", wheels, ROOT,
        )  # fmt: skip
        (wheel,) = Path(wheels).glob(f"{NAME.replace('-', '_')}-*.whl")
        _pip(
            date, "install", "--target", site, "--no-deps", "--no-compile", "--no-index", wheel,
        )  # fmt: skip
    # Commands of others, and what the package has in its own places.
    for beside in ("bin", "share"):
        shutil.rmtree(site / beside, ignore_errors=True)
    for pattern in _NOT_OF_LIBC:
        for file in site.glob(pattern):
            file.unlink()
    for record in site.glob("*.dist-info/RECORD"):
        _forget(record)


def _forget(record: Path) -> None:
    """Take out of a package, and of its own list, what was not in the wheel or is gone."""
    site = record.parent.parent
    kept = []
    for row in csv.reader(io.StringIO(record.read_text(encoding="utf-8"))):
        if _INSTALLED_BY.search(row[0]):
            (site / row[0]).unlink()
        elif (site / row[0]).exists():
            kept.append(row)
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(sorted(kept))
    record.write_text(written.getvalue(), encoding="utf-8")


def _pip(date: int, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(date), "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise WheelsFailed(f"pip {arguments[0]} ended with {done.returncode}: {done.stdout}")
