"""The demo PBX says what a real Asterisk says, is as unforgiving, and knows the truth."""

import asyncio
import gc
import hashlib
import heapq
import random
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from exporter.demo import (
    DROPPED,
    Completion,
    DemoPbx,
    DemoSession,
    FaxGone,
    Query,
)
from exporter.demo.traffic import Traffic, traffic

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"
RECORDED = sorted(TRANSCRIPTS.glob("asterisk-*/*.txt"))
RETOLD = [
    path
    for path in RECORDED
    if path.stem != "listcommands"
    and not (path.parent.name.startswith("asterisk-11.") and path.stem.startswith("events-"))
]
"""What the demo PBX is held to: it lists no commands, and its events are those of 13 and later."""
EVERYTHING = ("call", "reporting", "system", "originate")
FAX_OPERATIONS = ("send", "receive")
SELF_SIGNED = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtu0P2P2hMUV4ePvO
aB4sqfAJoTeUgMDIXVnQzvudBbuhRANCAAQYKpQK27gF1vjczfePVzVB5UZqX9iD
8lZjwlnwdpqZyhjd1dkQE8aA/vz7Hdof8y4ho+GCb9gdqiwiuOI/COto
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUOP6xFNFKOaOeoWrD60rt76EEfpcwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEZGVtbzAgFw0yNjExMjMyMTE2NThaGA8yMTI2MTAzMDIxMTY1
OFowDzENMAsGA1UEAwwEZGVtbzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBgq
lArbuAXW+NzN949XNUHlRmpf2IPyVmPCWfB2mpnKGN3V2RATxoD+/Psd2h/zLiGj
4YJv2B2qLCK44j8I62ijbzBtMB0GA1UdDgQWBBRQ3GwfgHxE8ieXkGnmUEbWZlQK
+zAfBgNVHSMEGDAWgBRQ3GwfgHxE8ieXkGnmUEbWZlQK+zAPBgNVHRMBAf8EBTAD
AQH/MBoGA1UdEQQTMBGHBH8AAAGCCWxvY2FsaG9zdDAKBggqhkjOPQQDAgNIADBF
AiAbxqcaNuK/0lk7g2KvkH7+ItOF85r4Kzs8hWl/xiwPAgIhAIckJG7Cu6KQLa34
hq5MukPeRDMwqnZ8DxELFEYbTmfV
-----END CERTIFICATE-----
"""
"""A key and its certificate for 127.0.0.1, used nowhere else."""


def values(message: bytes) -> dict[str, str]:
    """The headers of one message; of a repeated one, the last."""
    lines = message.decode().split("\r\n")
    return {name: value for name, _, value in (line.partition(": ") for line in lines) if name}


class Client:
    """A bare socket with AMI on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, pbx: DemoPbx, *, login: bool = True, **tls: ssl.SSLContext) -> Self:
        client = cls(*await asyncio.open_connection(pbx.host, pbx.port, **tls))  # type: ignore[arg-type]
        assert await client.reader.readline() == (
            f"Asterisk Call Manager/{pbx.ami_version}\r\n".encode()
        )
        if login:
            accepted = await client.ask("Login", Username=pbx.username, Secret=pbx.secret)
            assert values(accepted)["Message"] == "Authentication accepted"
        return client

    def say(self, action: str, **headers: str | int) -> None:
        lines = [f"Action: {action}", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def message(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)

    async def ask(self, action: str, **headers: str | int) -> bytes:
        self.say(action, **headers)
        return await self.message()

    async def ask_all(self, action: str, *, last: str, **headers: str | int) -> bytes:
        """The whole answer, up to the event that ends it, or the Error."""
        answer = await self.ask(action, **headers)
        while b"Response: Error" not in answer and f"Event: {last}\r\n".encode() not in answer:
            answer += await self.message()
        return answer

    async def has_ended(self) -> bool:
        """Whether the other end closes the connection, after at most what it still had to say."""
        with suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), 5)
        return self.reader.at_eof() or self.reader.exception() is not None

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


@pytest.fixture
async def pbx() -> AsyncIterator[DemoPbx]:
    pbx = DemoPbx(write=EVERYTHING)
    await pbx.start()
    yield pbx
    await pbx.stop()


@pytest.fixture
async def client(pbx: DemoPbx) -> AsyncIterator[Client]:
    async with await Client.connect(pbx) as client:
        yield client


