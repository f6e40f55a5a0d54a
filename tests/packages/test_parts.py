"""The parts: each is told by what is there, and one whose licence nobody said stops the build."""

import json
from pathlib import Path
from typing import Any

import pytest

from packages import parts
from packages.notices import copyright_file
from packages.parts import Part, PartUnknown

SOURCES = [{"name": "cpython", "version": "3.14.7", "sha256": "ab" * 32}]
RUST = b"\x00/root/.cargo/registry/src/index-1/sha2-0.10.9/src/lib.rs\x00"


class Built:
    """A Python's prefix and a site-packages, as small as they can be."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "prefix"
        self.site = folder / "site"
        (self.prefix / "licences/cpython").mkdir(parents=True)
        self.site.mkdir()
        self.sources(SOURCES)

    def sources(self, told: list[dict[str, str]]) -> None:
        (self.prefix / "sources.json").write_text(json.dumps(told))

    def wheel(self, name: str, binary: bytes, sbom: list[dict[str, Any]] | None = None) -> None:
        (self.site / name).mkdir()
        (self.site / name / "_x.abi3.so").write_bytes(binary)
        info = self.site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}/_x.abi3.so,,\n{info.name}/METADATA,,\n")
        if sbom is not None:
            (info / "sboms").mkdir()
            (info / "sboms/x.cyclonedx.json").write_text(json.dumps({"components": sbom}))

    def parts(self) -> list[Part]:
        return parts.parts(self.prefix, self.site)


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built(tmp_path)


def test_what_the_python_was_built_from_has_version_licence_and_hash(built: Built) -> None:
    (python,) = [one for one in built.parts() if not one.inside]
    assert python == Part("cpython", "3.14.7", "PSF-2.0", sha256="ab" * 32)
    assert {"expat", "mpdecimal"} <= {one.name for one in built.parts()}


def test_what_cpython_itself_lists_has_its_versions(built: Built) -> None:
    told = {"packages": [{"name": "expat", "versionInfo": "2.7.4"}]}
    (built.prefix / "licences/cpython/sbom.spdx.json").write_text(json.dumps(told))
    (expat,) = [one for one in built.parts() if one.name == "expat"]
    assert (expat.version, expat.inside) == ("2.7.4", "cpython")


def test_what_the_packages_leave_out_has_to_be_gone(built: Built) -> None:
    told = {"packages": [{"name": "macholib", "versionInfo": "1.0"}]}
    (built.prefix / "licences/cpython/sbom.spdx.json").write_text(json.dumps(told))
    assert "macholib" not in {one.name for one in built.parts()}
    (built.prefix / "lib/python3.14/ctypes").mkdir(parents=True)
    with pytest.raises(PartUnknown, match="macholib"):
        built.parts()


def test_what_is_compiled_into_a_wheel_is_read_from_its_paths(built: Built) -> None:
    built.wheel("bcrypt", RUST)
    (crate,) = [one for one in built.parts() if one.inside == "bcrypt"]
    assert (crate.name, crate.version, crate.licence) == ("sha2", "0.10.9", "MIT OR Apache-2.0")


def test_or_is_known_by_what_only_that_has_in_it(built: Built) -> None:
    commit = "58cf8f9c35b355199727627d07ae34a4e2846d67"
    built.wheel("aiohttp", b"\0llhttp_init\0")
    built.wheel("fast", f"/rustc/{commit}/library/a.rs\0/rustc/{commit}/library/b.rs".encode())
    assert [one for one in built.parts() if one.inside in ("aiohttp", "fast")] == [
        Part("llhttp", "", "MIT", "aiohttp"),
        Part("rust-std", commit, "MIT OR Apache-2.0", "fast"),
    ]


def test_or_from_the_sbom_that_came_with_it(built: Built) -> None:
    built.wheel(
        "fast",
        RUST.replace(b"sha2", b"newest"),
        [{
            "name": "newest", "version": "0.10.9",
            "licenses": [{"expression": "Unicode-3.0"}],
            "hashes": [{"alg": "SHA-256", "content": "cd" * 32}],
        }],
    )  # fmt: skip
    (crate,) = [one for one in built.parts() if one.inside == "fast"]
    assert crate == Part("newest", "0.10.9", "Unicode-3.0", "fast", "cd" * 32)


def new_source(built: Built) -> str:
    built.sources([*SOURCES, {"name": "readline", "version": "8.3"}])
    return "readline"


def no_sources(built: Built) -> str:
    (built.prefix / "sources.json").unlink()
    return "sources.json"


def new_in_cpython(built: Built) -> str:
    told = {"packages": [{"name": "leftpad", "versionInfo": "1"}]}
    (built.prefix / "licences/cpython/sbom.spdx.json").write_text(json.dumps(told))
    return "leftpad"


def new_crate(built: Built) -> str:
    built.wheel("fast", RUST.replace(b"sha2", b"unheard-of"))
    return "unheard-of 0.10.9"


def copyleft(built: Built) -> str:
    licences = [{"expression": "AGPL-3.0-only"}]
    built.wheel("fast", b"", [{"name": "free", "version": "1", "licenses": licences}])
    return "AGPL-3.0-only"


def without_a_licence(built: Built) -> str:
    built.wheel("fast", b"", [{"name": "silent", "version": "1"}])
    return "silent"


@pytest.mark.parametrize(
    "add", [new_source, no_sources, new_in_cpython, new_crate, copyleft, without_a_licence]
)
def test_a_part_that_nobody_said_the_licence_of_stops_the_build(built: Built, add: Any) -> None:
    assert built.parts()
    with pytest.raises(PartUnknown, match=add(built)):
        built.parts()


def test_the_copyright_file_names_each_part_and_every_licence_it_uses(
    built: Built, tmp_path: Path
) -> None:
    texts = tmp_path / "texts"
    (texts / "aiohttp").mkdir(parents=True)
    (texts / "aiohttp/LICENSE").write_text("Apache License\n\n   Copyright aio-libs 2013.\n")
    built.wheel("aiohttp", RUST)
    text = copyright_file(built.site, texts, built.parts())
    stanza = next(one for one in text.split("\n\n") if "site-packages/aiohttp/*" in one)
    assert "Copyright: Copyright aio-libs 2013" in stanza
    assert "License: Apache-2.0 and MIT" in stanza
    assert " sha2 0.10.9: MIT OR Apache-2.0" in stanza
    assert "\nLicense: dtoa\n" in text
    assert "/usr/share/common-licenses/Apache-2.0" in text
