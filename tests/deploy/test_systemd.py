"""The systemd unit: what systemd itself says of it, and that the exporter starts as it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.programs import binary
from harness.running import Exporter
from harness.systemd import Manager
from tools import man_page

pytestmark = pytest.mark.slow

UNIT = Path(__file__).parents[2] / "deploy/systemd/asterisk-fax-exporter.service"
EXPOSURE = 2.0
"""What `systemd-analyze security` may say at most, from 0 to 10."""


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary("systemd-analyze", package="systemd"), "--no-pager", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def settings(name: str) -> list[str]:
    """The values of a setting in [Service]."""
    text = UNIT.read_text().partition("[Service]")[2].partition("[Install]")[0]
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text()
    (program,) = settings("ExecStart")
    # It has to be there to be verified, and is where whoever packages it puts it.
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(program, str(Path(sys.executable).with_name("python"))))
    # --man=no: the page is not installed here; its name is compared below.
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert f"Documentation=man:{man_page.FILE.stem}({man_page.FILE.suffix[1:]})" in text


def test_systemd_rates_the_unit_as_hardened() -> None:
    done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", str(UNIT))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= EXPOSURE
    assert done.returncode == 0


def test_a_web_process_that_ends_is_the_affair_of_the_main_one() -> None:
    """By default systemd stops the whole unit if one process runs out of memory, and ends both at
    once, so that nothing under way would be answered."""
    assert settings("OOMPolicy") == ["continue"]
    assert settings("KillMode") == ["mixed"]
    assert settings("NotifyAccess") == [], "the main process tells, and nobody else"
    # asyncio's own threads, of each process, on a machine with many cores, and what it has beside.
    (tasks,) = settings("TasksMax")
    assert int(tasks) >= 2 * (32 + 16)


def test_the_web_process_may_lower_its_priority_and_nothing_else_of_the_kind() -> None:
    order = settings("SystemCallFilter")
    assert order == ["@system-service", "~@privileged @resources", "setpriority"]


def test_the_exporter_starts_with_the_units_environment_and_credential(tmp_path: Path) -> None:
    (credential,) = settings("LoadCredential")
    (tmp_path / credential.partition(":")[0]).write_text("a-secret\n")
    environment = dict(
        line.replace("%d", str(tmp_path)).split("=", 1) for line in settings("Environment")
    )
    manager = Manager(str(tmp_path / "notify"))
    environment |= manager.environment | {"FAX_EXPORTER_AMI_USERNAME": "fax-exporter"}
    try:
        with Exporter("--ami.port=1", environment=environment) as exporter:
            manager.wait_for("READY=1")
            assert "refused: nothing listens" in exporter.wait_for_line("level=warning", 20)
            assert exporter.stop() == 0
        manager.wait_for("STOPPING=1")
    finally:
        manager.socket.close()
