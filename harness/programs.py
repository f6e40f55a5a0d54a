"""Programs that tests run, and what is done where one is not installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def succeeds(*command: str | Path) -> str:
    """What a program says, on both of its outputs, that must end well."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def binary(*names: str, package: str = "", install: str = "") -> str:
    """The path of a program, by the first of its names that is installed.

    `package` is Debian's, `install` says how to have what Debian has not.

    Without it the test is skipped; it fails where FAX_EXPORTER_TEST_REQUIRE names it.
    """
    for name in names:
        if found := shutil.which(name):
            return found
    install = install or f"apt-get install --no-install-recommends {package}"
    required = names[0] in os.environ.get("FAX_EXPORTER_TEST_REQUIRE", "").split(",")
    missing = f"{names[0]} is missing: {install}"
    assert not required, missing
    pytest.skip(missing)
