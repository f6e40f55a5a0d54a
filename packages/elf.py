"""What the programs and libraries of a package ask of the system that they run on.

A package is for any system with a glibc as old as the one named, so no file may ask for a newer
one's functions, nor for a library that is neither glibc's nor in the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.elf.dynamic import DynamicSection, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

_MACHINES: Final = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}

OF_LIBC: Final = frozenset(
    """
    libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1
    ld-linux-x86-64.so.2 ld-linux-aarch64.so.1
    """.split()  # noqa: SIM905 - a list of words, read as such
)
"""The libraries that are glibc's."""


@dataclass(frozen=True)
class Elf:
    """A program or a shared library."""

    path: Path
    machine: str
    soname: str | None
    needed: frozenset[str]
    """The libraries that it is linked with."""
    wanted: frozenset[tuple[str, str]]
    """Libraries with a version of symbols that it asks of them: ("libc.so.6", "GLIBC_2.17")."""
    defined: frozenset[str]
    """Versions of symbols that it has itself."""
    search: tuple[str, ...]
    """Folders in which it looks for libraries: RPATH and RUNPATH."""

    @property
    def glibc(self) -> tuple[int, ...]:
        """The oldest glibc that has all it asks for: (2, 17), or () if it asks for none."""
        names = (name for _, name in self.wanted if name.startswith("GLIBC_"))
        return max((version(name.removeprefix("GLIBC_")) for name in names), default=())


def version(text: str) -> tuple[int, ...]:
    """2.17 as (2, 17). What is no number is newer than any: PRIVATE is of one glibc alone."""
    return tuple(int(part) if part.isdigit() else 1_000_000 for part in text.split("."))


def elf_files(tree: Path) -> Iterator[Elf]:
    """All that is ELF below a folder; links are not followed."""
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield read(path)


def read(path: Path) -> Elf:
    """What an ELF file says of itself. Raises elftools.common.exceptions.ELFError for another."""
    needed, search, wanted, defined = set(), [], set(), set()
    soname = None
    with path.open("rb") as file:
        elf = ELFFile(file)
        for section in elf.iter_sections():
            if isinstance(section, DynamicSection):
                for tag in section.iter_tags():
                    if tag.entry.d_tag == "DT_NEEDED":
                        needed.add(_text(tag, "needed"))
                    elif tag.entry.d_tag == "DT_SONAME":
                        soname = _text(tag, "soname")
                    elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                        name = tag.entry.d_tag.removeprefix("DT_").lower()
                        search += _text(tag, name).split(":")
            elif isinstance(section, GNUVerNeedSection):
                for library, asked in section.iter_versions():
                    wanted |= {(str(library.name), str(one.name)) for one in asked}
            elif isinstance(section, GNUVerDefSection):
                defined |= {str(next(names).name) for _, names in section.iter_versions()}
        machine = _MACHINES.get(elf["e_machine"], elf["e_machine"])
    return Elf(
        path,
        machine,
        soname,
        frozenset(needed),
        frozenset(wanted),
        frozenset(defined),
        tuple(search),
    )


def _text(tag: DynamicTag, name: str) -> str:
    """What a tag points at; it has an attribute of the name that fits its kind."""
    return str(getattr(tag, name))


def faults(tree: Path, machine: str, glibc: str) -> list[str]:
    """Why what is in a folder would not run on any system of `machine` with that glibc; none: [].

    Its own libraries are those that lie in a folder called lib, where its programs look.
    """
    files = list(elf_files(tree))
    own = {one.soname: one for one in files if one.soname and one.path.parent.name == "lib"}
    found = [] if files else [f"{tree} has no program"]
    for one in files:
        name = one.path.relative_to(tree)
        if one.machine != machine:
            found.append(f"{name} is for {one.machine}")
        if one.glibc > version(glibc):
            found.append(f"{name} needs glibc {'.'.join(str(part) for part in one.glibc)}")
        for library in sorted(one.needed - OF_LIBC - own.keys()):
            found.append(f"{name} needs {library}, which is not in the package")
        for library, symbols in sorted(one.wanted):
            if library in own and symbols not in own[library].defined:
                found.append(f"{name} needs {symbols}, which our {library} has not")
        for folder in one.search:
            if folder.split("/")[0] not in ("$ORIGIN", "${ORIGIN}"):
                found.append(f"{name} looks for libraries in {folder}")
    return found


def mentions(tree: Path, *words: str) -> list[str]:
    """The files that have one of the words in them: names of folders where they were built."""
    found = []
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found += [
                f"{path.relative_to(tree)}: {one}" for one in words if one.encode() in content
            ]
    return found
