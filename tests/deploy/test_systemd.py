"""The systemd unit: what systemd itself says of it, and that the exporter starts as it says."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.programs import binary
from harness.readme import block
from harness.running import Exporter
from harness.systemd import Manager
from tools import man_page

pytestmark = pytest.mark.slow

UNIT = Path(__file__).parents[2] / "deploy/systemd/asterisk-fax-exporter.service"
SOCKET = UNIT.with_suffix(".socket")
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


def verify(directory: Path, *files: Path) -> tuple[int, str, str]:
    """What systemd says of these units in this directory; nothing if they are right."""
    (program,) = settings("ExecStart")
    for file in files:
        # The program has to be there to be verified, and is where whoever packages it puts it.
        text = file.read_text().replace(program, str(Path(sys.executable).with_name("python")))
        (directory / file.name).write_text(text)
    # --man=no: the page is not installed here; its name is compared below.
    done = analyze("verify", "--man=no", *(str(directory / file.name) for file in files))
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("unit", [UNIT, SOCKET])
def test_the_units_name_the_man_page(unit: Path) -> None:
    page = f"man:{man_page.FILE.stem}({man_page.FILE.suffix[1:]})"
    assert f"\nDocumentation={page}\n" in unit.read_text()


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    assert verify(tmp_path, UNIT) == (0, "", "")


def test_systemd_finds_no_fault_in_the_socket_and_in_what_is_to_be_pasted_for_it(
    tmp_path: Path,
) -> None:
    heading, document = "## With the sockets of systemd", "deploy/systemd/README.md"
    drop_in = tmp_path / f"{UNIT.name}.d" / "override.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(block("[Unit]", after=heading, document=document))
    assert verify(tmp_path, SOCKET, UNIT) == (0, "", "")
    # What is commented out there is right, too.
    (tmp_path / "all").mkdir()
    all_lines = tmp_path / "all" / SOCKET.name
    all_lines.write_text(re.sub(r"^#(?=\w)", "", SOCKET.read_text(), flags=re.MULTILINE))
    assert verify(tmp_path, all_lines, UNIT) == (0, "", "")


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
    assert [line[:1] for line in order] == ["~", "~", "s"]
    assert order[-1] == "setpriority"


def test_of_the_system_calls_no_more_is_left_than_a_service_needs() -> None:
    """What is refused is listed, since a systemd before 239 takes a list of what is allowed with
    groups that it does not know for nothing at all. By the groups of this systemd, what is left
    is @system-service without what needs a privilege; and the calls that are in no group."""
    groups = _groups()
    every = {call for calls in groups.values() for call in calls}
    left = set(every)
    for line in settings("SystemCallFilter"):
        named = {call for name in line.lstrip("~").split() for call in groups.get(name, {name})}
        left = left - named if line.startswith("~") else left | named
    wanted = groups["@system-service"] | groups["@default"]
    wanted -= groups["@privileged"] | groups["@resources"]
    in_no_group = groups["@known"] - {
        call for name, calls in groups.items() if name != "@known" for call in calls
    }
    beyond = left - wanted - {"setpriority"} - in_no_group
    # Each further restricts the process itself.
    assert beyond <= {
        "landlock_add_rule",
        "landlock_create_ruleset",
        "landlock_restrict_self",
        "seccomp",
    }


def _groups() -> dict[str, set[str]]:
    """The groups of system calls that this systemd knows, each with all calls that are in it."""
    direct: dict[str, set[str]] = {}
    for line in analyze("syscall-filter").stdout.splitlines():
        if line.startswith("@"):
            members = direct.setdefault(line.strip(), set())
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.add(line.strip())

    def calls(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        return {call for member in direct[name] for call in calls(member)}

    return {name: calls(name) for name in direct}


def test_a_systemd_that_does_not_know_a_setting_is_not_left_without_the_one_before() -> None:
    assert settings("ProtectSystem") == ["full", "strict"]
    # Specifiers that came later than 219, and what systemd would read itself, are not for all.
    assert not re.search(r"%|LoadCredential|DynamicUser", UNIT.read_text())
    for name in ("StateDirectory", "LogsDirectory"):
        (folder,) = settings(name)
        assert f"-/var/{'lib' if name == 'StateDirectory' else 'log'}/{folder}" in " ".join(
            settings("ReadWritePaths")
        )


def test_the_folder_for_lines_of_faxes_is_the_one_that_is_written_of() -> None:
    (folder,) = settings("LogsDirectory")
    file = f"FAX_EXPORTER_LOG_FAX_FILE=/var/log/{folder}/faxes.log"
    assert file in UNIT.read_text()
    assert file in (UNIT.parent / "README.md").read_text()
    assert (
        f"--log.fax-file=/var/log/{folder}/faxes.log"
        in (UNIT.parents[2] / "docs/fax-log.md").read_text()
    )


def test_the_exporter_starts_with_the_units_environment(tmp_path: Path) -> None:
    environment = dict(
        re.sub("=/(etc|var/lib)/", f"={tmp_path}/", line).split("=", 1)
        for line in settings("Environment")
    )
    (state,) = settings("StateDirectory")
    (tmp_path / state).mkdir(mode=0o700)  # as systemd makes it, or the package
    secret = Path(environment["FAX_EXPORTER_AMI_SECRET_FILE"])
    secret.write_text("a-secret\n")
    secret.chmod(0o600)
    manager = Manager(str(tmp_path / "notify"))
    environment |= manager.environment | {"FAX_EXPORTER_AMI_USERNAME": "fax-exporter"}
    try:
        with Exporter("--ami.port=1", environment=environment) as exporter:
            manager.wait_for("READY=1")
            assert "refused: nothing listens" in exporter.wait_for_line("level=warning", 20)
            assert exporter.stop() == 0
        manager.wait_for("STOPPING=1")
        assert (tmp_path / state / "faxes.db").is_file()
    finally:
        manager.socket.close()


def test_it_serves_the_sockets_that_systemd_passes(tmp_path: Path, unused_tcp_port: int) -> None:
    path = tmp_path / "fax.sock"
    launcher = [
        binary("systemd-socket-activate", package="systemd"),
        f"--listen=127.0.0.1:{unused_tcp_port}",
        f"--listen={path}",
        "--setenv=FAX_EXPORTER_WEB_SYSTEMD_SOCKET=true",
    ]
    environment = {"FAX_EXPORTER_WEB_LISTEN_ADDRESS": ""}
    listening = r"(Listening on \S+ as 4)"
    with (
        Exporter(
            "--demo", launcher=launcher, environment=environment, pattern=listening
        ) as exporter,
        socket.socket(socket.AF_UNIX) as client,
    ):
        # The first connection starts it, and waits until it is served.
        client.connect(str(path))
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: fax\r\nConnection: close\r\n\r\n")
        client.settimeout(30)
        with client.makefile("rb") as answer:
            assert answer.read().endswith(b"healthy\n")
        exporter.wait_for_line(f"listening url=http://unix:{path}:/metrics", 5)
        exporter.url = f"http://127.0.0.1:{unused_tcp_port}/metrics"
        exporter.wait_for_line(f"listening url={exporter.url}", 5)
        assert exporter.scrape().value("exporter_targets") == 1
        assert exporter.stop() == 0
