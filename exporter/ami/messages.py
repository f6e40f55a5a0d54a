"""Requests to an Asterisk and its answers, as values; how they are written, and headers read.
stream.py knows which bytes make a message, and which request an answer belongs to.

The only file that knows panoramisk: its Action builds what is sent, its Message reads what comes
into headers whose case does not matter. Its own connection is not used: in 1.4 that waits for ever
on FAXSession and FAXStats, sends the secret in the clear, reconnects every 2 s whatever the reason,
and raises on messages it does not expect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Final, TypeAlias

from panoramisk.actions import Action
from panoramisk.message import Message

Headers: TypeAlias = Mapping[str, str | list[str]]
"""One AMI message: header name to its value, or to all its values where it was repeated."""

_ID_PLACEHOLDER: Final = "=ActionID="
"""A placeholder: a request is built once, and its ActionID put in each time it is sent."""


class Expects(Enum):
    """What follows a successful response."""

    NOTHING = "nothing"
    EVENT = "one event"
    LIST = "events up to one whose name ends in Complete"


@dataclass(frozen=True)
class Request:
    """One action, which can be asked any number of times. No line end may be in its headers."""

    action: str
    expects: Expects = Expects.NOTHING
    headers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def around_id(self) -> tuple[str, str]:
        """The text that is sent: what is before the ActionID, and what is after it. Needs a running
        event loop, since panoramisk's Action makes a future."""
        text = str(Action({"Action": self.action, "ActionID": _ID_PLACEHOLDER, **self.headers}))
        before, _, after = text.partition(_ID_PLACEHOLDER)
        return before, after

    @cached_property
    def size(self) -> int:
        """Bytes that are sent, without those of the ActionID."""
        return len("".join(self.around_id).encode())


@dataclass(slots=True)
class Answer:
    """All that came back to one request."""

    request: Request
    headers: Headers = field(default_factory=dict)
    """Those of the response."""
    events: list[str] = field(default_factory=list)
    """The lines of each event, without those of Event and ActionID."""
    lost: bool = False
    """Nothing came back, though later requests were answered."""
    complete: bool = True
    """False if a list was too long to be kept whole, or had not as many entries as it said."""

    @property
    def success(self) -> bool:
        """Whether Asterisk did what was asked."""
        return self.headers.get("Response") == "Success"

    @property
    def message(self) -> str:
        """Asterisk's own words; empty without any."""
        return str(self.headers.get("Message", ""))

    @property
    def denied(self) -> bool:
        """Whether the user lacks the class that the action needs."""
        return not self.success and self.message.startswith("Permission denied")

    @property
    def unknown(self) -> bool:
        """Whether the module that has this action is not loaded."""
        return not self.success and self.message.startswith("Invalid/unknown command")

    @property
    def shutting_down(self) -> bool:
        """Whether Asterisk refuses every action, from `core stop gracefully` until its last call
        has ended (manager.c, process_message)."""
        return not self.success and self.message.startswith("Asterisk is shutting down")

    @property
    def not_found(self) -> bool:
        """Whether the session that was asked about has ended since it was listed."""
        return not self.success and self.message == "Session not found"


def read_headers(message: str) -> Headers:
    """The headers of a message that begins with Event or Response; none of any other."""
    headers: Headers | None = Message.from_line(message)
    return {} if headers is None else headers


def read_event(lines: str) -> Headers:
    """The headers of an event of an Answer."""
    return read_headers(f"Event: \r\n{lines}")
