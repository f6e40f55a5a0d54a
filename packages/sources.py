"""The sources that the packages' Python is built from: Debian's, pinned in locks/sources.json.

A pin is a version with the SHA-256 of each of its files, so what is built is what was looked at,
whichever mirror it comes from. `python -m packages.sources` takes newer ones, by Debian's signed
index.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).parent.parent / "locks/sources.json"
_APT_HELPER: Final = "/usr/lib/apt/apt-helper"
_KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_OF_DEBIAN: Final = ("debian", "debian-security")
"""How the address of a mirror ends."""


class BuildFailed(Exception):
    """Something for the packages cannot be fetched or built; the text says what, and why."""


@dataclass(frozen=True)
class File:
    """A file of a source package: its path below a mirror, and its SHA-256 in hex."""

    path: str
    sha256: str

    @property
    def name(self) -> str:
        """Its name, without the folder on the mirror."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """A source package of Debian.

    `patched`: as Debian has it, with its patches; else what upstream released, alone.
    """

    name: str
    version: str
    suite: str
    patched: bool
    files: tuple[File, ...]

    @property
    def upstream(self) -> str:
        """The version as upstream calls it: 3.5.7 of 3.5.7-1~deb13u2, 2.1 of 1:2.0+really2.1-1."""
        return self.version.split(":")[-1].rpartition("-")[0].split("+really")[-1]

    @property
    def tarball(self) -> File:
        """What upstream released."""
        return next(one for one in self.files if ".orig.tar." in one.name)


def cache() -> Path:
    """Where this project keeps what takes long to get or to build."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "asterisk-fax-exporter"


def run(command: Sequence[str | Path], **options: object) -> str:
    """Run a program and return what it printed. Raises BuildFailed with its last lines."""
    try:
        done = subprocess.run(  # type: ignore[call-overload] # what it takes is its own matter
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            **options,
        )
    except OSError as error:
        raise BuildFailed(f"{command[0]}: {error.strerror}") from error
    said: str = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        last = "\n".join(said.splitlines()[-25:])
        raise BuildFailed(f"{words}\nended with status {done.returncode}; its last lines:\n{last}")
    return said


def locked() -> dict[str, Source]:
    """What locks/sources.json pins, by name."""
    return {
        name: Source(name=name, **{**pin, "files": tuple(File(**one) for one in pin["files"])})
        for name, pin in json.loads(LOCK.read_text()).items()
    }


@functools.cache
def mirrors() -> tuple[str, ...]:
    """The mirrors of Debian that this machine's own apt is configured for, the security one too; if
    it is for none by such a name, but a list of mirrors, a snapshot or Ubuntu, Debian's own.

    Raises BuildFailed if there is no apt.
    """
    # With a state that is empty: also on a machine that has never updated.
    said = run(["apt-get", "--print-uris", "-o", "Dir::State=/nonexistent/", "update"])
    uris = [line.split("'")[1] for line in said.splitlines() if line.startswith("'")]
    bases = [uri.partition("/dists/")[0] for uri in uris if "/dists/" in uri]
    found = [one for one in bases if one.rpartition("/")[2] in _OF_DEBIAN]
    return tuple(dict.fromkeys(found or [f"http://deb.debian.org/{one}" for one in _OF_DEBIAN]))


def fetch(source: Source) -> list[Path]:
    """The files of a source, kept in the cache; each has the hash that is pinned.

    Raises BuildFailed if no mirror has one.
    """
    return [_fetched(one) for one in source.files]


def unpack(source: Source, folder: Path) -> Path:
    """Unpack a source into a new folder, with Debian's patches if it is to have them.

    Raises BuildFailed.
    """
    files = fetch(source)
    with tempfile.TemporaryDirectory() as scratch:
        for file in files:
            shutil.copy(file, scratch)
        if not source.patched:
            folder.mkdir(parents=True)
            tarball = Path(scratch, source.tarball.name)
            run(["tar", "-xf", tarball, "--strip-components=1", "--no-same-owner", "-C", folder])
            return folder
        # The hash of each file has been checked, and of the .dsc, which has their list.
        described = next(Path(scratch, file.name) for file in files if file.suffix == ".dsc")
        run(["dpkg-source", "--no-check", "--no-copy", "-x", described, folder.absolute()])
    return folder


def patches(folder: Path) -> list[str]:
    """The names of Debian's patches in an unpacked source."""
    series = folder / "debian/patches/series"
    if not series.exists():
        return []
    lines = (line.partition("#")[0].strip() for line in series.read_text().splitlines())
    return [line for line in lines if line]


