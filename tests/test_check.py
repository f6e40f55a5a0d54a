"""What --check-pbx says of a PBX that lacks something; tests/pbx/test_check.py has real ones."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from exporter.check import check
from exporter.demo import DemoPbx
from exporter.report import Finding, Lines, Report, Verdict, text
from tests.virtual_time import in_virtual_time, wall
from tests.watching import SECRET, begin, settings_for

LISTEN = 2.0
_CLASSES = {
    "Command": "command,all",
    "CoreStatus": "system,reporting,all",
    "FAXSessions": "call,all",
    "FAXStats": "reporting,all",
    "Originate": "originate,all",
    "Ping": "<none>",
    "Reload": "system,config,all",
}


@contextlib.asynccontextmanager
async def pbx_with(**options: Any) -> AsyncIterator[DemoPbx]:
    pbx = DemoPbx(secret=SECRET, clock=wall, **options)
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()


async def report_of(pbx: DemoPbx, **changes: Any) -> Report:
    return await check("fax", settings_for(pbx, **{"username": "demo"} | changes), listen=LISTEN)


def of(report: Report, subject: str) -> Finding:
    (finding,) = (finding for finding in report.findings if finding.subject == subject)
    return finding


def wrong(report: Report) -> list[str]:
    return [finding.subject for finding in report.findings if finding.verdict is Verdict.WRONG]


def answering(**answers: str) -> Callable[[str, bytes], bytes]:
    """For DemoPbx.rewrite: what the demo does not know, in Asterisk's words."""

    def rewrite(action: str, answer: bytes) -> bytes:
        if action not in answers:
            return answer
        said, _, _ = answer.partition(b"Message: ")
        said = said.replace(b"Response: Error", b"Response: Success")
        return said + answers[action].encode() + b"\r\n\r\n"

    return rewrite


def may(*actions: str) -> str:
    return "\r\n".join(f"{action}: What it does.  (Priv: {_CLASSES[action]})" for action in actions)


@in_virtual_time
async def test_a_pbx_that_has_all_that_can_be_seen_has_nothing_wrong() -> None:
    async with pbx_with() as pbx:
        report = await report_of(pbx)
    assert wrong(report) == []
    assert "Asterisk 22.10.0, AMI 11.0.0, without TLS" in of(report, "connection").text


@in_virtual_time
async def test_sessions_are_listed_and_never_asked_about() -> None:
    async with pbx_with() as pbx:
        for state in ("Initialized", "Active"):
            begin(pbx).state = state
        report = await report_of(pbx)
        assert not pbx.crashed
        assert not pbx.queries
    assert of(report, "res_fax_spandsp").text == "faxes are run by Spandsp"


@in_virtual_time
async def test_it_connects_once_and_leaves() -> None:
    async with pbx_with() as pbx:
        await report_of(pbx)
        assert len(pbx.connections) == len(pbx.logins) == 1
        await asyncio.sleep(1)
        assert not pbx._clients


@in_virtual_time
async def test_nobody_there_is_wrong_and_says_what_makes_asterisk_listen() -> None:
    async with pbx_with() as pbx:
        pbx.refuse_connections()
        report = await report_of(pbx)
        assert wrong(report) == ["connection"]
        finding = of(report, "connection")
        assert str(finding.lines) == (
            f"manager.conf [general]: enabled = yes; port = {pbx.port}; bindaddr = 127.0.0.1"
        )
        assert "set --ami.port" in finding.do
        finding = of(await report_of(pbx, tls=True), "connection")
        assert f"tlsenable = yes; tlsbindaddr = 127.0.0.1:{pbx.port}" in str(finding.lines)


@in_virtual_time
async def test_what_is_no_asterisk_is_said_to_be_none() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(web, "127.0.0.1", 0)
    async with pbx_with() as pbx, server:
        report = await report_of(pbx, port=server.sockets[0].getsockname()[1])
    assert "no Asterisk manager answers there" in of(report, "connection").text


@in_virtual_time
async def test_a_refused_login_says_which_line_to_look_at_and_no_secret() -> None:
    async with pbx_with() as pbx:
        report = await report_of(pbx, username="stranger")
        assert len(pbx.failed_logins) == 1
    assert wrong(report) == ["login"]
    assert str(of(report, "login").lines) == (
        "manager.conf [stranger]: secret = what --ami.secret-file holds; permit = 127.0.0.1/32"
    )
    assert SECRET not in text(report)


@pytest.mark.parametrize("action", ["Challenge", "FAXStats", "Getvar"])
def test_a_pbx_that_falls_silent_is_given_up_at_the_timeout(action: str) -> None:
    @in_virtual_time
    async def scenario() -> None:
        async with pbx_with() as pbx:
            pbx.delay[action] = 1000
            report = await report_of(pbx, timeout=7)
            assert asyncio.get_running_loop().time() < 8
        assert wrong(report) == ["connection"]
        assert "no answer within 7 s" in text(report)

    scenario()


@in_virtual_time
async def test_a_connection_that_is_lost_meanwhile_is_a_finding() -> None:
    async with pbx_with() as pbx:
        asyncio.get_running_loop().call_later(LISTEN / 2, pbx.drop_connections)
        report = await report_of(pbx)
    assert wrong(report) == ["connection"]
    assert "logged in, then: connection lost" in text(report)


@pytest.mark.parametrize(
    ("write", "subject"),
    [(["reporting"], "write class call"), (["call"], "write class reporting")],
)
def test_a_write_class_that_is_missing_is_named_with_its_line(
    write: list[str], subject: str
) -> None:
    @in_virtual_time
    async def scenario() -> None:
        async with pbx_with(write=write) as pbx:
            report = await report_of(pbx)
        assert wrong(report) == [subject]
        assert str(of(report, subject).lines) == "manager.conf [demo]: write = call,reporting"

    scenario()


