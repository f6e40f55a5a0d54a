"""One connection to one Asterisk: log in, ask, hear events. The only file that knows panoramisk.

panoramisk is used one Manager a connection and without its own login, pinging, reconnecting and
splitting of the stream: 1.4 waits for ever on FAXSession and FAXStats, sends the secret in the
clear, reconnects every 2 s whatever the reason, and raises on messages it does not expect.
"""

import asyncio
import hashlib
import logging
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeAlias

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message

from exporter.ami.diagnosis import (
    SHUTTING_DOWN,
    Cause,
    cause_of,
    no_tls,
    not_greeted,
    refused_login,
    unknown_name,
    unreached,
)
from exporter.ami.messages import MAX_LINE, Headers
from exporter.settings import AmiSettings
from exporter.tls_files import load_identity, load_trusted, signatures

MAX_MESSAGE: Final = 256 * 1024
"""Bytes of one AMI message; Asterisk's own stay below 8 KiB. What is longer is skipped."""
MAX_LISTED: Final = 10_000
"""Entries of one list; a PBX with as many faxes at once does not exist."""
MAX_LIST: Final = 4 * 1024 * 1024
"""Characters of all entries of one list; twice what Asterisk writes for MAX_LISTED."""
READ_SIZE: Final = 64 * 1024
"""Bytes of one read."""
READ_PAUSE: Final = 0.001
"""Seconds in which what comes is gathered before it is read."""
MAX_OUTSTANDING: Final = 100
"""Requests in flight: the PBX never has more than this of ours to work off."""
TLS_IN_FLIGHT: Final = 1024
"""Bytes of requests in flight over TLS: what is written and not answered.

`get_input` of Asterisk's main/manager.c reads into a buffer of 1024 bytes. What more there is of a
TLS record OpenSSL holds, while Asterisk waits for the socket: until something else comes, nothing
is answered. Up to 13 a FILE with a buffer of its own lies between (main/tcptls.c), which takes no
answer as long as it holds something unread, and Asterisk hangs up. So it does, in all versions,
when a record comes in two pieces (`iostream_read` of main/iostream.c): no write is longer than what
fits into one TCP segment, and there are few.
"""
LONGEST_OVER_TLS: Final = TLS_IN_FLIGHT - 64
"""Bytes of a request over TLS. The rest is for a Ping, asked whatever else is unanswered."""

_GREETING: Final = b"Asterisk Call Manager/"
_MAX_GREETING: Final = 100
_END: Final = b"\r\n\r\n"
_OF_A_SESSION: Final = re.compile(
    r"(?:Response: Success\r\nActionID: ([0-9]+)\r\nMessage: [^\r\n]* will follow\r\n\r\n)?"
    r"Event: FAXSession(?:sEntry)?\r\nActionID: (?(1)\1|([0-9]+))\r\n"
)
"""How an event about a session begins, with the response before it if there is one."""
_WANTED: Final = re.compile(
    r"(?:Response: [^\r]*|Event: (?:FAXSession(?:sEntry|sComplete)?|FAXStats|SendFAX|ReceiveFAX))"
    r"(?:\r\n|\Z)"
)
"""How a message begins that is not dropped at once."""
_COMPLETIONS: Final = ("Event: SendFAX", "Event: ReceiveFAX")
_IDENTITY: Final = "\r\nActionID: "
_SUCCEEDED: Final[Headers] = {"Response": "Success"}
"""What is read of a response that is followed by its event at once."""

# panoramisk logs what it sends; what there is to say is said by whoever uses this file.
_silent = logging.getLogger(f"{__name__}.panoramisk")
_silent.setLevel(logging.CRITICAL + 1)


class AmiError(Exception):
    """The PBX cannot be asked; the message says what was tried and what came back."""


class ConnectError(AmiError):
    """No connection, or not to an Asterisk manager port."""

    def __init__(self, said: str, cause: Cause) -> None:
        """`said`: what was tried, what came back, what to do."""
        super().__init__(said)
        self.cause = cause


class LoginRefused(AmiError):
    """Asterisk does not let this user in; trying again soon only locks the user out."""

    def __init__(self, said: str, cause: Cause) -> None:
        """`said`: what was tried, what came back, what to do."""
        super().__init__(said)
        self.cause = cause


