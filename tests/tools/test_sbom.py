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
from tools.licences import licence
from tools.sbom import LOCK, SbomFailed, main, merged

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
