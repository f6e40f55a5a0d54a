"""The stream against a plain and slow reading of all that came: whatever Asterisk or a stranger
writes, in whatever order, and wherever it is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panoramisk.message import Message

from exporter.ami import Answer, Expects, Headers, Request, messages
from exporter.ami import stream as stream_module
from exporter.ami.stream import Completion, NoAsterisk, Stream

COMPLETIONS = ("SendFAX", "ReceiveFAX")
WANTED = ("FAXSession", "FAXSessionsEntry", "FAXSessionsComplete", "FAXStats", *COMPLETIONS)
LIST = Request("FAXSessions", Expects.LIST)
ABOUT = Request("FAXSession", Expects.EVENT)
STATS = Request("FAXStats", Expects.EVENT)
PING = Request("Ping")
GREETING = b"Asterisk Call Manager/1\r\n"


# --- read slowly ------------------------------------------------------------------------------


@dataclass
class Slow:
    """An answer as the plain reading has it."""

    request: Request
    success: bool = False
    events: Sequence[str] = ()
    complete: bool = True
    lost: bool = False


def read_slowly(stream: bytes, asked: Sequence[Request]) -> list[Slow | Completion]:
    """The answers, in the order in which they were complete, and the completion events."""
    whole = stream[: stream.rfind(b"\r\n\r\n") + 4] if b"\r\n\r\n" in stream else b""
    pending = {str(number): request for number, request in enumerate(asked)}
    begun: dict[str, tuple[Slow, list[str]]] = {}
    came: list[Slow | Completion] = []
    for message in whole.decode("utf-8", "replace").split("\r\n\r\n"):
        text = message.lstrip("\r\n")
        first, *rest = text.split("\r\n")
        kind, _, what = first.partition(": ")
        if not ((kind == "Response" and ": " in first) or (kind == "Event" and what in WANTED)):
            continue
        headers = Message.from_line(text)
        if what in COMPLETIONS and kind == "Event":
            came.append(Completion(text))
            continue
        identities = [line.removeprefix("ActionID: ") for line in rest if line[:10] == "ActionID: "]
        if len(identities) != 1 or identities[0] not in pending:
            continue
        identity = identities[0]
        request = pending[identity]
        if identity not in begun:
            while (earlier := next(iter(pending))) != identity:  # the PBX has passed it over
                came.append(Slow(pending.pop(earlier), lost=True))
            answer = Slow(request, headers.get("Response") == "Success")
            begun[identity] = answer, []
            if request.expects is Expects.NOTHING or not answer.success:
                came.append(answer)
                del pending[identity]
            continue
        answer, events = begun[identity]
        answer.events = events
        ended = str(headers.get("Event", "")).endswith("Complete")
        if request.expects is Expects.LIST and ended:
            said = headers.get("ListItems", headers.get("Total"))
            answer.complete = said in (None, str(len(events)))
        else:
            events.append("\r\n".join(line for line in rest if line[:10] != "ActionID: "))
        if request.expects is Expects.EVENT or ended:
            came.append(answer)
            del pending[identity]
    return came


# --- what is said -----------------------------------------------------------------------------

FREE = st.sampled_from(
    (
        *("PJSIP/trunk-00000001", "größe-1", "a: b", "", " ", "x\r", "\u2028\x85\x1c"),
        *("Event: FAXSession", "ActionID: 1", "will follow", "Response: Success"),
        *("State: Initialized", "\rState: Active", "\nState: Active", "x" * 81, "y" * 1100),
    )
)


def mostly(*usual: str, odd: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Mostly usual values, so that most messages have nothing odd in them."""
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
LIST_FOLLOWS = (
    "Response: Success\r\nActionID: @\r\nEventList: Start\r\n"
    "Message: FAXSessionsEntry event list will follow"
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
        end = draw(
            st.sampled_from(
                (f"EventList: Complete\r\nListItems: {count}\r\nTotal: {count}",) * 2
                + (f"ListItems: {count}", f"Total: {count}", f"ListItems: {count}\r\nTotal: 0")
            )
        )
        end = f"Event: FAXSessionsComplete\r\nActionID: @\r\n{end}"
        said = [draw(RESPONSE | st.just(LIST_FOLLOWS)), *entries, end]
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
    max_examples=10 * settings().max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(conversations())
def test_the_stream_is_what_a_plain_reading_of_it_says(spoken: Conversation) -> None:
    said = "".join(
        message.replace("@", str(whose)) + "\r\n\r\n" for whose, message in spoken.said
    ).encode()
    for at, noise in spoken.noise:
        said = said[:at] + noise + said[at:]
    stream = Stream()
    for number, request in enumerate(spoken.requests):
        stream.ask(request, str(number))
    came: list[Answer | Completion] = []
    whole = GREETING + said
    cuts = range(len(whole)) if spoken.every_byte else sorted(spoken.cuts)
    for begin, end in zip((0, *cuts), (*cuts, len(whole)), strict=True):
        came += stream.receive(whole[begin:end])
    assert [
        one
        if isinstance(one, Completion)
        else Slow(one.request, one.success, one.events, one.complete, one.lost)
        for one in came
    ] == [
        one
        if isinstance(one, Completion)
        else Slow(one.request, one.success, list(one.events), one.complete, one.lost)
        for one in read_slowly(said, spoken.requests)
    ]


# --- one thing at a time ----------------------------------------------------------------------


def greeted() -> Stream:
    stream = Stream()
    assert stream.receive(GREETING) == []
    assert stream.greeting == "1"
    return stream


def response(action_id: str, *lines: str) -> bytes:
    return "\r\n".join(("Response: Success", f"ActionID: {action_id}", *lines, "", "")).encode()


def test_a_greeting_may_come_byte_by_byte() -> None:
    stream = Stream()
    for byte in b"Asterisk Call Manager/11.0.\x1b0\r":
        assert stream.receive(bytes([byte])) == []
        assert stream.greeting is None
    assert stream.receive(b"\nResponse: ") == []
    assert stream.greeting == "11.0.?0"


def test_a_stray_byte_within_the_end_of_its_first_line_leaves_a_response_the_answer() -> None:
    stream = greeted()
    stream.ask(PING, "1")
    (answer,) = stream.receive(b"Response: Success\rx\nMessage: none\r\nActionID: 1\r\n\r\n")
    assert isinstance(answer, Answer)
    assert (answer.success, answer.lost) == (False, False)


def test_a_greeting_may_be_of_any_bytes_and_be_cut_right_before_an_answer() -> None:
    greeting = b"Asterisk Call Manager/\xff".ljust(98, b"1") + b"\r\n"
    for cut in range(len(greeting)):
        stream = Stream()
        stream.ask(PING, "1")
        assert stream.receive(greeting[:cut]) == []
        (answer,) = stream.receive(greeting[cut:] + response("1"))
        assert isinstance(answer, Answer)
        assert stream.greeting == "\ufffd".ljust(76, "1")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad\r\n",
        b"\r\n",
        b"Asterisk Call Manager/" + b"1" * 100,
        b"Asterisk Call Manager/" + b"1" * 100 + b"\r\n",
        b"Asterisk Call Manager/".ljust(100, b"1"),
        b"asterisk ",
    ],
)
def test_what_does_not_greet_as_asterisk_does_is_none(said: bytes) -> None:
    stream = Stream()
    with pytest.raises(NoAsterisk):
        stream.receive(said)
    assert stream.unread == said


