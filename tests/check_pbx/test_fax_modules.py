"""What is found about the modules that run faxes."""

from harness.virtual_time import in_virtual_time
from harness.watching import begin
from tests.check_pbx.reports import of, pbx_with, report_of, wrong


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


@in_virtual_time
async def test_a_technology_without_the_action_is_named() -> None:
    async with pbx_with() as pbx:
        begin(pbx).technology = "Digium"
        report = await report_of(pbx)
    assert wrong(report) == ["res_fax_spandsp"]
    assert "run by Digium, of which FAXSession tells nothing" in of(report, "res_fax_spandsp").text
