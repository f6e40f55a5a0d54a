"""--check-pbx as it is typed: what is printed where, and the exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["--demo"], 0, "nothing wrong"),
        (["--ami.username=u", "--ami.secret-file=/etc/hostname", "--ami.port=1"], 1, "1 wrong"),
        ([], 2, "--ami.username"),
    ],
)
def test_the_command_prints_the_report_and_its_status_says_whether_all_is_right(
    flags: list[str], status: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "--check-pbx", *flags],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == status
    assert said in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "widest"), [("50", 50), ("", 100)])
def test_the_command_is_as_wide_as_the_terminal_and_not_wider_in_a_pipe(
    columns: str, widest: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "--check-pbx", "--demo"],
        env=os.environ | {"COLUMNS": columns},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    said = [line for line in done.stdout.splitlines() if not line.startswith(" " * 12)]
    assert widest - 20 < max(map(len, said)) <= widest


def test_the_command_says_once_what_is_odd_about_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter;2\n")
    file.chmod(0o600)
    login = ["--ami.username=u", f"--ami.secret-file={file}", "--ami.port=1"]
    for flag in ("--check-pbx", "--config.check"):
        done = subprocess.run(
            [sys.executable, "-m", "exporter", flag, *login],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.stderr.count("the secret has a ';'") == 1
        assert done.stderr.rstrip().endswith(" target=127.0.0.1:1")
        assert "hunter" not in done.stderr + done.stdout
