"""--setup-pbx on real Asterisks: as Debian and FreePBX lay manager.conf out, and switched off.

What each has said is its own reading of what was written: nothing is taken from the exporter's.
"""

import contextlib
import dataclasses
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.check_pbx import Report
from exporter.setup_pbx import Machine, Wish, setup_pbx
from exporter.setup_pbx.asterisk_here import AsteriskHere, find
from harness.running import Exporter
from tests.pbx.asterisk import Ami, AmiError, Asterisk, ManagerUser, chroot, make_tiff
from tests.pbx.test_check import checked
from tests.pbx.test_faxes import FAX_SECONDS

YES, REMOVE = Wish(yes=True), Wish(yes=True, remove=True)
FUNCTIONS = "load = func_config.so\nload = func_module.so\n"
NOBODY = ManagerUser("fax-exporter", "no-such-secret")
DEBIAN = """[general]
enabled = yes
port = {port}
bindaddr = 127.0.0.1

#include "manager.d/*.conf"
"""
FREEPBX = """;
; AMI - Asterisk Manager interface
;
; FreePBX needs this to be enabled.
;
[general]
enabled = yes
port = {port}
bindaddr = 0.0.0.0
displayconnects=no

{driver}
#include manager_additional.conf
#include manager_custom.conf
"""
UPSTREAM = "[general]\nenabled = {enabled}\nport = {port}\nbindaddr = 0.0.0.0\n\n{driver}"
"""As the sample of Asterisk's source, but for the port."""


class Bare(Asterisk):
    """An Asterisk whose manager.conf knows nothing of the exporter. `files`: it and what it
    includes."""

    files: dict[str, str]

    def _configuration(self) -> dict[str, str]:
        made = super()._configuration()
        driver = self.driver_user.section()
        return made | {
            name: text.format(port=self.ami_port, driver=driver, enabled="yes")
            for name, text in self.files.items()
        }

    def _configure(self) -> None:
        (self.directory / "etc/manager.d").mkdir(parents=True, exist_ok=True)
        super()._configure()


@dataclasses.dataclass
class Both:
    """A running Asterisk, and the folders of both sides."""

    asterisk: Asterisk
    here: Machine
    folder: Path
    exporter: Path

    def has(self) -> dict[Path, bytes]:
        """All files of both sides, but for the copies."""
        return {
            path: path.read_bytes()
            for folder in (self.folder, self.exporter)
            for path in folder.rglob("*")
            if path.is_file() and "before-asterisk-fax-exporter" not in path.name
        }

    def login(self) -> ManagerUser:
        """The user as the exporter's side has him."""
        said = (self.exporter / "environment").read_text()
        match = re.search(r"^FAX_EXPORTER_AMI_USERNAME=(.*)$", said, re.MULTILINE)
        assert match is not None
        return ManagerUser(match[1], (self.exporter / "secret").read_text().strip())


@contextlib.contextmanager
def machine(suite: str, folder: Path, **files: str) -> Iterator[Both]:
    """`files`: of Asterisk, their names with __ for a dot."""
    asterisk = Bare(suite, extra={"modules.conf": FUNCTIONS})
    asterisk.files = {name.replace("__", "."): text for name, text in files.items()}
    with asterisk:
        tools, exporter, proc = folder / "tools", folder / "exporter", folder / "proc"
        for one in (tools, exporter, proc):
            one.mkdir()
        # Its console, in the namespace and the root of that Asterisk.
        command = tools / "asterisk"
        command.write_text(
            f"#!/bin/sh\nexec nsenter --target {asterisk.pid} --mount --root "
            '/usr/sbin/asterisk -C /opt/t/etc/asterisk.conf "$@"\n'
        )
        command.chmod(0o755)
        (exporter / "environment").write_text("# FAX_EXPORTER_LOG_LEVEL=debug\n")
        (exporter / "secret").touch(0o600)

        def this() -> AsteriskHere:
            found = find(proc=proc, path=str(tools))
            assert found.folder == Path("/opt/t/etc")
            return dataclasses.replace(found, folder=asterisk.directory / "etc")

        here = Machine(exporter, this, lambda: None, listen=0.3)
        yield Both(asterisk, here, asterisk.directory / "etc", exporter)


def wrong(report: Report) -> int:
    return report.wrong


