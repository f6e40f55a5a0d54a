"""What --check-pbx says of a PBX that lacks something; tests/pbx/test_check.py has real ones."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.check_pbx import OWN_USER, Finding, Lines, Report, Verdict, check, sections, text
from exporter.check_pbx.checking import _closed
from exporter.demo.actions import Dialogue, Headers
from exporter.settings import AmiSettings
from harness.pbx import FaultyPbx
from harness.virtual_time import in_virtual_time, wall
from harness.watching import SECRET, begin, settings_for

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
async def pbx_with(**options: Any) -> AsyncIterator[FaultyPbx]:
    pbx = FaultyPbx(secret=SECRET, clock=wall, **options)
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()


async def report_of(pbx: FaultyPbx, **changes: Any) -> Report:
    settings = settings_for(pbx, **{"username": "demo"} | changes)
    return await check("fax", settings, listen=LISTEN, folder=Path("/nowhere"))


def with_files(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Has the demo answer Getvar: `general_enabled` is that of manager.conf."""
    answer = Dialogue.answer

    def answers(self: Dialogue, headers: Headers) -> bytes:
        if headers.get("action") != "Getvar":
            return answer(self, headers)
        _, _, given = headers["variable"].partition("(")
        _, section, name = [*given.rpartition(",")[0].split(",", 2), "", ""][:3]
        value = values.get(f"{section}_{name}", "")
        first = given.endswith((",0)", ",-1)"))
        value = value if first else ""
        return (
            f"Response: Success\r\nActionID: {headers['actionid']}\r\n"
            f"Variable: {headers['variable']}\r\nValue: {value}\r\n\r\n"
        ).encode()

    monkeypatch.setattr(Dialogue, "answer", answers)


def of(report: Report, subject: str) -> Finding:
    (finding,) = (finding for finding in report.findings if finding.subject == subject)
    return finding


def wrong(report: Report) -> list[str]:
    return [finding.subject for finding in report.findings if finding.verdict is Verdict.WRONG]


def answering(**answers: str) -> Callable[[str, bytes], bytes]:
    """For FaultyPbx.rewrite: what the demo does not know, in Asterisk's words."""

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
        assert not pbx.clients


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
    assert "no [stranger], paste a whole one" in of(report, "login").do
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
        assert re.search(r"no answer (to the login )?within 7 s", text(report))

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
        assert "'noload = res_fax.so' out of modules.conf" in of(report, "res_fax").do
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


def test_sections_in_a_comment_of_many_lines_are_none(tmp_path: Path) -> None:
    (tmp_path / "manager.conf").write_text(
        "[general]\n;-- as it was:\n[general]\n;-- and before --;\n[general]\nport = 1 --;\n"
        ";--- a line ;-- and not the begin of many\n[fax]\n;-- one --; [general](+)\n[general]\n"
    )
    there = [(one.name, one.adds, one.line) for one in sections(tmp_path)]
    assert there == [
        ("general", False, 1),
        ("fax", False, 8),
        ("general", True, 9),
        ("general", False, 10),
    ]


@in_virtual_time
async def test_a_list_that_fails_in_words_not_known_is_wrong_and_quoted() -> None:
    def rewrite(action: str, answer: bytes) -> bytes:
        if action not in ("FAXSessions", "FAXStats"):
            return answer
        said, _, _ = answer.partition(b"Message: ")
        return said.replace(b"Success", b"Error") + b"Message: Out of memory\r\n\r\n"

    async with pbx_with() as pbx:
        pbx.rewrite = rewrite
        report = await report_of(pbx)
    assert wrong(report) == ["res_fax"]
    assert "FAXSessions: Out of memory" in of(report, "res_fax").text


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


