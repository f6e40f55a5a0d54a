"""What licences the packages have that come with the exporter: docs/licences.md, from what is
installed. The lock says which packages these are, their own metadata says the licence; of what else
is in the packages with a Python of their own bundled.py says it.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any, Final

from license_expression import ExpressionError, get_spdx_licensing

from tools import bundled

FILE: Final = Path("docs/licences.md")
LOCKS: Final = Path(__file__).parent.parent / "locks"

PERMISSIVE: Final = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC"),
        *("MIT", "MIT-0", "PSF-2.0", "Unlicense", "Zlib"),
        # Of what is in the packages with a Python of their own.
        *("Apache-2.0 WITH LLVM-exception", "HPND", "MIT-CMU", "Unicode-3.0", "Unicode-DFS-2016"),
        *("blessing", "bzip2-1.0.6", "dtoa"),
    }
)
"""Licences under which the exporter may use and bring along a package without a second thought."""
FREE: Final = PERMISSIVE | {"CC0-1.0", "GPL-3.0-or-later", "MPL-2.0"}
"""Of packages that only develop and test it, and go to nobody."""

# The words of those that have no licence expression yet, by PEP 639.
_IN_SPDX: Final = {
    "Apache 2.0": "Apache-2.0",
    "Apache": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "PSFL": "PSF-2.0",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    # Which of the two it is the classifier does not say; both are permissive.
    "OSI Approved :: BSD License": "BSD-2-Clause OR BSD-3-Clause",
    "OSI Approved :: GNU General Public License (GPL)": "GPL-3.0-or-later",
    "OSI Approved :: ISC License (ISCL)": "ISC",
    "OSI Approved :: MIT License": "MIT",
    "OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "Public Domain": "CC0-1.0",  # the nearest that there is
    "Public domain": "CC0-1.0",
}
_TEXTS: Final = {"MIT": "MIT License", "Apache-2.0": "Apache License"}
"""How the file of a licence begins."""

_HEAD: Final = """\
# Licences

The exporter is under the [Apache License 2.0](../LICENSE). What is installed with it, by
[its lock](../locks/runtime.txt), is under these, as each package says itself. All are permissive: a
test fails over one that is not, or that says nothing it understands.

| package | licence |
|---|---|
"""
_BUNDLED: Final = """
## In the packages with a Python of their own

The .deb, the .rpm and the .tar.gz bring, beside these, a CPython, what that is built with, and what
is compiled into the wheels; not all of it is in each. Of alternatives one is enough. The licences
themselves are in `/usr/share/doc/asterisk-fax-exporter/licences`, and there is the SBOM too.

| part | licence | |
|---|---|---|
"""
_FOOT: Final = """
What is in a release, with versions and hashes, is in its SBOM: `make sbom`. Packages that only
build and test the exporter go to nobody; theirs are free licences too, MPL-2.0 among them.
"""


class LicenceUnknown(Exception):
    """A package does not say its licence in a way that is understood; the text has what it says."""


def packages(lock: str) -> list[str]:
    """The names that a lock has, in its order."""
    text = (LOCKS / f"{lock}.txt").read_text(encoding="utf-8")
    return re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)


@cache
def licence(name: str) -> str:
    """The licence of an installed package as an SPDX expression.

    Raises LicenceUnknown, and importlib.metadata.PackageNotFoundError if it is not installed.
    """
    package = distribution(name)
    said = _said(package)
    try:
        return str(_spdx().parse(said, validate=True, strict=True))
    except ExpressionError as error:
        raise LicenceUnknown(f"{name} has the licence {said!r}: {error}") from error


def _said(package: Distribution) -> str:
    metadata = package.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    short = metadata["License"].strip() if "License" in metadata else ""
    if short and short != "UNKNOWN" and "\n" not in short:
        return _IN_SPDX.get(short, short)
    prefix = "License :: "
    classifiers = [
        one.removeprefix(prefix)
        for one in metadata.get_all("Classifier") or ()
        if one.startswith(prefix)
    ]
    if classifiers:
        # Several say that it is in parts under each.
        return " AND ".join(f"({_IN_SPDX.get(one, one)})" for one in classifiers)
    for file in package.files or ():
        if re.match(r"licen[cs]e", file.name, re.IGNORECASE):
            text = file.read_text().lstrip()
            for name, beginning in _TEXTS.items():
                if text.startswith(beginning):
                    return name
    raise LicenceUnknown(f"{metadata['Name']} says nothing of its licence")


@cache
def _spdx() -> Any:
    return get_spdx_licensing()


def is_within(expression: str, licences: frozenset[str]) -> bool:
    """Whether a licence expression can be met by these alone: of `OR` by one side."""
    parsed = _spdx().parse(expression)

    def met(part: Any) -> bool:
        if not part.args:
            return str(part) in licences
        every: Callable[..., bool] = any if part.operator.strip() == "OR" else all
        return every(met(one) for one in part.args)

    return met(parsed)


def text() -> str:
    """Of docs/licences.md. Raises LicenceUnknown."""
    rows = [f"| {name} | {licence(name)} |\n" for name in packages("runtime")]
    bundled_rows = [f"| {' | '.join(row)} |\n" for row in bundled.rows()]
    return _HEAD + "".join(rows) + _BUNDLED + "".join(bundled_rows) + _FOOT
