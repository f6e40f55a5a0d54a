"""What a package installs, laid out in a folder as it is on the machine: the same for all formats.

Modes and times are those of the packages; owners are root's, which the formats write.
"""

import gzip
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packages import wheels
from packages.release import NAME, ROOT, Release, changes, debian_changelog

LIB: Final = Path("usr/lib") / NAME
SHARE: Final = Path("usr/share") / NAME
DOC: Final = Path("usr/share/doc") / NAME
ETC: Final = Path("etc") / NAME
LINTIAN: Final = Path("usr/share/lintian")
"""Of the .deb alone."""
OWN: Final = (LIB, SHARE, DOC, ETC)
"""Folders that are the package's; all others are the distribution's."""
ABOUT_PYTHON: Final = ("licences", "sources.json")
"""What a Python's prefix has for the documents: it is of no use to the Python."""

# From the tree to the folder where it is installed; of folders only the files.
_COPIED: Final = {
    "deploy/package/environment": ETC,
    "deploy/package/lintian-overrides": LINTIAN / "overrides",
    "deploy/systemd/asterisk-fax-exporter.service": Path("usr/lib/systemd/system"),
    "deploy/systemd/asterisk-fax-exporter.socket": Path("usr/lib/systemd/system"),
    "deploy/completion/asterisk-fax-exporter.bash": Path("usr/share/bash-completion/completions"),
    "deploy/completion/_asterisk-fax-exporter": Path("usr/share/zsh/vendor-completions"),
    "deploy/prometheus/*.rules.yml": SHARE / "rules",
    "grafana/dashboards/*.json": SHARE / "dashboards",
    "deploy/asterisk/snippets/*": SHARE / "asterisk",
    "deploy/logrotate/*": SHARE / "logrotate",
    "deploy/loki/*": SHARE / "loki",
    "deploy/systemd/README.md": DOC / "deploy/systemd",
    "grafana/README.md": DOC / "grafana",
    "README.md": DOC,
    "SECURITY.md": DOC,
    "docs/*.md": DOC / "docs",
    "docs/*.png": DOC / "docs",
    "docs/*.svg": DOC / "docs",
    "docs/*.yaml": DOC / "docs",
}
_LINK: Final = re.compile(r"\[(?P<words>[^][]*)\]\((?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
"""In Markdown, to another file."""
_PROGRAMS: Final = {"launcher": NAME, "prepare": "prepare"}
_RENAMED: Final = {f"{NAME}.bash": NAME, "lintian-overrides": NAME}
_LINKS: Final = {
    Path("usr/bin") / NAME: f"../lib/{NAME}/bin/{NAME}",
    # Debian's zsh looks into the one, others' into the other.
    Path(f"usr/share/zsh/site-functions/_{NAME}"): f"../vendor-completions/_{NAME}",
}


class TreeFailed(Exception):
    """What a package is made of is not there or does not work; the text says what."""


@dataclass(frozen=True)
class Entry:
    """A file, link or folder of a package."""

    path: str
    """Without a slash before it."""
    mode: int
    """Its permissions alone."""
    target: str = ""
    """Of a link, otherwise empty."""
    folder: bool = False

    @property
    def is_configuration(self) -> bool:
        """Whether it is the administrator's, who keeps what he changed."""
        return not self.folder and Path(self.path).is_relative_to("etc")


def lay(root: Path, machine: str, prefix: Path, runs: Path, release: Release) -> None:
    """Fill an empty folder. `prefix` is the target machine's Python, `runs` one of the same version
    that runs here.

    Raises TreeFailed and wheels.WheelsFailed.
    """
    library = root / LIB
    shutil.copytree(
        prefix, library, symlinks=True,
        ignore=lambda _, names: {one for one in names if one in ("__pycache__", *ABOUT_PYTHON)},
    )  # fmt: skip
    version = python_version(prefix)
    if not (library / "bin/python3").exists():
        (library / "bin/python3").symlink_to(f"python{version}")
    for name, file in _PROGRAMS.items():
        shutil.copyfile(ROOT / "deploy/package" / name, library / "bin" / file)
    wheels.install(library / f"lib/python{version}/site-packages", machine, version, release.date)
    _compile(root, runs)
    copy_documents(root)
    for path, target in _LINKS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    _compress(root / f"usr/share/man/man1/{NAME}.1.gz", (ROOT / f"docs/{NAME}.1").read_bytes())
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _compress(root / DOC / "changelog.gz", changelog.encode())
    debian = debian_changelog(release, changes(changelog))
    _compress(root / DOC / "changelog.Debian.gz", debian.encode())


def copy_documents(root: Path) -> None:
    """Bring what is installed as it is in the project's tree, the links of the documents aside.

    Raises TreeFailed.
    """
    places: dict[Path, Path] = {}
    for pattern, to in _COPIED.items():
        found = sorted(one for one in ROOT.glob(pattern) if one.is_file())
        if not found:
            raise TreeFailed(f"there is no {pattern} in {ROOT}")
        if "*" in pattern:
            places[Path(pattern).parent] = to
        for one in found:
            places[one.relative_to(ROOT)] = to / _RENAMED.get(one.name, one.name)
    for one, place in places.items():
        if (ROOT / one).is_dir():
            continue
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        if one.suffix == ".md":
            text = (ROOT / one).read_text(encoding="utf-8")
            (root / place).write_text(_linked(text, one, places), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / one, root / place)


def _linked(text: str, document: Path, places: Mapping[Path, Path]) -> str:
    """A document with its links as they are to be where it is installed: of a link to what is not
    installed, the words."""

    def link(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(document.parent / found["path"]))
        if not (ROOT / target).exists():  # it is on the web, or no link
            return found[0]
        if target not in places:
            return found["words"]
        path = os.path.relpath(places[target], places[document].parent)
        return f"[{found['words']}]({path}{found['anchor'] or ''})"

    return _LINK.sub(link, text)


def settle(root: Path, date: int) -> None:
    """Give everything the mode that it is installed with, and one time."""
    for folder, folders, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if _is_program(path.relative_to(root)) else 0o644)
        for name in (*files, *folders):
            path = Path(folder, name)
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
            os.utime(path, (date, date), follow_symlinks=False)
    root.chmod(0o755)
    os.utime(root, (date, date))


