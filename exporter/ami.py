"""One connection to one Asterisk: log in, ask, hear events. The only file that knows panoramisk.

panoramisk is used one Manager a connection and without its own login, pinging, reconnecting and
splitting of the stream: 1.4 waits for ever on FAXSession and FAXStats, sends the secret in the
clear, reconnects every 2 s whatever the reason, and raises on messages it does not expect.
"""

import asyncio
import hashlib
import logging
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any, Final

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message

from exporter.fax import Headers, Verbatim
from exporter.settings import AmiSettings, load_identity, load_trusted, openssl_words

MAX_MESSAGE: Final = 256 * 1024
"""Bytes of one AMI message; Asterisk's own stay below 8 KiB. What is longer is skipped."""
MAX_LISTED: Final = 10_000
"""Entries of one list; a PBX with as many faxes at once does not exist."""
MAX_LIST: Final = 4 * 1024 * 1024
"""Characters of all entries of one list; twice what Asterisk writes for MAX_LISTED."""
MAX_OUTSTANDING: Final = 100
"""Requests in flight: the PBX never has more than this of ours to work off."""

_GREETING: Final = b"Asterisk Call Manager/"
_MAX_GREETING: Final = 100
_END: Final = b"\r\n\r\n"
_TLS_ALERT: Final = b"\x15\x03"
_WANTED: Final = re.compile(
    r"(?:Response: [^\r]*|Event: (?:FAXSession(?:sEntry|sComplete)?|FAXStats|SendFAX|ReceiveFAX))"
    r"(?:\r\nActionID: ([0-9]+)\r\n|\r\n|\Z)"
)
"""How a message begins that is not dropped at once, and its ActionID if it is where it belongs."""
_IDENTITY: Final = "\r\nActionID: "
_WILL_FOLLOW: Final = re.compile(
    r"Response: Success\r\nActionID: [0-9]+\r\n(?:EventList: Start\r\n)?Message: [^\r]* will follow"
)
_SUCCEEDED: Final[Headers] = {"Response": "Success"}
"""What is read of such a response."""

# panoramisk logs what it sends; what there is to say is said by whoever uses this file.
_silent = logging.getLogger(f"{__name__}.panoramisk")
_silent.setLevel(logging.CRITICAL + 1)


class AmiError(Exception):
    """The PBX cannot be asked; the message says what was tried and what came back."""


class ConnectError(AmiError):
    """No connection, or not to an Asterisk manager port."""


class LoginRefused(AmiError):
    """Asterisk does not take the name and secret; trying again soon only locks the user out."""


class ConnectionLost(AmiError):
    """The connection ended while an answer was awaited."""


class Expects(Enum):
    """What follows a successful response."""

    NOTHING = "nothing"
    EVENT = "one event"
    LIST = "events up to one whose name ends in Complete"


@dataclass(frozen=True, slots=True)
class Request:
    """One action."""

    action: str
    expects: Expects = Expects.NOTHING
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Answer:
    """What came back. `lost`: nothing did, though later requests were answered."""

    headers: Headers = field(default_factory=dict)
    events: list[Headers] = field(default_factory=list)
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


_PING: Final = Request("Ping")
_CHALLENGE: Final = Request("Challenge", headers={"AuthType": "MD5"})


_numbers: Final = count(1)


