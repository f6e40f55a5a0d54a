"""What is asked, and what never is."""

import pytest

from harness.virtual_time import in_virtual_time
from harness.watching import begin
from tests.check_pbx.reports import answering, of, pbx_with, report_of


@in_virtual_time
async def test_sessions_are_listed_and_never_asked_about() -> None:
    async with pbx_with() as pbx:
        for state in ("Initialized", "Active"):
            begin(pbx).state = state
        report = await report_of(pbx)
        assert not pbx.crashed
        assert not pbx.queries
    assert of(report, "res_fax_spandsp").text == "faxes are run by Spandsp"


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
