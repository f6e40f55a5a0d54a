"""What a package says of the parts in it: their licences, a copyright file in Debian's machine
readable form, and the SBOM.
"""

import re
import shutil
from collections.abc import Iterator
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from packages.parts import Part, parts
from packages.release import NAME, ROOT, Release
from packages.tree import DOC, LIB, python_version
from tools import sbom
from tools.bundled import PYTHON
from tools.licences import licence

_HOLDER: Final = re.compile(
    r"^\W*(copyright\b.*\d.*|\(c\).*\d.*|©.*)$", re.IGNORECASE | re.MULTILINE
)
_TEXT: Final = re.compile(r"^(licen[cs]e|copying|copyright|notice|authors)", re.IGNORECASE)
_COMMON: Final = {"Apache-2.0"}
"""Of those that Debian has in /usr/share/common-licenses."""

_HEAD: Final = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: asterisk-fax-exporter
Comment: In this package is everything that the exporter needs. All of it is under permissive
 licences, and the list, with versions and hashes, is in the *.cdx.json beside this file. The
 licences themselves, word for word, are in the folder licences.
"""


def write(root: Path, machine: str, prefix: Path, release: Release) -> Path:
    """Write all of it below a tree that is laid out; the SBOM's path.

    Raises parts.PartUnknown, tools.sbom.SbomFailed and tools.licences.LicenceUnknown.
    """
    documents = root / DOC
    site = root / LIB / f"lib/python{python_version(prefix)}/site-packages"
    found = parts(prefix, site)
    texts = documents / "licences"
    if (prefix / "licences").is_dir():
        shutil.copytree(prefix / "licences", texts)
    for package in packages(site):
        for file in _licence_files(package):
            to = texts / _name(package) / file.name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
    (texts / NAME).mkdir()
    shutil.copyfile(ROOT / "LICENSE", texts / NAME / "LICENSE")
    (documents / "copyright").write_text(copyright_file(site, texts, found), encoding="utf-8")
    written = documents / f"{NAME}-{release.version}-linux-{machine}.cdx.json"
    written.write_text(sbom.text(sbom.with_parts(sbom.sbom(), found)), encoding="utf-8")
    return written


def packages(site: Path) -> list[Distribution]:
    """The Python packages of others, by name."""
    found: list[Distribution] = [PathDistribution(one) for one in sorted(site.glob("*.dist-info"))]
    return [one for one in found if _name(one) != NAME]


def copyright_file(site: Path, texts: Path, found: list[Part]) -> str:
    """The file, in the machine readable form 1.0."""
    library = f"usr/lib/{NAME}"
    own = [one for one in found if not one.inside]
    python = [*own, *(one for one in found if one.inside == PYTHON)]
    stanzas = [
        _stanza("*", [f"The authors of {NAME}"], "Apache-2.0", []),
        _stanza(
            f"{library}/bin/python* {library}/lib/*",
            [holder for one in own for holder in _holders(texts / one.name)],
            " AND ".join(dict.fromkeys(f"({one.licence})" for one in python)),
            python,
        ),
    ]
    for package in packages(site):
        name = _name(package)
        folders = _folders(package)
        files = " ".join(f"{library}/lib/*/site-packages/{folder}/*" for folder in folders)
        inside = [one for one in found if one.inside in folders]
        stanzas.append(_stanza(files, _holders(texts / name), licence(name), inside))
    names = sorted(
        {short for one in stanzas for short in re.findall(r"^License: (.+)$", one, re.M)}
    )
    shorts = sorted({short for one in names for short in re.split(r"[()\s]+|\band\b|\bor\b", one)})
    return "\n".join([_HEAD, *stanzas, *(_licence(one) for one in shorts if one)])


def _stanza(files: str, holders: list[str], said: str, inside: list[Part]) -> str:
    """One of DEP 5, whose words for alternatives are small."""
    short = said.replace(" WITH ", "-with-").replace(" AND ", " and ").replace(" OR ", " or ")
    lines = [
        f"Files: {files}",
        "Copyright: " + "\n ".join(holders or ["see the folder licences"]),
        f"License: {short}",
    ]
    if inside:
        lines.append("Comment: Inside are")
        lines += [f" {' '.join(filter(None, (p.name, p.version)))}: {p.licence}" for p in inside]
    return "\n".join([*lines, ""])


def _licence(short: str) -> str:
    where = f"/usr/share/doc/{NAME}/licences"
    text = f"Its text is, with the names of the holders, in\n {where}, in the folder of the part."
    if short in _COMMON:
        text = (
            f"On Debian it is in /usr/share/common-licenses/{short}, and everywhere in\n {where}."
        )
    return f"License: {short}\n {text}\n"


def _holders(folder: Path) -> list[str]:
    """The lines of licences that say whose the copyright is."""
    found: dict[str, None] = {}
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        text = file.read_text(encoding="utf-8", errors="replace")
        for line in _HOLDER.findall(text):
            found[re.sub(r"\s+", " ", line).strip(" .*/-")] = None
    return list(found)


def _folders(package: Distribution) -> list[str]:
    """Of a package, below site-packages, in order: modules too."""
    return sorted({one.parts[0] for one in package.files or () if ".." not in one.parts})


def _licence_files(package: Distribution) -> Iterator[Path]:
    for one in package.files or ():
        if ".dist-info" in one.parts[0] and _TEXT.match(one.name):
            yield Path(str(one.locate()))


def _name(package: Distribution) -> str:
    return str(canonicalize_name(package.metadata["Name"]))