class _Pending:
    """A request that was sent, and knows when its answer is complete."""

    __slots__ = ("_room", "answer", "future", "identity", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.identity = str(next(_numbers))
        self.answer: Answer | None = None
        self.future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._room = MAX_LIST

    @property
    def written(self) -> bytes:
        """As it goes over the wire."""
        request = self.request
        lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
        head = f"Action: {request.action}\r\nActionID: {self.identity}\r\n"
        return f"{head}{''.join(lines)}\r\n".encode()

    def add_message(self, text: str) -> bool:
        """Takes the response or one event of the answer; True if that was the last."""
        expects = self.request.expects
        if self.answer is None:
            if expects is not Expects.NOTHING and _WILL_FOLLOW.fullmatch(text):
                self.answer = Answer(headers=_SUCCEEDED)
                return False
            self.answer = Answer(headers=_said(text))
            if self.answer.success and expects is not Expects.NOTHING:
                return False
        elif expects is Expects.EVENT:
            self.answer.events.append(_said(text))
        elif _is_complete(text):
            message = _said(text)
            said = message.get("ListItems", message.get("Total"))
            self.answer.complete &= said in (None, str(len(self.answer.events)))
        else:
            self._room -= len(text)
            if len(self.answer.events) < MAX_LISTED and self._room >= 0:
                self.answer.events.append(_said(text))
            else:
                self.answer.complete = False
            return False
        self.finish(self.answer)
        return True

    def finish(self, answer: Answer) -> None:
        if not self.future.done():
            self.future.set_result(answer)

    def fail(self, error: AmiError) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # whoever waited may have gone: nobody must be warned of it


def _said(text: str) -> Verbatim:
    return Verbatim(text, text.split("\r\n", 2)[-1], Message.from_line)


def _is_complete(text: str) -> bool:
    """Whether an event's name ends in Complete."""
    if not text.partition("\r\n")[0].endswith("Complete"):
        return False
    return str(_said(text).get("Event", "")).endswith("Complete")  # unless it has two names


class _Protocol(AMIProtocol):
    """panoramisk's protocol, splitting the stream by bytes: nothing that comes can raise, block
    or fill the memory, unwanted events are dropped unparsed, and no character is cut in two."""

    def __init__(self, on_event: Callable[[Headers], None]) -> None:
        self._on_event = on_event
        self._buffer = bytearray()
        self._searched = 0
        self._skipping = False
        self.greeted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.idle = asyncio.Event()
        self.idle.set()
        self.heard_at = asyncio.get_running_loop().time()

    @property
    def heard(self) -> bytes:
        """What came and is not worked off: with no greeting, all."""
        return bytes(self._buffer)

    def send(self, data: Any, as_list: Any = None) -> Any:
        """Sends one action, or several, and returns the future of the last."""
        self.idle.clear()
        several = data if isinstance(data, list) else [data]
        for pending in several:
            self.responses[pending.identity] = pending
        # By one write, which costs more than all else of a request.
        self.transport.write(b"".join([pending.written for pending in several]))
        return several[-1].future

    def data_received(self, data: bytes) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        self._buffer += data
        if not self.greeted.done() and not self._greet():
            return
        if self._buffer.find(_END, self._searched) >= 0:
            whole, _, self._buffer = self._buffer.rpartition(_END)
            messages = whole.decode("utf-8", "replace").split("\r\n\r\n")
            for message in messages[self._skipping :]:
                self._message(message)
            self._skipping = False
        if len(self._buffer) > MAX_MESSAGE:
            self._skipping = True
            del self._buffer[: 1 - len(_END)]
        self._searched = max(0, len(self._buffer) - len(_END) + 1)

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

    def _message(self, text: str) -> None:
        # A response ends with one empty line more where its list is empty: res_fax.c.
        text = text.lstrip("\r\n")
        begin = _WANTED.match(text)
        if begin is None:
            return
        identity = begin[1]
        if identity is None or text.find(_IDENTITY, begin.end() - 2) >= 0:
            _, *identities = text.split(_IDENTITY)
            if len(identities) > 1:
                return
            identity = identities[0].partition("\r\n")[0] if identities else None
        if identity is None:
            message = Message.from_line(text)
            if message is not None and isinstance(message.get("Event"), str):
                self._on_event(message)
            return
        pending = self.responses.get(identity)
        if pending is None:
            return
        # Actions run strictly in order: whatever was asked before and is unanswered stays so.
        while (earlier := next(iter(self.responses))) != identity:
            self.responses.pop(earlier).finish(Answer(lost=True))
        if pending.add_message(text):
            del self.responses[identity]
        if not self.responses:
            self.idle.set()

    def close(self) -> None:
        """Without panoramisk's queue of actions to send again: they are of a poll long over."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        reason = f"{type(exc).__name__}: {exc}" if exc else "closed by the other end"
        if not self.greeted.done():
            self.greeted.set_result("")
        if not self.lost.done():
            self.lost.set_result(reason)
        for pending in self.responses.values():
            pending.fail(ConnectionLost(f"connection lost: {reason}"))
        self.responses.clear()
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

    async def drained(self) -> None:
        """Returns once nothing asked earlier is awaited, so that requests never pile up.

        An answer that was lost is known to be so by that to a later request: a Ping, asked once.
        Raises ConnectionLost.
        """
        self._check()
        awaited = self._protocol.responses.values()
        if awaited and all(pending.request is not _PING for pending in awaited):
            self._protocol.send(_Pending(_PING))
        await self._protocol.idle.wait()
        self._check()

    async def ask(self, request: Request) -> Answer:
        """Sends one request and waits for its answer. Raises ConnectionLost."""
        self._check()
        answer: Answer = await self._protocol.send(_Pending(request))
        return answer

    async def ask_each(self, requests: Sequence[Request]) -> AsyncIterator[tuple[Request, Answer]]:
        """Sends all requests, at most MAX_OUTSTANDING ahead of the answers, and yields each with
        its answer, in order. Raises ConnectionLost."""
        waiting: deque[_Pending] = deque()
        share = MAX_OUTSTANDING // 2
        for first in range(0, len(requests), share):
            while len(waiting) > MAX_OUTSTANDING - share:
                asked = waiting.popleft()
                yield asked.request, await asked.future
            self._check()
            pending = [_Pending(request) for request in requests[first : first + share]]
            self._protocol.send(pending)
            waiting.extend(pending)
        while waiting:
            asked = waiting.popleft()
            yield asked.request, await asked.future

    def close(self) -> None:
        """Ends the connection at once; answers awaited raise ConnectionLost."""
        self._manager.close()

    def _check(self) -> None:
        if self._protocol.lost.done():
            raise ConnectionLost(f"connection lost: {self._protocol.lost.result()}")


async def connect(settings: AmiSettings, on_event: Callable[[Headers], None]) -> Connection:
    """Connects and logs in by MD5 challenge, so that the secret does not cross the wire.

    `on_event` gets every SendFAX and ReceiveFAX event. The caller sets the deadline.
    Raises ConnectError, LoginRefused or ConnectionLost.
    """
    address = f"{settings.host}:{settings.port}"
    loop = asyncio.get_running_loop()
    context = _tls(settings)
    # 'Events: call' narrows what a user with more read classes would be sent.
    manager = Manager(loop=loop, log=_silent, ping_delay=10**9, forgetable_actions=())
    try:
        transport, protocol = await loop.create_connection(
            lambda: _Protocol(on_event),
            settings.host,
            settings.port,
            ssl=context,
            server_hostname=(settings.tls_server_name or settings.host) if settings.tls else None,
        )
    except OSError as error:
        raise ConnectError(f"{address}: {_why(error)}") from error
    try:
        made: asyncio.Future[tuple[asyncio.BaseTransport, _Protocol]] = loop.create_future()
        made.set_result((transport, protocol))
        manager.connection_made(made)
        # Before the greeting: a TLS port waits for its client to speak, and hangs up on this.
        challenge = protocol.send(_Pending(_CHALLENGE))
        if not await protocol.greeted:
            said = _not_greeted(protocol, await protocol.lost, settings.tls)
            raise ConnectError(f"{address}: {said}")
        connection = Connection(manager, protocol)
        await _login(connection, await challenge, settings)
    except BaseException:
        manager.close()
        raise
    return connection


async def _login(connection: Connection, challenge: Answer, settings: AmiSettings) -> None:
    if challenge.success:
        secret = settings.secret.get_secret_value() if settings.secret else ""
        salt = str(challenge.headers.get("Challenge", ""))
        # AMI's challenge is MD5 by definition; nothing is kept secure by it but the wire.
        key = hashlib.md5(f"{salt}{secret}".encode(), usedforsecurity=False).hexdigest()
        login = {"Username": settings.username or "", "AuthType": "MD5", "Key": key}
        answer = await connection.ask(Request("Login", headers={**login, "Events": "call"}))
    else:
        answer = challenge
    if not answer.success:
        raise LoginRefused(
            f"{settings.host}:{settings.port} refuses user {settings.username}: "
            f"{answer.message or 'no reason given'}; check name and secret against manager.conf, "
            "and its permit and deny lines"
        )


def _tls(settings: AmiSettings) -> ssl.SSLContext | None:
    """For one connection, so that renewed certificates need no restart. Raises ConnectError."""
    if not settings.tls:
        return None
    # This verifies certificate and name. create_default_context does too, but since Python 3.13
    # refuses the CAs that Asterisk's own ast_tls_cert makes.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if settings.tls_ca_file is None:
            context.load_default_certs()
        else:
            load_trusted(context, settings.tls_ca_file)
    except ValueError as error:
        raise ConnectError(f"--ami.tls-ca-file {settings.tls_ca_file}: {error}") from error
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if certificate is not None:
        try:
            load_identity(context, certificate, key)
        except ValueError as error:
            files = " and ".join(str(file) for file in (certificate, key) if file)
            raise ConnectError(f"--ami.tls-cert-file {files}: {error}") from error
    return context


_NAME: Final = "set --ami.host or --ami.tls-server-name to a name that is in it"
_TIME: Final = "renew it, or put the clocks of both machines right"
_TRUST: Final = "name its CA's file, or its own if it is self-signed, by --ami.tls-ca-file"
_CERTIFICATE: Final = {9: _TIME, 10: _TIME, 62: _NAME, 64: _NAME} | dict.fromkeys(
    (18, 19, 20, 21), _TRUST
)
"""What to do, by X509_V_ERR_... of OpenSSL's x509_vfy.h."""
_NO_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
)
"""What OpenSSL, by its version and what was said, makes of an answer that is no TLS."""


