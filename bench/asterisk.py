"""A real Asterisk with real faxes: what `asterisk -rx` takes, and what polling costs Asterisk.

Needs what tests/pbx needs: root on Debian. Without it `measure` says so and measures nothing.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.measuring import RUNS, Cost, Numbers, median
from harness.running import Exporter
from tests.pbx.asterisk import Asterisk, available, make_tiff

FAXES: Final = 50
"""Two sessions each: both ends are in this Asterisk."""
SECONDS: Final = 30.0
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


def measure(suite: str = "sid") -> Numbers:
    """With 100 sessions."""
    if (why := available()) is not None:
        return {f"not measured: {why}": {}}
    with Asterisk(suite) as asterisk, tempfile.TemporaryDirectory() as directory:
        tiff = make_tiff(Path(directory) / "long.tif", 40)
        for _ in range(FAXES):
            asterisk.send_fax(tiff)
        deadline = time.monotonic() + 60
        while len(active := _active(asterisk)) < 2 * FAXES:
            assert time.monotonic() < deadline, f"{len(active)} sessions after 60 s"
            time.sleep(0.5)
        before = _threads(asterisk.pid)
        with Exporter.watching(
            asterisk.host, asterisk.ami_port, asterisk.username, asterisk.secret
        ) as exporter:
            exporter.wait_until(lambda now: now.value("up") == 1, 20)
            # The manager has a thread for each connection: this one's is new.
            ours = [tid for tid in _threads(asterisk.pid) if tid not in before]
            took, begun = _cpu(asterisk.pid, ours), time.monotonic()
            whole = _cpu(asterisk.pid, None)
            polls = []
            while time.monotonic() < begun + SECONDS:
                time.sleep(1)
                polls.append(exporter.scrape().value("last_poll_duration_seconds"))
            seconds = time.monotonic() - begun
            thread = (_cpu(asterisk.pid, ours) - took) / seconds
            process = (_cpu(asterisk.pid, None) - whole) / seconds
            listed = exporter.scrape().sum("sessions")
            poll = median(polls)
        return {
            f"a real Asterisk {asterisk.version} with {listed:.0f} sessions, polled at 1 Hz": {
                "cores_of_our_thread": round(thread, 4),
                "cores_of_the_process": round(process, 3),
                "poll_wall_ms": round(poll * 1000, 2),
                "poll_wall_ms_per_session": round(poll * 1000 / listed, 4),
            },
            "asterisk -rx 'fax show session N', per session": _command_line(asterisk, active),
        }


def _active(asterisk: Asterisk) -> list[str]:
    return [
        listed.get("SessionNumber")
        for listed in asterisk.driver.sessions()
        if listed.get("State") == "Active"
    ]


def _threads(pid: int) -> set[str]:
    return set(os.listdir(f"/proc/{pid}/task"))


def _cpu(pid: int, threads: list[str] | None) -> float:
    """Seconds of CPU of these threads; None: of the process."""
    files = (
        [f"/proc/{pid}/stat"]
        if threads is None
        else [f"/proc/{pid}/task/{thread}/stat" for thread in threads]
    )
    fields = [Path(file).read_text().rpartition(")")[2].split() for file in files]
    return sum(int(user) + int(system) for *_, user, system in (f[:13] for f in fields)) * _TICK


def _command_line(asterisk: Asterisk, numbers: list[str]) -> dict[str, float]:
    """CPU of the command alone: without what it costs Asterisk, and without entering its chroot."""
    command, entry = Cost(), Cost()
    within = ["nsenter", f"--target={asterisk.pid}", "--mount", "--root"]
    asked = ["/usr/sbin/asterisk", "-C", str(asterisk.fax_dir_inside.parent / "etc/asterisk.conf")]
    for number in numbers[: RUNS + 8]:
        said = _run(command, [*within, *asked, "-rx", f"fax show session {number}"])
        assert b"Page Number" in said, said
        _run(entry, [*within, "/bin/true"])
    entry_cost = entry.median()
    return {unit: round(value - entry_cost[unit], 3) for unit, value in command.median().items()}


def _run(cost: Cost, command: list[str]) -> bytes:
    used, begun = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True)
    cost.wall.append(time.perf_counter() - begun)
    after = os.times()
    cost.cpu.append(
        after.children_user + after.children_system - used.children_user - used.children_system
    )
    return done.stdout
