"""The web process from the main one's side: real processes, as the command starts them."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest
import trustme

from exporter import web_process
from exporter.link import Answering
from exporter.polling import Fleet
from exporter.settings import Settings, SettingsError
from exporter.web_process import WebProcess
from harness.running import POLL, Exporter
from harness.web_side import listening
from tests.web.serving import trusting

SECRET = "a-secret-of-the-manager-interface"


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        # A process that comes or goes has no children to read.
        with contextlib.suppress(ValueError, OSError):
            if condition():
                return
        assert time.monotonic() < deadline
        time.sleep(POLL)


def test_if_it_is_killed_the_polls_go_on_and_it_is_started_again() -> None:
    with Exporter("--demo", "--poll.interval=100ms") as exporter:
        before = exporter.wait_until(lambda now: now.value("polls_total") > 3, 30)
        first = exporter.web_process
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: exporter.web_process != first)
        after = exporter.scrape()  # the socket was open all the time
        assert after.value("exporter_web_restarts_total") == 1
        assert after.value("connects_total") == before.value("connects_total") == 1
        assert after.value("polls_total") > before.value("polls_total")
        assert re.search(r"level=error .*web process ended with status -9", exporter.log)


def test_it_knows_no_login_to_asterisk() -> None:
    with Exporter.watching("127.0.0.1", 1, "exporter", SECRET) as exporter:
        web = Path(f"/proc/{exporter.web_process}")
        main = Path(f"/proc/{exporter.process.pid}")
        assert SECRET.encode() in (main / "environ").read_bytes()
        assert SECRET.encode() in _memory(main)
        for name in ("environ", "cmdline"):
            assert SECRET.encode() not in (web / name).read_bytes()
        assert SECRET.encode() not in _memory(web)


def _memory(process: Path) -> bytes:
    """All that a process may write to."""
    found = []
    with (process / "mem").open("rb", buffering=0) as memory:
        for line in (process / "maps").read_text().splitlines():
            area = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if area is not None:
                begin, end = (int(number, 16) for number in area.groups())
                with contextlib.suppress(OSError, OverflowError):
                    memory.seek(begin)
                    found.append(memory.read(end - begin))
    return b"".join(found)


def test_it_ends_with_the_main_process_however_that_ends() -> None:
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        with Exporter("--demo") as exporter:
            web = exporter.web_process
            status = exporter.stop(number)
            assert status == (-9 if number is signal.SIGKILL else 0)
            wait_until(lambda pid=web: not _lives(pid))  # type: ignore[misc]
            assert "Traceback" not in exporter.log


def _lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_for_the_group_are_for_the_main_process(number: signal.Signals) -> None:
    with Exporter("--demo") as exporter:
        web = exporter.web_process
        os.kill(web, number)
        assert exporter.scrape().value("exporter_web_restarts_total") == 0
        assert exporter.web_process == web


def test_polls_come_before_it_and_it_is_the_first_to_end_without_memory() -> None:
    with Exporter("--demo") as exporter:
        main, web = (os.getpriority(os.PRIO_PROCESS, pid) for pid in exporter.processes)
        assert web == min(main + 5, 19)
        score = Path(f"/proc/{exporter.web_process}/oom_score_adj").read_text()
        assert int(score) == 500


def test_the_next_one_knows_what_the_one_before_kept_others_out_with(
    tmp_path: Path, ca: trustme.CA
) -> None:
    path = tmp_path / "web.yml"
    tls = "tls_server_config: {cert_file: fax.pem, key_file: fax.key}\n"
    users = f"basic_auth_users: {{a: {bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}}}\n"
    path.write_text(tls + users)
    with Exporter("--demo", f"--web.config.file={path}") as exporter:
        os.kill(exporter.web_process, signal.SIGKILL)
        path.write_text(tls)  # cut short: by itself it would be a good file
        exporter.wait_for_line("no users now", 30)
        with pytest.raises(OSError):  # noqa: PT011  # nobody serves until the file is whole
            urllib.request.urlopen(exporter.url, timeout=2, context=trusting(ca))
        path.write_text(tls + users)
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(exporter.url, timeout=60, context=trusting(ca))
        refused.value.close()


def test_what_is_wrong_in_its_file_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_user: {}")
    exporter = Exporter("--demo", f"--web.config.file={path}")
    with pytest.raises(AssertionError, match="did you mean basic_auth_users"), exporter:
        pass
    assert exporter.process.wait(10) == 2


async def test_if_it_hangs_it_is_ended_and_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_process, "PING_SECONDS", 0.1)
    monkeypatch.setattr(web_process, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(web_process, "FIRST_PAUSE", 0.01)
    answering = Answering(Fleet(1.0, None), None)
    with listening() as socket:
        web = WebProcess(Settings(ami=None), [socket], answering)
        await web.start()
        assert web._process is not None
        hung = web._process
        os.kill(hung.pid, signal.SIGSTOP)
        await hung.wait()
        while answering.web_restarts == 0:
            await asyncio.sleep(0.01)
        await web.stop()
    # What it was asked and never read resets the connection: no word of its own.
    assert caplog.messages[:2] == [
        "the web process gave no answer for 0 s",
        "the web process ended with status -9; it is started again",
    ]


async def test_an_order_that_nobody_answers_is_a_fault_in_so_many_words(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_process, "ANSWER_SECONDS", 0.2)
    with listening() as socket:
        web = WebProcess(Settings(ami=None), [socket], Answering(Fleet(1.0, None), None))
        await web.start()
        assert web._process is not None
        await web.reload()
        os.kill(web._process.pid, signal.SIGSTOP)
        with pytest.raises(SettingsError, match="does not answer"):
            await web.reload()
        assert caplog.messages == [
            "web configuration not read again: the web process does not answer"
        ]
        os.kill(web._process.pid, signal.SIGCONT)
        await web.stop()


def test_however_much_is_wrong_in_its_file_it_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    faults = "basic_auth_users:\n" + "".join(f"  \u00fc{n}: no hash\n" for n in range(2000))
    path.write_text(faults)
    exporter = Exporter("--demo", f"--web.config.file={path}")
    with pytest.raises(AssertionError, match=r"line 2, column.*and [0-9]+ more"), exporter:
        pass
    assert exporter.process.wait(10) == 2
    path.write_text("basic_auth_users: {}")
    with Exporter("--demo", f"--web.config.file={path}") as exporter:
        first = exporter.web_process
        path.write_text(faults)
        reload = urllib.request.Request(f"{exporter.base}/-/reload", method="POST")
        with pytest.raises(urllib.error.HTTPError, match="500") as refused:
            urllib.request.urlopen(reload, timeout=60)
        refused.value.close()
        assert exporter.web_process == first
        assert exporter.scrape().value("exporter_web_config_last_reload_successful") == 0


@pytest.mark.parametrize("said", ["", "no JSON", '{"protections": ["NONE"]}', "[]", "x" * 100_000])
async def test_what_does_not_start_as_it_should_is_started_again(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_process, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(web_process, "LONGEST_PAUSE", 0.1)
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\ntouch {tmp_path}/begun.$$\necho '{said}' >&0\n")
    broken.chmod(0o755)
    answering = Answering(Fleet(1.0, None), None)
    with listening() as socket:
        web = WebProcess(Settings(ami=None), [socket], answering)
        await web.start()
        assert web._process is not None
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(broken))
            web._process.kill()
            while len(list(tmp_path.glob("begun.*"))) < 2:
                await asyncio.sleep(0.01)
        while answering.web_restarts == 0:
            await asyncio.sleep(0.01)
        await web.stop()


async def test_what_has_no_thread_to_be_waited_for_with_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As Python up to 3.11 does it, on a machine that has no more: that is no OSError."""
    monkeypatch.setattr(web_process, "FIRST_PAUSE", 0.01)
    answering = Answering(Fleet(1.0, None), None)

    async def no_thread(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    with listening() as socket:
        web = WebProcess(Settings(ami=None), [socket], answering)
        await web.start()
        assert web._process is not None
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "create_subprocess_exec", no_thread)
            web._process.kill()
            while "cannot be started: can't start new thread" not in caplog.text:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            while answering.web_restarts == 0:
                await asyncio.sleep(0.01)
        await web.stop()