# --- the words, as recorded on real Asterisks


def restage(pbx: DemoPbx, said: dict[str, str]) -> DemoSession:
    """A session that stands as one stood in a transcript."""
    pbx._numbers = int(said["SessionNumber"])
    session = pbx.begin(
        said["Operation"],
        said.get("Channel", "Local/recv@fax-00000000;1"),
        transport=said.get("SessionType"),
        files=[file for file in (said.get("FileName", said.get("Files")),) if file],
        state=said["State"],
    )
    if "DataRate" in said:
        session.rate, session.ecm = int(said["DataRate"]), said["ErrorCorrectionMode"][0] in "yY"
        session.pages = int(said["PageNumber"]) - 1
    if "ImageResolution" in said:
        width, height = said["ImageResolution"].split("x")
        session.resolution = int(width), int(height)
        session.bad_lines = int(said["TotalBadLines"])
    return session


def restage_end(pbx: DemoPbx, event: bytes) -> None:
    """A fax that ends as one did in a transcript."""
    said = values(event)
    variables = dict(
        line.removeprefix("ChanVariable: ").split("=", 1)
        for line in event.decode().split("\r\n")
        if line.startswith("ChanVariable: ")
    )
    pbx.channelvars = bool(variables)
    operation = {"SendFAX": "send", "ReceiveFAX": "receive"}[said["Event"]]
    session = pbx.begin(
        operation,
        said["Channel"],
        transport={"audio": "G.711", "T38": "T.38"}[variables.get("FAXMODE", "audio")],
        files=re.findall(r"FileName: ([^\r]*)", event.decode()),
        linkedid=said["Linkedid"],
    )
    session.uniqueid = said["Uniqueid"]
    session.began = bool(said["Resolution"])
    if session.began:
        session.state, session.rate = "Active", int(said["TransferRate"])
        width, height = said["Resolution"].split("x")
        session.resolution = int(width), int(height)
    pbx.end(
        session,
        status=variables.get("FAXSTATUS", "SUCCESS"),
        error=variables.get("FAXERROR", ""),
        status_string=variables.get("FAXSTATUSSTRING", "OK"),
        pages=int(said["PagesTransferred"]),
    )


def without_chance(said: bytes) -> bytes:
    """What is different every time, or comes from the caller, and no business of the demo's."""
    changing = (
        rb"(Challenge|Timestamp|Core(?:Startup|Reload)(?:Date|Time)|CoreProcessedCalls"
        rb"|(?:CallerID|ConnectedLine)\w+|Exten|Priority): [^\r]*"
    )
    return re.sub(changing, rb"\1: ...", said)


def completions(recorded: bytes) -> bytes:
    """Of all that Asterisk said while faxes ran, what passes the exporter's eventfilter."""
    kinds = rb"Event: (?:SendFAX|ReceiveFAX)\r\n"
    return b"".join(re.findall(rb"(?s)" + kinds + rb".*?\r\n\r\n", recorded))


