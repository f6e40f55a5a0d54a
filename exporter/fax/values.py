"""What Asterisk says about faxes, as values: parsing, and the rule of what may be asked.

No sockets, no clock, no Prometheus. A parser never raises: what cannot be read is left out and
named in `problems`. The facts are from Asterisk's res_fax.c and res_fax_spandsp.c, and spandsp.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from exporter.ami import Headers

Key = TypeVar("Key")
Value = TypeVar("Value")

MAX_TEXT: Final = 1024
"""Characters kept of free text. Channel names have at most 80; strangers may write more."""
MAX_REMEMBERED: Final = 10_000
"""Messages of each kind that are not read again when the next poll brings the same."""
MAX_NUMBER: Final = 2**31 - 1
MAX_PAGES: Final = 10_000
"""More pages than a day of faxing has: a larger reading is no page count."""
MAX_BAD_LINES: Final = 200_000
"""More than the lines of one page (4,600 at superfine, A4): a larger reading is no line count."""
MODEM_RATES: Final = (2400, 4800, 7200, 9600, 12000, 14400, 28800, 33600)
"""bit/s. spandsp can read out of bounds and report others, such as 16843010."""


class Operation(StrEnum):
    """What a session does, spelled as Asterisk does."""

    SEND = "send"
    RECEIVE = "receive"
    GATEWAY = "gateway"
    V21 = "V.21"
    NONE = "none"


class State(StrEnum):
    """Where a session is, spelled as Asterisk does. It only ever advances."""

    UNINITIALIZED = "Uninitialized"
    INITIALIZED = "Initialized"
    OPEN = "Open"
    ACTIVE = "Active"
    COMPLETE = "Complete"
    RESERVED = "Reserved"
    INACTIVE = "Inactive"
    UNKNOWN = "Unknown"


class Transport(StrEnum):
    """How the fax travels: as sound, as T.38 packets, or neither (gateways, V.21 detectors)."""

    G711 = "g711"
    T38 = "t38"
    NONE = "none"


class Reason(StrEnum):
    """Why a fax failed. The words follow those of Asterisk's own `fax show stats`."""

    CALL_DROPPED = "call_dropped"
    NO_FAX = "no_fax"
    NEGOTIATION = "negotiation_failed"
    TRAINING = "train_failure"
    RETRIES = "retries_exceeded"
    TX_PROTOCOL = "tx_protocol_error"
    RX_PROTOCOL = "rx_protocol_error"
    NOT_ACCEPTED = "not_accepted"
    FILE = "file_error"
    MEMORY = "memory_error"
    T38_NEGOTIATION = "t38_negotiation"
    TIMEOUT = "timeout"
    INIT = "init_error"
    ARGUMENTS = "invalid_arguments"
    UNKNOWN = "unknown"
    OTHER = "other"


class Problem(NamedTuple):
    """Something in a message that is not as Asterisk writes it."""

    field: str
    value: str


class ListedSession(NamedTuple):
    """One line of FAXSessions. Numbers start at 0 and only identify together with the channel."""

    number: int
    channel: str
    operation: Operation
    state: State
    transport: Transport
    files: str = ""
    """As Asterisk writes them, with commas between."""


class FaxSession(NamedTuple):
    """One answer of FAXSession. `None` where Asterisk said nothing, or nothing that is true."""

    number: int
    operation: Operation
    state: State
    ecm: bool | None
    data_rate: int | None
    """bit/s; one of MODEM_RATES."""
    resolution: tuple[int, int] | None
    """Pixels per metre, x and y. (0, 0) until the two ends have agreed."""
    page_number: int | None
    """Pages done + 1, also after the last."""
    pages: int | None
    """Pages confirmed so far in the direction of the operation; through a gateway: relayed."""
    bad_lines: int | None
    """Of the current page only, whatever the name TotalBadLines promises."""

    @property
    def negotiated(self) -> bool:
        """Whether rate and ECM are real; before negotiation Asterisk reads 14400 and No."""
        if self.data_rate is None or self.ecm is None:
            return False
        if self.operation is Operation.GATEWAY:
            return True
        return self.resolution is not None and self.resolution != (0, 0)


