"""What one Asterisk says over one connection: bytes in, answers and events out.
No asyncio, no clock, no I/O.

The strategy, in the manner of h11. `receive` gathers bytes until a message is whole: up to an empty
line. One that is too long is dropped as it comes. What is whole is one of three:

* a SendFAX or ReceiveFAX event, handed out as a `Completion`;
* a part of the answer to something that was asked, told by its ActionID: the response, and the
  events that follow it, up to the last, which makes an `Answer`;
* anything else: dropped without being parsed.

Asterisk works actions off strictly in the order in which they came. So when an
answer begins, whatever was asked before it and is not answered never will be: it is handed out as
lost.

All is handed out in the order in which it came, since a completion event that comes after FAXStats
belongs to a fax that these do not count yet. Nothing that comes can raise, or fill the memory.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from exporter.ami.messages import Answer, Expects, Headers, Request, read_headers
from exporter.words import visible

MAX_MESSAGE: Final = 256 * 1024
"""Bytes of one AMI message; Asterisk's own stay below 8 KiB. What is longer is skipped."""
MAX_LISTED: Final = 10_000
"""Entries of one list; a PBX with as many faxes at once does not exist."""
MAX_LIST: Final = 4 * 1024 * 1024
"""Characters of all entries of one list; twice what Asterisk writes for MAX_LISTED."""

_GREETING: Final = b"Asterisk Call Manager/"
_MAX_GREETING: Final = 100
_END: Final = b"\r\n\r\n"
_SESSION_EVENT: Final = re.compile(
    r"(?:Response: Success\r\nActionID: ([0-9]+)\r\nMessage: [^\r\n]* will follow\r\n\r\n)?"
    r"Event: FAX(?:Session(?:sEntry)?|Stats)\r\nActionID: (?(1)\1|([0-9]+))\r\n"
)
"""How an event about a session, or of the counts, begins, with the response before it if there is
one."""
_LIST_BOUND: Final = re.compile(
    r"Response: Success\r\nActionID: ([0-9]+)\r\nEventList: Start\r\n"
    r"Message: [^\r\n]* will follow\r\n\r\n"
    r"|Event: FAXSessionsComplete\r\nActionID: ([0-9]+)\r\nEventList: Complete\r\n"
    r"ListItems: ([0-9]+)\r\nTotal: [0-9]+\r\n\r\n"
)
"""The response before a list, or the event behind it. One pattern for both, as most of what floods
is neither."""
_WANTED: Final = re.compile(
    r"Response: |Event: (?:FAXSession(?:sEntry|sComplete)?|FAXStats|SendFAX|ReceiveFAX)(?:\r\n|\Z)"
)
"""How a message begins that is read; all others are dropped at once."""
_COMPLETIONS: Final = ("Event: SendFAX", "Event: ReceiveFAX")
_ACTION_ID: Final = "\r\nActionID: "
_SUCCEEDED: Final[Headers] = {"Response": "Success"}
"""The headers kept of a response that came together with its event."""


class NoAsterisk(Exception):
    """What began to speak is no manager port of an Asterisk."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A SendFAX or ReceiveFAX event: its whole text."""

    text: str


Received: TypeAlias = Answer | Completion


