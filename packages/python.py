"""The Python inside the packages: CPython, relocatable, for any system with glibc 2.17 or newer.

Nothing of the system is in it but glibc: OpenSSL, SQLite and zlib are linked into it, and libgcc_s
is its own (zig.py). Nor is there anything in it that the exporter has no use for.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import platform
import pprint
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packages import sources, zig
from packages.sources import LOCK, BuildFailed, Source, cache, run, unpack

MACHINES: Final = ("x86_64", "aarch64")
PYTHON: Final = "python3.14"
_CALLED: Final = {PYTHON: "cpython", "sqlite3": "sqlite"}
"""What upstream calls what Debian calls otherwise."""

_HERE: Final = Path(__file__).parent
# A change in any of these makes another Python. (What sources.py fetches is what the first says.)
_RECIPE: Final = (LOCK, _HERE / "python.py", _HERE / "zig.py")

# Where packages put it. It runs from anywhere: this is only what stands in it as its origin.
_PREFIX: Final = "/usr/lib/asterisk-fax-exporter"

# Algorithms that TLS 1.2 and 1.3 have no use for, and what runs code or reads settings that belong
# to an OpenSSL of the system: modules, engines, openssl.cnf.
_OPENSSL: Final = """
no-shared no-module no-legacy no-engine no-dso no-autoload-config no-tests no-apps no-docs no-quic
no-cmp no-cms no-ts no-srp no-dtls no-comp no-ssl3 no-idea no-seed no-camellia no-aria no-sm2 no-sm3
no-sm4 no-bf no-cast no-md4 no-mdc2 no-whirlpool no-rmd160 no-rc2 no-rc4 no-des no-gost no-ct
no-rfc3779 no-afalgeng no-siphash
""".split()  # noqa: SIM905 - a list of words, read as such

# Their libraries would have to be in it, and nothing imports them.
_MODULES_LEFT_OUT: Final = """
_ctypes _ctypes_test _tkinter _curses _curses_panel readline _dbm _gdbm _bz2 _lzma _zstd _uuid
pyexpat _elementtree
""".split()  # noqa: SIM905

# Of the standard library: what is for developers, and what cannot work without those modules.
_LIBRARY_LEFT_OUT: Final = """
__phello__ config-* ctypes curses dbm ensurepip idlelib pydoc_data test tkinter
turtle.py turtledemo venv xml xmlrpc
""".split()  # noqa: SIM905

_SITE: Final = '''\
"""Where this system has the CAs that it trusts.

