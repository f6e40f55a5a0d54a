"""Licences: every package's is known, and those of what comes with the exporter are permissive."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tools import bundled, licences
from tools.licences import FREE, PERMISSIVE, LicenceUnknown, is_within, licence, packages


def installed(lock: str) -> list[str]:
    """Those of a lock that are for this Python and machine."""
    found = []
    for name in packages(lock):
        try:
            distribution(name)
        except PackageNotFoundError:
            continue
        found.append(name)
    return found


def test_what_comes_with_the_exporter_is_permissive() -> None:
    names = packages("runtime")
    assert {"aiohttp", "panoramisk", "prometheus-client"} <= set(names)
    not_permissive = {n: licence(n) for n in names if not is_within(licence(n), PERMISSIVE)}
    assert not not_permissive, "see docs/licences.md"


def test_what_is_in_the_packages_beside_that_is_permissive_too() -> None:
    rows = bundled.rows()
    assert {"cpython", "openssl", "expat", "pyo3"} <= {name for name, _, _ in rows}
    not_permissive = {name: said for name, said, _ in rows if not is_within(said, PERMISSIVE)}
    assert not not_permissive, "see docs/licences.md"


@pytest.mark.parametrize("lock", ["build", "test"])
def test_what_only_builds_and_tests_it_is_free(lock: str) -> None:
    names = installed(lock)
    assert len(names) >= len(set(packages(lock))) * 0.8
    assert {n: licence(n) for n in names if not is_within(licence(n), FREE)} == {}


@pytest.mark.parametrize(
    ("expression", "permissive"),
    [
        ("MIT", True),
        ("Apache-2.0 AND BSD-2-Clause", True),
        ("GPL-2.0-only OR MIT", True),
        ("GPL-2.0-only AND MIT", False),
        ("MPL-2.0", False),
        ("(MIT OR GPL-2.0-only) AND LGPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only WITH GCC-exception-3.1", False),
        ("AGPL-3.0-only", False),
    ],
)
def test_of_alternatives_one_has_to_be_permissive_and_of_parts_all(
    expression: str, permissive: bool
) -> None:
    assert is_within(expression, PERMISSIVE) is permissive


@pytest.mark.parametrize(
    ("metadata", "files", "expected"),
    [
        ("License-Expression: MIT OR Apache-2.0", {}, "MIT OR Apache-2.0"),
        ("License: Apache 2.0", {}, "Apache-2.0"),
        ("License: MIT\nClassifier: License :: OSI Approved :: BSD License", {}, "MIT"),
        ("Classifier: License :: OSI Approved :: ISC License (ISCL)", {}, "ISC"),
        (
            "Classifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: GNU General Public License (GPL)",
            {},
            "MIT AND GPL-3.0-or-later",
        ),
        ("Summary: x", {"LICENSE": "MIT License\n\nCopyright"}, "MIT"),
        ("Summary: x", {"LICENSE": "All rights reserved"}, None),
        ("Summary: x", {}, None),
        ("License: Proprietary", {}, None),
        ("Classifier: License :: Other/Proprietary License", {}, None),
        ("License-Expression: LicenseRef-Ours", {}, None),
    ],
)
def test_the_licence_of_a_package_is_what_its_metadata_says_or_unknown(
    metadata: str,
    files: dict[str, str],
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "some_package-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: some-package\nVersion: 1.0\n{metadata}\n"
    )
    for name, text in files.items():
        (folder / name).write_text(text)
    rows = [f"{folder.name}/{name},," for name in ("METADATA", *files)]
    (folder / "RECORD").write_text("\n".join(rows))
    monkeypatch.syspath_prepend(str(tmp_path))
    licences.licence.cache_clear()
    try:
        if expected is None:
            with pytest.raises(LicenceUnknown, match="some-package"):
                licence("some-package")
        else:
            assert licence("some-package") == expected
    finally:
        licences.licence.cache_clear()
