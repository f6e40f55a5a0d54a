"""A signal ends the command at any moment: as a process, as its users run it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def held_import(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python hangs where it imports what the command is made of, and says
    so."""
    fifo = tmp_path / "reached"
    os.mkfifo(fifo)
    (tmp_path / "asyncio.py").write_text(
        f"import time\nopen({str(fifo)!r}, 'w').close()\ntime.sleep(60)\n"
    )
    return os.environ | {"PYTHONPATH": str(tmp_path), "REACHED": str(fifo)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("flags", "service"),
    [(["--demo"], True), (["--demo", "--check-pbx"], False), (["--config.check"], False)],
)
def test_a_signal_ends_it_while_python_still_imports(
    flags: list[str], service: bool, number: signal.Signals, held_import: dict[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "exporter", *flags],
        env=held_import,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        with open(held_import["REACHED"]):
            pass
        process.send_signal(signal.SIGHUP)
        process.send_signal(number)
        said, _ = process.communicate(timeout=20)
    assert said == b""
    assert process.returncode == (0 if service else 128 + number)