@in_virtual_time
async def test_without_res_fax_the_classes_are_told_by_what_else_they_allow() -> None:
    async with pbx_with(res_fax=False) as pbx:
        report = await report_of(pbx)
        assert wrong(report) == ["res_fax"]
        assert of(report, "write class call").verdict is Verdict.UNKNOWN
        assert of(report, "write class reporting").verdict is Verdict.OK
        assert str(of(report, "res_fax").lines) == "modules.conf [modules]: load = res_fax.so"
        pbx.rewrite = answering(ListCommands=may("FAXSessions"))
        report = await report_of(pbx)
        assert of(report, "write class call").verdict is Verdict.OK


@in_virtual_time
async def test_what_the_user_may_beyond_need_is_wrong_and_named() -> None:
    async with pbx_with() as pbx:
        needed = ("CoreStatus", "FAXSessions", "FAXStats", "Ping")
        pbx.rewrite = answering(ListCommands=may(*needed))
        assert of(await report_of(pbx), "no more than that").verdict is Verdict.OK
        pbx.rewrite = answering(ListCommands=may(*needed, "Originate", "Command", "Reload"))
        finding = of(await report_of(pbx), "no more than that")
    assert finding.verdict is Verdict.WRONG
    assert "may also Command, Originate, Reload: write class command, originate is" in finding.text


@pytest.mark.parametrize(("channelvars", "verdict"), [(True, Verdict.OK), (False, Verdict.WRONG)])
def test_a_fax_that_ends_meanwhile_tells_of_the_read_class_and_channelvars(
    channelvars: bool, verdict: Verdict
) -> None:
    @in_virtual_time
    async def scenario() -> None:
        async with pbx_with(channelvars=channelvars) as pbx:
            session = begin(pbx)
            asyncio.get_running_loop().call_later(LISTEN / 3, pbx.end, session)
            report = await report_of(pbx)
        assert of(report, "read class call").verdict is Verdict.OK
        assert of(report, "channelvars").verdict is verdict
        assert of(report, "eventfilter").verdict is Verdict.UNKNOWN

    scenario()


@in_virtual_time
async def test_an_event_that_nobody_asked_for_means_that_there_is_no_filter() -> None:
    async with pbx_with() as pbx:
        event = b"Event: Newchannel\r\nPrivilege: call,all\r\nChannel: PJSIP/a-1\r\n\r\n"
        asyncio.get_running_loop().call_later(LISTEN / 3, pbx.inject, event)
        report = await report_of(pbx)
    assert wrong(report) == ["eventfilter"]
    assert str(of(report, "eventfilter").lines) == (
        "manager.conf [demo]: eventfilter = Event: (SendFAX|ReceiveFAX)"
    )


@pytest.mark.parametrize(("username", "asked"), [("fax.a-b c@d", 20), ("fax,secret)", 8)])
def test_no_user_name_makes_getvar_read_anything_else(username: str, asked: int) -> None:
    @in_virtual_time
    async def scenario() -> None:
        async with pbx_with(username=username) as pbx:
            count = 0

            def rewrite(action: str, answer: bytes) -> bytes:
                nonlocal count
                count += action == "Getvar"
                return answering(Getvar="Value: yes")(action, answer)

            pbx.rewrite = rewrite
            await report_of(pbx, username=username)
            assert count == asked

    scenario()


@in_virtual_time
async def test_nothing_that_a_pbx_says_reaches_the_terminal_as_it_is() -> None:
    async with pbx_with(version="22.1\x1b[31m") as pbx:
        begin(pbx).technology = "Span\x1b[2Jdsp"
        pbx.rewrite = answering(Getvar="Value: \x1b[31mcall,x\x1b[0m")
        shown = text(await report_of(pbx))
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()


def test_the_report_keeps_what_came_back_from_what_to_do_and_breaks_nothing_to_paste() -> None:
    lines = Lines("manager.conf", "fax", ("read = call", "write = call,reporting"))
    modules = Lines("modules.conf", "modules", ("load = res_fax.so", "load = res_fax_spandsp.so"))
    findings = (
        Finding("login", Verdict.OK, "user fax"),
        Finding("read class", Verdict.WRONG, "missing " * 5 + "here", lines, "look twice"),
        Finding("res_fax", Verdict.WRONG, "none", modules),
        Finding("filter", Verdict.UNKNOWN, "who knows", lines),
    )
    assert text(Report("fax-berlin", findings), 44).splitlines() == [
        "fax-berlin:",
        "  ok     login: user fax",
        "  WRONG  read class: missing missing missing",
        "         missing missing here",
        "         -> look twice",
        "         -> add to manager.conf:",
        "                [fax](+)",
        "                read = call",
        "                write = call,reporting",
        "            then:",
        "                asterisk -rx 'manager reload'",
        "  WRONG  res_fax: none",
        "         -> add to modules.conf:",
        "                [modules](+)",
        "                load = res_fax.so",
        "                load = res_fax_spandsp.so",
        "            then:",
        "                asterisk -rx 'module load res_fax.so'",
        "                asterisk -rx 'module load res_fax_spandsp.so'",
        "  ?      filter: who knows",
        "         -> look for this in manager.conf:",
        "                [fax](+)",
        "                read = call",
        "                write = call,reporting",
        "  2 wrong, 1 cannot be told from here",
    ]


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