@dataclass(frozen=True, slots=True)
class FaxStats:
    """One answer of FAXStats: Asterisk's own counts since res_fax was loaded."""

    current_sessions: int | None
    reserved_sessions: int | None
    transmit_attempts: int | None
    receive_attempts: int | None
    completed: int | None
    """Failed ones are in it too."""
    failed: int | None


RESULT_VARIABLES: Final = ("FAXSTATUS", "FAXERROR", "FAXMODE", "FAXSTATUSSTRING")
"""What tells a fax' result, if `channelvars` in manager.conf names it."""
CHANNELVARS: Final = f"channelvars = {','.join(RESULT_VARIABLES)}"
"""The line that puts it on its completion event."""


_NUMBERS: Final = re.compile(r"(?:^|[-/ ])(\d{1,2})(?:\.(\d{1,3}))?(?=[-.~+]|$)")


@dataclass(frozen=True)
class Version:
    """What AsteriskVersion tells: `22.10.1`, `certified/18.9-cert4`, `SVN-branch-13-r4`,
    `GIT-18-1a2b3c`; None is not said."""

    major: int | None = None
    minor: int | None = None
    released: bool = False
    """Under this number alone: of others, the minor one does not say what they have."""

    @classmethod
    def parse(cls, said: str) -> "Version":
        """None of the numbers if there are none."""
        match = _NUMBERS.search(said)
        if match is None:
            return cls()
        minor = None if match[2] is None else int(match[2])
        return cls(int(match[1]), minor, match.start() == 0)

    @property
    def before_fax_actions(self) -> bool:
        """Up to 12: without FAXSessions, FAXSession and FAXStats, with basic expressions as event
        filters, and without channel variables on fax events. 13.0.0 has all three."""
        return self.major is not None and self.major < 13


class CoreStatus(NamedTuple):
    """One answer of CoreStatus: what tells one life of Asterisk from another."""

    started: str
    """Date and time to the second, in the PBX' own words; empty if it did not tell."""
    reloaded: str
    """The same as `started` until modules are reloaded."""
    calls: int | None
    """Processed since the start; older Asterisks do not tell."""


@dataclass(frozen=True, slots=True)
class FaxResult:
    """One SendFAX or ReceiveFAX event: a fax has ended, well or not."""

    operation: Operation
    channel: str
    """The name that the channel has now; in the list it keeps the first."""
    pages: int | None
    """Final, but 0 when the call dropped before the end although pages went through."""
    data_rate: int | None
    """bit/s; None if none was agreed."""
    transport: Transport
    """From FAXMODE; NONE without `channelvars`."""
    succeeded: bool | None
    """From FAXSTATUS; None without `channelvars`: Asterisk did not say, nobody guesses."""
    reason: Reason | None
    """Why it failed; None unless `succeeded` is False."""
    local_station: str = ""
    remote_station: str = ""
    """Station ids; the far end writes its own as it likes."""
    file: str = ""
    """The first, if there are several."""
    files: str = ""
    """All, as FAXSessions writes them: with commas between."""
    began: bool = True
    """False if no modem ever ran: FAXStats counts it as failed, and not as completed."""
    agreed: bool | None = None
    """Whether the two ends had agreed on anything; None if that was not told."""
    missing: tuple[str, ...] = ()
    """Those of RESULT_VARIABLES that `channelvars` did not put on the event."""


ASKABLE_STATES: Final = frozenset({State.ACTIVE, State.COMPLETE})
ASKABLE_OPERATIONS: Final = frozenset({Operation.SEND, Operation.RECEIVE, Operation.GATEWAY})


def may_ask(session: ListedSession) -> bool:
    """The query rule: whether FAXSession may be asked about a session just listed.

    FAXSession on a send or receive session that is still Initialized dereferences a null pointer
    and takes Asterisk down with every call on it, in all versions. A state only advances, so a
    session listed as Active or Complete stays safe to ask about. V.21 detectors have nothing to
    tell. Measured: 132,000 queries over 300 fax starts by this rule without harm.
    """
    return session.state in ASKABLE_STATES and session.operation in ASKABLE_OPERATIONS


