"""Parsing what Asterisk says: literal messages in, values out, and never an exception."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ami import Headers
from exporter.fax import (
    MAX_TEXT,
    FaxSession,
    ListedSession,
    Operation,
    Problem,
    Reason,
    State,
    Transport,
    may_ask,
    parse_listed,
    parse_result,
    parse_session,
    parse_stats,
)

# A real receive session of Asterisk 22.10 between two pages.
RECEIVE: dict[str, str | list[str]] = {
    "Event": "FAXSession",
    "SessionNumber": "3",
    "Operation": "receive",
    "State": "Active",
    "ErrorCorrectionMode": "No",
    "DataRate": "14400",
    "ImageResolution": "8031x3850",
    "PageNumber": "3",
    "FileName": "/var/spool/asterisk/fax/rx-1795419299.3.tif",
    "PagesTransmitted": "0",
    "PagesReceived": "2",
    "TotalBadLines": "7",
}
LISTED: dict[str, str | list[str]] = {
    "Event": "FAXSessionsEntry",
    "Channel": "Local/recv@fax-00000000;2",
    "Technology": "Spandsp",
    "SessionNumber": "0",
    "SessionType": "G.711",
    "Operation": "receive",
    "State": "Active",
    "Files": "/x/rx.tif",
}


def text(headers: Headers) -> str:
    """A message with these headers."""
    lines = []
    for name, value in headers.items():
        values = [value] if isinstance(value, str) else value
        lines += [f"{name}: {one}" for one in values]
    return "\r\n".join(lines)


def parsed(headers: Headers) -> FaxSession:
    problems: list[Problem] = []
    session = parse_session(text(headers), problems)
    assert session is not None
    assert problems == []
    return session


def test_a_real_receive_session_is_read_whole() -> None:
    assert parsed(RECEIVE) == FaxSession(
        number=3,
        operation=Operation.RECEIVE,
        state=State.ACTIVE,
        ecm=False,
        data_rate=14400,
        resolution=(8031, 3850),
        page_number=3,
        pages=2,
        bad_lines=7,
    )


def test_session_number_0_is_a_session() -> None:
    assert parse_listed(text(LISTED), []) == ListedSession(
        0, "Local/recv@fax-00000000;2", Operation.RECEIVE, State.ACTIVE, Transport.G711, "/x/rx.tif"
    )


def test_nothing_is_negotiated_while_the_resolution_is_0() -> None:
    assert not parsed(RECEIVE | {"ImageResolution": "0x0"}).negotiated
    assert parsed(RECEIVE).negotiated


@pytest.mark.parametrize("missing", ["ImageResolution", "ErrorCorrectionMode", "DataRate"])
def test_nothing_is_negotiated_where_part_of_it_is_not_told(missing: str) -> None:
    told = {name: value for name, value in RECEIVE.items() if name != missing}
    assert not parsed(told).negotiated


def test_a_gateway_that_counts_no_page_yet_has_relayed_none() -> None:
    gateway = {"SessionNumber": "1", "Operation": "gateway", "State": "Active", "PageNumber": "0"}
    assert parsed(gateway).pages == 0


def test_free_text_is_kept_only_so_far() -> None:
    entry = parse_listed(text(LISTED | {"Channel": "PJSIP/" + "a" * 70_000}), [])
    assert entry is not None
    assert len(entry.channel) == MAX_TEXT


def test_a_gateway_is_negotiated_once_it_has_a_rate_and_its_ecm_is_lower_case() -> None:
    gateway: Headers = {
        "SessionNumber": "1",
        "Operation": "gateway",
        "State": "Active",
        "ErrorCorrectionMode": "no",
        "DataRate": "0",
        "PageNumber": "3",
    }
    assert not parsed(gateway).negotiated
    running = parsed({**gateway, "DataRate": "9600"})
    assert running.negotiated
    assert (running.ecm, running.pages) == (False, 2)


@pytest.mark.parametrize("rate", ["16843010", "14401", "1", "-14400", "14400.0", "0x3840", ""])
def test_what_is_no_modem_rate_is_dropped_and_said(rate: str) -> None:
    problems: list[Problem] = []
    session = parse_session(text(RECEIVE | {"DataRate": rate}), problems)
    assert session is not None
    assert session.data_rate is None
    assert not session.negotiated
    assert problems == [Problem("DataRate", rate)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("PagesReceived", "2147483648"),
        ("PagesReceived", "10001"),
        ("PagesReceived", "9" * 5000),
        ("PagesReceived", "²"),
        ("PagesReceived", ["2", "3"]),
        ("TotalBadLines", "4294967295"),
        ("TotalBadLines", "200001"),
        ("TotalBadLines", "-1"),
        ("ImageResolution", "8031"),
        ("ErrorCorrectionMode", "maybe"),
    ],
)
def test_a_malformed_field_is_left_out_and_the_others_stay(
    field: str, value: str | list[str]
) -> None:
    problems: list[Problem] = []
    session = parse_session(text(RECEIVE | {field: value}), problems)
    assert session is not None
    assert [problem.field for problem in problems] == [field]
    lost = {
        "PagesReceived": session.pages,
        "TotalBadLines": session.bad_lines,
        "ImageResolution": session.resolution,
        "ErrorCorrectionMode": session.ecm,
    }
    assert lost.pop(field) is None
    assert None not in lost.values()


@pytest.mark.parametrize("number", ["three", None])
def test_a_session_without_a_number_is_left_out_whatever_else_is_wrong(number: str | None) -> None:
    headers = RECEIVE | {"SessionNumber": number or "", "State": "?", "Operation": "?"}
    if number is None:
        del headers["SessionNumber"]
    for parse in (parse_listed, parse_session):
        problems: list[Problem] = []
        assert parse(text(headers), problems) is None
        assert problems == ([Problem("SessionNumber", number)] if number else [])


def test_states_and_operations_never_heard_of_make_no_new_label_values() -> None:
    problems: list[Problem] = []
    entry = parse_listed(text(LISTED | {"State": "Paused", "Operation": "poll"}), problems)
    assert entry is not None
    assert (entry.operation, entry.state) == (Operation.NONE, State.UNKNOWN)
    assert {problem.value for problem in problems} == {"Paused", "poll"}


# --- whole transcripts ----------------------------------------------------------------------

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"
PARSERS = {
    "FAXSessionsEntry": parse_listed,
    "FAXSession": parse_session,
    "FAXStats": parse_stats,
    "SendFAX": parse_result,
    "ReceiveFAX": parse_result,
}


def recorded(event: str) -> list[str]:
    """Every such event of every transcript."""
    texts = [path.read_bytes().decode() for path in sorted(TRANSCRIPTS.glob("*/*.txt"))]
    messages = [message for text in texts for message in text.split("\r\n\r\n")]
    return [message for message in messages if message.startswith(f"Event: {event}\r\n")]


@pytest.mark.parametrize("event", PARSERS)
def test_what_real_asterisks_said_is_read_without_a_problem(event: str) -> None:
    messages = recorded(event)
    assert len(messages) >= 4
    for message in messages:
        problems: list[Problem] = []
        assert PARSERS[event](message, problems) is not None
        assert problems == []


def test_every_recorded_result_is_understood_where_there_is_one() -> None:
    results = [parse_result(one, []) for one in recorded("SendFAX") + recorded("ReceiveFAX")]
    assert {result.succeeded for result in results if result} == {True, False, None}
    failed = {result.reason for result in results if result and result.succeeded is False}
    assert failed == {Reason.CALL_DROPPED, Reason.INIT, Reason.RETRIES}


def test_variables_that_name_their_channel_are_the_result_too() -> None:
    """Asterisk up to 12 writes them so, on any event but a completion; some proxies on that."""
    said = (TRANSCRIPTS / "asterisk-11.25.3" / "events-all-audio.txt").read_bytes().decode()
    messages = said.split("\r\n\r\n")
    for name in ("SendFAX", "ReceiveFAX"):
        (told,) = (one for one in messages if one.startswith(f"Event: {name}\r\n"))
        channel = next(one for one in told.split("\r\n") if one.startswith("Channel: "))
        (ended,) = (one for one in messages if one.startswith("Event: Hangup") and channel in one)
        variables = [one for one in ended.split("\r\n") if one.startswith("ChanVariable(")]
        problems: list[Problem] = []
        result = parse_result("\r\n".join([told, *variables]), problems)
        assert result is not None
        assert (result.succeeded, result.pages, problems) == (True, 3, [])


def test_a_state_that_cannot_be_read_may_not_be_asked_about() -> None:
    for spoilt in ({"State": ""}, {"State": "active"}, {"State": ["Active", "Initialized"]}):
        entry = parse_listed(text(LISTED | spoilt), [])
        assert entry is not None
        assert not may_ask(entry)


# --- results --------------------------------------------------------------------------------


def event(name: str = "ReceiveFAX", **variables: str) -> dict[str, str | list[str]]:
    return {
        "Event": name,
        "Channel": "Local/recv@fax-00000000;2",
        "PagesTransferred": "3",
        "Resolution": "8031x3850",
        "TransferRate": "14400",
        "FileName": ["/x/a.tif", "/x/b.tif"],
        "ChanVariable": [f"{name}={value}" for name, value in variables.items()],
    }


def test_a_success_is_one_even_if_faxerror_says_hangup() -> None:
    result = parse_result(
        text(event("SendFAX", FAXSTATUS="SUCCESS", FAXERROR="HANGUP", FAXMODE="T38")), []
    )
    assert result is not None
    assert (result.operation, result.succeeded, result.reason) == (Operation.SEND, True, None)
    assert (result.pages, result.transport, result.data_rate) == (3, Transport.T38, 14400)


def test_a_failure_has_a_reason() -> None:
    error = "The call dropped prematurely"
    result = parse_result(
        text(event(FAXSTATUS="FAILED", FAXERROR=error, FAXMODE="audio", FAXSTATUSSTRING=error)), []
    )
    assert result is not None
    assert (result.succeeded, result.reason) == (False, Reason.CALL_DROPPED)
    assert result.transport is Transport.G711


@pytest.mark.parametrize("variables", [{}, {"FAXSTATUS": ""}])
def test_without_channelvars_there_is_no_result_and_no_guess(variables: dict[str, str]) -> None:
    problems: list[Problem] = []
    result = parse_result(text(event(**variables)), problems)
    assert result is not None
    assert (result.succeeded, result.reason, result.transport) == (None, None, Transport.NONE)
    assert problems == []


def test_a_status_never_heard_of_is_no_result_and_is_said() -> None:
    problems: list[Problem] = []
    result = parse_result(text(event(FAXSTATUS="m" * 70_000)), problems)
    assert result is not None
    assert (result.succeeded, result.reason) == (None, None)
    assert problems == [Problem("FAXSTATUS", "m" * MAX_TEXT)]


def test_one_channel_variable_alone_is_read_too() -> None:
    result = parse_result(text({**event(), "ChanVariable": "FAXSTATUS=SUCCESS"}), [])
    assert result is not None
    assert result.succeeded is True


def written(text: str) -> str:
    """As Asterisk writes it."""
    return text.replace("\n", "\r\n")


NO_TIMING = "\n".join(
    [
        "Event: ReceiveFAX",
        "Channel: PJSIP/trunk-00000001",
        "ChanVariable: FAXSTATUS=FAILED",
        "ChanVariable: FAXERROR=Channel Problems",
        "ChanVariable: FAXMODE=audio",
        "ChanVariable: FAXSTATUSSTRING=Error before FAX transmission started.",
        "LocalStationID: ",
        "RemoteStationID: ",
        "PagesTransferred: 0",
        "Resolution: ",
        "TransferRate: ",
        "FileName: /fax/rx-1.tif",
    ]
)
SENT = NO_TIMING.replace("ReceiveFAX", "SendFAX").replace("Channel Problems", "INIT_ERROR")
SENT = SENT.replace("Error before FAX transmission started.", "error starting fax session")
VARIABLES = "\n".join(line for line in SENT.split("\n") if line.startswith("ChanVariable"))
AFTER_ANOTHER = (
    SENT.replace("PagesTransferred: 0", "PagesTransferred: 3")
    .replace("Resolution: ", "Resolution: 8031x3850")
    .replace("TransferRate: ", "TransferRate: 9600")
)

CODE_ALONE = "\n".join(
    line for line in AFTER_ANOTHER.split("\n") if "FAXSTATUSSTRING" not in line
).replace("INIT_ERROR", "Channel Problems")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (NO_TIMING, Reason.INIT),
        (NO_TIMING.replace(": \n", ":\n"), Reason.INIT),
        (SENT, Reason.INIT),
        (AFTER_ANOTHER, Reason.INIT),
        (CODE_ALONE, Reason.INIT),
        (SENT.replace(VARIABLES, "ChanVariable: FAXSTATUS=FAILED"), Reason.OTHER),
        (SENT.replace(VARIABLES + "\n", ""), None),
    ],
    ids=[
        "receive",
        "no blank after a colon",
        "send",
        "after another fax",
        "code alone after another fax",
        "status alone",
        "untold",
    ],
)
def test_a_fax_that_never_began_has_neither_page_nor_rate_and_nothing_is_malformed(
    text: str, reason: Reason | None
) -> None:
    problems: list[Problem] = []
    result = parse_result(written(text), problems)
    assert result is not None
    assert problems == []
    assert not result.began
    assert not result.pages
    assert (result.data_rate, result.agreed, result.reason) == (None, None, reason)


def test_a_fax_that_timed_out_began_and_says_what_the_one_before_did() -> None:
    said = {"FAXERROR": "TIMEOUT", "FAXSTATUSSTRING": "fax session timed-out"}
    result = parse_result(text(event(FAXSTATUS="FAILED", **said)), [])
    assert result is not None
    assert (result.began, result.reason) == (True, Reason.TIMEOUT)
    assert (result.pages, result.data_rate) == (None, None)


def test_an_error_before_the_modem_says_what_the_one_before_did_without_its_text_too() -> None:
    told = {"Event": "SendFAX", "Channel": "PJSIP/a-1", "PagesTransferred": "3"}
    told |= {"Resolution": "8031x3850", "TransferRate": "14400"}
    variables = ["FAXSTATUS=FAILED", "FAXERROR=INIT_ERROR"]
    result = parse_result(text({**told, "ChanVariable": variables}), [])
    assert result is not None
    assert (result.pages, result.data_rate, result.agreed) == (None, None, None)


def test_a_success_that_tells_little_began() -> None:
    told = {"Event": "SendFAX", "Channel": "PJSIP/a-1", "PagesTransferred": "0"}
    result = parse_result(text({**told, "ChanVariable": "FAXSTATUS=SUCCESS"}), [])
    assert result is not None
    assert result.began


@pytest.mark.parametrize(
    ("resolution", "rate", "agreed"),
    [("0x0", None, False), ("8031x3850", 14400, True), ("", 14400, None)],
)
def test_a_rate_counts_only_if_something_was_agreed(
    resolution: str, rate: int | None, agreed: bool | None
) -> None:
    result = parse_result(text({**event(FAXSTATUS="FAILED"), "Resolution": resolution}), [])
    assert result is not None
    assert (result.data_rate, result.agreed) == (rate, agreed)


@pytest.mark.parametrize(
    "header",
    [
        "ChanVariable(SIP/trunk-0000a194)",
        "ChanVariable(PJSIP/a(b)-00000001)",
        "chanvariable",
        "ChanVariable",
    ],
)
def test_a_result_is_read_in_every_form_of_its_header(header: str) -> None:
    lines = [f"{header}: FAXSTATUS=FAILED", f"{header}: FAXERROR=HANGUP", f"{header}: FAXMODE=T38"]
    text = "\n".join(["Event: SendFAX", "Channel: SIP/trunk-0000a194", *lines])
    result = parse_result(written(text), [])
    assert result is not None
    assert (result.succeeded, result.reason) == (False, Reason.CALL_DROPPED)
    assert result.missing == ("FAXSTATUSSTRING",)


def test_variables_whose_names_begin_with_a_blank_are_missing() -> None:
    blanks = (
        "Event: SendFAX\nChannel: a/b-1\nChanVariable: FAXSTATUS=SUCCESS\nChanVariable:  FAXERROR="
    )
    result = parse_result(written(blanks), [])
    assert result is not None
    assert result.missing == ("FAXERROR", "FAXMODE", "FAXSTATUSSTRING")


def test_other_events_are_no_results() -> None:
    assert parse_result(text(event("FAXStatus", FAXSTATUS="FAILED")), []) is None


# --- whatever comes -------------------------------------------------------------------------

FIELDS = [*RECEIVE, *LISTED, "ChanVariable", "PagesTransferred", "CompletedFAXes", "FAXMODE"]
ANYTHING = st.one_of(
    st.text(),
    st.sampled_from(["0", "receive", "gateway", "Active", "FAXSTATUS=FAILED", "9" * 30]),
    st.lists(st.text(), min_size=2, max_size=3),
)


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_no_message_makes_a_parser_raise(headers: dict[str, str | list[str]]) -> None:
    problems: list[Problem] = []
    parse_session(text(headers), problems)
    session = parse_session(text({"SessionNumber": "7"} | headers), problems)
    parse_listed(text(headers), problems)
    parse_stats(text(headers), problems)
    for name in ("SendFAX", "ReceiveFAX"):
        completion = {"Event": name, "Channel": ""} | headers | {"Event": name}
        assert parse_result(text(completion), problems) is not None
    if session is not None:
        assert session.pages is None or 0 <= session.pages <= 10_000


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("1795638975.26", True),
        ("asterisk-23.0.0_pbx.example:5060-1795638975.26", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ('a"} 9\\', False),
        ("a\tb", False),
        ("\u202eevil", False),
        ("a,uniqueid=b", False),
    ],
)
def test_a_uniqueid_is_one_that_asterisk_makes_or_none(written: str, known: bool) -> None:
    result = parse_result(text({**event(), "Uniqueid": written, "Linkedid": written}), [])
    assert result is not None
    assert result.unique_id == result.linked_id == (written if known else "")


@pytest.mark.parametrize("header", ["Uniqueid", "Linkedid"])
def test_a_fax_on_a_real_asterisk_has_the_ids_that_its_event_tells(header: str) -> None:
    """Asterisk 11 tells none."""
    messages = recorded("SendFAX") + recorded("ReceiveFAX")
    telling = [one for one in messages if f"\r\n{header}: " in one]
    assert len(telling) > len(messages) / 2
    for message in messages:
        result = parse_result(message, [])
        assert result is not None
        found = result.unique_id if header == "Uniqueid" else result.linked_id
        assert bool(found) is (message in telling)
        assert f"\r\n{header}: {found}\r\n" in message or message not in telling


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ({"CallerIDNum": "+49301234"}, "+49301234"),
        ({"CallerIDNum": "<unknown>"}, ""),
        ({"CallerIDNum": ""}, ""),
        ({"CallerID": "+49301234"}, "+49301234"),  # Asterisk 11
        ({"CallerIDNum": ["1", "2"]}, "1"),
        ({}, ""),
    ],
)
def test_the_caller_is_the_number_if_there_is_one(
    headers: dict[str, str | list[str]], caller: str
) -> None:
    result = parse_result(text({**event(), **headers}), [])
    assert result is not None
    assert result.caller == caller


@pytest.mark.parametrize(
    ("written", "resolution"),
    [("8031x3850", (8031, 3850)), ("0x0", None), ("", None), ("fine", None), ("1x2x3", None)],
)
def test_a_resolution_is_one_that_was_agreed(
    written: str, resolution: tuple[int, int] | None
) -> None:
    result = parse_result(text({**event(), "Resolution": written}), [])
    assert result is not None
    assert result.resolution == resolution


def test_the_text_of_a_result_is_as_asterisk_wrote_it() -> None:
    result = parse_result(text(event(FAXSTATUS="FAILED", FAXSTATUSSTRING="Far end = silent")), [])
    assert result is not None
    assert result.status_text == "Far end = silent"