def test_answers_and_events_come_in_the_order_in_which_they_were_said() -> None:
    stream = greeted()
    stream.ask(PING, "1")
    stream.ask(PING, "2")
    event = "Event: SendFAX\r\nChannel: a"
    one, heard, two = stream.receive(
        response("1", "Ping: Pong") + f"{event}\r\n\r\n".encode() + response("2", "Ping: Pong")
    )
    assert heard == Completion(event)
    assert isinstance(one, Answer)
    assert isinstance(two, Answer)
    assert (one.headers["ActionID"], two.headers["ActionID"]) == ("1", "2")


def test_what_a_later_answer_passes_over_is_lost_also_in_the_middle() -> None:
    stream = greeted()
    for number, request in enumerate((LIST, ABOUT, PING)):
        stream.ask(request, str(number))
    entry = b"Event: FAXSessionsEntry\r\nActionID: 0\r\nChannel: a\r\n\r\n"
    assert stream.receive(response("0", "Message: x will follow") + entry) == []
    answers = [one for one in stream.receive(response("2")) if isinstance(one, Answer)]
    assert [(one.request, one.lost, one.success) for one in answers] == [
        (LIST, True, False),
        (ABOUT, True, False),
        (PING, False, True),
    ]
    late = b"Event: FAXSessionsComplete\r\nActionID: 0\r\nListItems: 1\r\n\r\n"
    assert stream.receive(late) == []


@pytest.mark.parametrize(("announced", "complete"), [("1", True), ("2", False)])
def test_a_list_is_complete_if_it_has_what_it_says(announced: str, complete: bool) -> None:
    stream = greeted()
    stream.ask(LIST, "7")
    (answer,) = stream.receive(
        response("7", "Message: x will follow")
        + b"Event: FAXSessionsEntry\r\nActionID: 7\r\nChannel: a\r\n\r\n"
        + f"Event: FAXSessionsComplete\r\nActionID: 7\r\nTotal: {announced}\r\n\r\n".encode()
    )
    assert isinstance(answer, Answer)
    assert (answer.events, answer.complete) == (["Channel: a"], complete)


@pytest.mark.parametrize(
    "end",
    [
        (b"x", b"x\r\n", b"\r", b"\n"),
        (b"\r\n\r", b"\n"),
        (b"\r\n", b"\r\n"),
        (b"x", b"\r\n\r\n"),
        (b"\n\r\n", b"Event: SendFAX\r\nChannel: a\r\n\r\n"),
    ],
)
def test_a_message_too_long_is_dropped_and_what_follows_it_is_read(end: tuple[bytes, ...]) -> None:
    long = b"Event: SendFAX\r\nChannel: " + b"x" * stream_module.MAX_MESSAGE
    for at_once in (False, True):
        stream = greeted()
        for number in range(3):
            stream.ask(PING, str(number))
        for part in (long + end[0], *end[1:-1]):
            assert stream.receive(part) == []
            assert len(stream.unread) <= stream_module.MAX_MESSAGE
        came = stream.receive(end[-1] + at_once * response("0"))
        came += stream.receive((not at_once) * response("0") + response("1"))
        came += stream.receive(response("2"))
        assert [isinstance(one, Answer) and one.success for one in came] == [True] * 3


