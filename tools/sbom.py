"""`python -m tools.sbom`: dist/asterisk-fax-exporter-VERSION.cdx.json, what the exporter is of.

CycloneDX, made by its own tool from the packages that are installed (versions, what needs what) and
from their lock (the hashes of every file by which each can be installed), with the licences of
licences.py. Packages that are installed and not in the lock are no part of the exporter. The same
tree gives the same file. That of a package with a Python of its own (packages/) has its parts too.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from packaging.utils import canonicalize_name

from exporter import __version__
from tools.licences import licence

ROOT: Final = Path(__file__).parent.parent
LOCK: Final = ROOT / "locks/runtime.txt"
FILE: Final = ROOT / f"dist/asterisk-fax-exporter-{__version__}.cdx.json"

Json = dict[str, Any]


class SbomFailed(Exception):
    """What is installed is not what the lock has; the text says what to do."""


def sbom() -> Json:
    """The SBOM of what is installed here and in the lock. Raises SbomFailed."""
    made = _cyclonedx("environment", "--pyproject", ROOT / "pyproject.toml", sys.executable)
    return merged(made, _cyclonedx("requirements", LOCK))


def merged(installed: Json, lock: Json) -> Json:
    """The SBOM of an environment without what is not locked, and with the hashes of what is.

    Raises SbomFailed, and LicenceUnknown of licences.py.
    """
    locked = {_key(one): one for one in lock["components"]}
    there = {_key(one): one for one in installed["components"]}
    components = []
    for name, pin in sorted(locked.items()):
        has = there.get(name, {}).get("version", "not")
        if has != pin["version"]:
            raise SbomFailed(f"{name} is locked at {pin['version']} and {has} installed: run make")
        one = there[name]
        links = [*one.get("externalReferences", ()), *pin["externalReferences"]]
        spdx = [{"expression": licence(name), "acknowledgement": "declared"}]
        components.append(one | {"externalReferences": links, "licenses": spdx})

    ours = installed["metadata"]["component"] | {"version": __version__}
    kept = {one["bom-ref"] for one in (ours, *components)}
    return installed | {
        "metadata": installed["metadata"] | {"component": ours},
        "components": components,
        "dependencies": [
            one | {"dependsOn": [ref for ref in one.get("dependsOn", ()) if ref in kept]}
            for one in installed["dependencies"]
            if one["ref"] in kept
        ],
    }


class Part(Protocol):
    """What packages/parts.py knows of one: no Python package, and maybe inside of another part."""

    @property
    def name(self) -> str:
        """As its makers call it."""

    @property
    def version(self) -> str:
        """Empty if it is not known."""

    @property
    def licence(self) -> str:
        """An SPDX expression."""

    @property
    def inside(self) -> str:
        """The part, or folder of a Python package, that it is in."""

    @property
    def sha256(self) -> str:
        """Of its source, in hex; empty if it is not known."""

    @property
    def reference(self) -> str:
        """Unique among them."""


def with_parts(made: Json, parts: Sequence[Part]) -> Json:
    """An SBOM with components for these too, each in the component that it is inside of.

    Raises SbomFailed if that is not there.
    """
    inside: dict[str, list[Json]] = {}
    for one in parts:
        inside.setdefault(one.inside, []).append(_component(one))
    components = [*made["components"], *inside.pop("", [])]
    by_folder = {_key(one).replace("-", "_"): one for one in components}
    for name, nested in inside.items():
        if name not in by_folder:
            raise SbomFailed(f"{name}, which has {nested[0]['name']} inside, is not in the lock")
        by_folder[name]["components"] = nested
    return made | {"components": components}


def _component(part: Part) -> Json:
    made: Json = {
        "type": "library",
        "bom-ref": part.reference,
        "name": part.name,
        "licenses": [{"expression": part.licence, "acknowledgement": "declared"}],
    }
    if part.version:
        made["version"] = part.version
    if part.sha256:
        made["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
    return made


def text(made: Json) -> str:
    """As it is written into a file."""
    return json.dumps(made, indent=2, sort_keys=True) + "\n"


def _key(component: Json) -> str:
    return str(canonicalize_name(component["name"]))


def _cyclonedx(kind: str, *arguments: str | Path) -> Json:
    command = [sys.executable, "-m", "cyclonedx_py", kind, "--output-reproducible", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SbomFailed(f"cyclonedx-py {kind} ended with {done.returncode}: {done.stderr}")
    made: Json = json.loads(done.stdout)
    return made


def main(arguments: list[str]) -> int:
    """Write it, and say where; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.sbom")
    parser.add_argument("--output", type=Path, default=FILE, metavar="FILE")
    file: Path = parser.parse_args(arguments).output
    try:
        written = text(sbom())
    except SbomFailed as error:
        print(error, file=sys.stderr)
        return 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(written, encoding="utf-8")
    print(f"wrote {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
