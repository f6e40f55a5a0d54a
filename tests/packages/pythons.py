"""The Pythons of the packages, for tests of them: those that `make packages` has built."""

import os
import platform
from pathlib import Path

import pytest

from harness.programs import binary
from packages.python import MACHINES, PYTHON, kept_at
from packages.sources import BuildFailed

EACH_MACHINE = pytest.mark.parametrize("machine", MACHINES)
SYSROOT = Path("/usr/aarch64-linux-gnu")
"""A glibc for aarch64, Debian's."""


def prefix(machine: str) -> Path:
    """The prefix for a machine. If it was not built the test is skipped, or fails if
    FAX_TEST_REQUIRE has `packages`."""
    try:
        found = kept_at(machine)
        missing = "" if found.exists() else f"no {PYTHON} for {machine} was built: make packages"
    except BuildFailed as error:
        missing = str(error)
    if not missing:
        return found
    assert "packages" not in os.environ.get("FAX_TEST_REQUIRE", "").split(","), missing
    pytest.skip(missing)


def emulator(machine: str) -> list[str]:
    """What runs a program for a machine on this one: nothing for its own, else QEMU."""
    if machine == platform.machine():
        return []
    qemu = binary(f"qemu-{machine}-static", package="qemu-user-static libc6-arm64-cross")
    return [qemu, "-L", str(SYSROOT)]
