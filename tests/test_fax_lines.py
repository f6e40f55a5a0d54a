"""Lines of faxes from the exporter as its users run it: where they go, and whatever goes wrong."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from harness.exposition import Scrape
from harness.fax_lines import assert_lines_make_up, fax_lines
from harness.logfmt import parse
from harness.pbx import FaultyPbx
from harness.programs import on_small_disk
from harness.running import Exporter

pytestmark = pytest.mark.slow

T = TypeVar("T")


class Pbx:
    """A demo PBX that runs in a thread of its own, while the test waits for the exporter."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pbx = FaultyPbx()
        self.number = 0

    def do(self, what: Callable[[], T]) -> T:
        async def done() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(20)

    def send_fax(self, *, texts: bytes = b"", status: str = "FAILED", error: str = "") -> None:
        """The event of a fax that no list ever showed, with further headers."""
        self.number += 1
        lines = [
            b"Event: SendFAX",
            b"Channel: PJSIP/trunk-berlin-%08x" % self.number,
            b"Uniqueid: 1795685767.%d" % self.number,
            b"Linkedid: 1795685767.%d" % self.number,
            b"PagesTransferred: 1",
            b"Resolution: 8031x3850",
            b"TransferRate: 9600",
            b"FileName: /fax/invoice.tif",
            b"ChanVariable: FAXSTATUS=" + status.encode(),
            b"ChanVariable: FAXERROR=" + error.encode(),
            b"ChanVariable: FAXMODE=audio",
        ]
        event = b"\r\n".join(lines) + b"\r\n" + texts + b"\r\n"
        self.do(lambda: self.pbx.inject(event))

    def watch(self, *flags: str, **options: Any) -> Exporter:
        """An exporter that watches it; the options are Exporter's."""
        login = (f"--ami.port={self.pbx.port}", f"--ami.username={self.pbx.username}")
        environment = {"FAX_EXPORTER_AMI_SECRET": self.pbx.secret}
        flags = (*login, "--poll.interval=0.1", *flags)
        return Exporter(*flags, environment=environment, **options)


