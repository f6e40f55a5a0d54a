"""What can happen to a session of the demo PBX, and what is true of it then."""

from collections.abc import Callable

import pytest

from exporter.demo import DemoPbx, DemoSession, FaxGone


def test_before_negotiation_a_fax_reads_what_is_not_true_yet() -> None:
    fax = DemoPbx().begin("receive", "PJSIP/x-0")

    assert (fax.rate, fax.ecm, fax.resolution, fax.pages) == (14400, False, (0, 0), 0)
    assert fax.state == "Initialized"


def test_bad_lines_are_those_of_the_page_and_stay_after_the_last() -> None:
    pbx = DemoPbx()
    fax = pbx.begin("receive", "PJSIP/x-0")
    fax.negotiate()
    readings = []
    for page, lines in ((1, 10), (2, 9), (3, 10)):
        fax.add_bad_lines(lines)
        readings.append(fax.bad_lines)
        fax.finish_page(last=page == 3)
        readings.append(fax.bad_lines)

    assert readings == [10, 0, 9, 0, 10, 10]
    assert (fax.pages, pbx.truth.bad_lines, pbx.truth.pages["receive"]) == (3, 29, 3)


def test_a_rejected_page_resets_its_bad_lines_and_counts_no_page() -> None:
    pbx = DemoPbx()
    fax = pbx.begin("receive", "PJSIP/x-0")
    fax.add_bad_lines(200)

    fax.reject_page()

    assert (fax.bad_lines, fax.pages) == (0, 0)
    assert (pbx.truth.bad_lines, pbx.truth.rejected_pages) == (200, {"receive": 1})


def test_a_switch_to_t38_begins_anew() -> None:
    pbx = DemoPbx()
    fax = pbx.begin("send", "PJSIP/x-0")
    fax.negotiate(rate=9600, ecm=True)
    fax.finish_page()

    fax.switch_to_t38()

    assert (fax.transport, fax.pages, fax.rate, fax.ecm, fax.resolution) == (
        *("T.38", 0, 14400, False),
        (0, 0),
    )
    assert pbx.truth.pages["send"] == 1


def test_a_fallback_goes_down() -> None:
    pbx = DemoPbx()
    fax = pbx.begin("send", "PJSIP/x-0")
    fax.fall_back(12000)

    with pytest.raises(ValueError, match="no fallback"):
        fax.fall_back(14400)
    assert (fax.rate, pbx.truth.fallbacks) == (12000, {"send": 1})


@pytest.mark.parametrize(
    ("operation", "ecm"), [("send", False), ("gateway", False), ("receive", True)]
)
def test_only_a_receive_without_ecm_has_bad_lines(operation: str, ecm: bool) -> None:
    fax = DemoPbx().begin(operation, "PJSIP/x-0")
    fax.negotiate(ecm=ecm)

    with pytest.raises(ValueError, match="counts no bad lines"):
        fax.add_bad_lines(1)


@pytest.mark.parametrize(
    "act",
    [
        DemoSession.negotiate,
        DemoSession.finish_page,
        DemoSession.reject_page,
        DemoSession.switch_to_t38,
        lambda fax: fax.add_bad_lines(1),
        lambda fax: fax.fall_back(9600),
    ],
)
def test_nothing_happens_to_a_fax_that_is_gone(act: Callable[[DemoSession], None]) -> None:
    pbx = DemoPbx()
    fax = pbx.begin("receive", "PJSIP/x-0")
    pbx.end(fax)

    with pytest.raises(FaxGone):
        act(fax)
    assert (pbx.truth.bad_lines, pbx.truth.pages, pbx.truth.fallbacks) == (0, {}, {})
