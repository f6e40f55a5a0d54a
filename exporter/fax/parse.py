"""Messages about faxes: the text of one goes in, a value and its problems come out.

No parser raises: what cannot be read is left out and named in `problems`. How one header is read is
in fields.py.
"""

import re
from typing import Final

from exporter.ami import Headers, read_headers
from exporter.fax.fields import (
    DATA_RATE,
    ECM,
    RESOLUTION,
    Layout,
    data_rate,
    number,
    number_field,
    pixels,
    text,
    text_field,
    word,
    word_field,
)
from exporter.fax.reasons import failure_reason
from exporter.fax.values import (
    MAX_BAD_LINES,
    MAX_NUMBER,
    MAX_PAGES,
    MAX_TEXT,
    MAX_UNIQUE_ID,
    RESULT_VARIABLES,
    CoreStatus,
    FaxResult,
    FaxSession,
    FaxStats,
    ListedSession,
    Operation,
    Problem,
    State,
    Transport,
)

_TRANSPORTS: Final = {
    "G.711": Transport.G711,
    "T.38": Transport.T38,
    "none": Transport.NONE,
    "audio": Transport.G711,  # FAXMODE's spelling
    "T38": Transport.T38,
}
_NUMBER: Final = number_field("SessionNumber")
_OPERATION: Final = word_field("Operation", {one.value: one for one in Operation}, Operation.NONE)
_STATE: Final = word_field("State", {one.value: one for one in State}, State.UNKNOWN)
_LISTED: Final = Layout(
    text_field("Channel"),
    "Technology",
    _NUMBER,
    word_field("SessionType", _TRANSPORTS, Transport.NONE),
    _OPERATION,
    _STATE,
    text_field("Files"),
    key=_NUMBER,
)
_SESSION: Final = Layout(
    _NUMBER,
    _OPERATION,
    _STATE,
    ECM,
    DATA_RATE,
    RESOLUTION,
    number_field("PageNumber", MAX_PAGES + 1),
    "FileName",
    number_field("PagesTransmitted", MAX_PAGES),
    number_field("PagesReceived", MAX_PAGES),
    number_field("TotalBadLines", MAX_BAD_LINES),
    key=_NUMBER,
)
"""The headers of a fax. A gateway's event lacks some, and is read header by header."""
_STATS: Final = Layout(
    number_field("CurrentSessions"),
    number_field("ReservedSessions"),
    number_field("TransmitAttempts"),
    number_field("ReceiveAttempts"),
    number_field("CompletedFAXes"),
    number_field("FailedFAXes"),
)
_NEVER_BEGAN: Final = frozenset(
    {"error before fax transmission started.", "error starting fax session"}
)
"""FAXSTATUSSTRING, in lower case, that res_fax leaves on a channel for which no session was made.
Source: receivefax_exec, sendfax_exec and generic_fax_exec in res_fax.c."""
_NO_MODEM: Final = frozenset(
    {
        "failed to start fax session",
        "fax session timed-out",
        "t.38 switch failed",
        "error polling data",
    }
)
"""What generic_fax_exec says itself of a session that it ends before the modem has."""


def parse_listed(event: str, problems: list[Problem]) -> ListedSession | None:
    """A FAXSessionsEntry; None, and why in `problems`, if it has no usable session number."""
    values = _LISTED.read(event, problems)
    if values is None:
        return None
    channel, number, transport, operation, state, files = values
    return ListedSession(number, channel, operation, state, transport, files)


def parse_session(event: str, problems: list[Problem]) -> FaxSession | None:
    """A FAXSession event; None, and why in `problems`, if it has no usable session number."""
    values = _SESSION.read(event, problems)
    if values is None:
        return None
    number, operation, state, ecm, rate, resolution, page, sent, received, bad_lines = values
    pages = None
    if operation is Operation.SEND:
        pages = sent
    elif operation is Operation.RECEIVE:
        pages = received
    elif operation is Operation.GATEWAY and page is not None:
        pages = max(0, page - 1)
    return FaxSession(number, operation, state, ecm, rate, resolution, page, pages, bad_lines)


def parse_stats(event: str, problems: list[Problem]) -> FaxStats:
    """A FAXStats event."""
    values = _STATS.read(event, problems)
    assert values is not None  # it has no key
    return FaxStats(*values)


