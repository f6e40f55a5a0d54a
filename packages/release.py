"""What a package says of itself beside its content: version, who made it, when, what changed.

All of it comes from the tree, or is told by the environment; nothing is of the machine that builds.
"""

import os
import re
import subprocess
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
NAME: Final = "asterisk-fax-exporter"
NOBODY: Final = "Unnamed builder <nobody@example.org>"
"""Who made a package if PACKAGE_MAINTAINER does not say it: the tree knows no address."""
_NO_DATE: Final = 1580608800
"""2020-02-02, what hatchling gives to the files of an sdist: there the tree has no other date."""


class SettingWrong(Exception):
    """A variable of the environment cannot be used; the text says which, and what it should be."""


@dataclass(frozen=True)
class Release:
    """What is said of a package; `date` is in seconds since 1970 and that of every file in it."""

    version: str
    number: int
    """Of the package, of several with one version of the exporter."""
    maintainer: str
    """A name with an address in angle brackets."""
    homepage: str
    """Empty if nobody says it."""
    summary: str
    date: int

    @property
    def full(self) -> str:
        """Version and number, as Debian and RPM write them."""
        return f"{self.version}-{self.number}"


def release(number: int, environment: Mapping[str, str]) -> Release:
    """What this tree is, with PACKAGE_MAINTAINER, PROJECT_URL and SOURCE_DATE_EPOCH.

    Raises SettingWrong.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    maintainer = environment.get("PACKAGE_MAINTAINER") or NOBODY
    if not re.fullmatch(r"[^<>\n]*[^<>\s] <[^<>\s@]+@[^<>\s@]+>", maintainer):
        raise SettingWrong(
            f"PACKAGE_MAINTAINER is {maintainer!r}, and should be like 'Ada <ada@example.org>'"
        )
    epoch = environment.get("SOURCE_DATE_EPOCH") or str(_date())
    if not epoch.isdecimal():
        raise SettingWrong(f"SOURCE_DATE_EPOCH is {epoch!r}, and should be seconds since 1970")
    return Release(
        version=project["version"],
        number=number,
        maintainer=maintainer,
        homepage=environment.get("PROJECT_URL", "").rstrip("/"),
        summary=project["description"],
        date=int(epoch),
    )


def _date() -> int:
    """Of the last commit, so that one tree is one package whenever it is built."""
    asked = os.environ | {"GIT_CEILING_DIRECTORIES": str(ROOT.parent)}
    try:
        said = subprocess.run(
            ["git", "-C", ROOT, "log", "-1", "--format=%ct"],
            env=asked, capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
    except FileNotFoundError:
        return _NO_DATE
    return int(said) if said.strip().isdecimal() else _NO_DATE


def changes(text: str) -> list[str]:
    """What the first section of CHANGELOG.md that has any says, an item each, without its marks."""
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        found = re.findall(r"^- (.+(?:\n  .+)*)", section, re.MULTILINE)
        if found:
            return [re.sub(r"\s+", " ", one).replace("`", "") for one in found]
    return []


def debian_changelog(release: Release, items: list[str]) -> str:
    """The changelog in Debian's format, with one entry: that of this version."""
    lines = [f"{NAME} ({release.full}) unstable; urgency=medium", ""]
    for item in items:
        lines += textwrap.wrap(
            item, 76, initial_indent="  * ", subsequent_indent="    ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
    when = datetime.fromtimestamp(release.date, UTC)
    # Not strftime, whose words are those of the locale.
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[when.weekday()]
    month = (
        *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
        *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    )[when.month - 1]
    stamp = f"{day}, {when:%d} {month} {when:%Y %H:%M:%S} +0000"
    return "\n".join([*lines, "", f" -- {release.maintainer}  {stamp}", ""])