@pytest.fixture
def pbx() -> Iterator[Pbx]:
    pbx = Pbx()
    thread = threading.Thread(target=pbx.loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(pbx.pbx.start(), pbx.loop).result(20)
    yield pbx
    asyncio.run_coroutine_threadsafe(pbx.pbx.stop(), pbx.loop).result(20)
    pbx.loop.call_soon_threadsafe(pbx.loop.stop)
    thread.join(20)
    pbx.loop.close()


def up(now: Scrape) -> bool:
    return now.value("up") == 1


def finished(number: int) -> Callable[[Scrape], bool]:
    return lambda now: now.sum("finished_total") == number


def wait_for_lines(path: Path, number: int) -> list[str]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= number:
            return lines
        time.sleep(0.02)
    raise AssertionError(f"{number} lines are not in {path}")


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_on_standard_error_they_are_whatever_the_level_and_make_up_the_counters() -> None:
    # No line but theirs: the first one tells that it runs.
    flags = ("--demo", "--log.level=error", "--poll.interval=0.2")
    with Exporter(*flags, pattern=r"logger=exporter\.fax_log .*target=(demo)") as exporter:
        exporter.stop()
        assert {parse(line)["logger"] for line in exporter.log.splitlines()} == {"exporter.fax_log"}
        (kind,) = {line["operation"] for line in fax_lines(exporter.log)} - {"receive", "gateway"}
        assert kind == "send"


def test_each_fax_has_a_line_that_makes_up_the_counters(pbx: Pbx) -> None:
    with pbx.watch() as exporter:
        exporter.wait_until(up, 20)
        session = pbx.do(lambda: pbx.pbx.begin("receive", "PJSIP/trunk-berlin-00000abc"))
        pbx.do(session.negotiate)
        exporter.wait_until(
            lambda now: now.value("sessions_started_total", operation="receive") == 1, 20
        )
        pbx.do(lambda: session.add_bad_lines(7))
        pbx.do(session.finish_page)
        pbx.do(lambda: pbx.pbx.end(session))
        pbx.do(lambda: pbx.pbx.fail_to_start("send", "PJSIP/trunk-berlin-00000abd"))
        exporter.wait_until(finished(2), 20)
        exporter.wait_for_line('msg="fax never began"', 30)
        exporter.wait_for_line('msg="fax ended"', 30)
        lines = fax_lines(exporter.log)
        assert len(lines) == 2
        assert {line["target"] for line in lines} == {f"{pbx.pbx.host}:{pbx.pbx.port}"}
        assert_lines_make_up(lines, exporter.scrape())
        assert exporter.scrape().value("exporter_fax_lines_lost_total") == 0


NASTY = "a\x1b[31m\x07\x7f\x85\u2028\u202e\u200b =\"\\é{}'`\t" * 60
HOSTILE = b"".join(
    [
        b"LocalStationID: ",
        NASTY.encode(),
        b"\r\nRemoteStationID: ",
        b'\xff\xfe"\x80=' * 205,
        b"\r\nCallerIDNum: ",
        b"9" * 5000,
        b"\r\nChanVariable: FAXSTATUSSTRING=",
        NASTY.encode(),
        b"\r\n",
    ]
)


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_whatever_the_pbx_writes_one_fax_is_one_line_that_reads_back(
    format: str, pbx: Pbx, tmp_path: Path
) -> None:
    path = tmp_path / "faxes.log"
    flags = (f"--log.fax-file={path}", "--log.fax-details", f"--log.format={format}")
    with pbx.watch(*flags, pattern=r'listening.*url"?[=:] ?"?([^\s"]+)') as exporter:
        exporter.wait_until(up, 20)
        pbx.send_fax(texts=HOSTILE, error="NO_FAX")
        pbx.send_fax()
        lines = wait_for_lines(path, 2)
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    hostile = json.loads(lines[0]) if format == "json" else parse(lines[0])
    assert hostile["status_text"] == NASTY[:1024]
    assert hostile["local_station"] == NASTY[:1024]
    assert hostile["caller"] == "9" * 1024
    assert hostile["remote_station"].count('"') == 205
    assert hostile["peer"] == "PJSIP/trunk-berlin"


def test_personal_data_is_there_only_if_that_is_set(pbx: Pbx) -> None:
    texts = b"LocalStationID: 4930\r\nRemoteStationID: 4940\r\nCallerIDNum: 030123\r\n"
    with pbx.watch() as exporter:
        exporter.wait_until(up, 20)
        pbx.send_fax(texts=texts)
        exporter.wait_for_line('msg="fax ended"', 30)
        for personal in ("4930", "4940", "030123", "invoice", "00000001"):
            assert personal not in exporter.log


@pytest.mark.parametrize(("which", "number"), [("all", 3), ("failed", 2), ("off", 0)])
def test_which_faxes_have_a_line_can_be_set(which: str, number: int, pbx: Pbx) -> None:
    with pbx.watch(f"--log.faxes={which}") as exporter:
        exporter.wait_until(up, 20)
        for status in ("FAILED", "SUCCESS", "FAILED"):
            pbx.send_fax(status=status)
        exporter.wait_until(finished(3), 20)
        assert exporter.scrape().has("exporter_fax_lines_lost_total") is (which != "off")
        assert exporter.stop() == 0  # what waits is told
        assert len(fax_lines(exporter.log)) == number


def reload(exporter: Exporter) -> None:
    asked = urllib.request.Request(f"{exporter.base}/-/reload", method="POST")
    with urllib.request.urlopen(asked, timeout=20) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("by_signal", [True, False])
def test_a_file_that_was_renamed_is_opened_again_on_sighup_and_by_a_post(
    by_signal: bool, pbx: Pbx, tmp_path: Path
) -> None:
    path, rotated = tmp_path / "faxes.log", tmp_path / "faxes.log.1"
    with pbx.watch(f"--log.fax-file={path}") as exporter:
        exporter.wait_until(up, 20)
        wait_for_file(path)  # there from the start on
        pbx.send_fax()
        wait_for_lines(path, 1)
        path.rename(rotated)
        pbx.send_fax()
        wait_for_lines(rotated, 2)
        if by_signal:
            exporter.process.send_signal(signal.SIGHUP)
        else:
            reload(exporter)
        wait_for_file(path)
        pbx.send_fax()
        wait_for_lines(path, 1)
        os.truncate(path, 0)  # as copytruncate does
        pbx.send_fax()
        wait_for_lines(path, 1)
        assert "nothing to read again" not in exporter.log
        assert fax_lines(exporter.log) == []
        assert exporter.stop() == 0
    lines = [*rotated.read_text().splitlines(), *path.read_text().splitlines()]
    assert [parse(line)["uniqueid"] for line in lines] == [
        "1795685767.1",
        "1795685767.2",
        "1795685767.4",
    ]


def test_a_full_disk_is_said_once_stops_no_poll_and_costs_no_line_once_there_is_room(
    pbx: Pbx, tmp_path: Path
) -> None:
    path = tmp_path / "faxes.log"
    path.symlink_to("/dev/full")
    with pbx.watch(f"--log.fax-file={path}") as exporter:
        exporter.wait_until(up, 20)
        for _ in range(3):
            pbx.send_fax()
        said = exporter.wait_for_line("lines of faxes cannot be written", 20)
        assert "No space left on device; make room." in said
        exporter.wait_until(finished(3), 20)
        polls = exporter.scrape().value("polls_total")
        exporter.wait_until(lambda now: now.value("polls_total") > polls + 10, 20)
        path.unlink()
        exporter.process.send_signal(signal.SIGHUP)
        assert len(wait_for_lines(path, 3)) == 3
        exporter.wait_for_line("lines of faxes are written again", 20)
        assert exporter.log.count("cannot be written") == 1


def test_of_a_disk_that_was_full_no_line_is_torn_or_lost(pbx: Pbx, tmp_path: Path) -> None:
    launcher = on_small_disk(tmp_path)
    path = tmp_path / "faxes.log"
    with pbx.watch(f"--log.fax-file={path}", launcher=launcher) as exporter:
        exporter.wait_until(up, 20)
        seen = Path(f"/proc/{exporter.process.pid}/root{tmp_path}")
        with contextlib.suppress(OSError), (seen / "filler").open("wb", buffering=0) as filler:
            filler.write(b"x" * 40_000)
        for _ in range(90):
            pbx.send_fax()
        exporter.wait_for_line("No space left on device; make room", 30)
        exporter.wait_until(finished(90), 20)
        (seen / "filler").unlink()
        exporter.wait_for_line("lines of faxes are written again", 30)
        lines = wait_for_lines(seen / "faxes.log", 90)
        assert len({parse(line)["uniqueid"] for line in lines}) == len(lines) == 90


def test_a_folder_that_is_removed_is_survived(pbx: Pbx, tmp_path: Path) -> None:
    path = tmp_path / "log" / "faxes.log"
    path.parent.mkdir()
    with pbx.watch(f"--log.fax-file={path}") as exporter:
        exporter.wait_until(up, 20)
        wait_for_file(path)
        path.unlink()
        path.parent.rmdir()
        pbx.send_fax()
        exporter.wait_for_line("No such file or directory; make its folder again", 30)
        path.parent.mkdir()
        wait_for_lines(path, 1)
        exporter.wait_for_line("lines of faxes are written again", 20)


def test_a_fifo_that_nobody_reads_is_survived(pbx: Pbx, tmp_path: Path) -> None:
    path = tmp_path / "faxes.fifo"
    os.mkfifo(path)
    with pbx.watch(f"--log.fax-file={path}") as exporter:
        exporter.wait_until(up, 20)
        pbx.send_fax()
        exporter.wait_for_line("nobody reads it: start what does", 20)
        with path.open() as fifo:
            assert parse(fifo.readline().rstrip())["uniqueid"] == "1795685767.1"


def test_what_was_told_when_it_ends_is_in_the_file(pbx: Pbx, tmp_path: Path) -> None:
    path = tmp_path / "faxes.log"
    with pbx.watch(f"--log.fax-file={path}") as exporter:
        exporter.wait_until(up, 20)
        for _ in range(300):
            pbx.send_fax()
        exporter.wait_until(finished(300), 20)
        assert exporter.stop() == 0  # before their lists have come
    ids = [parse(line)["uniqueid"] for line in path.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == 300


F_SETPIPE_SZ = 1031


def until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_standard_error_that_nobody_reads_stops_no_poll_and_no_end(
    pbx: Pbx, unused_tcp_port: int
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    flags = (f"--web.listen-address=127.0.0.1:{unused_tcp_port}", "--log.level=debug")
    environment = os.environ | {"FAX_EXPORTER_AMI_SECRET": pbx.pbx.secret}
    login = (f"--ami.port={pbx.pbx.port}", f"--ami.username={pbx.pbx.username}")
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter", *login, *flags, "--poll.interval=0.05"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
    )
    exporter = Exporter()
    exporter.url = f"http://127.0.0.1:{unused_tcp_port}/metrics"
    try:
        until_it_listens(unused_tcp_port)
        exporter.wait_until(lambda now: now.value("polls_total") > 100, 60)
        for _ in range(50):
            pbx.send_fax()
        exporter.wait_until(finished(50), 30)
        polls = exporter.scrape().value("polls_total")
        exporter.wait_until(lambda now: now.value("polls_total") > polls + 100, 60)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().count(b"exporter.fax_log") < 50  # it was full


def test_where_no_line_can_ever_be_is_refused_at_the_start_and_by_a_check(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path, "it is a folder"),
        (tmp_path / "no" / "faxes.log", "its folder is missing"),
    ):
        for flags in ((), ("--config.check",)):
            done = subprocess.run(
                [sys.executable, "-m", "exporter", "--demo", f"--log.fax-file={path}", *flags],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 2
            assert done.stderr.startswith(f"--log.fax-file: {why}")
            assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
