"""Packing: the same tree is the same bytes, whenever and with whatever umask it was laid out."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.packages import need_what_makes_them
from packages import archive, nfpm
from packages.release import Release
from packages.tree import DOC, ETC, LIB, LINTIAN, Entry, entries, settle
from tests.packages.content import Content, of_deb, of_rpm, of_tar_gz

pytestmark = pytest.mark.slow

MADE = Release("1.2.3", 4, "Ada <ada@example.org>", "https://fax.example", "Faxes", 1_700_000_000)
Pack = Callable[[Path, Path], Path]


def as_deb(root: Path, folder: Path) -> Path:
    return nfpm.write(root, "aarch64", "deb", MADE, folder)


def as_rpm(root: Path, folder: Path) -> Path:
    return nfpm.write(root, "aarch64", "rpm", MADE, folder)


def as_tar_gz(root: Path, folder: Path) -> Path:
    return archive.write(root, "aarch64", MADE, folder)


@pytest.fixture(params=[as_deb, as_rpm, as_tar_gz])
def pack(request: pytest.FixtureRequest) -> Pack:
    """How one of the three is made."""
    packing: Pack = request.param
    if packing is not as_tar_gz:
        need_what_makes_them()
    return packing


def laid_out(root: Path, umask: int) -> Path:
    """A small tree, with something of each kind."""
    before = os.umask(umask)
    try:
        for name, text in {
            LIB / "bin/asterisk-fax-exporter": "#!/bin/sh\n",
            LIB / "lib/module.py": "x = 1\n",
            DOC / "README.md": "Read.\n",
            DOC / "licences/one/LICENSE": "Do.\n",
            ETC / "environment": "# x\n",
            LINTIAN / "overrides/asterisk-fax-exporter": "# x\n",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / "usr/bin").mkdir()
        (root / "usr/bin/asterisk-fax-exporter").symlink_to("../lib/elsewhere")
    finally:
        os.umask(before)
    settle(root, MADE.date)
    return root


def test_the_same_tree_is_the_same_bytes(pack: Pack, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = pack(laid_out(tmp_path / "first", 0o022), tmp_path / "one")
    second = laid_out(tmp_path / "second place", 0o077)
    for path in (second, *second.rglob("*")):
        os.utime(path, (1, 1), follow_symlinks=False)
    two = pack(second, tmp_path / "two")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()
    if one.suffix == ".gz":  # no time of packing in its header: both could be of one second
        assert one.read_bytes()[4:8] == bytes(4)


def test_modes_and_owners_are_those_of_packages(tmp_path: Path) -> None:
    found = {one.path: one for one in entries(laid_out(tmp_path / "root", 0o077))}
    library = LIB.as_posix()
    assert found[f"{library}/lib/module.py"].mode == 0o644
    assert found[f"{library}/bin/asterisk-fax-exporter"].mode == 0o755
    assert found[library] == Entry(library, 0o755, folder=True)
    assert [path for path, one in found.items() if one.is_configuration] == [
        f"{ETC.as_posix()}/environment"
    ]


def test_each_format_has_the_tree_under_the_name_of_its_distribution(
    pack: Pack, tmp_path: Path
) -> None:
    file = pack(laid_out(tmp_path / "root", 0o022), tmp_path)
    names: dict[Pack, tuple[str, Callable[[Path], Content]]] = {
        as_deb: ("asterisk-fax-exporter_1.2.3-4_arm64.deb", of_deb),
        as_rpm: ("asterisk-fax-exporter-1.2.3-4.aarch64.rpm", of_rpm),
        as_tar_gz: ("asterisk-fax-exporter-1.2.3-linux-aarch64.tar.gz", of_tar_gz),
    }
    expected, content = names[pack]
    assert file.name == expected
    found = content(file)
    assert found["usr/bin/asterisk-fax-exporter"].what == "../lib/elsewhere"
    assert {item.owner for item in found.values()} == {"root:root"}
    overrides = f"{LINTIAN.as_posix()}/overrides/asterisk-fax-exporter"
    assert (overrides in found) is (pack is as_deb)


@pytest.mark.parametrize("pack", [as_deb, as_rpm])
def test_what_nfpm_cannot_do_is_told(pack: Pack, tmp_path: Path) -> None:
    need_what_makes_them()
    with pytest.raises(nfpm.NfpmFailed, match="nowhere"):
        pack(laid_out(tmp_path / "root", 0o022), tmp_path / "nowhere")
