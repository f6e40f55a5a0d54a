"""The SBOM: valid by CycloneDX's schema, with what comes with the exporter and no more."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from exporter import __version__
from packages.parts import Part
from tools.licences import licence
from tools.sbom import LOCK, SbomFailed, main, merged, text, with_parts

Json = dict[str, Any]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("dist") / "new/exporter.cdx.json"
    assert main(["--output", str(file)]) == 0
    return file.read_text()


@pytest.fixture(scope="module")
def made(written: str) -> Json:
    return dict(json.loads(written))


def in_the_lock() -> dict[str, tuple[str, set[str]]]:
    """Versions and hashes by name."""
    found = re.findall(r"^(\S+)==(\S+).*\\\n((?:    --hash.*\n?)+)", LOCK.read_text(), re.MULTILINE)
    return {
        name: (version, set(re.findall(r"sha256:([0-9a-f]{64})", hashes)))
        for name, version, hashes in found
    }


@pytest.mark.slow
def test_it_is_valid_and_the_same_each_time(written: str, made: Json) -> None:
    version = SchemaVersion.from_version(made["specVersion"])
    assert JsonStrictValidator(version).validate_str(written) is None
    # What would be another each time.
    assert "serialNumber" not in made
    assert "timestamp" not in made["metadata"]
    assert str(Path.home()) not in written
    assert str(LOCK.parent) not in written


@pytest.mark.slow
def test_it_has_every_locked_package_with_version_hashes_and_licence_and_no_other(
    made: Json,
) -> None:
    found = {}
    for one in made["components"]:
        name = canonicalize_name(one["name"])
        hashes = {
            digest["content"]
            for link in one["externalReferences"]
            for digest in link.get("hashes", ())
            if digest["alg"] == "SHA-256"
        }
        found[name] = (one["version"], hashes)
        purl = one["name"].lower().replace("_", "-")  # which leaves dots, by its specification
        assert one["purl"] == f"pkg:pypi/{purl}@{one['version']}"
        assert one["licenses"] == [{"acknowledgement": "declared", "expression": licence(name)}]
    assert found == in_the_lock()
    ours = made["metadata"]["component"]
    assert (ours["name"], ours["version"]) == ("asterisk-fax-exporter", __version__)


@pytest.mark.slow
def test_each_package_is_there_because_the_exporter_needs_it(made: Json) -> None:
    needs = {one["ref"]: set(one["dependsOn"]) for one in made["dependencies"]}
    reached: set[str] = set()
    further = {made["metadata"]["component"]["bom-ref"]}
    while further:
        reached |= further
        further = {ref for one in further for ref in needs[one]} - reached
    assert reached == needs.keys()
    assert len(reached) == len(made["components"]) + 1


PIN: Final = {"name": "aiosignal", "version": "1", "bom-ref": "1", "externalReferences": []}


@pytest.mark.parametrize(("installed", "said"), [([], "not"), ([PIN | {"version": "2"}], "2")])
def test_what_is_installed_otherwise_than_locked_is_refused(
    installed: list[Json], said: str
) -> None:
    environment = {"components": installed, "dependencies": [], "metadata": {"component": {}}}
    with pytest.raises(SbomFailed, match=f"aiosignal is locked at 1 and {said} installed"):
        merged(environment, {"components": [PIN]})


def test_parts_that_are_no_python_packages_are_where_they_are_inside(made: Json) -> None:
    parts = [
        Part("cpython", "3.14.7", "PSF-2.0", sha256="ab" * 32),
        Part("expat", "2.8.2", "MIT", inside="cpython"),
        Part("trace", "", "HPND", inside="cpython"),
        Part("sha2", "0.10.9", "MIT OR Apache-2.0", inside="bcrypt"),
        Part("sha2", "0.10.9", "MIT OR Apache-2.0", inside="pydantic_core"),
    ]
    both = with_parts(made, parts)
    version = SchemaVersion.from_version(both["specVersion"])
    assert JsonStrictValidator(version).validate_str(text(both)) is None
    top = {one["name"]: one for one in both["components"]}
    assert top.keys() - {one["name"] for one in made["components"]} == {"cpython"}
    assert top["cpython"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert [one["name"] for one in top["cpython"]["components"]] == ["expat", "trace"]
    for name in ("bcrypt", "pydantic_core"):
        (crate,) = top[name]["components"]
        assert crate["version"] == "0.10.9"
        assert crate["licenses"][0]["expression"] == "MIT OR Apache-2.0"


def test_a_part_inside_of_what_is_not_there_is_told(made: Json) -> None:
    with pytest.raises(SbomFailed, match="nowhere"):
        with_parts(made, [Part("sha2", "0.10.9", "MIT", inside="nowhere")])
