"""The locks: whole, in agreement with each other, and what every way to install goes by."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from exporter import __version__
from harness.programs import succeeds
from harness.readme import block

ROOT: Final = Path(__file__).parent.parent
LOCKS: Final = ROOT / "locks"
FILES: Final = sorted(LOCKS.glob("*.txt"))
EACH_LOCK = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
INSTALLED_BY: Final = ("Makefile", "Dockerfile", "docs/install.md", ".ci/newest-python", ".ci/run")
VERIFIED: Final = ("--require-hashes", "--no-deps", "--no-index", "$(")
"""What pip is told: to verify, to take nothing but the tree or the files there are, or, in the
Makefile, a macro, which is looked at where it stands."""


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@cache
def locked(path: Path) -> list[tuple[Requirement, list[str]]]:
    """What a lock pins, with the hashes."""
    found = []
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if not line.startswith("#"):
            requirement, *hashes = line.split("--hash=")
            found.append((Requirement(requirement), [one.strip() for one in hashes]))
    return found


def pinned(path: Path) -> dict[str, Requirement]:
    """The requirements of a lock that are for this Python and machine."""
    return {
        canonicalize_name(one.name): one
        for one, _ in locked(path)
        if one.marker is None or one.marker.evaluate()
    }


def needed(requirement: Requirement, by: dict[str, set[str]]) -> dict[str, set[str]]:
    """A requirement and, through those that are installed here, all that it needs; what is not
    installed here counts as needing nothing. By name, with the extras that are asked for."""
    name = canonicalize_name(requirement.name)
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return by
    extras = {"", *requirement.extras}
    if extras <= by.get(name, set()):
        return by
    by.setdefault(name, set()).update(extras)
    try:
        further = requires(name) or ()
    except PackageNotFoundError:
        return by
    for text in further:
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras):
            one.marker = None
            needed(one, by)
    return by


def asked(lock: str) -> list[str]:
    """What a lock is made of, by its name."""
    project = pyproject()
    if lock == "build":
        return list(project["build-system"]["requires"])
    extras = {"runtime": (), "mutation": ("test", "mutation")}.get(lock, (lock,))
    optional = project["project"]["optional-dependencies"]
    return [
        *project["project"]["dependencies"],
        *(one for name in extras for one in optional[name]),
    ]


def test_there_is_a_lock_for_each_purpose_and_no_other() -> None:
    extras = pyproject()["project"]["optional-dependencies"]
    assert {path.stem for path in FILES} == {"build", "runtime", *extras}


@EACH_LOCK
def test_every_package_has_one_version_and_hashes(path: Path) -> None:
    assert locked(path)
    for one, hashes in locked(path):
        assert [spec.operator for spec in one.specifier] == ["=="], one
        assert hashes, one
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes)
    assert "://" not in path.read_text(), "a lock names no index"


@EACH_LOCK
def test_a_lock_has_all_that_is_asked_for_and_what_that_needs(path: Path) -> None:
    lock = pinned(path)
    closure: dict[str, set[str]] = {}
    for text in asked(path.stem):
        one = Requirement(text)
        if one.marker is None or one.marker.evaluate():
            assert one.specifier.contains(version(lock, one)), f"{one}: run make locks"
            needed(one, closure)
    assert closure.keys() - lock.keys() == set(), "run make locks"


def version(lock: dict[str, Requirement], requirement: Requirement) -> str:
    name = canonicalize_name(requirement.name)
    assert name in lock, f"{name} is in no lock: run make locks"
    (spec,) = lock[name].specifier
    return spec.version


def test_what_runs_is_what_is_tested() -> None:
    """Of each package all locks have the same files."""
    tested = {str(one): hashes for one, hashes in locked(LOCKS / "test.txt")}
    names = {canonicalize_name(one.name) for one, _ in locked(LOCKS / "test.txt")}
    for path in FILES:
        for one, hashes in locked(path):
            if canonicalize_name(one.name) in names:
                assert tested.get(str(one)) == hashes, f"{path.name}: {one}: run make locks"


def test_the_lock_of_what_builds_is_made_of_what_pyproject_names() -> None:
    assert (LOCKS / "build.in").read_text().split() == asked("build")


@pytest.mark.parametrize("name", INSTALLED_BY)
def test_pip_installs_nothing_that_is_not_verified(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        for command in re.findall(r"\bpip\b[^&|;]* (?:install|wheel|download)\b[^&|;]*", line):
            if not line.startswith("INSTALL := "):
                assert any(word in command for word in VERIFIED), line
    for line in re.findall(r".*\$\(INSTALL\).*", text):
        assert any(word in line for word in VERIFIED[:2]), line


@pytest.mark.slow
def test_what_is_said_of_pip_installs_the_exporter_into_an_empty_environment(
    tmp_path: Path,
) -> None:
    paste = block("python3 -m venv", after="## With pip", document="docs/install.md")
    commands = paste.replace("\\\n", " ").splitlines()
    assert len(commands) == 3
    place = tmp_path / "venv"
    tree = tmp_path / "tree"
    ours = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
    shutil.copytree(ROOT, tree, ignore=ours, symlinks=True)
    for command in commands:
        words = shlex.split(command.replace("/opt/fax-exporter", str(place)))
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        done = subprocess.run(
            words, cwd=tree, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert __version__ in succeeds(place / "bin/asterisk-fax-exporter", "--version")

    # As installed, so that nothing is there that the locks do not name.
    frozen = succeeds(place / "bin/pip", "list", "--format=freeze").splitlines()
    names = {canonicalize_name(line.partition("==")[0]) for line in frozen}
    ours_too = {"asterisk-fax-exporter", "pip", "setuptools"}
    assert names - ours_too == {*pinned(LOCKS / "runtime.txt"), *pinned(LOCKS / "build.txt")}


@pytest.mark.slow
def test_a_file_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    one, hashes = locked(LOCKS / "build.txt")[-1]
    lock.write_text(f"{one} --hash=sha256:{'0' * 64}\n")
    place = tmp_path / "venv"
    succeeds("python3", "-m", "venv", place)
    done = subprocess.run(
        [place / "bin/pip", "install", "--require-hashes", "--no-deps", "-r", lock],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert any(one.removeprefix("sha256:") in done.stderr for one in hashes)
