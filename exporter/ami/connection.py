"""One connection to one Asterisk: what is asked goes out as fast as the PBX can take it, what comes
is handed to whoever asked. What the bytes mean is stream.py's business, login that of login.py.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, TypeAlias

from exporter.ami.errors import ConnectionLost, TooLong
from exporter.ami.messages import Answer, Request
from exporter.ami.stream import Completion, NoAsterisk, Stream

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

_ACTION_IDS: Final = count(1)
"""No two connections of this process have the same: it is one client, also to a proxy."""
_DIGITS: Final = 20
"""More than an ActionID will ever have."""
_PING: Final = Request("Ping")

Take: TypeAlias = Callable[[Answer], None]
"""What is done with an answer, at the moment it is complete."""
Hear: TypeAlias = Callable[[str], None]
"""What is done with the text of a SendFAX or ReceiveFAX event."""


class _Asking:
    """Requests asked together, until the last of them is answered."""

    def __init__(self, requests: int, take: Take) -> None:
        self._unanswered = requests
        self._take = take
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Cancelled when whoever asked waits no longer."""

    def answered(self, answer: Answer) -> None:
        """Hands over one answer, unless nobody waits any more."""
        if self.done.done():
            return
        try:
            self._take(answer)
        except Exception as error:  # it is whoever asked who has to know
            self.fail(error)
            return
        self._unanswered -= 1
        if not self._unanswered:
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Has whoever asked raise this."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # whoever asked may have gone: nobody must be warned of it


