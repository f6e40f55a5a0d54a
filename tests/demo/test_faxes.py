"""How faxes of the demo PBX end, what is counted of them and who hears of it."""

import pytest

from exporter.demo import Completion, DemoPbx, FaxGone
from harness.ami_client import Client, values


def test_a_fax_ends_once() -> None:
    pbx = DemoPbx()
    fax = pbx.begin("receive", "PJSIP/x-0")
    pbx.end(fax)

    with pytest.raises(FaxGone):
        pbx.end(fax)
    assert (pbx.truth.ended, pbx.stats.completed) == ({"receive": 1}, 1)


async def test_faxstats_completed_includes_the_failed(pbx: DemoPbx, client: Client) -> None:
    pbx.end(pbx.begin("send", "PJSIP/x-0"))
    pbx.drop(pbx.begin("receive", "PJSIP/x-1"))
    pbx.attempt("send")
    pbx.begin("V.21", "PJSIP/x-2")
    for _ in range(2):
        await client.message()  # the events

    answer = await client.ask_all("FAXStats", last="FAXStats")

    counts = values(answer[answer.index(b"Event:") :])
    assert [counts[name] for name in ("TransmitAttempts", "ReceiveAttempts")] == ["2", "1"]
    assert [counts[name] for name in ("CompletedFAXes", "FailedFAXes")] == ["2", "1"]
    assert counts["CurrentSessions"] == "1"


async def test_an_event_comes_when_the_script_says_so(pbx: DemoPbx, client: Client) -> None:
    fax = pbx.begin("receive", "PJSIP/x-0")
    pbx.end(fax, announce=False)
    assert values(await client.ask("Ping"))["Ping"] == "Pong"  # and no event before it

    pbx.announce(fax)

    assert values(await client.message())["Event"] == "ReceiveFAX"
    assert pbx.truth.heard == {Completion("receive", "audio", "SUCCESS", ""): 1}


async def test_without_channelvars_the_event_has_no_result(pbx: DemoPbx, client: Client) -> None:
    pbx.channelvars = False

    pbx.drop(pbx.begin("send", "PJSIP/x-0"))

    assert b"ChanVariable" not in await client.message()


async def test_gateways_and_v21_have_no_event(pbx: DemoPbx, client: Client) -> None:
    for operation in ("gateway", "V.21"):
        pbx.end(pbx.begin(operation, "PJSIP/x-0"))

    assert values(await client.ask("Ping"))["Ping"] == "Pong"
    assert pbx.truth.completions == {}


async def test_nobody_hears_an_event_without_read_class_call(pbx: DemoPbx) -> None:
    pbx.read = frozenset()
    async with await Client.connect(pbx) as client:
        pbx.end(pbx.begin("send", "PJSIP/x-0"))

        assert values(await client.ask("Ping"))["Ping"] == "Pong"
    assert sum(pbx.truth.completions.values()) == 1
    assert pbx.truth.heard == {}


@pytest.mark.parametrize(("mask", "hears"), [("off", False), ("system", True), ("call", True)])
async def test_events_can_be_turned_off_and_on(
    pbx: DemoPbx, client: Client, mask: str, hears: bool
) -> None:
    answer = await client.ask("Events", EventMask=mask)
    pbx.end(pbx.begin("send", "PJSIP/x-0"))

    assert values(answer)["Events"] == ("On" if hears else "Off")
    assert ("Event" in values(await client.ask("Ping"))) is hears


async def test_fullybooted_is_for_read_class_system(pbx: DemoPbx) -> None:
    pbx.read = frozenset({"system"})
    async with await Client.connect(pbx) as client:
        assert values(await client.message())["Event"] == "FullyBooted"