@pytest.mark.parametrize("said", ["Authentication failed", "Login Already In Use", "anything"])
@in_virtual_time
async def test_nothing_that_a_pbx_refuses_a_login_with_reaches_the_terminal_as_it_is(
    said: str,
) -> None:
    def rewrite(action: str, answer: bytes) -> bytes:
        if action != "Login":
            return answer
        return answer.replace(b"Authentication failed", f"{said}\x1b[31m\u202e".encode())

    async with pbx_with() as pbx:
        pbx.rewrite = rewrite
        report = await report_of(pbx, username="stranger")
    assert wrong(report) == ["login"]
    # Only to the one answer that means it there is a line to look at.
    assert (report.findings[0].lines is not None) == (said == "Authentication failed")
    assert text(report).replace("\n", "").isprintable()


GOOD = {
    "general_enabled": "yes",
    "general_channelvars": "FAXSTATUS,FAXERROR,FAXMODE,FAXSTATUSSTRING",
    "demo_read": "call",
    "demo_write": "call,reporting",
    "demo_eventfilter": "Event: (SendFAX|ReceiveFAX)",
}


@in_virtual_time
async def test_a_file_with_all_that_is_needed_leaves_nothing_open() -> None:
    with pytest.MonkeyPatch.context() as patch:
        with_files(patch, **GOOD)
        async with pbx_with() as pbx:
            pbx.rewrite = answering(ListCommands=may("CoreStatus", "FAXSessions"))
            report = await report_of(pbx)
    assert {finding.subject for finding in report.findings if finding.verdict != Verdict.OK} == {
        "res_fax_spandsp"
    }


@pytest.mark.parametrize("write", ["all", "call,reporting,system,command"])
@in_virtual_time
async def test_a_user_of_others_is_left_alone_and_ours_may_do_what_it_must(write: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        files = {"admin_read": "all", "admin_write": write, "general_enabled": "yes"}
        with_files(patch, **files)
        async with pbx_with(username="admin") as pbx:
            pbx.rewrite = answering(ListCommands=may("FAXSessions", "Command", "Originate"))
            report = await report_of(pbx, username="admin")
    lines = of(report, "user").lines
    assert lines is not None
    assert lines.block.startswith(f"[{OWN_USER}]\nsecret = ")
    assert "permit = 127.0.0.1/32" in lines.lines
    for finding in report.findings:
        assert finding.lines is None or finding.lines.section != "admin"


@in_virtual_time
async def test_the_readmes_own_user_is_narrowed() -> None:
    async with pbx_with(username=OWN_USER) as pbx:
        pbx.rewrite = answering(ListCommands=may("FAXSessions", "Command", "Originate"))
        report = await report_of(pbx, username=OWN_USER)
    assert wrong(report) == ["no more than that"]
    assert str(of(report, "no more than that").lines) == (
        f"manager.conf [{OWN_USER}]: write = call,reporting"
    )


@in_virtual_time
async def test_an_asterisk_up_to_12_has_no_fax_actions_and_its_filter_is_basic() -> None:
    with pytest.MonkeyPatch.context() as patch:
        with_files(patch, **GOOD)
        async with pbx_with(res_fax=False, version="11.25.3", ami_version="1.3") as pbx:
            report = await report_of(pbx)
    said = of(report, "res_fax")
    assert (said.verdict, said.lines) == (Verdict.WRONG, None)
    assert "Asterisk 11 has none of FAXSessions" in said.text
    assert of(report, "channelvars").lines is None
    finding = of(report, "eventfilter")
    assert "lets no SendFAX and no ReceiveFAX event through" in finding.text
    assert str(finding.lines) == (
        "manager.conf [demo]: eventfilter = Event: SendFAX; eventfilter = Event: ReceiveFAX"
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[general]\nenabled=yes\n[demo]\n", []),
        ("[general]\n[demo]\n[general](+)\n; [general]\n", []),
        ("[general]\n[demo]\n  [General] ; again\n", ["manager.conf:3"]),
        ("[general]\n[demo]\n[general](!)\n", ["manager.conf:3"]),
        ('[general]\n[demo]\n#include "manager.d/*.conf"\n', ["manager.d/fax.conf:2"]),
        ("#include manager.conf\n[general]\n[demo]\n", ["manager.conf:2"]),
        ("[general]\n[other]\n[general]\n", []),
        ("[general]\n[demo]\n#include \0\n#include /\n#include **\n#include <>\n", None),
    ],
)
@in_virtual_time
async def test_a_second_general_of_this_machine_is_named_with_its_line(
    text: str, where: list[str] | None, tmp_path: Path
) -> None:
    (tmp_path / "manager.d").mkdir()
    (tmp_path / "manager.d/fax.conf").write_text("; ours\n[general]\n")
    (tmp_path / "manager.conf").write_text(text)
    async with pbx_with() as pbx:
        report = await check("fax", settings_for(pbx), listen=LISTEN, folder=tmp_path)
    found = [one.text for one in report.findings if one.subject == "second [general]"]
    if where is not None:
        assert [one.partition(" ")[0] for one in found] == [f"{tmp_path}/{one}" for one in where]


