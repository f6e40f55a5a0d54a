"""What --check-pbx finds as a whole; tests/pbx/test_check.py has real PBXs."""

import asyncio
import re

import pytest

from exporter.check_pbx import Verdict, text
from harness.virtual_time import in_virtual_time
from harness.watching import begin
from tests.check_pbx.reports import (
    GOOD,
    LISTEN,
    answering,
    may,
    of,
    pbx_with,
    refusing,
    report_of,
    with_files,
    wrong,
)


@in_virtual_time
async def test_a_pbx_that_has_all_that_can_be_seen_has_nothing_wrong() -> None:
    async with pbx_with() as pbx:
        report = await report_of(pbx)
    assert wrong(report) == []
    assert "Asterisk 22.10.0, AMI 11.0.0, without TLS" in of(report, "connection").text


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


@in_virtual_time
async def test_it_connects_once_and_leaves() -> None:
    async with pbx_with() as pbx:
        await report_of(pbx)
        assert len(pbx.connections) == len(pbx.logins) == 1
        await asyncio.sleep(1)
        assert not pbx.clients


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


@in_virtual_time
async def test_nothing_that_a_pbx_says_reaches_the_terminal_as_it_is() -> None:
    nasty = "\x1b[31m\u202e\u2066\x9b2J\u2028\x07"
    async with pbx_with(version=f"22.1{nasty}", ami_version=f"11{nasty}") as pbx:
        begin(pbx).technology = f"Span{nasty}dsp"
        pbx.rewrite = answering(Getvar=f"Value: {nasty}call,x{nasty}")
        shown = text(await report_of(pbx))
    assert shown.count("?[31m??") > 3
    assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize("action", ["Challenge", "Login", "FAXSessions"])
def test_a_refusal_in_any_words_reaches_the_terminal_without_what_steers_it(action: str) -> None:
    @in_virtual_time
    async def scenario() -> None:
        async with pbx_with() as pbx:
            nasty = "no\x1b]0;title\x07 \u202etxt.exe"
            pbx.rewrite = refusing(action, nasty)
            shown = text(await report_of(pbx))
        assert shown.replace("\n", "").isprintable()
        assert "no?]0;title? ?txt.exe" in " ".join(shown.split())

    scenario()