def test_a_message_as_long_as_one_may_be_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Event: SendFAX\r\nChannel: a"
    for limit, came in ((len(text), [Completion(text)]), (len(text) - 1, [])):
        monkeypatch.setattr(stream_module, "MAX_MESSAGE", limit)
        stream = greeted()
        assert stream.receive(text.encode()) == []
        assert stream.receive(b"\r\n\r\n") == came


def test_of_a_list_too_long_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = b"Event: FAXSessionsEntry\r\nActionID: 1\r\nChannel: abcdef\r\n\r\n"
    for limit, value, kept in (("MAX_LISTED", 3, 3), ("MAX_LIST", 2 * len("Channel: abcdef"), 2)):
        for says in ("ListItems: 4", f"ListItems: {kept}", "x: y"):
            end = f"Event: FAXSessionsComplete\r\nActionID: 1\r\n{says}\r\n\r\n".encode()
            with monkeypatch.context() as patched:
                patched.setattr(stream_module, limit, value)
                stream = greeted()
                stream.ask(LIST, "1")
                (answer,) = stream.receive(response("1") + 4 * entry + end)
            assert isinstance(answer, Answer)
            assert (len(answer.events), answer.complete) == (kept, False)


def test_the_room_for_a_list_is_there_again_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_LIST", len("Channel: a"))
    stream = greeted()
    for action_id in ("1", "2"):
        stream.ask(LIST, action_id)
        (answer,) = stream.receive(
            response(action_id)
            + f"Event: FAXSessionsEntry\r\nActionID: {action_id}\r\nChannel: a\r\n\r\n".encode()
            + f"Event: FAXSessionsComplete\r\nActionID: {action_id}\r\n\r\n".encode()
        )
        assert isinstance(answer, Answer)
        assert (answer.events, answer.complete) == (["Channel: a"], True)


def test_an_event_as_asterisk_writes_it_is_taken_without_reading_its_headers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []

    def read_headers(text: str) -> Headers:
        read.append(text)
        return messages.read_headers(text)

    monkeypatch.setattr(stream_module, "read_headers", read_headers)
    stream = greeted()
    for number, request in enumerate((PING, LIST, ABOUT)):
        stream.ask(request, str(number))
    end = b"Event: FAXSessionsComplete\r\nActionID: 1\r\nListItems: 2\r\n\r\n"
    came = stream.receive(
        response("1", "Message: x will follow")
        + 2 * b"Event: FAXSessionsEntry\r\nActionID: 1\r\nChannel: a\r\n\r\n"
        + end
        + response("2", "Message: x will follow")
        + b"Event: FAXSession\r\nActionID: 2\r\nSessionNumber: 1\r\n\r\n"
    )
    assert [isinstance(one, Answer) and (one.lost, one.events) for one in came] == [
        (True, []),
        (False, ["Channel: a", "Channel: a"]),
        (False, ["SessionNumber: 1"]),
    ]
    assert read == [end.decode().rstrip()]


@pytest.mark.parametrize("more", ["ActionID: 1", "SessionNumber: 1\r\nActionID: 2"])
def test_an_event_with_two_action_ids_answers_nothing(more: str) -> None:
    stream = greeted()
    stream.ask(ABOUT, "1")
    event = f"Event: FAXSession\r\nActionID: 1\r\n{more}\r\n\r\n".encode()
    assert stream.receive(response("1", "Message: x will follow") + event) == []


@pytest.mark.parametrize("before", [" ", "X", "\t"])
def test_what_begins_with_anything_but_line_ends_is_no_message(before: str) -> None:
    stream = greeted()
    stream.ask(PING, "1")
    assert stream.receive(before.encode() + response("1")) == []
    (answer,) = stream.receive(b"\r\n" + response("1"))
    assert isinstance(answer, Answer)


def test_the_lines_of_an_event_are_those_before_and_behind_its_action_id() -> None:
    stream = greeted()
    stream.ask(ABOUT, "1")
    event = b"Event: FAXSession\r\nSessionNumber: 1\r\nActionID: 1\r\nState: Active\r\n\r\n"
    (answer,) = stream.receive(response("1") + event)
    assert isinstance(answer, Answer)
    assert answer.events == ["SessionNumber: 1\r\nState: Active"]


def test_an_event_behind_an_answer_that_has_none_is_dropped() -> None:
    stream = greeted()
    stream.ask(PING, "1")
    event = b"Event: FAXSession\r\nActionID: 1\r\nSessionNumber: 1\r\n\r\n"
    (answer,) = stream.receive(response("1", "Message: x will follow") + event)
    assert isinstance(answer, Answer)
    assert (answer.success, answer.events) == (True, [])
