"""The tree: the same each time it is laid out, and refused when what it is made of is not whole."""

import hashlib
import os
import platform
import shutil
from pathlib import Path

import pytest

from harness.packages import built, need_what_makes_them
from harness.programs import succeeds
from packages import notices, tree
from packages.python import python_for
from packages.release import Release
from packages.tree import TreeFailed, entries, lay, python_version, settle
from tests.test_docs import anchors, links

MADE = Release("0.1.0", 1, "Ada <ada@example.org>", "", "Faxes", 1_700_000_000)


def laid_out(root: Path, umask: int) -> dict[str, tuple[int, float, str]]:
    """Mode, time and content of everything in a tree that is laid out there."""
    machine = platform.machine()
    before = os.umask(umask)
    try:
        lay(root, machine, python_for(machine), python_for(machine), MADE)
        notices.write(root, machine, python_for(machine), MADE)
    finally:
        os.umask(before)
    settle(root, MADE.date)
    found = {}
    for one in entries(root):
        path = root / one.path
        what = one.target
        if not what and not one.folder:
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        found[one.path] = (one.mode, path.lstat().st_mtime, what)
    return found


@pytest.mark.slow
def test_it_is_the_same_each_time(tmp_path: Path) -> None:
    need_what_makes_them()
    built("tar.gz")  # else a Python would be built here first
    # A Python that has run is as one that never has.
    for compiled in python_for(platform.machine()).glob("lib/python*/**/__pycache__"):
        shutil.rmtree(compiled, ignore_errors=True)
    first = laid_out(tmp_path / "one", 0o022)
    succeeds(next(python_for(platform.machine()).glob("bin/python3.*")), "-c", "import compileall")
    second = laid_out(tmp_path / "a second place", 0o077)
    assert len(first) > 1000
    assert first.keys() == second.keys()
    assert {name for name, what in first.items() if what != second[name]} == set()


@pytest.mark.parametrize("names", [[], ["python3.14", "python3.13"], ["python3.14-config"]])
def test_a_prefix_has_one_python(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in names:
        (tmp_path / "bin" / name).touch()
    with pytest.raises(TreeFailed, match="one Python"):
        python_version(tmp_path)
    for name in names:
        (tmp_path / "bin" / name).unlink()
    for name in ("python3", "python3.14", "python3.14-config"):
        (tmp_path / "bin" / name).touch()
    assert python_version(tmp_path) == "3.14"


def test_what_the_tree_of_the_project_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "ROOT", tmp_path)
    with pytest.raises(TreeFailed, match=r"there is no deploy/package/environment in"):
        tree.copy_documents(tmp_path / "root")


def test_the_links_of_the_documents_lead_to_what_is_installed(tmp_path: Path) -> None:
    tree.copy_documents(tmp_path)
    documents = sorted(tmp_path.rglob("*.md"))
    assert len(documents) > 15
    for document in documents:
        for path, anchor in links(document):
            target = document.parent / path if path else document
            assert target.exists(), (document, path)
            assert target.resolve().is_relative_to(tmp_path), (document, path)
            assert not anchor or anchor in anchors(target), f"{document}: {path}#{anchor}"
    readme = (tmp_path / tree.DOC / "README.md").read_text()
    assert "](deploy/systemd/README.md)" in readme
    assert "](../../asterisk-fax-exporter/rules)" in readme
    assert "for maintainers" in readme
    assert "CONTRIBUTING.md" not in readme