OpenSSL in here looks into /etc/ssl/certs, as on Debian. Others have one file; what is set in the
environment goes before both.
"""

import os

if not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
    for _file in (
        "/etc/ssl/certs/ca-certificates.crt",  # Debian: OpenSSL finds it, and faster, by the folder
        "/etc/pki/tls/certs/ca-bundle.crt",  # RHEL, Fedora
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora 43
        "/etc/ssl/ca-bundle.pem",  # SUSE
    ):
        if os.path.isfile(_file):
            if not _file.startswith("/etc/ssl/certs/"):
                os.environ["SSL_CERT_FILE"] = _file
            break
'''


def python_for(machine: str) -> Path:
    """A prefix with `bin/python3.14`, its library, `licences/` and `sources.json`, to be copied.

    Built when it is first asked for, in some minutes, and kept. Safe among several processes: one
    builds, the others wait; an interrupted build leaves nothing that is taken for a whole one.
    Raises BuildFailed.
    """
    native = platform.machine()
    if machine not in MACHINES or native not in MACHINES:
        raise BuildFailed(
            f"a Python can be built for and on {', '.join(MACHINES)}; not for {machine} on {native}"
        )
    kept = kept_at(machine)
    if kept.exists():
        return kept
    # Before the lock: a build for another machine has a Python of this one run in it.
    runs = None if machine == native else python_for(native) / "bin" / PYTHON
    kept.parent.mkdir(parents=True, exist_ok=True)
    with _locked(kept.parent / f".{machine}.lock"):
        if not kept.exists():
            work = kept.parent / f".{machine}.building"
            shutil.rmtree(work, ignore_errors=True)
            print(f"{machine}: building {PYTHON}, once; takes some minutes ...", flush=True)
            _Build(machine, work, runs).prefix().replace(kept)
            shutil.rmtree(work)
    return kept


def kept_at(machine: str) -> Path:
    """Where the Python for a machine is once it was built, under a key of all it is made of.

    Raises BuildFailed if there is no compiler.
    """
    seen = hashlib.sha256(zig.version().encode())
    for file in _RECIPE:
        seen.update(file.read_bytes())
    return cache() / "python" / f"{seen.hexdigest()[:16]}-{machine}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class _Build:
    """One build, for `machine`, in the folder `work`; `runs`: a Python if `machine` is another."""

    machine: str
    work: Path
    runs: Path | None

    def prefix(self) -> Path:
        """Build all, and return the whole prefix."""
        environment = zig.toolchain(self.work, self.machine)
        from_debian = sources.obtained()
        source = {name: unpack(one, self.work / name) for name, one in from_debian.items()}
        self._zlib(source["zlib"], environment)
        self._sqlite(source["sqlite3"], environment)
        self._openssl(source["openssl"], environment)
        # Where CPython finds it as it will when installed: its own is run in work/python3.14.
        unwind = zig.libgcc_s(self.work / "unwind", environment)
        (self.work / "lib").mkdir(exist_ok=True)
        shutil.copy(unwind, self.work / "lib")
        prefix = self._cpython(source[PYTHON], environment)
        shutil.copy(unwind, prefix / "lib")
        self._trim(prefix)
        self._record(prefix, source, from_debian)
        return prefix

    def _make(self, *words: str | Path, folder: Path, env: dict[str, str]) -> None:
        run(["make", f"-j{(os.cpu_count() or 1) + 1}", *words], cwd=folder, env=env)

    def _zlib(self, source: Path, environment: dict[str, str]) -> None:
        env = {**environment, "CHOST": self.machine, "CFLAGS": "-O2 -fPIC -fvisibility=hidden"}
        run(["./configure", "--static", f"--prefix={_PREFIX}"], cwd=source, env=env)
        self._make("libz.a", folder=source, env=env)
        self._keep(source / "libz.a", source / "zlib.h", source / "zconf.h")

    def _sqlite(self, source: Path, environment: dict[str, str]) -> None:
        # Its source in one file is the same for all machines; a compiler of this one makes what
        # makes it, and is not asked to make more.
        ours = {"PATH": os.environ["PATH"], "LC_ALL": "C", "CC": f"{zig.home()}/zig cc"}
        ours["ZIG_GLOBAL_CACHE_DIR"] = ours["ZIG_LOCAL_CACHE_DIR"] = str(self.work / "zig")
        run(["./configure", "--disable-tcl", "--disable-readline"], cwd=source, env=ours)
        run(["make", "sqlite3.c"], cwd=source, env=ours)
        flags = "-O2 -fPIC -fvisibility=hidden -DSQLITE_THREADSAFE=1 -DSQLITE_DQS=0"
        run(
            [environment["CC"], *flags.split(), "-DSQLITE_OMIT_LOAD_EXTENSION", "-c", "sqlite3.c"],
            cwd=source,
            env=environment,
        )
        run([environment["AR"], "rcs", "libsqlite3.a", "sqlite3.o"], cwd=source, env=environment)
        self._keep(source / "libsqlite3.a", source / "sqlite3.h")

    def _openssl(self, source: Path, environment: dict[str, str]) -> None:
        target = [f"linux-{self.machine}", f"--prefix={_PREFIX}", "--openssldir=/etc/ssl"]
        flags = ["-O2", "-fPIC", "-fvisibility=hidden"]
        command = ["perl", "./Configure", *target, *_OPENSSL, *flags]
        run(command, cwd=source, env=environment)
        self._make("build_generated", folder=source, env=environment)
        self._make("libcrypto.a", "libssl.a", folder=source, env=environment)
        self._keep(source / "libcrypto.a", source / "libssl.a")
        shutil.copytree(source / "include/openssl", self.work / "include/openssl")

    def _keep(self, *files: Path) -> None:
        for file in files:
            folder = self.work / ("include" if file.suffix == ".h" else "lib")
            folder.mkdir(exist_ok=True)
            shutil.copy(file, folder)

    def _cpython(self, source: Path, environment: dict[str, str]) -> Path:
        include, lib = f"-I{self.work}/include", self.work / "lib"
        env = {
            **environment,
            # All that is C goes into the one executable, but what wheels bring.
            "MODULE_BUILDTYPE": "static",
            **{f"py_cv_module_{name}": "n/a" for name in _MODULES_LEFT_OUT},
            # What this machine has is not looked at.
            "PKG_CONFIG": "false",
            "ZLIB_CFLAGS": include,
            "ZLIB_LIBS": f"{lib}/libz.a",
            "LIBSQLITE3_CFLAGS": include,
            "LIBSQLITE3_LIBS": f"-L{lib} -lsqlite3",
            "OPT": "-DNDEBUG -fwrapv -O3",
            "CFLAGS": "-fPIC -fstack-protector-strong",
            "LDFLAGS": "-Wl,-s -Wl,-z,relro -Wl,-z,now",
            "SOURCE_DATE_EPOCH": str(int((source / "configure").stat().st_mtime)),
            # The Python that runs here, for another machine, is left as it is.
            "PYTHONDONTWRITEBYTECODE": "1",
            # Not to be found out without running something on that machine.
            "ac_cv_file__dev_ptmx": "yes",
            "ac_cv_file__dev_ptc": "no",
            "ac_cv_buggy_getaddrinfo": "no",
        }
        settings = [
            f"--prefix={_PREFIX}",
            f"--host={self.machine}-linux-gnu",
            f"--build={platform.machine()}-linux-gnu",
            f"--with-openssl={self.work}",
            "--without-ensurepip",
            "--without-static-libpython",
            "--disable-test-modules",
            # Clang's way to a faster loop, which asks for no training runs.
            "--with-tail-call-interp",
        ]
        if self.runs is not None:
            settings.append(f"--with-build-python={self.runs}")
        run(["./configure", *settings], cwd=source, env=env)
        # Wheels find its functions; it finds its libgcc_s, which is theirs once it is loaded.
        link = (
            "LINKFORSHARED=-pie -Xlinker -export-dynamic -Wl,-rpath,'$$ORIGIN/../lib'"
            f" -Wl,--no-as-needed {lib}/libgcc_s.so.1"
        )
        self._make(link, folder=source, env=env)
        root = self.work / "root"
        run(["make", "install", link, f"DESTDIR={root}"], cwd=source, env=env)
        return root / _PREFIX.removeprefix("/")

    def _trim(self, prefix: Path) -> None:
        library = prefix / "lib" / PYTHON
        unwanted = [prefix / name for name in ("include", "share", "lib/pkgconfig")]
        unwanted += [one for one in (prefix / "bin").iterdir() if one.name != PYTHON]
        unwanted += [one for name in _LIBRARY_LEFT_OUT for one in library.glob(name)]
        unwanted += list(library.rglob("__pycache__"))
        for one in unwanted:
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            else:
                one.unlink(missing_ok=True)
        (library / "site-packages/README.txt").unlink(missing_ok=True)
        (library / "sitecustomize.py").write_text(_SITE)
        # Python takes the place where this folder is for where its modules are.
        for one in (library / "lib-dynload").iterdir():
            one.unlink()
        (library / "lib-dynload/README").write_text(
            "Empty: all modules in C are in the executable.\n"
        )
        for file in library.glob("_sysconfigdata_*.py"):
            file.write_text(without_paths(file.read_text(), self.work))
        # This stands there for installers of packages, with what configure was told.
        for file in library.glob("_sysconfig_vars_*.json"):
            told = json.loads(file.read_text())
            file.write_text(json.dumps(_elsewhere(told, self.work), indent=2, sort_keys=True))

    def _record(
        self, prefix: Path, source: dict[str, Path], from_debian: dict[str, Source]
    ) -> None:
        """Say what it is made of: `sources.json`, and the licences of all."""
        made = []
        for name, one in from_debian.items():
            folder = source[name]
            called = _CALLED.get(name, name)
            said = {"name": called, "version": one.upstream, "debian": one.version}
            said |= {"file": one.tarball.name, "sha256": one.tarball.sha256}
            made.append({**said, "patches": sources.patches(folder) if one.patched else []})
            licences = prefix / "licences" / called
            licences.mkdir(parents=True)
            for file in (
                *("LICENSE", "LICENSE.txt", "LICENSE.md", "Doc/license.rst", "Misc/sbom.spdx.json"),
                *("debian/copyright",),
            ):
                if (folder / file).exists():
                    shutil.copy(folder / file, licences)
        header = (source["zlib"] / "zlib.h").read_text().partition("*/")[0]
        (prefix / "licences/zlib/LICENSE").write_text(header + "*/\n")
        words = run(
            [zig.home() / "zig", "cc", "--version"], env={"PATH": "", "HOME": str(self.work)}
        )
        compiler = re.search(r"clang version (\S+)", words)
        if compiler is None:
            raise BuildFailed(f"zig cc --version says nothing of clang: {words}")
        for name, version, licence in (
            ("llvm-libunwind", compiler[1], "lib/libunwind/LICENSE.TXT"),
            ("zig-compiler-rt", zig.version(), "LICENSE"),
        ):
            made.append({"name": name, "version": version, "ziglang": zig.version()})
            (prefix / "licences" / name).mkdir()
            text = (zig.home() / licence).read_text()
            (prefix / "licences" / name / "LICENSE.txt").write_text(text)
        (prefix / "sources.json").write_text(json.dumps(made, indent=2) + "\n")


def without_paths(text: str, work: Path) -> str:
    """CPython's own record of how it was built (_sysconfigdata), without what is below `work`.

    Raises BuildFailed if it is not what CPython writes.
    """
    tree = ast.parse(text)
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
            told = _elsewhere(ast.literal_eval(statement.value), work)
            return f"build_time_vars = {pprint.pformat(told, sort_dicts=True)}\n"
    raise BuildFailed("_sysconfigdata has no table of how CPython was built")


def _elsewhere(told: dict[str, object], work: Path) -> dict[str, object]:
    """What has no path of the machine that built it."""
    places = (str(work), str(work.parent), str(zig.home()))
    return {
        name: value for name, value in told.items() if not any(one in str(value) for one in places)
    }
