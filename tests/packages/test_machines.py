"""The archive for each machine runs: what is for another than this one, in QEMU."""

import os
import re
import ssl
import subprocess
import tarfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from harness.exposition import Scrape
from harness.packages import built
from harness.running import POLL
from tests.packages.pythons import EACH_MACHINE, emulator

pytestmark = pytest.mark.slow

Program = Callable[[str], list[str]]
PATIENCE = 120
"""Seconds: QEMU is slow, and slower beside other tests."""


def listening(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The URL of /metrics, once it is in the log."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if found := re.search(r'listening.*url="?([^\s"]+)', log.read_text()):
            return found[1].replace("127.0.0.1", "localhost")
        time.sleep(POLL)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder with bin/ and lib/ of the archive for a machine."""
    folders: dict[str, Path] = {}

    def unpacked(machine: str) -> Path:
        if machine not in folders:
            folder = tmp_path_factory.mktemp(machine)
            with tarfile.open(built("tar.gz", machine)) as archive:
                archive.extractall(folder, filter="tar")
            (made,) = folder.iterdir()
            folders[machine] = made / "usr/lib/asterisk-fax-exporter"
        return folders[machine]

    return unpacked


@pytest.fixture
def python(library: Callable[[str], Path], tmp_path: Path) -> Program:
    """A command that runs the Python of a machine's archive; what that starts runs likewise."""

    def command(machine: str) -> list[str]:
        program = tmp_path / f"python-{machine}"
        words = [*emulator(machine), str(library(machine) / "bin/python3")]
        program.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
        program.chmod(0o755)
        return [str(program), "-I"]

    return command


@EACH_MACHINE
def test_a_panic_in_rust_is_an_exception_in_python(python: Program, machine: str) -> None:
    # A dict that grows while it is gone through makes PyO3 panic: frames of Rust are unwound, by
    # the libgcc_s that comes with this Python, up to the one that catches.
    code = """if True:
        from pydantic_core import SchemaValidator, core_schema
        given = {"a": 1, "b": 2}
        def grow(value):
            given[object()] = 1
            return value
        grows = core_schema.no_info_plain_validator_function(grow)
        try:
            SchemaValidator(core_schema.dict_schema(values_schema=grows)).validate_python(given)
        except BaseException as error:
            print(type(error).__name__, error)
        libraries = {line.split()[-1] for line in open("/proc/self/maps") if "libgcc_s" in line}
        print(*libraries)
    """
    environment = {"PATH": os.defpath, "RUST_BACKTRACE": "1"}
    done = subprocess.run(
        [*python(machine), "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    panic, library = done.stdout.splitlines()
    assert panic == "PanicException dictionary changed size during iteration"
    assert library.endswith("/asterisk-fax-exporter/lib/libgcc_s.so.1")
    assert "panicked at" in done.stderr


@EACH_MACHINE
def test_the_demo_is_scraped_over_tls_with_its_history(
    python: Program, machine: str, tmp_path: Path
) -> None:
    ca = trustme.CA()
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    settings = tmp_path / "web.yml"
    settings.write_text("tls_server_config: {cert_file: own.pem, key_file: own.pem}\n")
    (tmp_path / "own.pem").chmod(0o600)
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)
    program, *flags = python(machine)
    start = f"""if True:
        import runpy, sys
        sys.executable = {program!r}
        runpy.run_module("exporter", run_name="__main__", alter_sys=True)
    """
    arguments = [
        "--demo",
        f"--web.config.file={settings}",
        f"--history.file={tmp_path / 'faxes.db'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [program, *flags, "-c", start, *arguments], env={"PATH": os.defpath}, stderr=stderr
        )
    try:
        metrics = listening(log, process)

        def read(path: str) -> str:
            address = urllib.parse.urljoin(metrics, path)
            with urllib.request.urlopen(address, timeout=PATIENCE, context=trusting) as answer:
                return str(answer.read().decode())

        scrape = Scrape(read("/metrics"))
        while not scrape.value("up") and process.poll() is None:
            time.sleep(POLL)
            scrape = Scrape(read("/metrics"))
        assert "</html>" in read("/")
        assert (tmp_path / "faxes.db").read_bytes().startswith(b"SQLite format 3")
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0, log.read_text()
