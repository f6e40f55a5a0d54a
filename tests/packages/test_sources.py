"""Sources are taken as they are pinned, or not at all; what a mirror has no more is found anew."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.programs import binary
from packages import sources
from packages.sources import BuildFailed, File, Source

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache with nothing in it."""
    binary("apt-get", package="apt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """What is in this folder is what the only mirror has."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(sources, "mirrors", lambda: (address,))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder
        server.shutdown()


def source(*files: tuple[str, bytes]) -> Source:
    listed = tuple(File(name, hashlib.sha256(content).hexdigest()) for name, content in files)
    return Source("fax", "1.0-1", "sid", False, listed)


def test_a_file_is_taken_from_a_mirror_once_and_then_from_the_cache(mirror: Path) -> None:
    (mirror / "fax+x_1.0.orig.tar.xz").write_bytes(b"paper")
    wanted = source(("fax+x_1.0.orig.tar.xz", b"paper"))
    (file,) = sources.fetch(wanted)
    assert (file.name, file.read_bytes()) == ("fax+x_1.0.orig.tar.xz", b"paper")
    shutil.rmtree(mirror)
    assert sources.fetch(wanted) == [file]


def test_a_file_that_is_another_than_the_pinned_one_is_refused(mirror: Path) -> None:
    (mirror / "fax_1.0.orig.tar.xz").write_bytes(b"forged")
    with pytest.raises(BuildFailed, match=r"fax_1\.0\.orig\.tar\.xz.*Hash Sum mismatch"):
        sources.fetch(source(("fax_1.0.orig.tar.xz", b"paper")))


def test_what_was_damaged_in_the_cache_is_fetched_again(mirror: Path) -> None:
    (mirror / "fax_1.0.orig.tar.xz").write_bytes(b"paper")
    wanted = source(("fax_1.0.orig.tar.xz", b"paper"))
    (file,) = sources.fetch(wanted)
    file.write_bytes(b"pap")
    assert sources.fetch(wanted) == [file]
    assert file.read_bytes() == b"paper"


def test_what_no_mirror_has_is_named(mirror: Path) -> None:
    with pytest.raises(BuildFailed, match=r"no mirror has pool/fax_1\.0\.orig\.tar\.xz: .*404"):
        sources.fetch(source(("pool/fax_1.0.orig.tar.xz", b"paper")))


@pytest.mark.parametrize(
    ("configured", "mirrors"),
    [
        (
            "Types: deb\nURIs: http://a.example/pub/debian/\nSuites: sid\nComponents: main\n\n"
            "Types: deb\nURIs: https://b.example/debian-security\nSuites: trixie-security\n"
            "Components: main\n\n"
            "Types: deb\nURIs: https://c.example/of-another\nSuites: sid\nComponents: main\n",
            {"http://a.example/pub/debian", "https://b.example/debian-security"},
        ),
        (
            "Types: deb\nURIs: mirror+file:/etc/apt/mirrors/debian.list\nSuites: sid\n"
            "Components: main\n",
            {"http://deb.debian.org/debian", "http://deb.debian.org/debian-security"},
        ),
        ("", {"http://deb.debian.org/debian", "http://deb.debian.org/debian-security"}),
    ],
)
def test_the_mirrors_are_those_of_the_machine_or_else_debian_s_own(
    configured: str, mirrors: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/machine.sources").write_text(configured)
    settings = tmp_path / "apt.conf"
    parts = f'Dir::Etc::SourceParts "{tmp_path}/parts";\n'
    settings.write_text(f'Dir::Etc::SourceList "/dev/null";\n{parts}')
    monkeypatch.setenv("APT_CONFIG", str(settings))
    assert set(sources.mirrors.__wrapped__()) == mirrors


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("3.14.7-1", "3.14.7"),
        ("3.5.7-1~deb13u2", "3.5.7"),
        ("1:1.3.dfsg+really1.3.1-1+deb13u1", "1.3.1"),
    ],
)
def test_a_version_is_told_as_upstream_calls_it(version: str, upstream: str) -> None:
    assert Source("fax", version, "sid", True, ()).upstream == upstream


def test_in_place_of_a_pin_that_is_gone_the_newest_that_can_be_had_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = json.loads(sources.LOCK.read_text())
    gone = {**pins["zlib"], "version": "0.9-1"}
    gone["files"] = [{"path": "pool/main/z/zlib/zlib_0.9-1.dsc", "sha256": "0" * 64}]
    monkeypatch.setattr(sources, "LOCK", tmp_path / "sources.json")
    sources.LOCK.write_text(json.dumps({"zlib": gone}))
    (got,) = sources.obtained().values()
    assert got.upstream >= "1.3.1"
    assert got.patched
    assert f"zlib {got.version} is taken for 0.9-1" in capsys.readouterr().err
    binary("dpkg-source", package="dpkg-dev")
    folder = sources.unpack(got, tmp_path / "zlib")
    assert (folder / "zlib.h").exists()
    assert (folder / "debian/copyright").exists()


def test_each_pin_has_what_upstream_released_and_all_of_debian_s_if_that_is_to_be_in_it() -> None:
    for pin in sources.locked().values():
        assert pin.tarball in pin.files
        assert [file.name.endswith(".dsc") for file in pin.files].count(True) == pin.patched
        assert all(len(bytes.fromhex(file.sha256)) == 32 for file in pin.files)