def parse_core_status(headers: Headers) -> CoreStatus:
    """The response to CoreStatus, which has no event."""
    return CoreStatus(
        started=f"{text(headers, 'CoreStartupDate')} {text(headers, 'CoreStartupTime')}".strip(),
        reloaded=f"{text(headers, 'CoreReloadDate')} {text(headers, 'CoreReloadTime')}".strip(),
        calls=number(headers, "CoreProcessedCalls", MAX_NUMBER, []),
    )


def parse_result(message: str, problems: list[Problem]) -> FaxResult | None:
    """A SendFAX or ReceiveFAX event, whole; None if it is neither, or of no channel."""
    headers = read_headers(message)
    operation = {"SendFAX": Operation.SEND, "ReceiveFAX": Operation.RECEIVE}.get(
        text(headers, "Event")
    )
    # It can be made up: the far end may put "\r\n\r\nEvent: SendFAX" into its station id.
    if operation is None or "Channel" not in headers:
        return None
    variables = _channel_variables(headers)
    status = variables.get("FAXSTATUS", "")
    succeeded = {"SUCCESS": True, "FAILED": False}.get(status)
    if succeeded is None and status:
        problems.append(Problem("FAXSTATUS", status))
    mode = variables.get("FAXMODE", "")
    error, status_string = variables.get("FAXERROR", ""), variables.get("FAXSTATUSSTRING", "")
    pages = number(headers, "PagesTransferred", MAX_PAGES, problems)
    rate, resolution = text(headers, "TransferRate"), text(headers, "Resolution")
    empty = not (pages or rate or resolution or status_string)
    began = not (
        status_string.lower() in _NEVER_BEGAN
        or error.lower() == "channel problems"
        or (empty and pages == 0 and error.lower() in ("", "init_error") and not succeeded)
    )
    if not began or status_string.lower() in _NO_MODEM or error.lower() == "init_error":
        # Asterisk did not set these: they are empty, or still those of the channel's last fax.
        pages, rate, resolution = None, "", ""
    transport = Transport.NONE
    if mode:
        transport = word(variables, "FAXMODE", _TRANSPORTS, Transport.NONE, problems)
    files = headers.get("FileName", "")
    return FaxResult(
        operation=operation,
        channel=text(headers, "Channel"),
        pages=pages,
        data_rate=data_rate(headers, "TransferRate", problems)
        if rate and resolution != "0x0"
        else None,
        transport=transport,
        succeeded=succeeded,
        reason=failure_reason(error, status_string) if succeeded is False else None,
        local_station=text(headers, "LocalStationID"),
        remote_station=text(headers, "RemoteStationID"),
        file=text(headers, "FileName"),
        files=(files if isinstance(files, str) else ",".join(files))[:MAX_TEXT],
        began=began,
        unique_id=_unique_id(headers, "Uniqueid"),
        linked_id=_unique_id(headers, "Linkedid"),
        caller=_caller(headers),
        status_text=status_string,
        resolution=pixels(resolution),
        agreed=resolution != "0x0" if resolution else None,
        missing=tuple(
            name
            for name in RESULT_VARIABLES
            if name not in variables or (name == "FAXSTATUS" and not status)
        ),
    )


_UNIQUE_ID: Final = re.compile(rf"[\w.:@/+-]{{1,{MAX_UNIQUE_ID}}}", re.ASCII)
"""A name of this system, a time and a number. Who originates a call may write another one: what
would have to be escaped, where not every reader of metrics can, is taken for none."""


def _unique_id(headers: Headers, name: str) -> str:
    unique_id = text(headers, name)
    return unique_id if _UNIQUE_ID.fullmatch(unique_id) else ""


def _caller(headers: Headers) -> str:
    # Asterisk 11 and 12 have one header for both number and name.
    caller = text(headers, "CallerIDNum") or text(headers, "CallerID")
    return "" if caller == "<unknown>" else caller


def _channel_variables(headers: Headers) -> dict[str, str]:
    """By name. Asterisk up to 12 names the channel in the header: `ChanVariable(SIP/trunk-1)`."""
    variables = {}
    for header, value in headers.items():
        if header.lower().partition("(")[0] != "chanvariable":
            continue
        for item in [value] if isinstance(value, str) else value:
            name, _, content = item.partition("=")
            variables[name] = content[:MAX_TEXT]
    return variables
