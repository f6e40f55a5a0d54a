"""What is asked of the system is found in ELF files, by some that a compiler has just made."""

import subprocess
from pathlib import Path

import pytest

from packages import elf, zig
from packages.sources import BuildFailed
from tests.packages.pythons import prefix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what is wrong in each way that a file can be."""
    folder = tmp_path_factory.mktemp("tree") / "lib"
    try:
        environment = zig.toolchain(folder.parent.parent / "tools", "x86_64")
    except BuildFailed:
        prefix("x86_64")  # skips, or fails where it is required
        raise
    folder.mkdir()

    def build(output: str, code: str, *flags: str) -> None:
        compiler = [str(zig.home() / "zig"), "cc", "-target", "x86_64-linux-gnu.2.28", "-shared"]
        subprocess.run(
            [*compiler, "-xc", "-", "-xnone", "-o", output, *flags],
            input=code.encode(),
            cwd=folder,
            env=environment,
            check=True,
        )

    recent = "int getentropy(void *, unsigned long); int f(void) { return getentropy(0, 0); }"
    asks = "int versioned(void); int f(void) { return versioned(); }"
    old, new = "OURS_1 { global: *; };", "OURS_1 {}; OURS_2 { global: versioned; } OURS_1;"
    (folder / "old.map").write_text(old)
    (folder / "new.map").write_text(new)
    own = ("-Wl,-soname,libown.so.1", "-Wl,--version-script=new.map")
    build("fine.so", 'int puts(const char *); int f(void) { return puts(""); }')
    build("recent.so", recent)
    build("libown.so.1", "int versioned(void) { return 1; }", *own)
    build("asks.so", asks, "libown.so.1")
    build("libown.so.1", "int other(void) { return 1; }", own[0], "-Wl,--version-script=old.map")
    build("strange.so", "int g(void) { return 1; }", "-Wl,-soname,libstrange.so.6")
    build("wants.so", asks.replace("versioned", "g"), "strange.so", "-Wl,-rpath,/builds/here")
    (folder / "strange.so").unlink()
    return folder.parent


def of(made: Path, name: str, machine: str = "x86_64", glibc: str = "2.17") -> list[str]:
    return [one for one in elf.faults(made, machine, glibc) if one.startswith(f"lib/{name} ")]


def test_what_asks_for_no_more_than_there_is_has_no_fault(made: Path) -> None:
    assert of(made, "fine.so") == of(made, "libown.so.1") == []


def test_a_newer_glibc_is_found_by_the_versions_of_symbols(made: Path) -> None:
    assert of(made, "recent.so") == ["lib/recent.so needs glibc 2.25"]
    assert of(made, "recent.so", glibc="2.25") == []
    assert of(made, "fine.so", glibc="2.2.4") == ["lib/fine.so needs glibc 2.2.5"]


def test_libraries_that_are_neither_of_libc_nor_in_the_package_are_found(made: Path) -> None:
    assert "lib/wants.so needs libstrange.so.6, which is not in the package" in of(made, "wants.so")


def test_symbols_that_an_own_library_lacks_are_found(made: Path) -> None:
    assert of(made, "asks.so") == ["lib/asks.so needs OURS_2, which our libown.so.1 has not"]


def test_folders_of_the_builder_are_found(made: Path) -> None:
    assert "lib/wants.so looks for libraries in /builds/here" in of(made, "wants.so")
    assert "lib/wants.so: /builds/here" in elf.mentions(made, "/builds/here")


def test_programs_of_another_machine_are_found(made: Path) -> None:
    assert of(made, "fine.so", machine="aarch64") == ["lib/fine.so is for x86_64"]


def test_a_folder_without_programs_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    assert elf.faults(tmp_path, "x86_64", "2.17") == [f"{tmp_path} has no program"]


def test_a_glibc_is_newer_by_numbers_and_not_by_letters() -> None:
    assert elf.version("2.9") < elf.version("2.17") < elf.version("2.17.1") < elf.version("PRIVATE")