_TRANSPORTS: Final = {
    "G.711": Transport.G711,
    "T.38": Transport.T38,
    "none": Transport.NONE,
    "audio": Transport.G711,  # FAXMODE's spelling
    "T38": Transport.T38,
}

# FAXERROR and FAXSTATUSSTRING, in lower case: the codes of res_fax.c, then the T.30 completion
# texts of spandsp's t30_completion_code_to_str(), grouped as res_fax_spandsp.c groups them.
_REASONS: Final[dict[str, Reason]] = {
    text.lower(): reason
    for reason, texts in {
        Reason.CALL_DROPPED: ("HANGUP", "The call dropped prematurely"),
        Reason.NO_FAX: (
            "The CED tone exceeded 5s",
            "Timed out waiting for initial communication",
            "Timed out waiting for the first message",
            "Timed out waiting for procedural interrupt",
            "The HDLC carrier did not stop in a timely manner",
        ),
        Reason.NEGOTIATION: (
            "Far end is not compatible",
            "Far end is not able to receive",
            "Far end is not able to transmit",
            "Far end cannot receive at the resolution of the image",
            "Far end cannot receive at the size of image",
        ),
        Reason.TRAINING: ("Failed to train with any of the compatible modems",),
        Reason.RETRIES: ("Disconnected after permitted retries",),
        Reason.TX_PROTOCOL: (
            "Received bad response to DCS or training",
            "Received a DCN from remote after sending a page",
            "Invalid ECM response received from receiver",
            "Received a DCN while waiting for a DIS",
            "Invalid response after sending a page",
            "Received other than DIS while waiting for DIS",
            "Received no response to DCS or TCF",
            "No response after sending a page",
            "Timed out waiting for receiver ready (ECM mode)",
        ),
        Reason.RX_PROTOCOL: (
            "Unexpected message received",
            "Invalid ECM response received from transmitter",
            "DCS received while waiting for DTC",
            "Unexpected command after page received",
            "Carrier lost during fax receive",
            "Timed out while waiting for EOL (end Of line)",
            "Timed out while waiting for first line",
            "Timer T2 expired while waiting for DCN",
            "Timer T2 expired while waiting for phase D",
            "Timer T2 expired while waiting for fax page",
            "Timer T2 expired while waiting for next fax page",
            "Timer T2 expired while waiting for RR command",
            "Timer T2 expired while waiting for NSS, DCS or MCF",
            "Unexpected DCN while waiting for DCS or DIS",
            "Unexpected DCN while waiting for image data",
            "Unexpected DCN while waiting for EOM, EOP or MPS",
            "Unexpected DCN after EOM or MPS sequence",
            "Unexpected DCN after RR/RNR sequence",
            "Unexpected DCN after requested retransmission",
        ),
        Reason.NOT_ACCEPTED: (
            "Operator intervention failed",
            "Poll not accepted",
            "Ident not accepted",
            "Sub-address not accepted",
            "Selective polling address not accepted",
            "Polled sub-address not accepted",
            "Sender identification not accepted",
            "Password not accepted",
            "Transmitting subscriber internet address not accepted",
            "Internet routing address not accepted",
            "Calling subscriber internet address not accepted",
            "Internet selective polling address not accepted",
            "Called subscriber internet address not accepted",
        ),
        Reason.FILE: (
            "FILE_ERROR",
            "TIFF/F file cannot be opened",
            "TIFF/F page not found",
            "TIFF/F format is not compatible",
            "TIFF/F page number tag missing",
            "Incorrect values for TIFF/F tags",
            "Bad TIFF/F header - incorrect values in fields",
        ),
        Reason.MEMORY: ("MEMORY_ERROR", "Cannot allocate memory for more pages"),
        Reason.T38_NEGOTIATION: ("T38_NEG_ERROR",),
        Reason.TIMEOUT: ("TIMEOUT", "fax session timed-out"),
        Reason.INIT: (
            "INIT_ERROR",
            "Channel Problems",
            "Error before FAX transmission started.",
            "error starting fax session",
            "failed to start FAX session",
        ),
        Reason.ARGUMENTS: ("INVALID_ARGUMENTS", "INVALID_ARGUMENT"),
        Reason.UNKNOWN: ("UNKNOWN",),
    }.items()
    for text in texts
}


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


