"""AMI messages in the words of Asterisk 11 to 23, as recorded in tests/transcripts/."""

from collections.abc import Iterable
from typing import Final

from exporter.demo.sessions import FAXES, Completion, DemoSession

FIRST_WITH_FAX_ACTIONS: Final = 13
"""Asterisk 12 and older have none, and write no channel variables into their events."""


def message(*lines: str) -> bytes:
    """These lines, and the empty one that ends a message."""
    # surrogateescape: a test can have any bytes in a name.
    return ("\r\n".join(lines) + "\r\n\r\n").encode(errors="surrogateescape")


class Reply:
    """Messages that answer one action, and so carry its ActionID if it had one."""

    def __init__(self, action_id: str) -> None:
        self._id = (f"ActionID: {action_id}",) if action_id else ()

    def response(self, result: str, *lines: str) -> bytes:
        """The message with this Response."""
        return message(f"Response: {result}", *self._id, *lines)

    def success(self, *lines: str) -> bytes:
        """That the action was carried out."""
        return self.response("Success", *lines)

    def error(self, text: str) -> bytes:
        """That it was not, and why."""
        return self.response("Error", f"Message: {text}")

    def event(self, name: str, *lines: str) -> bytes:
        """One of the events that follow it."""
        return message(f"Event: {name}", *self._id, *lines)


def session_numbers(session: DemoSession) -> list[str]:
    """What FAXSession says of a session that has begun."""
    if session.operation == "gateway":
        return [
            f"ErrorCorrectionMode: {'yes' if session.ecm else 'no'}",
            f"DataRate: {session.rate}",
            f"PageNumber: {session.pages + 1}",
        ]
    if session.operation not in FAXES:
        return []
    send = session.operation == "send"
    return [
        f"ErrorCorrectionMode: {'Yes' if session.ecm else 'No'}",
        f"DataRate: {session.rate}",
        "ImageResolution: {}x{}".format(*session.resolution),
        f"PageNumber: {session.pages + 1}",
        f"FileName: {session.files[0] if session.files else ''}",
        f"PagesTransmitted: {session.pages if send else 0}",
        f"PagesReceived: {0 if send else session.pages}",
        f"TotalBadLines: {session.bad_lines}",
    ]


def completion_event(
    session: DemoSession, completion: Completion, *, major: int, channelvars: bool
) -> Iterable[str]:
    """The lines of SendFAX or ReceiveFAX, as this major version writes them."""
    send = session.operation == "send"
    variables = {
        "FAXSTATUS": completion.status,
        "FAXERROR": completion.error,
        "FAXMODE": completion.mode,
        "FAXSTATUSSTRING": session.status_string,
    }
    yield f"Event: {'SendFAX' if send else 'ReceiveFAX'}"
    yield "Privilege: call,all"
    yield f"Channel: {session.moved_to or session.channel}"
    if major < FIRST_WITH_FAX_ACTIONS:
        yield "Context: fax"
        yield "Exten: recv"
        yield f"CallerID: {session.caller}"
        yield f"RemoteStationID: {session.remote_station or 'unknown'}"
        yield f"LocalStationID: {session.local_station or 'unknown'}"
        yield from _numbers_and_files(session)
        return
    yield "ChannelState: 6"
    yield "ChannelStateDesc: Up"
    yield f"CallerIDNum: {session.caller or '<unknown>'}"
    yield "CallerIDName: <unknown>"
    yield "ConnectedLineNum: <unknown>"
    yield "ConnectedLineName: <unknown>"
    yield "Language: en"
    yield "AccountCode: "
    yield "Context: fax"
    yield "Exten: recv"
    yield f"Priority: {1 if send else 2}"
    yield f"Uniqueid: {session.uniqueid}"
    yield f"Linkedid: {session.linkedid}"
    if channelvars:
        yield from (f"ChanVariable: {name}={value}" for name, value in variables.items())
    none = "unknown" if major < 16 else ""
    yield f"LocalStationID: {session.local_station or none}"
    yield f"RemoteStationID: {session.remote_station or none}"
    yield from _numbers_and_files(session)


def _numbers_and_files(session: DemoSession) -> Iterable[str]:
    yield f"PagesTransferred: {session.pages_transferred}"
    yield "Resolution: {}".format("{}x{}".format(*session.resolution) if session.began else "")
    yield f"TransferRate: {session.rate if session.began else ''}"
    yield from (f"FileName: {name}" for name in session.files)
