"""What is advised where there is no connection, or no login."""

import asyncio
import socket

import pytest
from pydantic import SecretStr

from exporter.check_pbx import Lines, check, text
from exporter.check_pbx.not_connected import nothing_listens
from exporter.settings import AmiSettings
from harness.virtual_time import in_virtual_time
from harness.watching import SECRET
from tests.check_pbx.reports import of, pbx_with, report_of, wrong


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


@in_virtual_time
async def test_a_refused_secret_with_a_semicolon_is_to_be_escaped_and_is_not_shown() -> None:
    async with pbx_with() as pbx:
        report = await report_of(pbx, secret=SecretStr("one;two"))
    finding = of(report, "login")
    assert r"there it is written '\;'" in finding.do
    assert "one;two" not in text(report)


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
    finding = await nothing_listens("refused", settings)
    assert "what uses the other address is then shut out" in finding.do
    assert ("rather give tlsbindaddr this address" in finding.do) != tls


NO = Lines("manager.conf", "general", ())


async def test_a_port_that_asterisk_cannot_have_is_only_said_to_be_the_wrong_one() -> None:
    settings = AmiSettings(port=1, username="fax", secret=SecretStr("x"))
    finding = of(await check("fax", settings), "connection")
    assert finding.lines is None
    assert "set --ami.port to that (Asterisk's own is 5038)" in finding.do