def test_a_user_is_made_whose_fax_is_counted_and_taken_away_to_the_byte(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = {"manager__conf": DEBIAN, "manager.d/README__conf": "; \n"}
    there["manager.d/driver__conf"] = "{driver}"
    with machine(suite, tmp_path, **there) as at:
        assert wrong(checked(at.asterisk, NOBODY))
        before = at.has()
        assert setup_pbx(YES, at.here) == 0, capsys.readouterr()
        user, after = at.login(), at.has()
        assert user.secret not in "".join(capsys.readouterr())
        changed = {path for path in after if before.get(path) != after[path]}
        assert changed == {
            at.folder / "manager.d/asterisk-fax-exporter.conf",
            at.exporter / "environment",
            at.exporter / "secret",
        }

        assert setup_pbx(YES, at.here) == 0
        assert at.has() == after

        watching = Exporter.watching("127.0.0.1", at.asterisk.ami_port, user.name, user.secret)
        with watching as exporter:
            exporter.wait_until(lambda now: now.value("up") == 1, 20, "the first poll")
            at.asterisk.send_fax(make_tiff(tmp_path / "short.tif", 1, seconds=3))
            now = exporter.wait_until(
                lambda now: now.sum("finished_total") == 2 == now.value("completed_total"),
                FAX_SECONDS,
            )
            assert now.sum("results_unknown_total") == 0
            assert now.sum("pages_received_total") == 1

        assert setup_pbx(REMOVE, at.here) == 0
        assert at.has() == before
        with pytest.raises(AmiError, match="Authentication failed"):
            Ami(at.asterisk.ami_port, user.name, user.secret)


def test_where_freepbx_writes_manager_conf_the_user_is_in_the_file_it_leaves_alone(
    suite: str, tmp_path: Path
) -> None:
    there = {"manager__conf": FREEPBX, "manager_additional__conf": ";\n"}
    there["manager_custom__conf"] = "[operator]\nsecret = one\nread = all"
    with machine(suite, tmp_path, **there) as at:
        before = at.has()
        assert setup_pbx(YES, at.here) == 0
        custom = at.folder / "manager_custom.conf"
        assert {p for p, was in before.items() if p.read_bytes() != was} == {
            custom,
            at.exporter / "environment",
            at.exporter / "secret",
        }
        # The line that had no end is still one of its own.
        Ami(at.asterisk.ami_port, "operator", "one").close()
        assert setup_pbx(REMOVE, at.here) == 0
        assert at.has() == before


def start_again(asterisk: Asterisk) -> None:
    """As a machine does, without waiting for an AMI that may be switched off."""
    deadline = time.monotonic() + 60
    while not asterisk.driver.closed:  # told once, a busy machine's does not always do it
        assert time.monotonic() < deadline, "Asterisk does not restart"
        with contextlib.suppress(OSError):
            asterisk.command("core restart now")
        with contextlib.suppress(AmiError):  # AmiClosed is one
            asterisk.driver.wait_for(lambda event: False, 5)
    while True:  # nothing tells of it: its console is closed, and then open again
        try:
            asterisk.command("core waitfullybooted")
            return
        except OSError:
            assert time.monotonic() < deadline, "Asterisk does not start again"
            time.sleep(0.1)


def switched_off(at: Both, conf: bytes) -> dict[Path, bytes]:
    """What is there once Asterisk has started without AMI."""
    (at.folder / "manager.conf").write_bytes(conf)
    start_again(at.asterisk)
    with pytest.raises(OSError, match="refused"):
        at.asterisk.ami()
    return at.has()


def test_ami_that_is_switched_off_is_switched_on_for_this_machine_alone(
    suite: str, tmp_path: Path
) -> None:
    with machine(suite, tmp_path, manager__conf=UPSTREAM) as at:
        conf = (at.folder / "manager.conf").read_bytes()
        before = switched_off(at, conf.replace(b"enabled = yes", b"enabled = no"))
        assert setup_pbx(YES, at.here) == 0
        listening = (Path("/proc") / str(at.asterisk.pid) / "net/tcp").read_text()
        assert f"0100007F:{at.asterisk.ami_port:04X}" in listening
        assert f"00000000:{at.asterisk.ami_port:04X}" not in listening
        assert setup_pbx(REMOVE, at.here) == 0
        assert at.has() == before
        with pytest.raises(OSError, match="refused"):
            at.asterisk.ami()


def test_one_that_the_second_reload_would_end_goes_on(suite: str, tmp_path: Path) -> None:
    theirs = "\n[operator]\nsecret = one\nread = all\nsetvar = A=B\n"
    with machine(suite, tmp_path, manager__conf=UPSTREAM + theirs) as at:
        for _ in range(3):
            assert setup_pbx(YES, at.here) == 1
            assert setup_pbx(REMOVE, at.here) == 0
        assert setup_pbx(YES, at.here) == 1
        with pytest.raises(AmiError, match="Authentication failed"):
            Ami(at.asterisk.ami_port, at.login().name, at.login().secret)
        start_again(at.asterisk)
        assert setup_pbx(YES, at.here) == 0


def test_a_user_of_that_name_that_is_there_is_left_alone(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = "\n[fax-exporter]\nsecret = theirs\nread = all\nwrite = all\n"
    with machine(suite, tmp_path, manager__conf=UPSTREAM + theirs) as at:
        assert setup_pbx(YES, at.here) == 0
        assert at.login().name == "asterisk-fax-exporter"
        assert "there is a [fax-exporter] that is not of --setup-pbx" in capsys.readouterr().out
        Ami(at.asterisk.ami_port, "fax-exporter", "theirs").close()


def test_the_sample_of_asterisks_source_takes_it(suite: str, tmp_path: Path) -> None:
    """It has all there is to say, most of it as comments, and is switched off."""
    sample = chroot(suite) / "usr/share/asterisk/conf/samples/manager.conf.sample"
    with machine(suite, tmp_path, manager__conf=UPSTREAM) as at:
        port = f"port = {at.asterisk.ami_port}".encode()
        before = switched_off(at, sample.read_bytes().replace(b"port = 5038", port))
        assert setup_pbx(YES, at.here) == 0
        assert setup_pbx(REMOVE, at.here) == 0
        assert at.has() == before
