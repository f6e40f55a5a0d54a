"""What is found about the AMI user."""

import asyncio

import pytest

from exporter.check_pbx import OWN_USER, Verdict
from harness.virtual_time import in_virtual_time
from tests.check_pbx.reports import (
    LISTEN,
    answering,
    may,
    of,
    pbx_with,
    report_of,
    with_files,
    wrong,
)


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
