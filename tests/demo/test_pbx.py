"""How the demo PBX listens, dies and starts again."""

import pytest

from exporter.demo import DemoPbx, FaxGone
from harness.ami_client import Client, values
from harness.pbx import FaultyPbx, Query

FAX_OPERATIONS = ("send", "receive")


"""A key and its certificate for 127.0.0.1, used nowhere else."""


@pytest.mark.parametrize("operation", FAX_OPERATIONS)
async def test_asking_about_an_initialized_fax_kills_it(
    pbx: FaultyPbx, client: Client, operation: str
) -> None:
    session = pbx.begin(operation, "PJSIP/x-0")
    async with await Client.connect(pbx) as bystander:
        client.say("FAXSession", SessionNumber=session.number)

        assert await client.has_ended()
        assert await bystander.has_ended()
    assert pbx.crashed
    assert list(pbx.queries) == [Query(0, operation, "Initialized")]
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(pbx)
    with pytest.raises(FaxGone):
        pbx.begin("send", "PJSIP/x-1")

    pbx.restart()

    assert not pbx.crashed
    async with await Client.connect(pbx) as again:
        assert values(await again.ask("Ping"))["Ping"] == "Pong"


@pytest.mark.parametrize("state", ["Active", "Complete", "Uninitialized"])
async def test_asking_about_a_fax_that_has_begun_does_no_harm(
    pbx: FaultyPbx, client: Client, state: str
) -> None:
    pbx.begin("receive", "PJSIP/x-0").state = state

    answer = await client.ask_all("FAXSession", last="FAXSession", SessionNumber=0)

    assert f"State: {state}".encode() in answer
    assert not pbx.crashed


async def test_asking_about_an_initialized_gateway_does_no_harm(
    pbx: FaultyPbx, client: Client
) -> None:
    pbx.begin("gateway", "PJSIP/x-0")

    answer = await client.ask_all("FAXSession", last="FAXSession", SessionNumber=0)

    assert b"State: Initialized" in answer


async def test_listing_an_initialized_fax_does_no_harm(pbx: FaultyPbx, client: Client) -> None:
    pbx.begin("send", "PJSIP/x-0")

    assert b"State: Initialized" in await client.ask_all("FAXSessions", last="FAXSessionsComplete")


async def test_a_restart_forgets_everything_but_the_truth(pbx: FaultyPbx, client: Client) -> None:
    now = pbx.started
    pbx.clock = lambda: now  # it stands still
    before = values(await client.ask("CoreStatus"))
    fax = pbx.begin("receive", "PJSIP/x-0")
    fax.negotiate()
    fax.finish_page()
    late = pbx.begin("send", "PJSIP/x-1")
    pbx.end(late, announce=False)

    pbx.restart()

    assert await client.has_ended()
    with pytest.raises(FaxGone):
        fax.finish_page()
    with pytest.raises(FaxGone):
        pbx.announce(late)
    async with await Client.connect(pbx) as again:
        after = values(await again.ask("CoreStatus"))
        assert before["CoreStartupTime"] != after["CoreStartupTime"]
        assert b"CompletedFAXes: 0\r\n" in await again.ask_all("FAXStats", last="FAXStats")
        assert b"Total: 0\r\n" in await again.ask_all("FAXSessions", last="FAXSessionsComplete")
    assert pbx.begin("V.21", "PJSIP/x-0").number == 0
    assert pbx.truth.pages["receive"] == 1
    assert pbx.truth.ended == {"receive": 1, "send": 1}


async def test_without_res_fax_its_actions_are_unknown(pbx: FaultyPbx, client: Client) -> None:
    pbx.begin("V.21", "PJSIP/x-0")
    pbx.unload_res_fax()
    for action in ("FAXSessions", "FAXSession", "FAXStats"):
        unknown = values(await client.ask(action))["Message"]
        assert unknown.startswith(f"Invalid/unknown command: {action}. ")
    with pytest.raises(FaxGone):
        pbx.begin("send", "PJSIP/x-0")

    pbx.load_res_fax()

    assert pbx.begin("send", "PJSIP/x-0").number == 0
    assert b"Total: 1\r\n" in await client.ask_all("FAXSessions", last="FAXSessionsComplete")


async def test_it_listens_on_ipv6() -> None:
    pbx = DemoPbx()
    await pbx.start("::1")
    async with await Client.connect(pbx) as client:
        assert values(await client.ask("Ping"))["Ping"] == "Pong"
    await pbx.stop()