class ShuttingDown(AmiError):
    """Asterisk stops or restarts once its calls have ended, and lets nobody in until then."""


class ConnectionLost(AmiError):
    """The connection ended while an answer was awaited."""


class TooLong(AmiError):
    """A request that Asterisk cannot read over TLS."""


class Expects(Enum):
    """What follows a successful response."""

    NOTHING = "nothing"
    EVENT = "one event"
    LIST = "events up to one whose name ends in Complete"


@dataclass(frozen=True)
class Request:
    """One action."""

    action: str
    expects: Expects = Expects.NOTHING
    headers: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[str], Any] = lambda _: None
    """What makes a value of an event's lines after Event and ActionID, or None."""

    @cached_property
    def parts(self) -> tuple[str, str]:
        """As it goes over the wire: what stands before the ActionID, and what after it."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        return f"Action: {self.action}\r\nActionID: ", f"\r\n{lines}\r\n"

    @cached_property
    def size(self) -> int:
        """Bytes of its parts."""
        return len("".join(self.parts).encode())


@dataclass(slots=True)
class Answer:
    """What came back. `lost`: nothing did, though later requests were answered."""

    headers: Headers = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    """What the request's `read` made of each, else its Headers."""
    lost: bool = False
    complete: bool = True
    """False if a list was longer than MAX_LISTED or MAX_LIST, or than it said itself."""

    @property
    def success(self) -> bool:
        """Whether Asterisk did what was asked."""
        return self.headers.get("Response") == "Success"

    @property
    def message(self) -> str:
        """Asterisk's own words."""
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


_PING: Final = Request("Ping")
_CHALLENGE: Final = Request("Challenge", headers={"AuthType": "MD5"})


Take: TypeAlias = Callable[[Request, Answer], None]
"""What is done with an answer, at the moment it is complete."""

_numbers: Final = count(1)
_DIGITS: Final = 20
"""More than an ActionID will ever have."""


class _Batch:
    """Requests submitted at once. `done` when all of them are answered."""

    __slots__ = ("_left", "_take", "done")

    def __init__(self, size: int, take: Take) -> None:
        self._left = size
        self._take = take
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, request: Request, answer: Answer) -> None:
        """Hands over one answer, unless nobody waits any more."""
        if self.done.done():
            return
        try:
            self._take(request, answer)
        except Exception as error:  # it is whoever waits who is to know
            self.fail(error)
            return
        self._left -= 1
        if not self._left:
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # whoever waited may have gone: nobody must be warned of it


class _Pending:
    """A request that was sent, and knows when its answer is complete."""

    __slots__ = ("_room", "answer", "batch", "request", "size")

    def __init__(self, request: Request, batch: _Batch, size: int) -> None:
        self.request = request
        self.batch = batch
        self.size = size
        self.answer: Answer | None = None
        self._room = MAX_LIST

    def add_message(self, headers: Headers, size: int) -> bool:
        """Takes the response or one event, of `size` characters; True if it was the last."""
        answer, expects = self.answer, self.request.expects
        if answer is None:
            self.answer = Answer(headers=headers)
            return expects is Expects.NOTHING or not self.answer.success
        if expects is Expects.LIST and str(headers.get("Event", "")).endswith("Complete"):
            announced = headers.get("ListItems", headers.get("Total"))
            answer.complete &= announced in (None, str(len(answer.events)))
            return True
        return self.add_event(answer, headers, size)

    def add_event(self, answer: Answer, event: Any, size: int) -> bool:
        """Takes one event, of `size` characters; True if it was the last."""
        if self.request.expects is Expects.EVENT:
            answer.events.append(event)
            return True
        self._room -= size
        if len(answer.events) < MAX_LISTED and self._room >= 0:
            answer.events.append(event)
        else:
            answer.complete = False
        return False