_OPERATION: Final = {operation.value: operation for operation in Operation}
_STATE: Final = {state.value: state for state in State}

# The two messages that make up a poll, after Event and ActionID, as res_fax writes them for a fax.
# What is written in any other way is read header by header.
_LISTED_FAX: Final = re.compile(
    r"Channel: ([^\r\n]{0,80})\r\nTechnology: [^\r\n]*\r\nSessionNumber: ([0-9]{1,9})\r\n"
    r"SessionType: (G\.711|T\.38|none)\r\nOperation: (send|receive|gateway|V\.21|none)\r\n"
    rf"State: ({'|'.join(State)})\r\nFiles: ([^\r\n]{{0,{MAX_TEXT}}})"
)
_FAX: Final = re.compile(
    r"SessionNumber: ([0-9]{1,9})\r\n"
    rf"Operation: (send|receive)\r\nState: ({'|'.join(State)})\r\n"
    rf"ErrorCorrectionMode: (Yes|No)\r\nDataRate: ({'|'.join(map(str, MODEM_RATES))})\r\n"
    r"ImageResolution: ([0-9]{1,6})x([0-9]{1,6})\r\nPageNumber: ([0-9]{1,4})\r\n"
    r"FileName: [^\r\n]*\r\nPagesTransmitted: ([0-9]{1,4})\r\nPagesReceived: ([0-9]{1,4})\r\n"
    r"TotalBadLines: ([0-9]{1,5})"
)
_GATEWAY: Final = re.compile(
    r"SessionNumber: ([0-9]{1,9})\r\n"
    rf"Operation: gateway\r\nState: ({'|'.join(State)})\r\n"
    rf"ErrorCorrectionMode: (yes|no)\r\nDataRate: ({'|'.join(map(str, MODEM_RATES))})\r\n"
    r"PageNumber: ([0-9]{1,4})"
)


class Remembered(Generic[Key, Value]):
    """What was made of each thing, for as long as every poll brings it again: what is said of a
    session stays the same for long, and nothing is remembered of one that is gone."""

    def __init__(self, make: Callable[[Key], Value]) -> None:
        """`make`: what is remembered of; its None is not."""
        self._make = make
        self._before: dict[Key, Value] = {}
        self._now: dict[Key, Value] = {}

    def __len__(self) -> int:
        """How many things the last poll brought."""
        return len(self._now)

    def __call__(self, key: Key) -> Value:
        """What `make` makes of it."""
        value = self._before.get(key)
        if value is None:
            value = self._make(key)
        if value is not None and len(self._now) < MAX_REMEMBERED:
            self._now[key] = value
        return value

    def turn(self) -> None:
        """The next poll begins."""
        self._before, self._now = self._now, {}


def read_listed(body: str) -> ListedSession | None:
    """What `parse_listed` makes of a FAXSessionsEntry, if it is written as for any fax. `body`: its
    lines after Event and ActionID, MAX_LINE characters at most."""
    said = _LISTED_FAX.fullmatch(body)
    if said is None:
        return None
    channel, number, transport, operation, state, files = said.groups()
    return ListedSession(
        int(number),
        channel,
        _OPERATION[operation],
        _STATE[state],
        _TRANSPORTS[transport],
        files,
    )


def read_session(body: str) -> FaxSession | None:
    """What `parse_session` makes of a FAXSession, if it is written as for any fax. `body`: its
    lines after Event and ActionID, MAX_LINE characters at most."""
    said = _FAX.fullmatch(body)
    if said is None:
        return _read_gateway(body)
    number, operation, state, ecm, rate, x, y, page, sent, received, bad_lines = said.groups()
    return FaxSession(
        int(number),
        _OPERATION[operation],
        _STATE[state],
        ecm == "Yes",
        int(rate),
        (int(x), int(y)),
        int(page),
        int(sent if operation == "send" else received),
        int(bad_lines),
    )