def entries(root: Path) -> Iterator[Entry]:
    """What is in the folder, in the order of the paths."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            yield Entry(name, 0o777, target=os.readlink(path))
        else:
            yield Entry(name, stat.S_IMODE(path.stat().st_mode), folder=path.is_dir())


def python_version(prefix: Path) -> str:
    """Of the Python in a prefix: such as 3.14. Raises TreeFailed."""
    names = [one.name for one in (prefix / "bin").glob("python3.*") if one.name[8:].isdecimal()]
    if len(names) != 1:
        raise TreeFailed(f"{prefix}/bin should have one Python, and has {names or 'none'}")
    return names[0].removeprefix("python")


def _is_program(path: Path) -> bool:
    return path.parent == LIB / "bin"


def _compile(root: Path, runs: Path) -> None:
    """By content and never checked, so that it is the same every time and needs no clock."""
    # What the compiling Python itself has loaded shows in what it writes, and differs by whether
    # that came from compiled files: so from sources always, and none are left for the next time.
    compiles = "import compileall, sys; sys.pycache_prefix = None; sys.exit(not compileall.main())"
    python = runs / f"bin/python{python_version(runs)}"
    done = subprocess.run(
        [python, "-I", "-B", "-X", f"pycache_prefix={os.devnull}", "-c", compiles,
         "-q", "-f", "--invalidation-mode=unchecked-hash", "-s", root, "-p", "/",
         root / LIB / "lib"],
        env={"PATH": os.defpath}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise TreeFailed(f"compileall ended with {done.returncode}: {done.stdout}")


def _compress(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 9, mtime=0))