def _why(error: OSError) -> str:
    """What came back instead of a connection, and what the user can do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message.rstrip(".")
        todo = _CERTIFICATE.get(error.verify_code, "see --ami.tls-ca-file")
        return f"the server's certificate is refused: {said}; {todo}"
    if isinstance(error, ConnectionResetError | ssl.SSLEOFError):
        return (
            "the server ended the TLS handshake without a word; its log says why, for example "
            "that it wants a client certificate, see --ami.tls-cert-file"
        )
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if reason in _NO_TLS:
        return (
            "what answers there speaks no TLS; is it the port of tlsbindaddr in manager.conf? "
            "For that of bindaddr leave --ami.tls off"
        )
    if "_ALERT_" in reason:
        return (
            f"the server refuses TLS with us: {openssl_words(reason.partition('_ALERT_')[2])}; "
            "if it wants a client certificate, see --ami.tls-cert-file"
        )
    if reason:
        return f"no TLS with this server: {openssl_words(reason)}"
    return error.strerror or str(error)


def _not_greeted(protocol: _Protocol, reason: str, tls: bool) -> str:
    """What came back instead of a greeting, until the connection was lost for this reason, and
    what the user can do."""
    if protocol.heard and not protocol.heard.startswith(_TLS_ALERT):
        return (
            "no Asterisk manager answers there; "
            "is it the port of [general] in manager.conf, and TLS or not as set here?"
        )
    if tls:  # with TLS 1.3 it is here that the want of one is told
        hint = "the server's log says why; for its client certificates see --ami.tls-cert-file"
    else:
        hint = "if it is the port of tlsbindaddr in manager.conf, set --ami.tls"
    return f"the connection ended before any greeting: {reason}; {hint}"
