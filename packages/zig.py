"""The compiler for both machines: zig's, for a glibc as old as the oldest system that is served.

And what C and Rust extensions want of a compiler at run time, libgcc_s.so.1, from LLVM's libunwind.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

from packages.sources import BuildFailed, run

GLIBC: Final = "2.17"
"""The oldest glibc that everything runs on: CentOS 7's, of which FreePBX 16 is made."""

# By which version each function is asked for, as GCC's library has them. Rust's extensions need
# those; glibc itself asks for some without a version when a thread is cancelled.
_SYMBOLS: Final = """\
GCC_3.0 {
  global:
    _Unwind_DeleteException; _Unwind_ForcedUnwind; _Unwind_GetDataRelBase; _Unwind_GetGR;
    _Unwind_GetIP; _Unwind_GetLanguageSpecificData; _Unwind_GetRegionStart; _Unwind_GetTextRelBase;
    _Unwind_RaiseException; _Unwind_Resume; _Unwind_SetGR; _Unwind_SetIP; __deregister_frame;
    __register_frame;
  local: *;
};
GCC_3.3 {
  global:
    _Unwind_Backtrace; _Unwind_FindEnclosingFunction; _Unwind_GetCFA; _Unwind_Resume_or_Rethrow;
} GCC_3.0;
GCC_3.3.1 { global: __gcc_personality_v0; } GCC_3.3;
GCC_4.2.0 { global: _Unwind_GetIPInfo; } GCC_3.3.1;
"""


def home() -> Path:
    """The folder of the installed ziglang. Raises BuildFailed if it is not installed."""
    found = importlib.util.find_spec("ziglang")
    if found is None or found.origin is None:
        raise BuildFailed("ziglang is not installed; `make packages` installs it")
    return Path(found.origin).parent


def version() -> str:
    """The version of ziglang that is installed. Raises BuildFailed if it is not."""
    home()
    return installed("ziglang")


def toolchain(folder: Path, machine: str) -> dict[str, str]:
    """Write a compiler for `machine` into `folder`; the environment in which builds find it.

    The compiler's name has no path in it, and it tells no file below `folder` by its path: what is
    built has nothing of this machine. Nor has the environment anything of the builder's but PATH.
    """
    programs = folder / "bin"
    programs.mkdir(parents=True)
    target = f"-target {machine}-linux-gnu.{GLIBC}"
    for name, command in {
        # zig makes undefined behaviour trap, which is for those who write C; and it refuses
        # __DATE__, which SOURCE_DATE_EPOCH has fixed.
        f"{machine}-cc": f"cc {target} -fno-sanitize=undefined -g0 -Wno-date-time"
        f" -ffile-prefix-map={folder}=. -ffile-prefix-map={home()}=zig",
        f"{machine}-ar": "ar",
        f"{machine}-ranlib": "ranlib",
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{home()}/zig" {command} "$@"\n')
        (programs / name).chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "LC_ALL": "C",
        "HOME": str(folder),
        "CC": f"{machine}-cc",
        "AR": f"{machine}-ar",
        "RANLIB": f"{machine}-ranlib",
        # What is compiled once is compiled once.
        "ZIG_GLOBAL_CACHE_DIR": str(folder / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(folder / "zig"),
    }


def libgcc_s(folder: Path, environment: Mapping[str, str]) -> Path:
    """Make a libgcc_s.so.1 in `folder`, which unwinds stacks for extensions written in Rust.

    It is LLVM's libunwind, which comes with zig, with GCC's versions of its symbols. What else
    GCC's library has, arithmetic, is in each extension that needs it. Raises BuildFailed.
    """
    unwind = home() / "lib/libunwind"
    folder.mkdir(parents=True, exist_ok=True)
    compiler = environment["CC"]
    flags = (
        f"-O2 -fPIC -fvisibility=default -funwind-tables -DNDEBUG -I{unwind / 'include'}".split()
    )
    flags.append("-D_LIBUNWIND_IS_NATIVE_ONLY")
    objects = []
    for name, language in {
        "libunwind.cpp": "-xc++ -fno-exceptions -fno-rtti -nostdinc++",
        "UnwindLevel1.c": "-std=c99 -fexceptions",
        "UnwindLevel1-gcc-ext.c": "-std=c99 -fexceptions",
        "gcc_personality_v0.c": "-std=c99 -fexceptions",
        "UnwindRegistersRestore.S": "-xassembler-with-cpp",
        "UnwindRegistersSave.S": "-xassembler-with-cpp",
    }.items():
        objects.append(f"{name}.o")
        source = unwind / "src" / name
        run(
            [compiler, *flags, *language.split(), "-c", source, "-o", objects[-1]],
            cwd=folder,
            env=environment,
        )
    (folder / "symbols").write_text(_SYMBOLS)
    link = "-shared -nostdlib -Wl,-soname,libgcc_s.so.1 -Wl,--version-script=symbols -Wl,-s"
    hardened = "-Wl,-z,relro -Wl,-z,now"
    libraries = ("-lc", "-ldl", "-lpthread")
    run(
        [compiler, *link.split(), *hardened.split(), "-o", "libgcc_s.so.1", *objects, *libraries],
        cwd=folder,
        env=environment,
    )
    return folder / "libgcc_s.so.1"
