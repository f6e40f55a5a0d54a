"""The protocol, which reads answers in one go, against a plain and slow reading of all that came:
whatever Asterisk or a stranger writes, in whatever order, and wherever it is cut."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panoramisk.message import Message

from exporter.ami import Answer, Expects, Headers, Request
from exporter.ami import connection as ami
from exporter.fax import parse_listed, parse_session, read_listed, read_session

COMPLETIONS = ("SendFAX", "ReceiveFAX")
WANTED = ("FAXSession", "FAXSessionsEntry", "FAXSessionsComplete", "FAXStats", *COMPLETIONS)
LIST = Request("FAXSessions", Expects.LIST, read=read_listed)
ABOUT = Request("FAXSession", Expects.EVENT, read=read_session)
STATS = Request("FAXStats", Expects.EVENT)
PING = Request("Ping")


class Unread(asyncio.Transport):
    """A transport that takes what is written; what comes, a test hands to the protocol itself."""

    max_size = 0

    def write(self, data: object) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


# --- read slowly ------------------------------------------------------------------------------


@dataclass
class Slow:
    """An answer as the plain reading has it."""

    request: Request
    success: bool = False
    events: Sequence[object] = ()
    complete: bool = True
    lost: bool = False


def read_slowly(
    stream: bytes, asked: Sequence[tuple[str, Request]]
) -> tuple[list[Slow], list[Headers]]:
    """The answers, in the order in which they were complete, and the completion events."""
    whole = stream[: stream.rfind(b"\r\n\r\n") + 4] if b"\r\n\r\n" in stream else b""
    pending = dict(asked)
    begun: dict[str, tuple[Slow, list[object]]] = {}
    answers: list[Slow] = []
    heard: list[Headers] = []
    for message in whole.decode("utf-8", "replace").split("\r\n\r\n"):
        text = message.lstrip("\r\n")
        first, *rest = text.split("\r\n")
        kind, _, what = first.partition(": ")
        if not ((kind == "Response" and ": " in first) or (kind == "Event" and what in WANTED)):
            continue
        headers = Message.from_line(text)
        if what in COMPLETIONS and kind == "Event":
            heard.append(headers)
            continue
        identities = [line.removeprefix("ActionID: ") for line in rest if line[:10] == "ActionID: "]
        if len(identities) != 1 or identities[0] not in pending:
            continue
        identity = identities[0]
        request = pending[identity]
        if identity not in begun:
            while (earlier := next(iter(pending))) != identity:  # the PBX has passed it over
                answers.append(Slow(pending.pop(earlier), lost=True))
            answer = Slow(request, headers.get("Response") == "Success")
            begun[identity] = answer, []
            if request.expects is Expects.NOTHING or not answer.success:
                answers.append(answer)
                del pending[identity]
            continue
        answer, events = begun[identity]
        answer.events = events
        ended = str(headers.get("Event", "")).endswith("Complete")
        if request.expects is Expects.LIST and ended:
            said = headers.get("ListItems", headers.get("Total"))
            answer.complete = said in (None, str(len(events)))
        else:
            events.append(made(request, headers))
        if request.expects is Expects.EVENT or ended:
            answers.append(answer)
            del pending[identity]
    return answers, heard


def made(request: Request, event: Any) -> object:
    """What an event says, also if it was read in one go."""
    if not isinstance(event, Message):
        return event
    if request is LIST:
        return parse_listed(event, [])
    return parse_session(event, []) if request is ABOUT else dict(event)


# --- what is said -----------------------------------------------------------------------------

FREE = st.sampled_from(
    (
        *("PJSIP/trunk-00000001", "größe-1", "a: b", "", " ", "x\r", "\u2028\x85\x1c"),
        *("Event: FAXSession", "ActionID: 1", "will follow", "Response: Success"),
        *("State: Initialized", "\rState: Active", "\nState: Active", "x" * 81, "y" * 1100),
    )
)


def mostly(*usual: str, odd: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Such that most messages have nothing odd in them, and are read in one go."""
    return st.sampled_from(usual * (12 * len(odd) // len(usual)) + odd)


NUMBER = mostly("0", "1", "2", odd=("007", "-1", "9" * 11, "x", "", "٣"))
OPERATION = mostly("send", "receive", odd=("gateway", "V.21", "none", "SEND", ""))
STATE = mostly("Active", "Complete", odd=("Initialized", "Open", "active", ""))
ENTRY = st.builds(
    "Event: FAXSessionsEntry\r\nActionID: @\r\nChannel: {}\r\nTechnology: Spandsp\r\n"
    "SessionNumber: {}\r\nSessionType: {}\r\nOperation: {}\r\nState: {}\r\nFiles: {}".format,
    FREE,
    NUMBER,
    mostly("G.711", "T.38", "none", odd=("x",)),
    OPERATION,
    STATE,
    FREE,
)
SESSION = st.builds(
    "Event: FAXSession\r\nActionID: @\r\nSessionNumber: {}\r\nOperation: {}\r\nState: {}\r\n"
    "ErrorCorrectionMode: {}\r\nDataRate: {}\r\nImageResolution: {}\r\nPageNumber: {}\r\n"
    "FileName: {}\r\nPagesTransmitted: {}\r\nPagesReceived: {}\r\nTotalBadLines: {}".format,
    NUMBER,
    OPERATION,
    STATE,
    mostly("Yes", "No", odd=("no",)),
    mostly("14400", "9600", odd=("0", "16843010", "4800x", "٣")),
    mostly("0x0", "8031x3850", odd=("x",)),
    mostly("1", "2", odd=("10001", "99999")),
    FREE,
    NUMBER,
    NUMBER,
    mostly("0", "5", odd=("200001",)),
)
GATEWAY = st.builds(
    "Event: FAXSession\r\nActionID: @\r\nSessionNumber: {}\r\nOperation: gateway\r\nState: {}\r\n"
    "ErrorCorrectionMode: {}\r\nDataRate: {}\r\nPageNumber: {}".format,
    NUMBER,
    STATE,
    mostly("yes", "no", odd=("Yes",)),
    mostly("14400", "9600", odd=("0", "16843010", "٣")),
    mostly("0", "1", "2", odd=("10001", "99999")),
)
FOLLOWS = "Response: Success\r\nActionID: @\r\nMessage: FAXSession event will follow"
RESPONSE = st.sampled_from(
    (FOLLOWS,) * 5
    + (
        "Response: Success\r\nActionID: @\r\nMessage: x will followx",
        "Response: Error\r\nActionID: @\r\nMessage: Session not found",
        "Response: Error\r\nActionID: @\r\nMessage: Permission denied",
        "Response: Success\r\nMessage: FAXSession event will follow\r\nActionID: @",
        "Response: Success\r\nActionID: @\r\nActionID: @\r\nMessage: FAXSession event will follow",
        FOLLOWS + "\r\nX: y",
        "\r\n" + FOLLOWS,
    )
)
COUNTS = "Event: FAXStats\r\nActionID: @\r\nCurrentSessions: 1\r\nCompletedFAXes: 3"
BETWEEN = st.sampled_from(
    (
        "Event: SendFAX\r\nChannel: PJSIP/a-00000001\r\nPagesTransferred: 2",
        "Event: ReceiveFAX\r\nRemoteStationID: \r\nActionID: @\r\nChannel: a",
        "Event: ReceiveFAX\r\nRemoteStationID: \r\nEvent: x\r\nChannel: a",
        "Event: Newchannel\r\nChannel: x",
        "Event: FAXSession\r\nActionID: 999999999\r\nSessionNumber: 1",
        "Event: FAXSession\r\nActionID: @",
        "Event: FAXSessionX\r\nActionID: @",
        "Response: Success\r\nActionID: @ ",
        "Response: Success\r\nMessage: none",
        "X",
        "",
    )
)


@st.composite
def answers(draw: st.DrawFn, request: Request) -> list[str]:
    """Messages that answer a request, with at most two things wrong with them."""
    if request is LIST:
        entries = draw(st.lists(ENTRY, max_size=4))
        count = len(entries) + draw(st.sampled_from((0,) * 5 + (1,)))
        end = f"Event: FAXSessionsComplete\r\nActionID: @\r\nListItems: {count}"
        said = [draw(RESPONSE), *entries, end]
    elif request is PING:
        said = ["Response: Success\r\nActionID: @\r\nPing: Pong"]
    else:
        said = [draw(RESPONSE), draw(SESSION | GATEWAY) if request is ABOUT else COUNTS]
    for _ in range(draw(st.sampled_from((0,) * 6 + (1, 2)))):
        which = draw(st.integers(0, len(said) - 1))
        lines = said[which].split("\r\n")
        line = draw(st.integers(0, len(lines) - 1))
        wrong = draw(st.sampled_from(("twice", "moved", "line gone", "line twice", "small")))
        if wrong == "twice":
            said.insert(which, said[which])
        elif wrong == "moved":
            said.insert(draw(st.integers(0, len(said) - 1)), said.pop(which))
        else:
            lines[line : line + 1] = {
                "line gone": [],
                "line twice": [lines[line]] * 2,
                "small": [lines[line].lower()],
            }[wrong]
            said[which] = "\r\n".join(lines)
    return said


@dataclass
class Conversation:
    """Requests, and what is sent: each message with the request whose ActionID takes its @."""

    requests: list[Request]
    said: list[tuple[int, str]]
    cuts: list[int]
    every_byte: bool
    noise: list[tuple[int, bytes]]
    """Bytes that are no UTF-8, and where."""


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    requests = draw(
        st.lists(st.sampled_from((LIST, ABOUT, ABOUT, STATS, PING)), min_size=1, max_size=6)
    )
    last = len(requests) - 1
    said: list[tuple[int, str]] = []
    for number, request in enumerate(requests):
        whose = draw(st.sampled_from((number,) * 9 + (0, last)))
        said += [(whose, message) for message in draw(answers(request))]
    for message in draw(st.lists(BETWEEN, max_size=3)):
        said.insert(draw(st.integers(0, len(said))), (draw(st.integers(0, last)), message))
    places = st.integers(0, 4000)
    noise = st.lists(
        st.tuples(places, st.sampled_from((b"\xff", b"\xc3", b"\xed\xa0\x80"))), max_size=2
    )
    return Conversation(
        requests, said, draw(st.lists(places, max_size=12)), draw(st.booleans()), draw(noise)
    )


@settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(conversations())
def test_what_is_read_in_one_go_is_what_a_plain_reading_of_the_stream_says(
    spoken: Conversation,
) -> None:
    asyncio.run(_compare(spoken))


async def _compare(spoken: Conversation) -> None:
    taken: list[tuple[Request, Answer]] = []
    heard: list[Headers] = []
    protocol = ami._Protocol(heard.append)
    protocol.connection_made(Unread())
    done = protocol.submit(spoken.requests, lambda *answer: taken.append(answer))
    identities = list(protocol.responses)
    stream = "".join(
        message.replace("@", identities[whose]) + "\r\n\r\n" for whose, message in spoken.said
    ).encode()
    for at, noise in spoken.noise:
        stream = stream[:at] + noise + stream[at:]
    said = b"Asterisk Call Manager/1\r\n" + stream
    cuts = range(len(said)) if spoken.every_byte else sorted(spoken.cuts)
    for begin, end in zip((0, *cuts), (*cuts, len(said)), strict=True):
        protocol.data_received(said[begin:end])
    slow, events = read_slowly(stream, list(zip(identities, spoken.requests, strict=True)))
    fast = [
        Slow(
            request,
            answer.success,
            [made(request, event) for event in answer.events],
            answer.complete,
            answer.lost,
        )
        for request, answer in taken
    ]
    assert fast == [
        Slow(one.request, one.success, list(one.events), one.complete, one.lost) for one in slow
    ]
    assert [dict(one) for one in heard] == [dict(one) for one in events]
    assert done.done() == protocol.idle.is_set() == (len(slow) == len(spoken.requests))
    done.cancel()
