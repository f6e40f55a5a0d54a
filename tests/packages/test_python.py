"""The Python of the packages: what is in it, what it asks of a system; that it is built once."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from harness.programs import on_small_disk
from packages import elf, python, sources
from packages.sources import BuildFailed
from packages.zig import GLIBC
from tests.packages.pythons import EACH_MACHINE, emulator, prefix

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
NATIVE = platform.machine()


def said(
    machine: str, code: str, launcher: Sequence[str] = (), environment: dict[str, str] | None = None
) -> str:
    """What the Python for a machine prints, run in an environment that has nothing else."""
    command = [*launcher, *emulator(machine), str(prefix(machine) / "bin" / python.PYTHON)]
    done = subprocess.run(
        [*command, "-I", "-B", "-c", code], env=environment or {}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@EACH_MACHINE
def test_it_runs_on_any_system_with_the_old_glibc_and_nothing_else(machine: str) -> None:
    assert elf.faults(prefix(machine), machine, GLIBC) == []


@EACH_MACHINE
def test_nothing_of_where_it_was_built_is_in_it(machine: str) -> None:
    where = (str(sources.cache()), f"{ROOT}/.venv", f"{ROOT}/packages", f"{Path.home()}/.")
    found = elf.mentions(prefix(machine), *where)
    # Those are of whoever ran it here, and not in packages.
    assert [one for one in found if "__pycache__" not in one] == []


@EACH_MACHINE
def test_it_is_made_of_what_it_says(machine: str) -> None:
    told = {one["name"]: one for one in json.loads((prefix(machine) / "sources.json").read_text())}
    code = """if True:
        import platform, sqlite3, ssl, zlib
        print(platform.python_version(), ssl.OPENSSL_VERSION.split()[1], sqlite3.sqlite_version)
        print(zlib.ZLIB_RUNTIME_VERSION)
    """
    names = ("cpython", "openssl", "sqlite", "zlib")
    assert said(machine, code).split() == [told[name]["version"] for name in names]
    # What Debian mended is in it, and is told.
    assert told["openssl"]["patches"]
    assert told["cpython"]["patches"] == []
    for name in told:
        assert list((prefix(machine) / "licences" / name).iterdir())


@EACH_MACHINE
def test_it_finds_itself_wherever_it_is(machine: str, tmp_path: Path) -> None:
    moved = tmp_path / "else where"
    moved.symlink_to(prefix(machine))
    program = moved / "bin" / python.PYTHON
    code = "import sys, os; print(os.path.dirname(os.__file__), sys.prefix, sys.path)"
    done = subprocess.run(
        [*emulator(machine), program, "-I", "-B", "-c", code],
        env={},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "usr/lib" not in done.stdout


@EACH_MACHINE
def test_all_that_the_exporter_imports_of_the_standard_library_is_there(machine: str) -> None:
    code = """if True:
        import asyncio, bisect, decimal, email.parser, fcntl, hashlib, hmac, http.cookies, json
        import logging.handlers, mimetypes, multiprocessing, netrc, resource, select, sqlite3, ssl
        import statistics, struct, subprocess, syslog, tempfile, tracemalloc, unicodedata, uuid
        import zoneinfo, zlib, gzip
        print(hashlib.scrypt(b"", salt=b"", n=16, r=1, p=1).hex()[:8], sqlite3.threadsafety)
    """
    assert said(machine, code) == "77d65762 3"


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/tls/certs/ca-bundle.crt"),
        ("/etc/ssl/ca-bundle.pem", "/etc/ssl/ca-bundle.pem"),
    ],
)
def test_the_cas_of_any_system_are_trusted(there: str, found: str, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    code = """if True:
        import os, ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        print(os.environ.get("SSL_CERT_FILE"), context.cert_store_stats()["x509_ca"])
    """
    assert said(NATIVE, code, with_only(tmp_path / "ca.pem", there)) == f"{found} 1"


def test_debian_s_folder_of_cas_is_read_as_openssl_does_and_what_the_user_sets_goes_before(
    tmp_path: Path,
) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    code = """if True:
        import os, ssl
        print(os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().capath)
    """
    debian = with_only(tmp_path / "ca.pem", "/etc/ssl/certs/ca-certificates.crt")
    assert said(NATIVE, code, debian) == "None /etc/ssl/certs"
    users = {"SSL_CERT_FILE": "/users"}
    rhel = with_only(tmp_path / "ca.pem", "/etc/pki/tls/certs/ca-bundle.crt")
    assert said(NATIVE, code, rhel, users).split()[0] == "/users"


def with_only(file: Path, there: str) -> list[str]:
    """A command before another, which then has an /etc with that file alone. Where nobody may mount
    the test is skipped, or fails if FAX_TEST_REQUIRE has `mount`."""
    on_small_disk(file.parent)  # says so
    alone = 'mount -t tmpfs none /etc; mkdir -p "${1%/*}"; cp "$0" "$1"; shift; exec "$@"'
    return [
        *("/usr/bin/unshare", "--map-root-user", "--mount", "/bin/sh", "-euc"),
        alone,
        str(file),
        there,
    ]


def test_settings_of_the_system_s_openssl_are_not_for_it(tmp_path: Path) -> None:
    settings = tmp_path / "openssl.cnf"
    settings.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\nproviders = p\n[b]\nsystem_default = c\n"
        "[c]\nMinProtocol = TLSv1.3\n[p]\nnone = n\n[n]\nmodule = /nowhere.so\nactivate = 1\n"
    )
    code = "import ssl; print(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).minimum_version.name)"
    assert said(NATIVE, code, environment={"OPENSSL_CONF": str(settings)}) == "TLSv1_2"


BUILDER = """
import sys
from pathlib import Path
from packages import python

def prefix(build):
    made = build.work / "made"
    made.mkdir(parents=True)
    (made / "half").touch()
    print("building", flush=True)
    sys.stdin.readline()
    (made / "half").rename(made / "whole")
    return made

python._Build.prefix = prefix
print(*(one.name for one in python.python_for(python.platform.machine()).iterdir()), flush=True)
"""
"""A process that wants a Python. What would take minutes waits for a line instead."""


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts such processes, with a cache of their own."""
    with ExitStack() as running:

        def start() -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", BUILDER],
                cwd=ROOT,
                env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            running.enter_context(process)
            running.callback(process.kill)
            return process

        prefix(NATIVE)  # skips where there is no compiler
        yield start


def line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints, without those for people."""
    assert process.stdout
    for one in process.stdout:
        if one.strip() in ("building", "whole"):
            return one.strip()
    return ""


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def test_of_two_that_want_it_one_builds_and_the_other_waits_for_that(
    builder: Callable[[], subprocess.Popen[str]],
) -> None:
    first = builder()
    assert line(first) == "building"
    second = builder()
    go_on(first)
    assert line(first) == line(second) == "whole"
    assert line(builder()) == "whole"


def test_a_build_that_was_interrupted_leaves_nothing_that_is_taken_for_a_python(
    builder: Callable[[], subprocess.Popen[str]],
) -> None:
    first = builder()
    assert line(first) == "building"
    first.kill()
    first.wait()
    second = builder()
    assert line(second) == "building"
    go_on(second)
    assert line(second) == "whole"


def test_a_machine_that_nothing_can_be_built_for_is_named() -> None:
    with pytest.raises(BuildFailed, match="not for sparc on"):
        python.python_for("sparc")