def _read_gateway(body: str) -> FaxSession | None:
    said = _GATEWAY.fullmatch(body)
    if said is None:
        return None
    number, state, ecm, rate, page = said.groups()
    return FaxSession(
        number=int(number),
        operation=Operation.GATEWAY,
        state=_STATE[state],
        ecm=ecm == "yes",
        data_rate=int(rate),
        resolution=None,
        page_number=int(page),
        pages=max(0, int(page) - 1),
        bad_lines=None,
    )


def parse_listed(headers: Headers, problems: list[Problem]) -> ListedSession | None:
    """A FAXSessionsEntry; None, and why in `problems`, if it has no usable session number."""
    number = _number(headers, "SessionNumber", MAX_NUMBER, problems)
    if number is None:
        return None
    return ListedSession(
        number=number,
        channel=_text(headers, "Channel"),
        operation=_word(headers, "Operation", Operation, Operation.NONE, problems),
        state=_word(headers, "State", State, State.UNKNOWN, problems),
        transport=_transport(headers, "SessionType", problems),
        files=_text(headers, "Files"),
    )


def parse_session(headers: Headers, problems: list[Problem]) -> FaxSession | None:
    """A FAXSession event; None, and why in `problems`, if it has no usable session number."""
    number = _number(headers, "SessionNumber", MAX_NUMBER, problems)
    if number is None:
        return None
    operation = _word(headers, "Operation", Operation, Operation.NONE, problems)
    page_number = _number(headers, "PageNumber", MAX_PAGES + 1, problems)
    pages = None
    if operation is Operation.GATEWAY:
        pages = None if page_number is None else max(0, page_number - 1)
    elif operation is Operation.SEND:
        pages = _number(headers, "PagesTransmitted", MAX_PAGES, problems)
    elif operation is Operation.RECEIVE:
        pages = _number(headers, "PagesReceived", MAX_PAGES, problems)
    return FaxSession(
        number=number,
        operation=operation,
        state=_word(headers, "State", State, State.UNKNOWN, problems),
        ecm=_ecm(headers, problems),
        data_rate=_data_rate(headers, "DataRate", problems),
        resolution=_resolution(headers, problems),
        page_number=page_number,
        pages=pages,
        bad_lines=_number(headers, "TotalBadLines", MAX_BAD_LINES, problems),
    )


def parse_stats(headers: Headers, problems: list[Problem]) -> FaxStats:
    """A FAXStats event."""
    return FaxStats(
        current_sessions=_number(headers, "CurrentSessions", MAX_NUMBER, problems),
        reserved_sessions=_number(headers, "ReservedSessions", MAX_NUMBER, problems),
        transmit_attempts=_number(headers, "TransmitAttempts", MAX_NUMBER, problems),
        receive_attempts=_number(headers, "ReceiveAttempts", MAX_NUMBER, problems),
        completed=_number(headers, "CompletedFAXes", MAX_NUMBER, problems),
        failed=_number(headers, "FailedFAXes", MAX_NUMBER, problems),
    )


def parse_core_status(headers: Headers) -> CoreStatus:
    """A CoreStatus."""
    return CoreStatus(
        started=f"{_text(headers, 'CoreStartupDate')} {_text(headers, 'CoreStartupTime')}".strip(),
        reloaded=f"{_text(headers, 'CoreReloadDate')} {_text(headers, 'CoreReloadTime')}".strip(),
        calls=_number(headers, "CoreProcessedCalls", MAX_NUMBER, []),
    )


