"""One connection to one Asterisk: requests go out as fast as the PBX can take them, and each answer
is handed to whoever asked. stream.py knows what the bytes mean, login.py how to log in.
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
MAX_OUTSTANDING: Final = 100
"""Requests in flight at most, so that the PBX never has a longer queue of ours to work off."""
TLS_IN_FLIGHT: Final = 1024
"""Bytes of requests in flight at most over TLS: written and not yet answered.

`get_input` in Asterisk's main/manager.c reads into a buffer of 1024 bytes. The rest of a TLS record
stays in OpenSSL's own buffer, while Asterisk waits for the socket to become readable: it answers
nothing until something else comes. Up to Asterisk 13 there is a FILE with its own buffer in between
(main/tcptls.c), which cannot be written to while it holds something unread: then Asterisk hangs up.
All versions hang up when a record comes in two pieces (`iostream_read` in main/iostream.c), so no
write is longer than what fits into one TCP segment, and there are few.
"""
LONGEST_OVER_TLS: Final = TLS_IN_FLIGHT - 64
"""Bytes of a request at most over TLS. The rest is kept free for a Ping, which has to fit however
much is unanswered."""

_ACTION_IDS: Final = count(1)
"""Unique in this process, since a proxy may pass all its connections on as one."""
_ID_DIGITS: Final = 20
"""More than an ActionID will ever have."""
_PING: Final = Request("Ping")

Take: TypeAlias = Callable[[Answer], None]
"""Called with each answer, at the moment it is complete."""
Hear: TypeAlias = Callable[[str], None]
"""Called with the text of each SendFAX or ReceiveFAX event."""


class _Batch:
    """Requests asked together, until the last of them is answered."""

    def __init__(self, requests: int, take: Take) -> None:
        self._unanswered = requests
        self._take = take
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """What the caller awaits; cancelled when it no longer does."""

    def answered(self, answer: Answer) -> None:
        """Hands over one answer, unless the caller no longer waits."""
        if self.done.done():
            return
        try:
            self._take(answer)
        except Exception as error:  # for the caller to raise, not for asyncio
            self.fail(error)
            return
        self._unanswered -= 1
        if not self._unanswered:
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Makes the caller raise `error`."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # else asyncio warns of it if the caller has gone


class Connection(asyncio.Protocol):
    """Made by `login.connect`; one that is lost is not connected again."""

    def __init__(self, hear: Hear) -> None:
        loop = asyncio.get_running_loop()
        self._hear = hear
        self._stream = Stream()
        self._transport: asyncio.Transport
        self._tls = False
        self._unwritten: deque[tuple[Request, _Batch]] = deque()
        self._unanswered: deque[tuple[_Batch, int]] = deque()
        """For each request written, in the order of writing, which is that of the answers: its
        batch, and its size, which is in bytes over TLS and otherwise 1."""
        self._in_flight = 0
        """The sum of these sizes."""
        self._ping: _Batch | None = None
        """The last Ping that `drained` asked."""
        self._action_id = str(next(_ACTION_IDS))
        """Of the next request."""
        self._idle = asyncio.Event()
        """Set while nothing is awaited."""
        self._idle.set()
        self._heard_at = self._answered_at = loop.time()
        self.lost: asyncio.Future[str] = loop.create_future()
        """Done when the connection has ended, with the reason in words."""

    # --- what callers use

    @property
    def ami_version(self) -> str:
        """As the greeting tells it; empty until then."""
        return self._stream.greeting or ""

    @property
    def unread(self) -> bytes:
        """Bytes that came and were not taken as messages: without a greeting, all."""
        return self._stream.unread

    @property
    def silent_for(self) -> float:
        """Seconds since the PBX said anything."""
        return asyncio.get_running_loop().time() - self._heard_at

    @property
    def unanswered_for(self) -> float:
        """Seconds since the last answer was complete, or since the first request after a time with
        nothing awaited. Events do not count: they come without being asked for."""
        return asyncio.get_running_loop().time() - self._answered_at

    async def drained(self) -> None:
        """Waits until everything asked earlier is answered or lost, so that requests never pile up.

        An answer is known to be lost when a later request is answered: that is what a Ping is
        asked for. Raises ConnectionLost.
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
        """Sends all requests, at most MAX_OUTSTANDING ahead of the answers, and hands each answer
        to `take`, in order, at the moment it is complete. Raises ConnectionLost, TooLong, and what
        `take` raises; then no more answers are handed over."""
        if requests:
            self._check()
            await self._submit(requests, take).done

    def close(self) -> None:
        """Ends the connection at once; whoever waits for an answer gets ConnectionLost."""
        self._transport.abort()

    def _check(self) -> None:
        if self.lost.done():
            raise ConnectionLost(f"connection lost: {self.lost.result()}")

    # --- what is written

    def _submit(self, requests: Sequence[Request], take: Take) -> _Batch:
        longest = max(request.size for request in requests) + _ID_DIGITS if self._tls else 0
        if longest > LONGEST_OVER_TLS:
            raise TooLong(f"{longest} bytes, and over TLS Asterisk reads {LONGEST_OVER_TLS}")
        if self._idle.is_set():
            self._answered_at = asyncio.get_running_loop().time()
        self._idle.clear()
        batch = _Batch(len(requests), take)
        self._unwritten.extend([(request, batch) for request in requests])
        self._write()
        return batch

    def _write(self) -> None:
        """Writes what was submitted and is still wanted, as far as there is room."""
        while self._unwritten:
            written = self._next_write()
            if not written:
                break
            # One write for all: it costs more than the rest of a request.
            self._transport.write("".join(written).encode())
        if not self._unanswered and not self._unwritten:
            self._idle.set()

    def _next_write(self) -> list[str]:
        """The requests of one write: as many as there is room for, since each write costs, and over
        TLS is a record of its own. Without TLS half of what may be in flight, so that the PBX still
        has the other half to work off when the next write comes."""
        written: list[str] = []
        unwritten, begun, most = self._unwritten, self._in_flight, MAX_OUTSTANDING // 2
        while unwritten and len(written) < most:
            request, batch = unwritten.popleft()
            if batch.done.done():
                continue
            action_id, size = self._action_id, 1
            if self._tls:
                size = request.size + len(action_id)
                has_room = self._tls_has_room(request, size, begun)
            else:  # a Ping is what shows that all in flight was lost
                has_room = begun <= most or request is _PING
            if not has_room:
                unwritten.appendleft((request, batch))
                break
            self._in_flight += size
            self._unanswered.append((batch, size))
            self._stream.ask(request, action_id)
            before, after = request.around_id
            written.append(f"{before}{action_id}{after}")
            self._action_id = str(next(_ACTION_IDS))
        return written

    def _tls_has_room(self, request: Request, size: int, begun: int) -> bool:
        """Whether a request of `size` bytes may go into a write before which `begun` bytes were in
        flight."""
        if request is _PING:
            return self._in_flight + size <= TLS_IN_FLIGHT
        # Not half at a time, as without TLS: if a little more than half were in flight, all else
        # would wait for the next round trip.
        return begun <= TLS_IN_FLIGHT * 3 // 4 and self._in_flight + size <= LONGEST_OVER_TLS

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP, and TLS if it is used, are set up."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # asyncio's default is 256 KiB, allocated for every read, which takes longer than reading.
        transport.max_size = READ_SIZE  # type: ignore[attr-defined]
        self._tls = transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._heard_at = asyncio.get_running_loop().time()
        try:
            received = self._stream.receive(data)
        except NoAsterisk:
            self._transport.abort()
            return
        for one in received:
            if isinstance(one, Completion):
                self._hear(one.text)
                continue
            batch, size = self._unanswered.popleft()
            self._in_flight -= size
            if not one.lost:
                self._answered_at = self._heard_at
            batch.answered(one)
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, by either end."""
        reason = f"{type(exc).__name__}: {exc}"
        # An end that closes with something unread sends a reset: which of the two comes is chance.
        if exc is None or isinstance(exc, ConnectionResetError | BrokenPipeError):
            reason = "closed by the other end"
        self.lost.set_result(reason)
        lost = ConnectionLost(f"connection lost: {reason}")
        for batch in {*(one for one, _ in self._unanswered), *(one for _, one in self._unwritten)}:
            batch.fail(lost)
        self._unanswered.clear()
        self._unwritten.clear()
        self._idle.set()
