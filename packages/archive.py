"""The .tar.gz: the tree below one folder, root's, the same bytes for the same tree."""

import gzip
import io
import tarfile
from pathlib import Path

from packages.release import NAME, Release
from packages.tree import LINTIAN, entries


def write(root: Path, machine: str, release: Release, folder: Path) -> Path:
    """Pack what is in `root`; the file in `folder`."""
    top = f"{NAME}-{release.version}"
    file = folder / f"{top}-linux-{machine}.tar.gz"
    names = [one.path for one in entries(root) if not Path(one.path).is_relative_to(LINTIAN)]
    with (
        file.open("wb") as raw,
        # Neither a name nor a time in its header.
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name in ("", *names):
            path = root / name
            member = archive.gettarinfo(path, f"{top}/{name}".rstrip("/"))
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            member.mtime = release.date
            if member.islnk():  # to the tree a file with two names is two files
                member.type = tarfile.REGTYPE
                member.size = path.stat().st_size
            content = path.read_bytes() if member.isreg() else b""
            archive.addfile(member, io.BytesIO(content))
    return file