def parse_result(headers: Headers, problems: list[Problem]) -> FaxResult | None:
    """A SendFAX or ReceiveFAX event; None if it is neither, or of no channel."""
    operation = {"SendFAX": Operation.SEND, "ReceiveFAX": Operation.RECEIVE}.get(
        _text(headers, "Event")
    )
    # The far end writes its station id itself, and "\r\n\r\nEvent: SendFAX" fits into one.
    if operation is None or "Channel" not in headers:
        return None
    variables = _channel_variables(headers)
    status = variables.get("FAXSTATUS", "")
    succeeded = {"SUCCESS": True, "FAILED": False}.get(status)
    if succeeded is None and status:
        problems.append(Problem("FAXSTATUS", status))
    mode = variables.get("FAXMODE", "")
    error, status_string = variables.get("FAXERROR", ""), variables.get("FAXSTATUSSTRING", "")
    pages = _number(headers, "PagesTransferred", MAX_PAGES, problems)
    rate, resolution = _text(headers, "TransferRate"), _text(headers, "Resolution")
    empty = not (pages or rate or resolution or status_string)
    began = not (
        status_string.lower() in _NEVER_BEGAN
        or error.lower() == "channel problems"
        or (empty and pages == 0 and error.lower() in ("", "init_error") and not succeeded)
    )
    if not began or status_string.lower() in _NO_MODEM or error.lower() == "init_error":
        # Nobody filled these in: they are empty, or still those of the fax before on this channel.
        pages, rate, resolution = None, "", ""
    files = headers.get("FileName", "")
    return FaxResult(
        operation=operation,
        channel=_text(headers, "Channel"),
        pages=pages,
        data_rate=_data_rate(headers, "TransferRate", problems)
        if rate and resolution != "0x0"
        else None,
        transport=_transport(variables, "FAXMODE", problems) if mode else Transport.NONE,
        succeeded=succeeded,
        reason=failure_reason(error, status_string) if succeeded is False else None,
        local_station=_text(headers, "LocalStationID"),
        remote_station=_text(headers, "RemoteStationID"),
        file=_text(headers, "FileName"),
        files=(files if isinstance(files, str) else ",".join(files))[:MAX_TEXT],
        began=began,
        agreed=resolution != "0x0" if resolution else None,
        missing=tuple(
            name
            for name in RESULT_VARIABLES
            if name not in variables or (name == "FAXSTATUS" and not status)
        ),
    )


def last_file(files: str) -> str:
    """The file of a fax, of those that its channel has been given so far, with commas between, and
    with what a far end put before it by its station id; empty if that cannot be told."""
    return "" if len(files) >= MAX_TEXT else files.rpartition(",")[2]


def failure_reason(error: str, status_string: str) -> Reason:
    """One of the bounded reasons for FAXERROR, or else for FAXSTATUSSTRING, or else OTHER.

    A code of res_fax that says nothing (UNKNOWN) gives way to a text that does.
    """
    reasons = [_REASONS.get(text.strip().lower()) for text in (error, status_string)]
    known = [reason for reason in reasons if reason is not None]
    for reason in known:
        if reason is not Reason.UNKNOWN:
            return reason
    return known[0] if known else Reason.OTHER


def printable(text: str) -> str:
    """With a question mark for all that is not printable ASCII: fit for a label."""
    return _UNPRINTABLE.sub("?", text[:MAX_TEXT])


_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
_WRAPPERS: Final = frozenset({"AsyncGoto", "Bridge", "Parked", "Surrogate", "Transfered"})
"""What Asterisk, of one version or another, puts before the whole name of a channel."""
_ENDED: Final = re.compile(r"(?:<(?:ZOMBIE|MASQ)>|[;,][12])+$")
"""What it puts behind one that was masqueraded, and behind each half of a Local channel."""
_SERIAL: Final = re.compile(
    r"-(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"  # AudioSocket, a UUID
    r"|0x[0-9A-Fa-f]+"  # UnicastRTP, WebSocket: an address
    r"|u[0-9]+"  # mISDN
    r"|[0-9]+\.[0-9]+"  # Khomp
    r"|[0-9A-Fa-f]+)$"  # all others
)
_PASSING: Final = re.compile(r"0x[0-9A-Fa-f]+|tmp[0-9]+")
"""Instead of an endpoint: MulticastRTP's address, mISDN before it has a port. Snoop's is a call."""
_WITH_SLASH: Final = frozenset({"MGCP"})
"""Technologies whose endpoints may have a slash: MGCP/aaln/1@gateway."""


