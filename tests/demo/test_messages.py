"""The demo PBX says what a real Asterisk said, word for word."""

import asyncio
import hashlib
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.demo import DemoPbx, DemoSession
from harness.ami_client import Client, values

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


def restage(pbx: DemoPbx, said: dict[str, str]) -> DemoSession:
    """A session in the state of one in a transcript."""
    pbx.next_number = int(said["SessionNumber"])
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
    session.caller = said["CallerIDNum"].replace("<unknown>", "")
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
    """Without what differs every time or comes from the caller: the demo need not say the same."""
    changing = (
        rb"(Challenge|Timestamp|Core(?:Startup|Reload)(?:Date|Time)|CoreProcessedCalls"
        rb"|CallerIDName|ConnectedLine\w+|Exten|Priority): [^\r]*"
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
        if subject == "getvar":
            pbx.zone, pbx.func_strings = ZoneInfo("America/New_York"), variant != "no-function"
            variable = values(messages[0]).get("Variable", "")
            return await client.ask("Getvar", ActionID=number, Variable=variable)
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