class _Protocol(AMIProtocol):
    """panoramisk's protocol, splitting the stream by bytes: nothing that comes can raise, block
    or fill the memory, unwanted events are dropped unparsed, and no character is cut in two."""

    def __init__(self, on_event: Callable[[Headers], None]) -> None:
        self._on_event = on_event
        self._buffer = bytearray()
        self._searched = 0
        self._skipping = False
        self._unwritten: deque[tuple[Request, _Batch]] = deque()
        self._in_flight = 0
        self._tls = False
        self.greeted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.idle = asyncio.Event()
        self.idle.set()
        self.heard_at = self.answered_at = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # asyncio's 256 KiB are mapped anew for every read, which takes longer than to read.
        transport.max_size = READ_SIZE  # type: ignore[attr-defined]
        self._tls = transport.get_extra_info("ssl_object") is not None

    @property
    def heard(self) -> bytes:
        """What came and is not worked off: with no greeting, all."""
        return bytes(self._buffer)

    def submit(self, requests: Sequence[Request], take: Take) -> "asyncio.Future[None]":
        """Sends all requests, over TLS as there is room; each answer is taken at the moment it is
        complete, and the future is done with the last. Raises TooLong."""
        longest = max(request.size for request in requests) + _DIGITS if self._tls else 0
        if longest > LONGEST_OVER_TLS:
            raise TooLong(f"{longest} bytes, and over TLS Asterisk reads {LONGEST_OVER_TLS}")
        if self.idle.is_set():
            self.answered_at = asyncio.get_running_loop().time()
        self.idle.clear()
        batch = _Batch(len(requests), take)
        self._unwritten.extend([(request, batch) for request in requests])
        self._write()
        return batch.done

    def _write(self) -> None:
        """Writes what was submitted and is still wanted, over TLS as far as there is room."""
        written = []
        begun, size = self._in_flight, 0
        while self._unwritten:
            asked = request, batch = self._unwritten.popleft()
            if batch.done.done():
                continue
            identity = str(next(_numbers))
            if self._tls:
                size = request.size + len(identity)
                if not self._has_room(request, size, begun):
                    self._unwritten.appendleft(asked)
                    break
                self._in_flight += size
            self.responses[identity] = _Pending(request, batch, size)
            before, after = request.parts
            written.append(f"{before}{identity}{after}")
        if written:
            # By one write, which costs more than all else of a request.
            self.transport.write("".join(written).encode())
        elif not self.responses and not self._unwritten:
            self.idle.set()

    def _has_room(self, request: Request, size: int, begun: int) -> bool:
        """Whether a request may be written now; `begun`: bytes in flight before this write."""
        if request is _PING:
            return self._in_flight + size <= TLS_IN_FLIGHT
        # Not answer by answer: each write costs, and is a record of its own. Nor by halves, when
        # what comes after a little more than one would have to wait for the next round trip.
        return begun <= TLS_IN_FLIGHT * 3 // 4 and self._in_flight + size <= LONGEST_OVER_TLS

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.heard_at = loop.time()
        if len(data) < READ_SIZE // 4:
            # Asterisk writes message by message: more is about to come, better read together.
            self.transport.pause_reading()
            loop.call_later(READ_PAUSE, self.transport.resume_reading)
        self._buffer += data
        if not self.greeted.done() and not self._greet():
            return
        end = self._buffer.rfind(_END, self._searched) + len(_END)
        if end >= len(_END):
            whole = self._buffer[:end].decode("utf-8", "replace")
            del self._buffer[:end]
            self._messages(whole)
        if len(self._buffer) > MAX_MESSAGE:
            self._skipping = True
            del self._buffer[: 1 - len(_END)]
        self._searched = max(0, len(self._buffer) - len(_END) + 1)
        if self._unwritten:
            self._write()

    def _greet(self) -> bool:
        """The first line, which is no message: it ends with one CRLF and Login's answer follows."""
        end = self._buffer.find(b"\r\n", 0, _MAX_GREETING)
        too_long = end < 0 and len(self._buffer) >= _MAX_GREETING
        if too_long or not self._buffer.startswith(_GREETING[: len(self._buffer)]):
            self.transport.abort()
            self.greeted.set_result("")
        elif end >= 0:
            version = self._buffer[len(_GREETING) : end].decode("ascii", "replace")
            self.greeted.set_result("".join(c if c.isprintable() else "?" for c in version))
            del self._buffer[: end + 2]
            return True
        return False

    def _messages(self, text: str) -> None:
        """Works off messages, each of which ends with an empty line."""
        at = 0
        if self._skipping:
            self._skipping = False
            at = text.index("\r\n\r\n") + 4
        while len(text) - at > len(_END):  # a list that is empty leaves one CRLF
            begin = _OF_A_SESSION.match(text, at)
            if begin is not None:
                body = begin.end()
                end = text.index("\r\n\r\n", body - 2)  # there may be no more lines
            if begin is None or not self._of_a_session(begin, text[body:end]):
                end = text.index("\r\n\r\n", at)
                self._message(text[at:end])
            at = end + 4

    def _of_a_session(self, begin: re.Match[str], body: str) -> bool:
        """Takes an event, and the response before it, if it is as its request can read it, which
        is most of all that comes. False: nothing was taken."""
        followed, identity = begin.groups()
        identity = followed or identity
        pending = self.responses.get(identity)
        if pending is None or len(body) > MAX_LINE or (pending.answer is None) == (not followed):
            return False
        value = pending.request.read(body)
        if value is None:
            return False
        if followed:
            self._drop_before(identity)
            pending.answer = Answer(_SUCCEEDED)
        if pending.add_event(pending.answer, value, len(body)):
            self._answered(identity, pending)
        return True

    def _message(self, text: str) -> None:
        # A response ends with one empty line more where its list is empty: res_fax.c.
        text = text.lstrip("\r\n")
        if not _WANTED.match(text):
            return
        if text.startswith(_COMPLETIONS):
            # No action is answered by one, though the far end's station id may hold such a line.
            self._on_event(Message.from_line(text) or {})
            return
        _, *identities = text.split(_IDENTITY)
        if len(identities) != 1:
            return
        identity = identities[0].partition("\r\n")[0]
        pending = self.responses.get(identity)
        if pending is None:
            return
        if pending.answer is None:
            self._drop_before(identity)
        if pending.add_message(Message.from_line(text) or {}, len(text)):
            self._answered(identity, pending)

    def _answered(self, identity: str, pending: _Pending) -> None:
        del self.responses[identity]
        self._in_flight -= pending.size
        self.answered_at = self.heard_at
        if not self.responses and not self._unwritten:
            self.idle.set()
        assert pending.answer is not None
        pending.batch.answered(pending.request, pending.answer)

    def _drop_before(self, identity: str) -> None:
        """Actions run strictly in order: whatever was asked before and is unanswered stays so."""
        while (earlier := next(iter(self.responses))) != identity:
            lost = self.responses.pop(earlier)
            self._in_flight -= lost.size
            lost.batch.answered(lost.request, Answer(lost=True))

    def close(self) -> None:
        """Without panoramisk's queue of actions to send again: they are of a poll long over."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        reason = f"{type(exc).__name__}: {exc}"
        # Whoever closes with something unread resets: which of both comes is chance, and no news.
        if exc is None or isinstance(exc, ConnectionResetError | BrokenPipeError):
            reason = "closed by the other end"
        if not self.greeted.done():
            self.greeted.set_result("")
        if not self.lost.done():
            self.lost.set_result(reason)
        unanswered = [pending.batch for pending in self.responses.values()]
        for batch in unanswered + [batch for _, batch in self._unwritten]:
            batch.fail(ConnectionLost(f"connection lost: {reason}"))
        self.responses.clear()
        self._unwritten.clear()
        self.idle.set()


class Connection:
    """A logged-in connection. Made by `connect`; once lost, it is not made again."""

    def __init__(self, manager: Manager, protocol: _Protocol) -> None:
        self._manager = manager
        self._protocol = protocol
        self.ami_version: str = protocol.greeted.result()

    @property
    def lost(self) -> asyncio.Future[str]:
        """Done when the connection has ended, with the reason in words."""
        return self._protocol.lost

    @property
    def silent_for(self) -> float:
        """Seconds since the PBX said anything."""
        return asyncio.get_running_loop().time() - self._protocol.heard_at

    @property
    def unanswered_for(self) -> float:
        """Seconds since an answer was complete, or since something was asked when nothing was
        awaited: events that nobody asked for are no sign that it answers."""
        return asyncio.get_running_loop().time() - self._protocol.answered_at

    async def drained(self) -> None:
        """Returns once nothing asked earlier is awaited, so that requests never pile up.

        An answer that was lost is known to be so by that to a later request: a Ping, asked once.
        Raises ConnectionLost.
        """
        self._check()
        awaited = self._protocol.responses.values()
        if awaited and all(pending.request is not _PING for pending in awaited):
            self._protocol.submit([_PING], lambda *_: None)
        await self._protocol.idle.wait()
        self._check()

    async def ask(self, request: Request) -> Answer:
        """Sends one request and waits for its answer. Raises ConnectionLost, or TooLong."""
        answers: list[Answer] = []
        await self.ask_each([request], lambda _, answer: answers.append(answer))
        return answers[0]

    async def ask_each(self, requests: Sequence[Request], take: Take) -> None:
        """Sends all requests, at most MAX_OUTSTANDING ahead of the answers, and has each answer
        taken, in order, at the moment it is complete. Raises ConnectionLost, TooLong, and what
        `take` raises; then no more answers are taken."""
        size = MAX_OUTSTANDING // 2
        waiting: deque[asyncio.Future[None]] = deque()
        try:
            for first in range(0, len(requests), size):
                if len(waiting) * size == MAX_OUTSTANDING:
                    await waiting.popleft()
                self._check()
                waiting.append(self._protocol.submit(requests[first : first + size], take))
            while waiting:
                await waiting.popleft()
        finally:
            for done in waiting:
                done.cancel()

    def close(self) -> None:
        """Ends the connection at once; answers awaited raise ConnectionLost."""
        self._manager.close()

    def _check(self) -> None:
        if self._protocol.lost.done():
            raise ConnectionLost(f"connection lost: {self._protocol.lost.result()}")


async def connect(settings: AmiSettings, on_event: Callable[[Headers], None]) -> Connection:
    """Connects and logs in by MD5 challenge, so that the secret does not cross the wire.

    `on_event` gets every SendFAX and ReceiveFAX event. Takes `settings.timeout` at most.
    Raises ConnectError, LoginRefused, ShuttingDown or ConnectionLost.
    """
    address = f"{settings.host}:{settings.port}"
    context = _tls(settings)
    deadline = asyncio.get_running_loop().time() + settings.timeout
    attempt = _Attempt(settings, context, await _reach(settings, deadline))
    try:
        async with asyncio.timeout_at(deadline):
            return await attempt.log_in(on_event)
    except TimeoutError as error:
        raise ConnectError(
            f"{address}: connected, then no {attempt.awaited} within {settings.timeout:g} s; the "
            "PBX or the network is slow, or what listens there is no Asterisk manager",
            Cause.SILENT,
        ) from error


async def _reach(settings: AmiSettings, deadline: float) -> socket.socket:
    """A TCP connection to one of the host's addresses. Raises ConnectError.

    asyncio's own way leaves no time for the second address where the packets to the first vanish,
    and no errno of any if several failed.
    """
    loop = asyncio.get_running_loop()
    errors: dict[str, OSError] = {}
    found = await _addresses(settings, deadline)
    for place, (family, kind, protocol, _, address) in enumerate(found):
        reached = None
        try:
            reached = socket.socket(family, kind, protocol)
            reached.setblocking(False)
            now = loop.time()
            async with asyncio.timeout_at(now + (deadline - now) / (len(found) - place)):
                await loop.sock_connect(reached, address)
        except BaseException as error:
            if reached is not None:
                reached.close()
            if not isinstance(error, OSError):
                raise
            errors[str(address[0])] = error
        else:
            return reached
    said, cause = unreached(errors)
    told = next(error for error in errors.values() if cause_of(error) is cause)
    raise ConnectError(f"{settings.host}:{settings.port}: {said}", cause) from told


async def _addresses(settings: AmiSettings, deadline: float) -> list[Any]:
    """What getaddrinfo makes of the host. Raises ConnectError."""
    host, port = settings.host, settings.port
    with suppress(socket.gaierror, UnicodeError):  # an address needs no thread
        flags = socket.AI_NUMERICHOST
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(deadline):
            return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError, TimeoutError) as error:
        said, cause = unknown_name(error)
        raise ConnectError(f"{host}:{port}: {said}", cause) from error


class _Attempt:
    """From TCP to a login; `awaited` is what has not come yet."""

    def __init__(
        self, settings: AmiSettings, context: ssl.SSLContext | None, reached: socket.socket
    ) -> None:
        self._settings = settings
        self._address = f"{settings.host}:{settings.port}"
        self._context = context
        self._reached = reached
        self.awaited = "TLS handshake"

    async def log_in(self, on_event: Callable[[Headers], None]) -> Connection:
        """Raises what `connect` does."""
        settings, loop = self._settings, asyncio.get_running_loop()
        # 'Events: call' narrows what a user with more read classes would be sent.
        manager = Manager(loop=loop, log=_silent, ping_delay=10**9, forgetable_actions=())
        try:
            transport, protocol = await loop.create_connection(
                lambda: _Protocol(on_event),
                sock=self._reached,
                ssl=self._context,
                server_hostname=(settings.tls_server_name or settings.host)
                if settings.tls
                else None,
            )
        except OSError as error:
            said, cause = no_tls(error)
            raise ConnectError(f"{self._address}: {said}", cause) from error
        try:
            made: asyncio.Future[tuple[asyncio.BaseTransport, _Protocol]] = loop.create_future()
            made.set_result((transport, protocol))
            manager.connection_made(made)
            self.awaited = "greeting"
            # Before the greeting: a TLS port waits for its client to speak, and hangs up on this.
            challenges: list[Answer] = []
            challenged = protocol.submit([_CHALLENGE], lambda _, answer: challenges.append(answer))
            if not await protocol.greeted:
                reason = await protocol.lost
                said, cause = not_greeted(protocol.heard, reason, tls=settings.tls)
                raise ConnectError(f"{self._address}: {said}", cause)
            connection = Connection(manager, protocol)
            self.awaited = "answer to the login"
            await challenged
            await self._login(connection, challenges[0])
        except BaseException:
            manager.close()
            raise
        return connection

    async def _login(self, connection: Connection, challenge: Answer) -> None:
        settings = self._settings
        if challenge.success:
            secret = settings.secret.get_secret_value() if settings.secret else ""
            salt = str(challenge.headers.get("Challenge", ""))
            # AMI's challenge is MD5 by definition; nothing is kept secure by it but the wire.
            key = hashlib.md5(f"{salt}{secret}".encode(), usedforsecurity=False).hexdigest()
            login = {"Username": settings.username or "", "AuthType": "MD5", "Key": key}
            try:
                answer = await connection.ask(Request("Login", headers={**login, "Events": "call"}))
            except TooLong as error:
                who = f"user {settings.username[:10]}..."
                raise LoginRefused(
                    f"{self._address} cannot read the login of {who}: {error}; Asterisk has no "
                    "user whose name is longer than 79 bytes",
                    Cause.CREDENTIALS,
                ) from error
        else:
            answer = challenge
        if answer.shutting_down:
            raise ShuttingDown(f"{self._address}: {SHUTTING_DOWN}")
        if not answer.success:
            said, cause = refused_login(answer.message)
            refused = f"{self._address} refuses user {settings.username}"
            raise LoginRefused(f"{refused}: {said}", cause)


def _tls(settings: AmiSettings) -> ssl.SSLContext | None:
    """What the files say now, so that renewed certificates need no restart. Raises ConnectError."""
    if not settings.tls:
        return None
    ca, certificate, key = settings.tls_ca_file, settings.tls_cert_file, settings.tls_key_file
    system = ssl.get_default_verify_paths()
    trusted = (system.cafile, system.capath) if ca is None else (ca,)
    seen = signatures(Path(file) for file in (*trusted, certificate, key) if file is not None)
    return _context(ca, certificate, key, tuple(seen.values()))


@lru_cache(maxsize=256)
def _context(
    ca: Path | None, certificate: Path | None, key: Path | None, _signatures: tuple[object, ...]
) -> ssl.SSLContext:
    """Made once of the same files: to read the CAs of a system takes 20 ms, in which no PBX of a
    fleet is polled."""
    # This verifies certificate and name. create_default_context does too, but since Python 3.13
    # refuses the CAs that Asterisk's own ast_tls_cert makes.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if ca is None:
            context.load_default_certs()
        else:
            load_trusted(context, ca)
    except ValueError as error:
        raise ConnectError(f"--ami.tls-ca-file {ca}: {error}", Cause.OWN_FILES) from error
    if certificate is not None:
        try:
            load_identity(context, certificate, key)
        except ValueError as error:
            files = " and ".join(str(file) for file in (certificate, key) if file)
            raise ConnectError(f"--ami.tls-cert-file {files}: {error}", Cause.OWN_FILES) from error
    return context