def peer_of(channel: str) -> str:
    """A channel's technology and endpoint without its serial: `PJSIP/trunk-berlin`.

    What a technology adds behind the endpoint is left out: in `DAHDI/i1/5551234-2` it is the
    number dialled. So is what stands before the context of a Local channel, and for the same
    reason: `Local/5551234@faxes-0000002a;1` is of `Local/faxes`. What is not printable becomes a
    question mark. Empty if the name is not of the form technology/endpoint.
    """
    technology, slash, rest = _ENDED.sub("", channel[:MAX_TEXT]).partition("/")
    while technology in _WRAPPERS and "/" in rest:
        technology, slash, rest = _ENDED.sub("", rest).partition("/")
    if not slash:
        return ""
    endpoint = _SERIAL.sub("", rest)
    if technology == "Local":
        endpoint = endpoint.rpartition("@")[2] if "@" in endpoint else ""
    if technology not in _WITH_SLASH:
        endpoint = endpoint.partition("/")[0]
    if technology == "Snoop" or _PASSING.fullmatch(endpoint):
        endpoint = ""
    peer = f"{technology}/{endpoint}" if technology and endpoint else ""
    return "".join([c if c.isprintable() else "?" for c in peer])


_Word = TypeVar("_Word", bound=StrEnum)


def _text(headers: Headers, name: str) -> str:
    value = headers.get(name, "")
    if not isinstance(value, str):  # repeated: the first is the one Asterisk wrote itself
        value = value[0]
    return value[:MAX_TEXT]


def _single(headers: Headers, name: str, problems: list[Problem]) -> str | None:
    """The value of a header that must stand there once, if at all."""
    value = headers.get(name)
    if value is None or isinstance(value, str):
        return value
    problems.append(Problem(name, f"{len(value)} times: {value[0]}"[:MAX_TEXT]))
    return None


def _number(headers: Headers, name: str, most: int, problems: list[Problem]) -> int | None:
    value = _single(headers, name, problems)
    if value is None:
        return None
    # The length first: int() of a very long string raises, and takes long before it does.
    if len(value) <= 10 and value.isascii() and value.isdigit() and int(value) <= most:
        return int(value)
    problems.append(Problem(name, value[:MAX_TEXT]))
    return None


def _word(
    headers: Headers, name: str, words: type[_Word], other: _Word, problems: list[Problem]
) -> _Word:
    value = _single(headers, name, problems) or ""
    try:
        return words(value)
    except ValueError:
        problems.append(Problem(name, value[:MAX_TEXT]))
        return other


def _transport(headers: Headers, name: str, problems: list[Problem]) -> Transport:
    value = _single(headers, name, problems)
    transport = _TRANSPORTS.get(value or "")
    if transport is None:
        problems.append(Problem(name, str(value)[:MAX_TEXT]))
        return Transport.NONE
    return transport


def _ecm(headers: Headers, problems: list[Problem]) -> bool | None:
    value = _single(headers, "ErrorCorrectionMode", problems)
    if value is None:
        return None
    # "Yes"/"No" for faxes, "yes"/"no" for gateways.
    ecm = {"yes": True, "no": False}.get(value[:MAX_TEXT].lower())
    if ecm is None:
        problems.append(Problem("ErrorCorrectionMode", value[:MAX_TEXT]))
    return ecm


def _data_rate(headers: Headers, name: str, problems: list[Problem]) -> int | None:
    rate = _number(headers, name, MAX_NUMBER, problems)
    if rate is None or rate in MODEM_RATES:
        return rate
    if rate != 0:  # 0 is a gateway's word for "not yet"
        problems.append(Problem(name, str(rate)))
    return None


def _resolution(headers: Headers, problems: list[Problem]) -> tuple[int, int] | None:
    value = _single(headers, "ImageResolution", problems)
    if value is None:
        return None
    x, _, y = value.partition("x")
    if all(len(part) <= 6 and part.isascii() and part.isdigit() for part in (x, y)):
        return int(x), int(y)
    problems.append(Problem("ImageResolution", value[:MAX_TEXT]))
    return None


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
