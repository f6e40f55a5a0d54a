"""What a package says of itself: from the tree and the environment, never from the machine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.programs import binary, succeeds
from packages.release import NOBODY, ROOT, Release, SettingWrong, changes, debian_changelog, release

MADE = Release("0.1.0", 2, "Ada <ada@example.org>", "", "Faxes", 1_700_000_000)


def test_maintainer_homepage_and_date_are_those_of_the_environment() -> None:
    made = release(
        3,
        {
            "PACKAGE_MAINTAINER": "Ada Byron <ada@fax.example>",
            "PROJECT_URL": "https://forge.example/fax/",
            "SOURCE_DATE_EPOCH": "1700000000",
        },
    )
    assert (made.maintainer, made.homepage) == (
        "Ada Byron <ada@fax.example>",
        "https://forge.example/fax",
    )
    assert made.date == 1_700_000_000
    assert made.full == f"{made.version}-3"


def test_without_them_nobody_is_named_and_the_date_is_that_of_the_last_commit() -> None:
    made = release(1, {})
    assert (made.maintainer, made.homepage) == (NOBODY, "")
    asked = subprocess.run(
        [shutil.which("git") or "false", "-C", ROOT, "log", "-1", "--format=%ct"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # An sdist has no commits, and the date that hatchling gives to its files; so it is without git.
    assert made.date == int(asked.stdout if asked.returncode == 0 else 1580608800)


@pytest.mark.parametrize(
    "maintainer", ["Ada", "ada@example.org", "<ada@example.org>", "Ada <ada>", "A\nB <a@b.c>"]
)
def test_a_maintainer_without_name_or_address_is_refused(maintainer: str) -> None:
    with pytest.raises(SettingWrong, match="PACKAGE_MAINTAINER"):
        release(1, {"PACKAGE_MAINTAINER": maintainer})


def test_a_date_that_is_no_number_is_refused() -> None:
    with pytest.raises(SettingWrong, match="SOURCE_DATE_EPOCH"):
        release(1, {"SOURCE_DATE_EPOCH": "yesterday"})


def test_what_changed_is_the_first_section_that_says_something() -> None:
    new = "## [1.0]\n\n### Added\n\n- One `thing`\n  goes on.\n- Two.\n"
    text = f"# Log\n\n## [Unreleased]\n\n{new}\n## [0.9]\n\n- Old.\n"
    assert changes(text) == ["One thing goes on.", "Two."]
    assert changes("# Log\n") == []


def test_this_tree_says_something() -> None:
    assert len(changes((ROOT / "CHANGELOG.md").read_text())) > 3


def test_the_changelog_is_one_that_dpkg_reads(tmp_path: Path) -> None:
    text = debian_changelog(MADE, ["A first change. " * 10, "A second."])
    lines = text.splitlines()
    assert lines[0] == "asterisk-fax-exporter (0.1.0-2) unstable; urgency=medium"
    assert lines[-1] == " -- Ada <ada@example.org>  Tue, 14 Nov 2023 22:13:20 +0000"
    assert len(re.findall(r"^  \* ", text, re.MULTILINE)) == 2
    assert max(map(len, lines)) <= 80
    file = tmp_path / "changelog"
    file.write_text(text)
    parse = binary("dpkg-parsechangelog", package="dpkg-dev")
    read = succeeds(parse, "--file", file)
    assert "Version: 0.1.0-2\n" in read
    assert f"Timestamp: {MADE.date}\n" in read
    assert "warning" not in read
