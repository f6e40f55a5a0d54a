"""Which of panoramisk's names are relied on, and for what: an update that changes it fails here."""

from panoramisk.actions import Action
from panoramisk.message import Message


async def test_an_action_is_written_with_its_own_action_id_behind_its_name() -> None:
    action = Action({"Action": "Getvar", "ActionID": "7", "Variable": "AST_CONFIG(größe)"})
    assert str(action) == "Action: Getvar\r\nActionID: 7\r\nVariable: AST_CONFIG(größe)\r\n\r\n"


def test_a_message_is_read_into_headers_whose_case_does_not_matter() -> None:
    message = Message.from_line("Response: Success\r\nActionID: 7\r\nMessage: a: b\r\nEmpty: ")
    for name, value in {"Response": "Success", "Message": "a: b", "Empty": ""}.items():
        assert message[name] == value
    assert message.get("message") == "a: b"
    assert message.get("other") is None
    assert "EMPTY" in message


def test_a_header_that_is_repeated_has_all_its_values() -> None:
    message = Message.from_line("Event: SendFAX\r\nChanVariable: A=1\r\nChanVariable: B=2")
    assert message["ChanVariable"] == ["A=1", "B=2"]


def test_what_is_neither_a_response_nor_an_event_is_no_message() -> None:
    assert Message.from_line("Channel: a\r\nno header") is None
