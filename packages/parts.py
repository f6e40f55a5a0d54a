"""What a tree is made of: each part with version, licence and hash, as far as the tree tells.

Of Python packages their own metadata tells it, of the Python's sources its sources.json, of what is
compiled into wheels their SBOM or the paths in the shared objects; tools/bundled.py has the rest.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.bundled import CRATES, IN_CPYTHON, LEFT_OUT, NAMED, PYTHON, SOURCES
from tools.licences import PERMISSIVE, is_within

Json = dict[str, Any]

# Rust writes the path of a library's source into what may panic.
_CRATE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9_-]*)-(\d+\.\d+\.\d+)[^/\s\0]*/src/")


class PartUnknown(Exception):
    """Something is in the tree that nobody has said the licence of, or a licence that is not
    permissive; the text says what, and where it is to be said."""


@dataclass(frozen=True)
class Part:
    """Something of others in the tree that is no Python package."""

    name: str
    version: str
    """Empty if nothing tells it."""
    licence: str
    """An SPDX expression."""
    inside: str = ""
    """The part, or Python package, whose files it is in."""
    sha256: str = ""
    """Of its source, in hex."""

    @property
    def reference(self) -> str:
        """Unique among the parts."""
        return "/".join(one for one in (self.inside, f"{self.name}@{self.version}") if one)


def parts(prefix: Path, site: Path) -> list[Part]:
    """Of a Python's prefix, and of the wheels in a site-packages. Raises PartUnknown."""
    found = [*_sources(prefix), *_in_cpython(prefix), *_crates(site), *_named(site)]
    for one in found:
        if not is_within(one.licence, PERMISSIVE):
            raise PartUnknown(
                f"{one.reference} has the licence {one.licence}, which is not in PERMISSIVE of "
                "tools/licences.py"
            )
    return sorted(found, key=lambda one: one.reference)


def _sources(prefix: Path) -> Iterator[Part]:
    file = prefix / "sources.json"
    if not file.exists():
        raise PartUnknown(f"{prefix} has no sources.json, which says what it was built from")
    for one in json.loads(file.read_text(encoding="utf-8")):
        name = one["name"]
        if name not in SOURCES:
            raise PartUnknown(f"tools/bundled.py does not say under which licence {name} is")
        yield Part(name, one["version"], SOURCES[name], sha256=one.get("sha256", ""))


def _in_cpython(prefix: Path) -> Iterator[Part]:
    """Those of CPython's own SBOM have versions there, the others none."""
    file = prefix / "licences" / PYTHON / "sbom.spdx.json"
    told: Json = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    versions = {one["name"]: one.get("versionInfo", "") for one in told.get("packages", ())}
    gone = {name for name, of in LEFT_OUT.items() if not any(prefix.glob(f"lib/python3*/{of}"))}
    for name in versions.keys() - IN_CPYTHON.keys() - gone:
        raise PartUnknown(f"tools/bundled.py does not say under which licence CPython's {name} is")
    for name, licence in IN_CPYTHON.items():
        yield Part(name, versions.get(name, ""), licence, inside=PYTHON)


def _crates(site: Path) -> Iterator[Part]:
    for library in sorted(site.rglob("*.so")):
        folder = library.relative_to(site).parts[0]
        listed = {one.reference: one for one in _of_wheel(site, folder)}
        yield from listed.values()
        known = {(one.name, one.version) for one in listed.values()}
        named = {
            (name.decode(), version.decode())
            for name, version in _CRATE.findall(library.read_bytes())
        }
        for name, version in sorted(named - known):
            if name not in CRATES:
                raise PartUnknown(
                    f"{library.relative_to(site)} has {name} {version} in it: no SBOM of the wheel "
                    "and no line in tools/bundled.py says under which licence it is"
                )
            yield Part(name, version, CRATES[name], inside=folder)


def _named(site: Path) -> Iterator[Part]:
    """What neither a path nor an SBOM tells: C of others, and what Rust itself brings."""
    found = {}
    for library in sorted(site.rglob("*.so")):
        content = library.read_bytes()
        for name, (licence, mark) in NAMED.items():
            for version in re.findall(mark, content):
                part = Part(name, version.decode(), licence, library.relative_to(site).parts[0])
                found[part.reference] = part
    yield from found.values()


def _of_wheel(site: Path, folder: str) -> Iterator[Part]:
    """What the SBOM says that came with a wheel, if one did."""
    for file in sorted(site.glob(f"{folder}-*.dist-info/sboms/*.cdx.json")) or sorted(
        site.glob(f"{folder}-*.dist-info/sboms/*.cyclonedx.json")
    ):
        for one in json.loads(file.read_text(encoding="utf-8"))["components"]:
            (licence,) = one.get("licenses") or [{}]
            hashes = {each["alg"]: each["content"] for each in one.get("hashes", ())}
            said = licence.get("expression") or licence.get("license", {}).get("id")
            if not said:
                raise PartUnknown(f"{file.relative_to(site)} has no licence of {one['name']}")
            yield Part(one["name"], one["version"], said, folder, hashes.get("SHA-256", ""))
