"""How the exporter's other processes are started, and make way: as a process."""

import os
import subprocess
from pathlib import Path

import pytest

from exporter import parts


def test_they_are_of_this_exporter_whatever_is_in_the_folder_it_is_started_in(
    tmp_path: Path,
) -> None:
    for name in ("exporter", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('another one')")
    done = subprocess.run(
        parts.command("exporter.settings"),
        cwd=tmp_path,
        env=os.environ | parts.python_path(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "EOFError" in done.stderr  # it has come so far as to read what it is to do
    assert "another one" not in done.stderr


@pytest.mark.parametrize("killed_first", [300, 800])
def test_they_let_the_one_that_polls_go_first(killed_first: int) -> None:
    code = (
        "import os; from exporter import parts; before = os.nice(0); "
        f"parts.make_way({killed_first}); "
        "print(os.nice(0) - before, open('/proc/self/oom_score_adj').read())"
    )
    command = [*parts.command("exporter.settings")[:2], "-c", code]
    done = subprocess.run(
        command, env=os.environ | parts.python_path(), capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["5", str(killed_first)]
