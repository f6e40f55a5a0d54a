"""The exporter whose pauses are noted is the exporter."""

import sys
from pathlib import Path

from bench import pauses
from harness.programs import succeeds


def test_it_runs_the_exporter_with_its_flags(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "bench.pauses", str(tmp_path / "pauses"))
    assert "asterisk-fax-exporter" in succeeds(*command, "--version")


def test_pauses_from_a_moment_on_are_found(tmp_path: Path) -> None:
    file = tmp_path / "pauses"
    assert pauses.noted(file, 0.0) == []
    file.write_text("100.5 0.25\n101.0 0.125\n102.0 0.5\n")
    assert pauses.noted(file, 101.0) == [0.125, 0.5]


def test_a_collection_that_takes_long_is_noted_and_a_short_one_is_not(tmp_path: Path) -> None:
    file, now = tmp_path / "pauses", 100.0
    note = pauses.noter(file, lambda: now)
    for took in (0.25, pauses.LEAST / 2):
        note("start", {})
        now += took
        note("stop", {})
    assert pauses.noted(file, 0.0) == [0.25]