class Connection(asyncio.Protocol):
    """Made by `login.connect`; once lost, it is not made again."""

    def __init__(self, hear: Hear) -> None:
        loop = asyncio.get_running_loop()
        self._hear = hear
        self._stream = Stream()
        self._transport: asyncio.Transport
        self._tls = False
        self._unwritten: deque[tuple[Request, _Asking]] = deque()
        self._unanswered: deque[tuple[_Asking, int]] = deque()
        """What was written, with its size, in the order of writing, which is that of the answers.
        A size is in bytes over TLS, otherwise each is 1."""
        self._in_flight = 0
        """The sum of these sizes."""
        self._ping: _Asking | None = None
        """The last one for `drained`."""
        self._action_id = str(next(_ACTION_IDS))
        """Of the next request."""
        self._idle = asyncio.Event()
        """Set while nothing is awaited."""
        self._idle.set()
        self._heard_at = self._answered_at = loop.time()
        self.lost: asyncio.Future[str] = loop.create_future()
        """Done when the connection has ended, with the reason in words."""

    # --- what others ask

    @property
    def ami_version(self) -> str:
        """As the greeting tells it; empty until then."""
        return self._stream.greeting or ""

    @property
    def unread(self) -> bytes:
        """What came and is not worked off: with no greeting, all."""
        return self._stream.unread

    @property
    def silent_for(self) -> float:
        """Seconds since the PBX said anything."""
        return asyncio.get_running_loop().time() - self._heard_at

    @property
    def unanswered_for(self) -> float:
        """Seconds since an answer was complete, or since something was asked when nothing was
        awaited: events that nobody asked for are no sign that it answers."""
        return asyncio.get_running_loop().time() - self._answered_at

    async def drained(self) -> None:
        """Returns once nothing asked earlier is awaited, so that requests never pile up.

        That an answer was lost shows when a later request is answered: a Ping, asked once for it.
        Raises ConnectionLost.
        """
        self._check()
        if self._unanswered and (self._ping is None or self._ping.done.done()):
            self._ping = self._submit([_PING], lambda _: None)
        await self._idle.wait()
        self._check()

    async def ask(self, request: Request) -> Answer:
        """Sends one request and waits for its answer. Raises ConnectionLost, or TooLong."""
        answers: list[Answer] = []
        await self.ask_each([request], answers.append)
        return answers[0]

    async def ask_each(self, requests: Sequence[Request], take: Take) -> None:
        """Sends all requests, at most MAX_OUTSTANDING ahead of the answers, and has each answer
        taken, in order, at the moment it is complete. Raises ConnectionLost, TooLong, and what
        `take` raises; then no more answers are taken."""
        if requests:
            self._check()
            await self._submit(requests, take).done

    def close(self) -> None:
        """Ends the connection at once; answers awaited raise ConnectionLost."""
        self._transport.abort()

    def _check(self) -> None:
        if self.lost.done():
            raise ConnectionLost(f"connection lost: {self.lost.result()}")

    # --- what is written

    def _submit(self, requests: Sequence[Request], take: Take) -> _Asking:
        longest = max(request.size for request in requests) + _DIGITS if self._tls else 0
        if longest > LONGEST_OVER_TLS:
            raise TooLong(f"{longest} bytes, and over TLS Asterisk reads {LONGEST_OVER_TLS}")
        if self._idle.is_set():
            self._answered_at = asyncio.get_running_loop().time()
        self._idle.clear()
        asking = _Asking(len(requests), take)
        self._unwritten.extend([(request, asking) for request in requests])
        self._write()
        return asking

    def _write(self) -> None:
        """Writes what was submitted and is still wanted, as far as there is room."""
        while self._unwritten:
            written = self._fill()
            if not written:
                break
            # By one write, which costs more than all else of a request.
            self._transport.write("".join(written).encode())
        if not self._unanswered and not self._unwritten:
            self._idle.set()

    def _fill(self) -> list[str]:
        """What goes into one write: as much as there is room for, since each write costs, and over
        TLS is a record of its own."""
        written: list[str] = []
        unwritten, begun, most = self._unwritten, self._in_flight, MAX_OUTSTANDING // 2
        while unwritten and len(written) < most:
            request, asking = unwritten.popleft()
            if asking.done.done():
                continue
            action_id, size = self._action_id, 1
            if self._tls:
                size = request.size + len(action_id)
                has_room = self._tls_has_room(request, size, begun)
            else:  # a Ping is what shows that all in flight was lost
                has_room = begun <= most or request is _PING
            if not has_room:
                unwritten.appendleft((request, asking))
                break
            self._in_flight += size
            self._unanswered.append((asking, size))
            self._stream.ask(request, action_id)
            before, after = request.around_id
            written.append(f"{before}{action_id}{after}")
            self._action_id = str(next(_ACTION_IDS))
        return written

    def _tls_has_room(self, request: Request, size: int, begun: int) -> bool:
        """Whether a request may go into a write that was begun with so many bytes in flight."""
        if request is _PING:
            return self._in_flight + size <= TLS_IN_FLIGHT
        # Not by halves, when what comes after a little more than one would have to wait for the
        # next round trip.
        return begun <= TLS_IN_FLIGHT * 3 // 4 and self._in_flight + size <= LONGEST_OVER_TLS

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP, and TLS if it is used, are there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # asyncio's 256 KiB are mapped anew for every read, which takes longer than to read.
        transport.max_size = READ_SIZE  # type: ignore[attr-defined]
        self._tls = transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        """Something came."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        if len(data) < READ_SIZE // 4:
            # Asterisk writes message by message: more is about to come, better read together.
            self._transport.pause_reading()
            loop.call_later(READ_PAUSE, self._transport.resume_reading)
        try:
            received = self._stream.receive(data)
        except NoAsterisk:
            self._transport.abort()
            return
        for one in received:
            if isinstance(one, Completion):
                self._hear(one.text)
                continue
            asking, size = self._unanswered.popleft()
            self._in_flight -= size
            if not one.lost:
                self._answered_at = self._heard_at
            asking.answered(one)
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, by either end."""
        reason = f"{type(exc).__name__}: {exc}"
        # Whoever closes with something unread resets: which of both comes is chance, and no news.
        if exc is None or isinstance(exc, ConnectionResetError | BrokenPipeError):
            reason = "closed by the other end"
        self.lost.set_result(reason)
        lost = ConnectionLost(f"connection lost: {reason}")
        for asking in {*(one for one, _ in self._unanswered), *(one for _, one in self._unwritten)}:
            asking.fail(lost)
        self._unanswered.clear()
        self._unwritten.clear()
        self._idle.set()