def _fetched(file: File) -> Path:
    """A file in the cache; fetched by apt, which knows the machine's proxy."""
    kept = cache() / "sources" / file.sha256 / file.name
    if kept.exists() and _sha256(kept) == file.sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    refusals = []
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        part = Path(scratch, "part")
        for mirror in mirrors():
            address = f"{mirror}/{urllib.parse.quote(file.path)}"
            expected = f"SHA256:{file.sha256}"
            apt = [_APT_HELPER, "-q", "-o", "APT::Sandbox::User=root"]
            try:
                run([*apt, "download-file", address, part, expected])
            except BuildFailed as error:
                errors = [line for line in str(error).splitlines() if line.startswith("E: ")]
                refusals.append(errors[0] if errors else str(error))
                continue
            if _sha256(part) != file.sha256:
                raise BuildFailed(f"{address} has not the hash {file.sha256}")
            part.replace(kept)
            return kept
    raise BuildFailed(f"no mirror has {file.path}: " + "; ".join(refusals))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _indexed(name: str, suite: str, apt: Sequence[str]) -> Iterator[Source]:
    """All versions that Debian's index has of a source, the newest first."""
    # A version can be in two places: Debian's archive and the one of its security team.
    found: list[tuple[str, tuple[File, ...]]] = []
    for stanza in run(["apt-cache", *apt, "showsrc", "--only-source", name]).split("\n\n"):
        fields: dict[str, list[str]] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith(" "):
                fields[key].append(line.strip())
            else:
                key, _, value = line.partition(":")
                fields[key] = [value.strip()]
        if fields.get("Package") != [name]:
            continue
        folder = fields["Directory"][0]
        listed = (line.split() for line in fields["Checksums-Sha256"] if line)
        all_files = [File(f"{folder}/{file}", digest) for digest, _, file in listed]
        wanted = tuple(file for file in all_files if not file.name.endswith(".asc"))
        found.append((fields["Version"][0], wanted))

    def order(one: tuple[str, object], other: tuple[str, object]) -> int:
        if one[0] == other[0]:
            return 0
        newer = subprocess.run(["dpkg", "--compare-versions", one[0], "gt", other[0]], check=False)
        return 1 if newer.returncode == 0 else -1

    # Of the two places the archive first: what the security team has, it has only for a while.
    found.sort(key=lambda one: "/updates/" in one[1][0].path)
    for version, files in sorted(found, key=functools.cmp_to_key(order), reverse=True):
        yield Source(name, version, suite, True, files)


def obtained() -> dict[str, Source]:
    """The sources, each fetched: what is pinned or, where no mirror has that any more, the
    newest of the same suite that one has, verified by apt. Says on stderr which is another.

    Debian's mirrors keep a version as long as a suite has it. Raises BuildFailed.
    """
    got = {}
    for name, pin in locked().items():
        try:
            fetch(pin)
        except BuildFailed as error:
            with _index(pin.suite) as apt:
                other = _newest(pin, apt)
            if other is None:
                raise BuildFailed(
                    f"{error}\nand Debian's index has no other that can be had"
                ) from None
            print(f"{name} {other.version} is taken for {pin.version}: {error}", file=sys.stderr)
            got[name] = other
        else:
            got[name] = pin
    return got


def main() -> None:
    """Write locks/sources.json anew: of each source the newest of its suite that can be had."""
    pins = {}
    for name, pin in locked().items():
        with _index(pin.suite) as apt:
            newest = _newest(pin, apt)
        if newest is None:
            print(f"{name} stays at {pin.version}: no mirror has another", file=sys.stderr)
        pins[name] = asdict(newest or pin)
        del pins[name]["name"]
    LOCK.write_text(json.dumps(pins, indent=2) + "\n")


@contextmanager
def _index(suite: str) -> Iterator[list[str]]:
    """The options by which apt knows the sources of a suite alone, in a state of its own.

    apt verifies it by the keys of this machine. Raises BuildFailed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        keys = f"[signed-by={_KEYS}]" if Path(_KEYS).exists() else ""
        lines = [
            f"deb-src {keys} {mirror} {suite}{'-security' * mirror.endswith('-security')} main"
            for mirror in mirrors()
            if suite != "sid" or not mirror.endswith("-security")
        ]
        Path(scratch, "sources.list").write_text("\n".join(lines) + "\n")
        for folder in ("state/lists/partial", "cache/archives/partial"):
            Path(scratch, folder).mkdir(parents=True)
        apt = ["-q"]
        for setting in (
            f"Dir::State={scratch}/state",
            f"Dir::Cache={scratch}/cache",
            f"Dir::Etc::SourceList={scratch}/sources.list",
            "Dir::Etc::SourceParts=/dev/null",
            "APT::Sandbox::User=root",
        ):
            apt += ["-o", setting]
        run(["apt-get", *apt, "update"])
        yield apt


def _newest(pin: Source, apt: Sequence[str]) -> Source | None:
    """Of the source that is pinned the newest version that is indexed and there, fetched."""
    for one in _indexed(pin.name, pin.suite, apt):
        files = tuple(file for file in one.files if pin.patched or ".orig.tar." in file.name)
        candidate = replace(one, patched=pin.patched, files=files)
        try:
            fetch(candidate)
        except BuildFailed as error:
            print(error, file=sys.stderr)
        else:
            return candidate
    return None


if __name__ == "__main__":
    main()