async def test_what_cannot_be_started_is_a_fault_in_so_many_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with listening() as socket:
        web = WebProcess(Settings(ami=None), [socket], Answering(Fleet(1.0, None), None))
        with pytest.raises(SettingsError, match=r"did not start: .*No such file"):
            await web.start()
        await web.stop()


async def test_the_end_does_not_wait_until_it_would_be_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_process, "FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(web_process, "LONGEST_PAUSE", 3600.0)
    with listening() as socket:
        web = WebProcess(Settings(ami=None), [socket], Answering(Fleet(1.0, None), None))
        await web.start()
        assert web._process is not None
        web._process.kill()
        while "it is started again" not in caplog.text:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            await web.stop()


# --- one that somebody has broken into --------------------------------------------------------

STATE = '{"protections": []}\\n'
NONSENSE = [
    "\\n",
    "null\\n",
    "[1]\\n",
    "{}\\n",
    '{"protections": ["DOORS"]}\\n',
    '{"protections": [[]]}\\n',
    "\\377\\n",
]


def says(folder: Path, *lines: str) -> str:
    """A program that says these lines to the main process, as printf takes them, and stays."""
    program = folder / "web"
    said = "".join(f"printf '{line}' >&0\n" for line in lines)
    program.write_text(f"#!/bin/sh\n{said}exec sleep 60\n")
    program.chmod(0o700)
    return str(program)


LONG = ["x" * 50_000] * 3
DEEP = ["[" * 50_000, "\\n"]


@pytest.mark.parametrize("lines", [*([line] for line in NONSENSE), LONG, DEEP])
async def test_what_makes_no_sense_is_no_start(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", says(tmp_path, *lines))
    with listening() as socket:
        web = WebProcess(Settings(ami=None), [socket], Answering(Fleet(1.0, None), None))
        with pytest.raises(SettingsError, match="did not start"):
            await web.start()
        assert web._process is not None
        assert web._process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("lines", [*([line] for line in NONSENSE), LONG, DEEP, [STATE]])
async def test_who_says_what_makes_no_sense_is_ended_and_started_again(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", says(tmp_path, STATE, *lines))
    monkeypatch.setattr(web_process, "FIRST_PAUSE", 0.01)
    answering = Answering(Fleet(1.0, None), None)
    with listening() as socket:
        web = WebProcess(Settings(ami=None), [socket], answering)
        await web.start()
        while answering.web_restarts == 0:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(web_process, "STOP_SECONDS", 0.01)
        await web.stop()
