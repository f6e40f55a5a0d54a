"""The Makefile: what it lists is there, and what it starts exists."""

import importlib.util
import re
from pathlib import Path

from bench.__main__ import SUBJECTS
from harness.programs import succeeds

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Makefile").read_text(encoding="utf-8")
NOT_FOR_USERS = {"help", "python", "before-test"}


def listed() -> dict[str, str]:
    """What `make` alone says of each target."""
    lines = succeeds("make", "--no-print-directory", "-C", ROOT).splitlines()
    rows = [re.fullmatch(r"make ([a-z]+) +(\S.*)", line) for line in lines]
    return {row[1]: row[2] for row in rows if row}


def test_make_alone_lists_every_target() -> None:
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", TEXT, re.MULTILINE)).split()
    assert set(listed()) == set(phony) - NOT_FOR_USERS


def test_every_module_it_starts_exists() -> None:
    modules = re.findall(r"python -m ([\w.]+)", TEXT)
    assert len(modules) > 5
    for module in modules:
        assert importlib.util.find_spec(module), module


def test_the_subjects_it_names_for_bench_are_some() -> None:
    named = re.findall(r'ARGS="([^"]+)"', listed()["bench"])
    assert named
    assert set(" ".join(named).split()) <= SUBJECTS.keys()
