"""`python -m packages`: dist/ with .deb, .rpm and .tar.gz, each for both machines."""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from packages import archive, elf, nfpm, notices
from packages.nfpm import NfpmFailed
from packages.parts import PartUnknown
from packages.python import MACHINES, python_for
from packages.release import ROOT, Release, SettingWrong, release
from packages.sources import BuildFailed
from packages.tree import TreeFailed, lay, settle
from packages.wheels import WheelsFailed
from packages.zig import GLIBC
from tools.licences import LicenceUnknown
from tools.sbom import SbomFailed

FAILURES: Final = (
    *(SettingWrong, BuildFailed, TreeFailed, WheelsFailed),
    *(PartUnknown, LicenceUnknown, SbomFailed, NfpmFailed),
)
"""What tells in its text what is wrong, and what to do."""


def build(machine: str, made: Release, folder: Path) -> list[Path]:
    """The three packages for one machine; their files. Raises what its parts raise."""
    prefix, runs = python_for(machine), python_for(platform.machine())
    # Where they are to be, so that each is there at once, and whole.
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch:
        packed, root = Path(scratch), Path(scratch, "root")
        print(f"{machine}: laying out the tree ...", flush=True)
        lay(root, machine, prefix, runs, made)
        sbom = notices.write(root, machine, prefix, made)
        settle(root, made.date)
        if faults := elf.faults(root, machine, GLIBC):
            raise TreeFailed("\n".join(faults))
        print(f"{machine}: packing ...", flush=True)
        files = [nfpm.write(root, machine, form, made, packed) for form in nfpm.FORMATS]
        files.append(archive.write(root, machine, made, packed))
        # Beside them too, for who looks before he installs.
        files.append(Path(shutil.copy(sbom, packed)))
        return [file.replace(folder / file.name) for file in files]


def main(arguments: list[str]) -> int:
    """Make them, and say where; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m packages",
        epilog="PACKAGE_MAINTAINER='Name <address>', PROJECT_URL and SOURCE_DATE_EPOCH are heeded.",
    )
    parser.add_argument(
        "--machine", choices=MACHINES, action="append", help="can be repeated; both by default"
    )
    parser.add_argument("--release", type=int, default=1, metavar="NUMBER", help="of the package")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    try:
        made = release(chosen.release, os.environ)
        chosen.output.mkdir(parents=True, exist_ok=True)
        for machine in chosen.machine or MACHINES:
            for file in build(machine, made, chosen.output):
                print(f"wrote {file} ({file.stat().st_size / 1_000_000:.1f} MB)")
    except FAILURES as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