@pytest.mark.parametrize("theirs", ["x" * 1001, "na\u00efve", "a\x1bb"])
@in_virtual_time
async def test_no_line_is_advised_that_would_change_a_name_of_others(theirs: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        with_files(patch, **GOOD | {"general_channelvars": theirs})
        async with pbx_with() as pbx:
            finding = of(await report_of(pbx), "channelvars")
    assert (finding.verdict, finding.lines) == (Verdict.WRONG, None)
    assert "add ,FAXSTATUS,FAXERROR,FAXMODE,FAXSTATUSSTRING to the line that is" in finding.do


@in_virtual_time
async def test_a_technology_without_the_action_is_named() -> None:
    async with pbx_with() as pbx:
        begin(pbx).technology = "Digium"
        report = await report_of(pbx)
    assert wrong(report) == ["res_fax_spandsp"]
    assert "run by Digium, of which FAXSession tells nothing" in of(report, "res_fax_spandsp").text


@pytest.mark.parametrize("since", ["Challenge", "ListCommands"])
@in_virtual_time
async def test_an_asterisk_that_is_shutting_down_is_in_a_state_and_not_wrongly_set(
    since: str,
) -> None:
    stopping, asked = False, list[str]()

    def rewrite(action: str, answer: bytes) -> bytes:
        nonlocal stopping
        stopping |= action == since
        asked.append(action)
        if not stopping:
            return answer
        _, _, identity = answer.partition(b"ActionID: ")
        identity = identity.partition(b"\r\n")[0]
        return (
            b"Response: Error\r\nActionID: %b\r\n"
            b"Message: Asterisk is shutting down\r\n\r\n" % identity
        )

    async with pbx_with() as pbx:
        pbx.rewrite = rewrite
        report = await report_of(pbx)
    assert wrong(report) == ["shutting down"]
    assert report.findings[0].lines is None
    assert "Getvar" not in asked


@pytest.mark.parametrize(
    ("host", "tls", "line"),
    [
        ("127.0.0.1", False, "bindaddr = 127.0.0.1"),
        ("127.0.0.7", False, "bindaddr = 127.0.0.7"),
        ("localhost", False, "bindaddr = 127.0.0.1"),
        ("0.0.0.0", False, "bindaddr = 127.0.0.1"),
        ("::", False, "bindaddr = ::1"),
        ("::1", False, "bindaddr = ::1"),
        ("::1", True, "tlsbindaddr = [::1]:10"),
    ],
)
async def test_nobody_is_told_to_listen_wider_than_where_was_connected_to(
    host: str, tls: bool, line: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = AmiSettings(
        host=host, port=port, username="fax", secret=SecretStr("x"), tls=tls, timeout=5
    )
    finding = of(await check("fax", settings), "connection")
    assert any(one.startswith(line.replace("]:10", "]")) for one in (finding.lines or NO).lines)
    assert "0.0.0.0" not in f"{finding.do} {finding.lines}"
    assert "if another address, set --ami.host to that" in finding.do


@pytest.mark.parametrize("tls", [False, True])
async def test_where_bindaddr_would_move_it_is_said_who_is_shut_out(tls: bool) -> None:
    settings = AmiSettings(host="192.0.2.9", username="fax", secret=SecretStr("x"), tls=tls)
    finding = await _closed("refused", settings)  # an address of others, which nobody can refuse
    assert "what uses the other address is then shut out" in finding.do
    assert ("rather give tlsbindaddr this address" in finding.do) != tls


NO = Lines("manager.conf", "general", ())


async def test_a_port_that_asterisk_cannot_have_is_only_said_to_be_the_wrong_one() -> None:
    settings = AmiSettings(port=1, username="fax", secret=SecretStr("x"))
    finding = of(await check("fax", settings), "connection")
    assert finding.lines is None
    assert "set --ami.port to that (Asterisk's own is 5038)" in finding.do


@in_virtual_time
async def test_a_refused_secret_with_a_semicolon_is_to_be_escaped_and_is_not_shown() -> None:
    async with pbx_with() as pbx:
        report = await report_of(pbx, secret=SecretStr("one;two"))
    finding = of(report, "login")
    assert r"there it is written '\;'" in finding.do
    assert "one;two" not in text(report)


def test_the_report_keeps_what_came_back_from_what_to_do_and_breaks_nothing_to_paste() -> None:
    lines = Lines("manager.conf", "fax", ("read = call", "write = call,reporting"))
    modules = Lines("modules.conf", "modules", ("load = res_fax.so", "load = res_fax_spandsp.so"))
    findings = (
        Finding("login", Verdict.OK, "user fax"),
        Finding(
            "read class", Verdict.WRONG, "missing " * 5 + "here", lines, "look twice", ("look a",)
        ),
        Finding("res_fax", Verdict.WRONG, "none", modules),
        Finding("filter", Verdict.UNKNOWN, "who knows", lines, "look on", ("look b",)),
        Finding("other", Verdict.UNKNOWN, "who", None, "look on", ("look b",)),
    )
    assert text(Report("fax-berlin", findings), 44).splitlines() == [
        "fax-berlin:",
        "  ok     login: user fax",
        "  WRONG  read class: missing missing missing",
        "         missing missing here",
        "         -> look twice",
        "                look a",
        "         -> add to manager.conf:",
        "                [fax](+)",
        "                read = call",
        "                write = call,reporting",
        "            then:",
        "                asterisk -rx 'manager reload'",
        "            and restart the exporter if it",
        "            runs: a login keeps the classes",
        "            and filters it had",
        "  WRONG  res_fax: none",
        "         -> add to modules.conf:",
        "                [modules](+)",
        "                load = res_fax.so",
        "                load = res_fax_spandsp.so",
        "            then:",
        "                asterisk -rx 'module load res_fax.so'",
        "                asterisk -rx 'module load res_fax_spandsp.so'",
        "  ?      filter: who knows",
        "         -> look on",
        "                look b",
        "         -> look for this in manager.conf:",
        "                [fax]",
        "                read = call",
        "                write = call,reporting",
        "  ?      other: who",
        "  2 wrong, 2 cannot be told from here",
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


@pytest.mark.parametrize(("columns", "widest"), [("50", 50), ("", 100)])
def test_the_command_is_as_wide_as_the_terminal_and_not_wider_in_a_pipe(
    columns: str, widest: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "--check-pbx", "--demo"],
        env=os.environ | {"COLUMNS": columns},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    said = [line for line in done.stdout.splitlines() if not line.startswith(" " * 12)]
    assert widest - 20 < max(map(len, said)) <= widest


def test_the_command_says_once_what_is_odd_about_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter;2\n")
    file.chmod(0o600)
    login = ["--ami.username=u", f"--ami.secret-file={file}", "--ami.port=1"]
    for flag in ("--check-pbx", "--config.check"):
        done = subprocess.run(
            [sys.executable, "-m", "exporter", flag, *login],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.stderr.count("the secret has a ';'") == 1
        assert "hunter" not in done.stderr + done.stdout
