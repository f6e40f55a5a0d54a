"""Reports of --check-pbx on a demo PBX that lacks something, for the tests beside this file."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.check_pbx import Finding, Report, Verdict, check
from exporter.demo.actions import Dialogue, Headers
from harness.pbx import FaultyPbx
from harness.virtual_time import wall
from harness.watching import SECRET, settings_for

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
    """For FaultyPbx.rewrite: what the demo does not know so well, in Asterisk's words."""

    def rewrite(action: str, answer: bytes) -> bytes:
        if action not in answers:
            return answer
        said = answer.partition(b"Message: ")[0].partition(b"Variable: ")[0]
        said = said.replace(b"Response: Error", b"Response: Success")
        return said + answers[action].encode() + b"\r\n\r\n"

    return rewrite


def refusing(refused: str, words: str) -> Callable[[str, bytes], bytes]:
    """For FaultyPbx.rewrite: an action is refused in these words."""

    def rewrite(action: str, answer: bytes) -> bytes:
        if action != refused:
            return answer
        identity = answer.partition(b"ActionID: ")[2].partition(b"\r\n")[0]
        said = b"Response: Error\r\nActionID: %b\r\nMessage: %b\r\n\r\n"
        return said % (identity, words.encode())

    return rewrite


def may(*actions: str) -> str:
    return "\r\n".join(f"{action}: What it does.  (Priv: {_CLASSES[action]})" for action in actions)


GOOD = {
    "general_enabled": "yes",
    "general_channelvars": "FAXSTATUS,FAXERROR,FAXMODE,FAXSTATUSSTRING",
    "demo_read": "call",
    "demo_write": "call,reporting",
    "demo_eventfilter": "Event: (SendFAX|ReceiveFAX)",
}