@pytest.mark.parametrize("path", RETOLD, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_it_says_what_a_real_asterisk_said(path: Path) -> None:
    recorded = path.read_bytes()
    settings = values((path.parent / "coresettings.txt").read_bytes())
    named = re.fullmatch(r"(permission-denied-|reporter-|not-loaded-|)([a-z]+)-?(.*)", path.stem)
    assert named
    who, subject, variant = named.groups()
    pbx = DemoPbx(
        version=settings["AsteriskVersion"],
        ami_version=settings["AMIversion"],
        write={"permission-denied-": (), "reporter-": ("reporting",)}.get(who, EVERYTHING),
    )
    # What came while nothing was asked is in another transcript.
    expected = completions(recorded) if subject == "events" else recorded[first_answer(recorded) :]
    await pbx.start()
    try:
        said = await retell(pbx, subject, variant, expected)
    finally:
        await pbx.stop()
    assert without_chance(said) == without_chance(expected)


def first_answer(recorded: bytes) -> int:
    greeting = b"Asterisk Call Manager/"
    return 0 if recorded.startswith(greeting) else recorded.index(b"Response: ")


async def retell(pbx: DemoPbx, subject: str, variant: str, recorded: bytes) -> bytes:
    """Asks the demo what the real Asterisk was asked in a transcript."""
    messages = [f"{text}\r\n\r\n".encode() for text in recorded.decode().split("\r\n\r\n") if text]
    if subject == "login":
        return await retell_login(pbx, right=variant != "wrong-secret", recorded=recorded)
    async with await Client.connect(pbx, login=subject != "challenge") as client:
        if subject == "events":
            for event in messages:
                restage_end(pbx, event)
            return b"".join([await client.message() for _ in messages])
        number = values(messages[0])["ActionID"]
        if subject == "challenge":
            return await client.ask("Challenge", ActionID=number, AuthType="MD5")
        if refused := re.search(
            rb"Message: (Permission denied|Invalid/unknown command: FAX)", recorded
        ):
            if not refused[1].startswith(b"Permission"):
                pbx.unload_res_fax()
            actions = {one.lower(): one for one in ("FAXSessions", "FAXSession", "FAXStats")}
            return await client.ask(actions.get(subject, subject), ActionID=number)
        if subject == "faxsessions":
            for message in messages:
                if b"Event: FAXSessionsEntry" in message:
                    restage(pbx, values(message))
            return await client.ask_all("FAXSessions", last="FAXSessionsComplete", ActionID=number)
        if subject == "faxsession":
            asked: dict[str, str | int] = {"SessionNumber": 4711}
            if variant == "missing-number":
                asked = {}
            elif variant == "malformed-number":
                asked = {"SessionNumber": "malformed"}
            elif variant != "not-found":
                asked = {"SessionNumber": restage(pbx, values(messages[-1])).number}
            return await client.ask_all("FAXSession", last="FAXSession", ActionID=number, **asked)
        if subject == "faxstats":
            said = values(messages[-1])
            for call in range(int(said["CurrentSessions"])):
                pbx.begin("V.21", f"PJSIP/a-{call:08x}")
            pbx.stats.reserved = int(said["ReservedSessions"])
            pbx.stats.transmit_attempts = int(said["TransmitAttempts"])
            pbx.stats.receive_attempts = int(said["ReceiveAttempts"])
            pbx.stats.completed = int(said["CompletedFAXes"])
            pbx.stats.failed = int(said["FailedFAXes"])
            return await client.ask_all("FAXStats", last="FAXStats", ActionID=number)
        plain = {"unknown": "NoSuchAction"}
        assert subject in (*plain, "ping", "logoff", "coresettings", "corestatus"), "a new subject"
        return await client.ask(plain.get(subject, subject), ActionID=number)


async def retell_login(pbx: DemoPbx, *, right: bool, recorded: bytes) -> bytes:
    client = Client(*await asyncio.open_connection(pbx.host, pbx.port))
    async with client:
        said = await client.reader.readline()
        if recorded == said:  # nobody waited for the refusal
            return said
        challenge = await client.ask("Challenge", ActionID=1, AuthType="MD5")
        if b"Challenge: " in recorded:  # else it is in a transcript of its own
            said += challenge
        secret = pbx.secret if right else "wrong"
        key = hashlib.md5((values(challenge)["Challenge"] + secret).encode()).hexdigest()
        login: dict[str, str | int] = {
            "ActionID": 2,
            "AuthType": "MD5",
            "Username": pbx.username,
            "Key": key,
        }
        return said + await client.ask("Login", **login)


def test_there_is_something_to_compare_with() -> None:
    assert {path.parent.name for path in RECORDED} == {
        f"asterisk-{version}"
        for version in (
            "11.25.3",
            "13.38.3",
            "16.28",
            "18.26.4",
            "20.20.1",
            "22.10",
            "23.4.1",
            "23.5.0-rc1",
        )
    }
    assert {"ping", "faxsession-receive", "events-audio-success", "events-start-failure-send"} <= {
        path.stem for path in RETOLD
    }


# Kinds of session, as measured on 22.10, of which there was no transcript yet.
@pytest.mark.parametrize(
    ("operation", "state", "numbers"),
    [
        ("gateway", "Active", ["ErrorCorrectionMode: no", "DataRate: 0", "PageNumber: 1"]),
        ("gateway", "Uninitialized", []),
        ("V.21", "Active", []),
    ],
)
async def test_a_session_without_a_modem_of_its_own_says_little(
    pbx: DemoPbx, client: Client, operation: str, state: str, numbers: list[str]
) -> None:
    pbx.begin(operation, "PJSIP/audio-00000001", state=state)

    answer = await client.ask_all("FAXSession", last="FAXSession", SessionNumber=0)

    assert answer.decode().split("\r\n\r\n")[1].split("\r\n") == [
        "Event: FAXSession",
        "SessionNumber: 0",
        f"Operation: {operation}",
        f"State: {state}",
        *numbers,
    ]


async def test_the_list_goes_bucket_by_bucket_as_asterisks_container_does(
    pbx: DemoPbx, client: Client
) -> None:
    for number in range(12):
        pbx.begin("V.21", f"PJSIP/x-{number}")

    answer = await client.ask_all("FAXSessions", last="FAXSessionsComplete")

    listed = re.findall(rb"SessionNumber: (\d+)", answer)
    assert [int(number) for number in listed] == [0, 10, 1, 11, *range(2, 10)]


# --- logging in


async def test_a_wrong_secret_is_refused_counted_and_closed(pbx: DemoPbx) -> None:
    pbx.clock = lambda: 1000.0
    async with await Client.connect(pbx, login=False) as client:
        refused = await client.ask("Login", Username="demo", Secret="wrong")

        assert values(refused) == {"Response": "Error", "Message": "Authentication failed"}
        assert await client.has_ended()
    assert (pbx.failed_logins, pbx.logins) == ([1000.0], [])


async def test_a_key_without_a_challenge_is_refused(pbx: DemoPbx) -> None:
    key = hashlib.md5(pbx.secret.encode()).hexdigest()
    async with await Client.connect(pbx, login=False) as client:
        refused = await client.ask("Login", Username="demo", AuthType="MD5", Key=key)

        assert values(refused)["Message"] == "Authentication failed"


async def test_another_user_is_refused(pbx: DemoPbx) -> None:
    async with await Client.connect(pbx, login=False) as client:
        refused = await client.ask("Login", Username="other", Secret=pbx.secret)

        assert values(refused)["Message"] == "Authentication failed"


async def test_a_second_login_changes_nothing(client: Client) -> None:
    again = await client.ask("Login", Username="demo", Secret="wrong")

    assert values(again) == {"Response": "Success", "Message": "Already authenticated"}


async def test_before_login_everything_is_denied_and_the_connection_stays(pbx: DemoPbx) -> None:
    async with await Client.connect(pbx, login=False) as client:
        for action in ("Ping", "FAXSessions", "NoSuchAction"):
            assert values(await client.ask(action))["Message"] == "Permission denied"
        assert values(await client.ask("Challenge", AuthType="MD5"))["Response"] == "Success"


@pytest.mark.parametrize(
    ("write", "allowed"),
    [
        ((), set()),
        (("reporting",), {"FAXStats", "CoreStatus", "CoreSettings"}),
        (("call",), {"FAXSessions", "FAXSession", "Hangup"}),
        (("originate",), {"Originate"}),
    ],
)
async def test_each_action_needs_its_write_class(write: tuple[str, ...], allowed: set[str]) -> None:
    pbx = DemoPbx(write=write)
    await pbx.start()
    got = set()
    core, fax = ("CoreStatus", "CoreSettings"), ("FAXStats", "FAXSessions", "FAXSession")
    for action in (*core, *fax, "Hangup", "Originate"):
        async with await Client.connect(pbx) as client:
            if values(await client.ask(action)).get("Message") != "Permission denied":
                got.add(action)
    await pbx.stop()
    assert got == allowed


# --- how it dies


@pytest.mark.parametrize("operation", FAX_OPERATIONS)
async def test_asking_about_an_initialized_fax_kills_it(
    pbx: DemoPbx, client: Client, operation: str
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
    pbx: DemoPbx, client: Client, state: str
) -> None:
    pbx.begin("receive", "PJSIP/x-0").state = state

    answer = await client.ask_all("FAXSession", last="FAXSession", SessionNumber=0)

    assert f"State: {state}".encode() in answer
    assert not pbx.crashed


async def test_asking_about_an_initialized_gateway_does_no_harm(
    pbx: DemoPbx, client: Client
) -> None:
    pbx.begin("gateway", "PJSIP/x-0")

    answer = await client.ask_all("FAXSession", last="FAXSession", SessionNumber=0)

    assert b"State: Initialized" in answer


async def test_listing_an_initialized_fax_does_no_harm(pbx: DemoPbx, client: Client) -> None:
    pbx.begin("send", "PJSIP/x-0")

    assert b"State: Initialized" in await client.ask_all("FAXSessions", last="FAXSessionsComplete")


# --- order


async def test_pipelined_actions_are_answered_in_order_whole(pbx: DemoPbx, client: Client) -> None:
    pbx.begin("receive", "PJSIP/x-0").state = "Active"
    pbx.sleep = lambda seconds: asyncio.sleep(0)
    pbx.delay["FAXSessions"] = 10
    client.say("FAXSessions", ActionID="a")
    client.say("FAXSession", ActionID="b", SessionNumber=0)
    client.say("Ping", ActionID="c")

    messages = [values(await client.message()) for _ in range(6)]

    assert [message["ActionID"] for message in messages] == ["a", "a", "a", "b", "b", "c"]


async def test_an_event_waits_for_the_answer_that_is_under_way(
    pbx: DemoPbx, client: Client
) -> None:
    go_on, asked = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        asked.set()
        await go_on.wait()

    pbx.sleep, pbx.delay["FAXStats"] = sleep, 10
    client.say("FAXStats", ActionID="a")
    await asyncio.wait_for(asked.wait(), 5)
    pbx.end(pbx.begin("send", "PJSIP/x-0"))
    go_on.set()

    messages = [values(await client.message()) for _ in range(3)]

    assert [message.get("Event", "-") for message in messages] == ["-", "FAXStats", "SendFAX"]


# --- what happens to a fax


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


# --- completion events


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


# --- Asterisk and res_fax start again


async def test_a_restart_forgets_everything_but_the_truth(pbx: DemoPbx, client: Client) -> None:
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


async def test_without_res_fax_its_actions_are_unknown(pbx: DemoPbx, client: Client) -> None:
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


# --- faults


async def test_an_answer_can_be_rewritten(pbx: DemoPbx, client: Client) -> None:
    pbx.rewrite = lambda action, answer: answer.replace(b"Pong", action.encode())

    assert values(await client.ask("ping"))["Ping"] == "Ping"


async def test_a_mute_pbx_loses_what_it_would_have_said(pbx: DemoPbx, client: Client) -> None:
    asked = asyncio.Event()

    def notice(action: str, answer: bytes) -> bytes:
        asked.set()
        return answer

    pbx.mute, pbx.rewrite = True, notice
    client.say("Ping", ActionID="lost")
    await asyncio.wait_for(asked.wait(), 5)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pbx.mute = False

    assert values(await client.ask("Ping", ActionID="heard"))["ActionID"] == "heard"


async def test_answers_can_come_in_pieces(pbx: DemoPbx, client: Client) -> None:
    whole = await client.ask_all("FAXStats", last="FAXStats")
    pbx.chunk = 1

    client.say("FAXStats")

    pieces: list[bytes] = []
    async with asyncio.timeout(5):
        while len(pieces) < len(whole):
            pieces.append(await client.reader.read(65536))
    assert pieces == [bytes([byte]) for byte in whole]


async def test_bytes_can_be_injected(pbx: DemoPbx, client: Client) -> None:
    pbx.inject(b"Event: \xff\x00\r\n\r\n")

    assert await client.message() == b"Event: \xff\x00\r\n\r\n"


async def test_connections_can_be_dropped_and_refused(pbx: DemoPbx, client: Client) -> None:
    pbx.refuse_connections()
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(pbx)
    assert values(await client.ask("Ping"))["Ping"] == "Pong"

    pbx.drop_connections()
    assert await client.has_ended()

    pbx.accept_connections()
    async with await Client.connect(pbx):
        assert len(pbx.connections) == len(pbx.logins) == 2


async def test_a_line_without_end_costs_the_connection_only(
    pbx: DemoPbx, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.writer.write(b"x" * 200_000)

    assert await client.has_ended()
    async with await Client.connect(pbx) as another:
        assert values(await another.ask("Ping"))["Ping"] == "Pong"
    gc.collect()  # asyncio tells of a task's error when it forgets the task
    assert not caplog.records


@pytest.mark.parametrize("said", [b"\r\n", b"garbage\r\n\r\n", b"ActionID: 7\r\n\r\n"])
async def test_a_message_without_an_action_is_answered(client: Client, said: bytes) -> None:
    client.writer.write(said)

    assert values(await client.message())["Message"] == "Missing action in request"


async def test_names_can_hold_any_bytes(pbx: DemoPbx, client: Client) -> None:
    pbx.begin("V.21", b"PJSIP/\xff\x1b<b>".decode(errors="surrogateescape"))

    listed = await client.ask_all("FAXSessions", last="FAXSessionsComplete")

    assert b"Channel: PJSIP/\xff\x1b<b>\r\n" in listed


async def test_it_speaks_tls_and_survives_who_does_not(tmp_path: Path) -> None:
    certificate = tmp_path / "demo.pem"
    certificate.write_text(SELF_SIGNED)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    pbx = DemoPbx()
    await pbx.start(ssl=server)
    plain = Client(*await asyncio.open_connection(pbx.host, pbx.port))
    async with plain:
        plain.say("Ping")
        assert await plain.has_ended()
    trust = ssl.create_default_context(cafile=certificate)
    async with await Client.connect(pbx, ssl=trust) as client:
        assert values(await client.ask("Ping"))["Ping"] == "Pong"
        pbx.drop_connections()
        assert await client.has_ended()
    await pbx.stop()


async def test_it_listens_on_ipv6() -> None:
    pbx = DemoPbx()
    await pbx.start("::1")
    async with await Client.connect(pbx) as client:
        assert values(await client.ask("Ping"))["Ping"] == "Pong"
    await pbx.stop()


# --- calls made over AMI


@pytest.mark.parametrize("half", [";1", ";2"])
async def test_a_hangup_drops_both_ends_of_a_local_call(
    pbx: DemoPbx, client: Client, half: str
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


SEND_A_FAX = {
    "Channel": "Local/recv@fax/n",
    "Application": "SendFAX",
    "Data": "/opt/t/fax/three.tif,z",
    "Async": "true",
}


# --- traffic


class VirtualTime:
    """Seconds that pass only when told to; everybody who is due wakes up in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = 0

    async def sleep(self, seconds: float) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._order, wake))
        await wake

    async def pass_until(self, end: float) -> None:
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)
            await self._settle()
        self.now = end

    async def _settle(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)


class Demo:
    """A PBX with traffic in virtual time."""

    def __init__(self, seed: int) -> None:
        self.time = VirtualTime()
        self.pbx = DemoPbx(
            clock=lambda: 1_700_000_000 + self.time.now, sleep=self.time.sleep, write=EVERYTHING
        )
        rng = random.Random(seed)
        self._traffic = asyncio.get_running_loop().create_task(
            traffic(self.pbx, rng=rng, sleep=self.time.sleep)
        )

    async def __aenter__(self) -> Self:
        await self.pbx.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.pbx.stop()
        assert not self._traffic.done(), "traffic never ends by itself"
        self._traffic.cancel()
        with suppress(asyncio.CancelledError):
            await self._traffic

    def is_consistent(self) -> bool:
        """Whether the truth fits what the PBX shows."""
        truth = self.pbx.truth
        running = Counter(session.operation for session in self.pbx.sessions.values())
        return truth.started - truth.ended == running and truth.heard <= truth.completions


@pytest.mark.parametrize("seed", range(5))
async def test_a_newcomer_sees_something_of_every_kind_within_15_seconds(seed: int) -> None:
    async with Demo(seed) as demo:
        await demo.time.pass_until(15)

        truth = demo.pbx.truth
        assert set(truth.ended) == {"send", "receive", "gateway", "V.21"}
        assert set(truth.pages) == {"send", "receive", "gateway"}
        assert truth.bad_lines > 0
        assert truth.rejected_pages["receive"] > 0
        assert truth.fallbacks["receive"] > 0
        assert {ending.status for ending in truth.completions} == {"SUCCESS", "FAILED"}
        assert demo.is_consistent()


@pytest.mark.parametrize("seed", range(3))
async def test_an_hour_of_traffic_is_varied_and_polls_a_second_apart_miss_nothing(
    seed: int,
) -> None:
    polled_lines, polled_rejections = 0, 0
    last: dict[DemoSession, tuple[int, int]] = {}
    shown = set()
    async with Demo(seed) as demo:
        for second in range(3600):
            await demo.time.pass_until(second)
            for session in demo.pbx.sessions.values():
                shown.add((session.operation, session.transport, session.ecm))
                lines, pages = last.get(session, (0, 0))
                grew = session.bad_lines >= lines
                polled_lines += session.bad_lines - lines if grew else session.bad_lines
                polled_rejections += not grew and session.pages == pages
                last[session] = session.bad_lines, session.pages

        truth = demo.pbx.truth
        assert polled_lines == truth.bad_lines > 1000
        assert polled_rejections == truth.rejected_pages["receive"] > 10
        assert len({ending.error for ending in truth.completions}) >= 8
        assert {
            ("receive", "T.38", True),
            ("send", "G.711", False),
            ("gateway", "none", True),
        } <= shown
        assert truth.started.total() > 1000
        assert len(demo.pbx.sessions) < 20
        assert demo.is_consistent()


async def test_every_completion_reaches_who_listens(caplog: pytest.LogCaptureFixture) -> None:
    async with Demo(1) as demo, await Client.connect(demo.pbx) as client:
        await demo.time.pass_until(300)
        expected = demo.pbx.truth.heard + demo.pbx.truth.never_began

        heard: Counter[str] = Counter()
        for _ in range(expected.total()):
            heard[values(await client.message())["Event"]] += 1

        assert heard == {
            event: sum(n for ending, n in expected.items() if ending.operation == operation)
            for event, operation in (("SendFAX", "send"), ("ReceiveFAX", "receive"))
        }
    assert not caplog.records


async def test_an_originate_over_ami_sends_a_fax_to_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Demo(1) as demo, await Client.connect(demo.pbx) as client:
        queued = await client.ask("Originate", **SEND_A_FAX)

        assert values(queued)["Message"] == "Originate successfully queued"
        await demo.time.pass_until(0.5)
        send, receive = demo.pbx.sessions.values()
        assert (send.channel, receive.channel) == (
            "Local/recv@fax-00000000;1",
            "Local/recv@fax-00000000;2",
        )
        assert send.files == ("/opt/t/fax/three.tif",)
        await demo.time.pass_until(20)
        assert (send.pages_transferred, receive.pages_transferred) == (1, 1)
        assert receive.completion == Completion("receive", "audio", "SUCCESS", "")
        assert send.completion == Completion("send", "audio", "SUCCESS", "HANGUP")
    assert not caplog.records


async def test_an_originated_fax_can_be_hung_up(caplog: pytest.LogCaptureFixture) -> None:
    async with Demo(1) as demo, await Client.connect(demo.pbx) as client:
        await client.ask("Originate", **SEND_A_FAX)
        await demo.time.pass_until(0.5)

        await client.ask("Hangup", Channel="Local/recv@fax-00000000;2")

        await demo.time.pass_until(20)
        dropped = [ending for ending in demo.pbx.truth.completions if ending.error == DROPPED]
        assert {ending.operation for ending in dropped} == set(FAX_OPERATIONS)
    gc.collect()  # asyncio tells of a task's error when it forgets the task
    assert not caplog.records


async def test_a_gateway_call_that_is_hung_up_early_leaves_nothing_behind() -> None:
    time, pbx = VirtualTime(), DemoPbx()
    call = asyncio.get_running_loop().create_task(
        Traffic(pbx, random.Random(1), time.sleep).gateway("PJSIP/trunk-paris", pages=1)
    )
    await time.pass_until(1)

    pbx.hang_up("PJSIP/trunk-paris-00000000")

    await time.pass_until(10)
    assert call.done()
    assert pbx.truth.ended == {"V.21": 2}
    assert pbx.sessions == {}


def hang_up_all(pbx: DemoPbx) -> None:
    for session in list(pbx.sessions.values()):
        pbx.hang_up(session.channel)


DISASTERS: dict[str, Callable[[DemoPbx], None]] = {
    "restart": DemoPbx.restart,
    "reload": DemoPbx.reload_res_fax,
    "crash": DemoPbx.crash,
    "hang up": hang_up_all,
}


@pytest.mark.parametrize("disaster", DISASTERS.values(), ids=DISASTERS)
async def test_traffic_goes_on_after_a_disaster(
    disaster: Callable[[DemoPbx], None], caplog: pytest.LogCaptureFixture
) -> None:
    async with Demo(2) as demo:
        pbx = demo.pbx
        for minute in range(1, 60):
            await demo.time.pass_until(60 * minute)
            before = set(pbx.sessions.values())

            disaster(pbx)

            assert pbx.sessions == {}
            assert all(session.gone for session in before)
            assert demo.is_consistent()
            if pbx.crashed:
                await demo.time.pass_until(60 * minute + 10)
                assert pbx.sessions == {}
                pbx.restart()
        await demo.time.pass_until(60 * 60)
        assert pbx.sessions
        assert demo.is_consistent()
    assert not caplog.records
