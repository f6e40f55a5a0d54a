"""Who may log in to the demo PBX and ask for what."""

import hashlib

import pytest

from exporter.demo import DROPPED, Completion, DemoPbx
from harness.ami_client import Client, values
from harness.pbx import FaultyPbx

FAX_OPERATIONS = ("send", "receive")


async def test_a_wrong_secret_is_refused_counted_and_closed(pbx: FaultyPbx) -> None:
    pbx.clock = lambda: 1000.0
    async with await Client.connect(pbx, login=False) as client:
        refused = await client.ask("Login", Username="demo", Secret="wrong")

        assert values(refused) == {"Response": "Error", "Message": "Authentication failed"}
        assert await client.has_ended()
    assert (pbx.failed_logins, pbx.logins) == ([1000.0], [])


async def test_a_key_without_a_challenge_is_refused(pbx: FaultyPbx) -> None:
    key = hashlib.md5(pbx.secret.encode()).hexdigest()
    async with await Client.connect(pbx, login=False) as client:
        refused = await client.ask("Login", Username="demo", AuthType="MD5", Key=key)

        assert values(refused)["Message"] == "Authentication failed"


async def test_another_user_is_refused(pbx: FaultyPbx) -> None:
    async with await Client.connect(pbx, login=False) as client:
        refused = await client.ask("Login", Username="other", Secret=pbx.secret)

        assert values(refused)["Message"] == "Authentication failed"


async def test_a_second_login_changes_nothing(client: Client) -> None:
    again = await client.ask("Login", Username="demo", Secret="wrong")

    assert values(again) == {"Response": "Success", "Message": "Already authenticated"}


async def test_before_login_everything_is_denied_and_the_connection_stays(pbx: FaultyPbx) -> None:
    async with await Client.connect(pbx, login=False) as client:
        for action in ("Ping", "FAXSessions", "NoSuchAction"):
            assert values(await client.ask(action))["Message"] == "Permission denied"
        assert values(await client.ask("Challenge", AuthType="MD5"))["Response"] == "Success"


@pytest.mark.parametrize(
    ("write", "allowed"),
    [
        ((), set()),
        (("reporting",), {"FAXStats", "CoreStatus", "CoreSettings", "Getvar"}),
        (("call",), {"FAXSessions", "FAXSession", "Hangup", "Getvar"}),
        (("originate",), {"Originate"}),
    ],
)
async def test_each_action_needs_its_write_class(write: tuple[str, ...], allowed: set[str]) -> None:
    pbx = DemoPbx(write=write)
    await pbx.start()
    got = set()
    core, fax = ("CoreStatus", "CoreSettings"), ("FAXStats", "FAXSessions", "FAXSession")
    for action in (*core, *fax, "Hangup", "Originate", "Getvar"):
        async with await Client.connect(pbx) as client:
            if values(await client.ask(action)).get("Message") != "Permission denied":
                got.add(action)
    await pbx.stop()
    assert got == allowed


@pytest.mark.parametrize("half", [";1", ";2"])
async def test_a_hangup_drops_both_ends_of_a_local_call(
    pbx: FaultyPbx, client: Client, half: str
) -> None:
    call = pbx.new_channel("Local/recv@fax")
    for operation, end in (("send", ";1"), ("receive", ";2")):
        pbx.begin(operation, call + end)

    answer = await client.ask("Hangup", Channel=call + half)

    assert values(answer)["Message"] == "Channel Hungup"
    events = [values(await client.message())["Event"] for _ in range(2)]
    assert events == ["ReceiveFAX", "SendFAX"]
    assert pbx.truth.completions == {
        Completion(operation, "audio", "FAILED", DROPPED): 1 for operation in FAX_OPERATIONS
    }
    assert values(await client.ask("Hangup", Channel=call + half))["Message"] == "No such channel"


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({}, "Channel not specified"),
        ({"Channel": "Local"}, "Invalid channel"),
        ({"Channel": "Local/recv@fax/n", "Application": "Echo"}, "Originate failed"),
    ],
)
async def test_an_originate_that_makes_no_fax_is_refused(
    client: Client, headers: dict[str, str], refusal: str
) -> None:
    assert values(await client.ask("Originate", **headers))["Message"] == refusal
