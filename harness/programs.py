"""Programs that tests run; where one is not installed, the test is skipped or fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def succeeds(*command: str | Path) -> str:
    """The output of a program, stdout and stderr together; it must exit with 0."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def on_small_disk(folder: Path) -> list[str]:
    """What starts the command behind it so that it has a disk of 64 KiB at this folder, which only
    it sees. Where nobody may mount the test is skipped, or fails if FAX_TEST_REQUIRE has `mount`.
    """
    begin = ["unshare", "--map-root-user", "--mount", "sh", "-euc"]
    launcher = [*begin, 'mount -t tmpfs -o size=64k none "$0"; exec "$@"', str(folder)]
    tried = subprocess.run([*launcher, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        missing = f"nothing can be mounted: {tried.stderr}"
        assert "mount" not in os.environ.get("FAX_TEST_REQUIRE", "").split(","), missing
        pytest.skip(missing)
    return launcher


def unshared(*namespaces: str) -> list[str]:
    """What starts the command behind it in namespaces of its own, such as `--net`. Who is not root
    skips the test, or it fails if FAX_TEST_REQUIRE has `mount`."""
    if os.geteuid() != 0:
        missing = f"unshare {' '.join(namespaces)} needs root"
        assert "mount" not in os.environ.get("FAX_TEST_REQUIRE", "").split(","), missing
        pytest.skip(missing)
    return ["unshare", *namespaces]


def binary(*names: str, package: str = "", install: str = "") -> str:
    """The path of a program, by the first of its names that is installed.

    If none is, the test is skipped, or fails if FAX_TEST_REQUIRE has the first name; the
    message says how to install it: `package` in Debian, or else by `install`.
    """
    for name in names:
        if found := shutil.which(name):
            return found
    install = install or f"apt-get install --no-install-recommends {package}"
    required = names[0] in os.environ.get("FAX_TEST_REQUIRE", "").split(",")
    missing = f"{names[0]} is missing: {install}"
    assert not required, missing
    pytest.skip(missing)