class Stream:
    """One connection's conversation with an Asterisk."""

    def __init__(self) -> None:
        self.greeting: str | None = None
        """The version of AMI; None until it was told."""
        self._buffer = bytearray()
        self._searched = 0
        """Bytes of the buffer in which no end of a message begins."""
        self._skipping = False
        """Whether the buffer begins in the middle of a message that is too long."""
        self._answers: dict[str, Answer] = {}
        """To all that was asked, by ActionID and in the order of asking. A part of the first may be
        here; of the others nothing has come, and their headers are empty."""
        self._characters_left = MAX_LIST
        """How long the entries still to come of the first may be, if that is a list."""

    @property
    def unread(self) -> bytes:
        """Bytes that came and were not taken as messages: before the greeting, all."""
        return bytes(self._buffer)

    def ask(self, request: Request, action_id: str) -> None:
        """Notes a request that is sent. `receive` will return its answer, after those to all that
        were asked before."""
        self._answers[action_id] = Answer(request)

    def receive(self, data: bytes) -> list[Received]:
        """What these bytes complete. Raises NoAsterisk."""
        self._buffer += data
        if self.greeting is None and not self._greet():
            return []
        received: list[Received] = []
        end = self._buffer.rfind(_END, self._searched) + len(_END)
        if end >= len(_END):
            whole = self._buffer[:end].decode("utf-8", "replace")
            del self._buffer[:end]
            self._take_messages(whole, received)
        if len(self._buffer) > MAX_MESSAGE:
            self._skipping = True
            del self._buffer[: 1 - len(_END)]
        self._searched = max(0, len(self._buffer) - len(_END) + 1)
        return received

    def _greet(self) -> bool:
        """Takes the first line, which is no message and ends with one CRLF. False: not yet here."""
        end = self._buffer.find(b"\r\n", 0, _MAX_GREETING)
        too_long = end < 0 and len(self._buffer) >= _MAX_GREETING
        if too_long or not self._buffer.startswith(_GREETING[: len(self._buffer)]):
            raise NoAsterisk
        if end < 0:
            return False
        version = self._buffer[len(_GREETING) : end].decode("ascii", "replace")
        self.greeting = visible(version)
        del self._buffer[: end + 2]
        return True

    def _take_messages(self, text: str, received: list[Received]) -> None:
        """Works off messages, each of which ends with an empty line."""
        at = 0
        if self._skipping:
            self._skipping = False
            at = text.index("\r\n\r\n") + 4
        while len(text) - at > len(_END):  # a list that is empty leaves one CRLF
            # The form that most messages have is tried first: it takes a fifth of the time.
            begin = _SESSION_EVENT.match(text, at)
            if begin is not None:
                lines = begin.end()
                end = text.index("\r\n\r\n", lines - 2)  # there may be no more lines
                if self._take_session_event(begin, text[lines:end], received):
                    at = end + 4
                    continue
            else:
                bound = _LIST_BOUND.match(text, at)
                if bound is not None and self._take_bound(bound, received):
                    at = bound.end()
                    continue
            end = text.index("\r\n\r\n", at)
            self._take_message(text[at:end], received)
            at = end + 4

    def _take_bound(self, bound: re.Match[str], received: list[Received]) -> bool:
        """Takes the response before a list, or the event behind it, without parsing their headers.
        False, with nothing taken, if it is not due."""
        begins, ends, entries = bound.groups()
        action_id = begins or ends
        answer = self._answers.get(action_id)
        if (
            answer is None
            or answer.request.expects is not Expects.LIST
            or (not answer.headers) != (not ends)
        ):
            return False
        if begins:
            self._begin(action_id, answer, _SUCCEEDED, received)
        else:
            answer.complete &= entries == str(len(answer.events))
            self._complete(action_id, received)
        return True

    def _take_session_event(
        self, begin: re.Match[str], lines: str, received: list[Received]
    ) -> bool:
        """Takes an event, and the response before it, without parsing their headers. False, with
        nothing taken, if to parse them could give something else."""
        with_response, alone = begin.groups()
        action_id = with_response or alone
        answer = self._answers.get(action_id)
        if (
            answer is None
            or (not answer.headers) == (not with_response)
            or _ACTION_ID in lines
            or lines.startswith("ActionID: ")
        ):
            return False
        expects = answer.request.expects
        if expects is Expects.NOTHING:
            return False
        if with_response:
            self._begin(action_id, answer, _SUCCEEDED, received)
        if expects is Expects.EVENT:
            answer.events.append(lines)
            self._complete(action_id, received)
        else:
            self._add_entry(answer, lines)
        return True

    def _take_message(self, text: str, received: list[Received]) -> None:
        # A response ends with one empty line more where its list is empty: res_fax.c.
        text = text.lstrip("\r\n")
        if not _WANTED.match(text):
            return
        if text.startswith(_COMPLETIONS):
            # Never an answer, whatever ActionID it has: that can be from the far end's station id.
            received.append(Completion(text))
            return
        before, *behind = text.split(_ACTION_ID)
        if len(behind) != 1:
            return
        action_id, _, after = behind[0].partition("\r\n")
        answer = self._answers.get(action_id)
        if answer is None:
            return
        expects, headers = answer.request.expects, read_headers(text)
        if not answer.headers:
            self._begin(action_id, answer, headers, received)
            if expects is Expects.NOTHING or not answer.success:
                self._complete(action_id, received)
        elif expects is Expects.LIST and str(headers.get("Event")).endswith("Complete"):
            announced = headers.get("ListItems", headers.get("Total"))
            answer.complete &= announced in (None, str(len(answer.events)))
            self._complete(action_id, received)
        else:
            _, _, lines = before.partition("\r\n")
            event = "\r\n".join(part for part in (lines, after) if part)
            if expects is Expects.EVENT:
                answer.events.append(event)
                self._complete(action_id, received)
            else:
                self._add_entry(answer, event)

    def _begin(
        self, action_id: str, answer: Answer, headers: Headers, received: list[Received]
    ) -> None:
        """Takes a response. What was asked earlier and is not answered by now is lost."""
        while (earlier := next(iter(self._answers))) != action_id:
            request = self._answers.pop(earlier).request
            received.append(Answer(request, lost=True))
        answer.headers = headers
        self._characters_left = MAX_LIST

    def _add_entry(self, answer: Answer, lines: str) -> None:
        """Takes an event of a list."""
        self._characters_left -= len(lines)
        if len(answer.events) < MAX_LISTED and self._characters_left >= 0:
            answer.events.append(lines)
        else:
            answer.complete = False

    def _complete(self, action_id: str, received: list[Received]) -> None:
        received.append(self._answers.pop(action_id))
