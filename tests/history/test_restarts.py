"""The history of a running exporter, over its ends: in good order, by SIGKILL, and with a file that
cannot be used."""

import json
import os
import signal
import sqlite3
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.running import Exporter

pytestmark = pytest.mark.slow


def faxes(exporter: Exporter, query: str = "limit=1000") -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{exporter.base}/api/v1/faxes?{query}", timeout=10) as answer:
        told: list[dict[str, Any]] = json.load(answer)["faxes"]
        return told


def wait_for_faxes(
    exporter: Exporter, enough: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        told = faxes(exporter)
        if enough(told):
            return told
        time.sleep(0.2)
    raise AssertionError(f"not in time:\n{told}\n{exporter.log}")


def several(told: list[dict[str, Any]]) -> bool:
    return len(told) >= 2


def key(fax: dict[str, Any]) -> str:
    return json.dumps(fax, sort_keys=True)


def test_after_a_restart_the_faxes_of_before_are_there_and_nothing_personal(
    tmp_path: Path,
) -> None:
    flag = f"--history.file={tmp_path / 'faxes.db'}"
    with Exporter("--demo", flag, "--web.show-details") as exporter:
        before = wait_for_faxes(exporter, several)
        assert any(fax["channel"] for fax in before)
        # All that was told is in the file at the end, also what ended in the last second.
        lines = exporter.log
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(20) == 0
    ended = lines.count("logger=exporter.fax_log")
    with Exporter("--demo", flag, "--web.show-details") as exporter:
        after = faxes(exporter)
        assert {key(fax) for fax in before} <= {key(fax) for fax in after}
        assert len(after) >= ended
    with Exporter("--demo", flag) as exporter:
        exporter.wait_for_line("is wiped, since --web.show-details is off", 20)
        after = faxes(exporter)
        assert len(after) >= len(before)
        personal = ("channel", "caller", "local_station", "remote_station", "file")
        assert not [fax for fax in after for name in personal if fax[name] is not None]
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"/var/spool" not in content


def test_a_kill_loses_no_more_than_the_last_seconds(tmp_path: Path) -> None:
    path = tmp_path / "faxes.db"
    with Exporter("--demo", f"--history.file={path}") as exporter:
        before = wait_for_faxes(exporter, several)
        exporter.process.kill()
        exporter.process.wait(10)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT count(*) FROM fax").fetchone()[0] >= len(before)
    connection.close()
    with Exporter("--demo", f"--history.file={path}") as exporter:
        after = faxes(exporter)
        assert {key(fax) for fax in before} <= {key(fax) for fax in after}
        assert "damaged" not in exporter.log


def test_without_a_file_the_faxes_are_in_memory() -> None:
    with Exporter("--demo") as exporter:
        told = wait_for_faxes(exporter, several)
        (one,) = faxes(exporter, f"uniqueid={told[0]['uniqueid']}&limit=1")
        assert one["uniqueid"] == told[0]["uniqueid"] or one["linkedid"] == told[0]["uniqueid"]
        with urllib.request.urlopen(f"{exporter.base}/faxes", timeout=10) as page:
            assert "a restart forgets them" in page.read().decode()


@pytest.mark.parametrize("where", ["no/faxes.db", "words.txt"])
def test_with_a_file_that_cannot_be_used_it_runs_all_the_same(tmp_path: Path, where: str) -> None:
    (tmp_path / "words.txt").write_text("not of the exporter\n")
    with Exporter("--demo", f"--history.file={tmp_path / where}") as exporter:
        exporter.wait_for_line("is in memory, and gone at a restart", 20)
        wait_for_faxes(exporter, several)
        assert exporter.log.count("is in memory") == 1
    assert (tmp_path / "words.txt").read_text() == "not of the exporter\n"


def test_a_second_exporter_with_the_same_file_takes_it_over_when_the_first_ends(
    tmp_path: Path,
) -> None:
    flag = f"--history.file={tmp_path / 'faxes.db'}"
    with Exporter("--demo", flag) as first:
        wait_for_faxes(first, several)
        with Exporter("--demo", flag) as second:
            second.wait_for_line("another exporter has it: give each a file of its own", 20)
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(20) == 0
            second.wait_for_line("has the history of faxes from now on", 60)
            assert several(faxes(second))


def test_only_its_user_can_read_the_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Exporter("--demo", f"--history.file={tmp_path / 'faxes.db'}") as exporter:
            wait_for_faxes(exporter, bool)
            modes = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}


def test_after_a_restart_the_faxes_of_today_are_counted_on(tmp_path: Path) -> None:
    flag = f"--history.file={tmp_path / 'faxes.db'}"
    with Exporter("--demo", flag) as exporter:
        before = wait_for_faxes(exporter, several)
        since = today(exporter)["since_timestamp"]
        assert exporter.stop() == 0
    with Exporter("--demo", flag) as exporter:
        now = today(exporter)
        assert now["faxes"] >= len(before)
        assert now["since_timestamp"] <= before[-1]["ended_timestamp"] + 5
        assert now["since_timestamp"] >= since


def today(exporter: Exporter) -> dict[str, Any]:
    with urllib.request.urlopen(f"{exporter.base}/api/v1/targets", timeout=10) as answer:
        (target,) = json.load(answer)["targets"]
        day: dict[str, Any] = target["today"]
        return day
