"""What is found about [general] of manager.conf."""

import asyncio
from pathlib import Path

import pytest

from exporter.check_pbx import Verdict, check
from harness.virtual_time import in_virtual_time
from harness.watching import begin, settings_for
from tests.check_pbx.reports import GOOD, LISTEN, of, pbx_with, report_of, with_files


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


@pytest.mark.parametrize("theirs", ["x" * 1001, "na\u00efve", "a\x1bb"])
@in_virtual_time
async def test_no_line_is_advised_that_would_change_a_name_of_others(theirs: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        with_files(patch, **GOOD | {"general_channelvars": theirs})
        async with pbx_with() as pbx:
            finding = of(await report_of(pbx), "channelvars")
    assert (finding.verdict, finding.lines) == (Verdict.WRONG, None)
    assert "add ,FAXSTATUS,FAXERROR,FAXMODE,FAXSTATUSSTRING to the line that is" in finding.do


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
