"""What Asterisk says about faxes, as values, and the rule which sessions it may be asked about.

No parsing, no I/O, no clock. The facts are from Asterisk's res_fax.c and res_fax_spandsp.c, and
spandsp.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from exporter.fax.reasons import Reason
from exporter.words import visible

MAX_TEXT: Final = 1024
"""Characters kept of free text. Channel names have at most 80; a far end can write more."""
MAX_UNIQUE_ID: Final = 64
"""Characters; an exemplar may have 128 with its label."""
MAX_NUMBER: Final = 2**31 - 1
MAX_PAGES: Final = 10_000
"""More pages than a day of faxing has: a larger reading is no page count."""
MAX_BAD_LINES: Final = 200_000
"""More than the lines of one page (4,600 at superfine, A4): a larger reading is no line count."""
MODEM_RATES: Final = (2400, 4800, 7200, 9600, 12000, 14400, 28800, 33600)
"""bit/s. spandsp can read beyond its table and report others, such as 16843010."""


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
    """With commas between, as Asterisk writes them."""


class FaxSession(NamedTuple):
    """One answer of FAXSession. `None` where Asterisk gave no value, or none that can be true."""

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
        """Whether rate and ECM are agreed; until then Asterisk reports 14400 and No."""
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
    """Failed ones included."""
    failed: int | None


RESULT_VARIABLES: Final = ("FAXSTATUS", "FAXERROR", "FAXMODE", "FAXSTATUSSTRING")
"""Variables with the result of a fax; its event has those that `channelvars` names."""
CHANNELVARS: Final = f"channelvars = {','.join(RESULT_VARIABLES)}"
"""The line of manager.conf that puts them on completion events."""

_NUMBERS: Final = re.compile(r"(?:^|[-/ ])(\d{1,2})(?:\.(\d{1,3}))?(?=[-.~+]|$)")


@dataclass(frozen=True)
class Version:
    """The numbers in AsteriskVersion: `22.10.1`, `certified/18.9-cert4`, `SVN-branch-13-r4`,
    `GIT-18-1a2b3c`; None where there is none."""

    major: int | None = None
    minor: int | None = None
    released: bool = False
    """Whether it is the plain release of this number. For others, such as certified ones, the minor
    number does not tell which features they have."""

    @classmethod
    def parse(cls, text: str) -> "Version":
        """From the text of AsteriskVersion; without numbers if it has none."""
        match = _NUMBERS.search(text)
        if match is None:
            return cls()
        minor = None if match[2] is None else int(match[2])
        return cls(int(match[1]), minor, match.start() == 0)

    @property
    def before_fax_actions(self) -> bool:
        """Whether it is 12 or older: without FAXSessions, FAXSession and FAXStats, without channel
        variables on fax events, and with event filters that are basic regular expressions."""
        return self.major is not None and self.major < 13


class CoreStatus(NamedTuple):
    """One answer of CoreStatus: by it a restart of Asterisk is noticed."""

    started: str
    """Date and time to the second, as Asterisk writes them; empty if it did not."""
    reloaded: str
    """The same as `started` until modules are reloaded."""
    calls: int | None
    """Processed since the start; None from older Asterisks."""
    start: int | None = None
    """`started` in seconds since the epoch; None if unknown: CoreStatus does not tell the zone."""


@dataclass(frozen=True, slots=True)
class FaxResult:
    """One SendFAX or ReceiveFAX event: a fax has ended, well or not."""

    operation: Operation
    channel: str
    """The name that the channel has now; FAXSessions keeps the first one."""
    pages: int | None
    """Of the whole fax; but 0 if the call dropped, although pages went through."""
    data_rate: int | None
    """bit/s; None if none was agreed."""
    transport: Transport
    """From FAXMODE; NONE without `channelvars`."""
    succeeded: bool | None
    """From FAXSTATUS; None without `channelvars`: it is not guessed."""
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
    """Whether the two ends had agreed on a resolution; None if the event does not tell."""
    unique_id: str = ""
    """Of its channel: what names the call in CDR, CEL and the log. Empty if it is longer than
    MAX_UNIQUE_ID, or has characters that Asterisk does not make one of: changed it would name
    none."""
    linked_id: str = ""
    """Of the first channel of its call, under the same condition. Asterisk 13.5 and later."""
    caller: str = ""
    """Its channel's caller id; empty if there is none."""
    status_text: str = ""
    """FAXSTATUSSTRING; empty without `channelvars`."""
    resolution: tuple[int, int] | None = None
    """Pixels per metre, x and y; None if none was agreed."""
    missing: tuple[str, ...] = ()
    """Those of RESULT_VARIABLES that `channelvars` did not put on the event."""


ASKABLE_STATES: Final = (State.ACTIVE, State.COMPLETE)
ASKABLE_OPERATIONS: Final = (Operation.SEND, Operation.RECEIVE, Operation.GATEWAY)


def may_ask(session: ListedSession) -> bool:
    """The query rule: whether FAXSession may be asked about a session just listed.

    FAXSession on a send or receive session that is still Initialized dereferences a null pointer
    and takes Asterisk down with every call on it, in all versions. A state only advances, so a
    session listed as Active or Complete stays safe to ask about. V.21 detectors have nothing to
    tell. Measured: 132,000 queries over 300 fax starts by this rule without harm.
    """
    return session.state in ASKABLE_STATES and session.operation in ASKABLE_OPERATIONS


def last_file(files: str) -> str:
    """A fax's own file: the last of `files`, which are all that its channel was given so far, with
    commas between. A far end can add some by its station id, but only before it. Empty if `files`
    is so long that its end was cut off."""
    return "" if len(files) >= MAX_TEXT else files.rpartition(",")[2]


def printable(text: str) -> str:
    """A text fit for a label or a line of a report: its first MAX_TEXT characters, `visible`."""
    return visible(text[:MAX_TEXT])
