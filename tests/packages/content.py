"""What is in a package, as its own format says it: the same for all three, so that they compare."""

import hashlib
import io
import stat
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.programs import binary


@dataclass(frozen=True)
class Item:
    """A file, folder or link."""

    mode: int
    """With the kind of file."""
    owner: str
    """User and group."""
    what: str
    """SHA-256 of a file, in hex; the target of a link; of a folder nothing."""

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


Content = dict[str, Item]


def of_deb(file: Path) -> Content:
    """By path without a slash before it."""
    dpkg = binary("dpkg-deb", package="dpkg")
    packed = subprocess.run([dpkg, "--fsys-tarfile", file], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return _of_tar(archive, archive.getmembers(), 0)


def of_tar_gz(file: Path) -> Content:
    """By path below the one folder of the archive."""
    with tarfile.open(file) as archive:
        return _of_tar(archive, archive.getmembers(), 1)


def _of_tar(archive: tarfile.TarFile, members: Iterable[tarfile.TarInfo], strip: int) -> Content:
    found = {}
    for one in members:
        name = "/".join(Path(one.name).parts[strip:])
        kind = stat.S_IFDIR if one.isdir() else stat.S_IFLNK if one.issym() else stat.S_IFREG
        assert one.isdir() or one.issym() or one.isreg(), one.name
        what = one.linkname
        if one.isreg():
            content = archive.extractfile(one)
            assert content
            what = hashlib.sha256(content.read()).hexdigest()
        if name:
            found[name] = _item(kind | one.mode, f"{one.uname}:{one.gname}", what)
    return found


def of_rpm(file: Path) -> Content:
    """By path without a slash before it."""
    tags = ("FILENAMES", "FILEMODES", "FILEUSERNAME", "FILEGROUPNAME", "FILEDIGESTS", "FILELINKTOS")
    form = "[" + "\\t".join(f"%{{{tag}}}" for tag in tags) + "\\n]"
    found = {}
    for line in asked(file, form).splitlines():
        name, mode, user, group, digest, target = line.split("\t")
        kind = int(mode) & 0o177777
        found[name.lstrip("/")] = _item(kind, f"{user}:{group}", target or digest)
    return found


def _item(mode: int, owner: str, what: str) -> Item:
    # A link has no mode of its own, and what stands there is nothing that anybody heeds.
    return Item(mode | 0o777 if stat.S_ISLNK(mode) else mode, owner, what)


def asked(file: Path, form: str) -> str:
    """What rpm says of a package, by a --queryformat."""
    rpm = binary("rpm", package="rpm")
    command = [rpm, "--query", "--package", "--queryformat", form, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
