"""A PBX that costs next to nothing: a process of its own that answers from prebuilt bytes.

Like Asterisk's own manager it writes each message by itself, unless told otherwise. Its sessions
are receive and send in turn; how they advance, and what they add up to, is in sessions.py.
"""

import asyncio
import contextlib
import ipaddress
import os
import re
import resource
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from bench.sessions import Clock, Faxes, Truth, reading, receives
from bench.sessions import truth as truth
from harness.apart import apart
from harness.events import UNWANTED

HOST: Final = "127.0.0.1"
"""Of the first PBXs; of more than PORTS there are some on the next addresses."""
PORTS: Final = 1000
"""On one address: where many ports are taken the kernel searches long for another."""
SECRET: Final = "s"
WRITES: Final = ("by message", "by answer", "at once")
"""What the PBX writes at once: one message, one answer, or all answers to what it has read, which
costs its reader the least."""
HISTORY_AFTER: Final = 12.0
"""Seconds: what ended before it is first polled, an exporter does not count whole."""
STORM_TICK: Final = 0.01
"""Seconds between two bursts of events, of which a storm is made."""

_ACTION: Final = re.compile(
    rb"Action: (\w+)\r\n(?:[^\r]+\r\n)*?ActionID: ([^\r]+)\r\n"
    rb"(?:[^\r]+\r\n)*?(?:SessionNumber: (\d+)\r\n)?\r\n"
)
_ID: Final = b"=ID="
_END: Final = b"\r\n\r\n"
_SEEN: Final = "what was seen"
_HALT: Final = "halt"
_RESUME: Final = "resume"
_LOOK: Final = 0.05
"""Seconds from one look at the clock to the next, which tells how late the process itself is."""


@dataclass(frozen=True)
class Seen:
    """What PBXs saw from one time that they were asked to the next."""

    polls: list[list[float]]
    """By PBX, when it was asked for its list, seconds of a monotonic clock."""
    connections: list[int]
    """By PBX, since the faxes began or were resumed."""
    received: int
    sent: int
    """Bytes."""
    late: list[float]
    """Seconds that the PBXs themselves were late, from moment to moment."""


@dataclass(frozen=True)
class Address:
    """Where PBXs listen, their process, and what they can be asked for."""

    ports: list[int]
    """By PBX."""
    pid: int
    pipe: "Connection[Any, Any]"

    @property
    def places(self) -> list[tuple[str, int]]:
        """By PBX, host and port."""
        return [(_host(number), port) for number, port in enumerate(self.ports)]

    def seen(self) -> Seen:
        """What they saw since the last time this was called."""
        self.pipe.send(_SEEN)
        seen: Seen = self.pipe.recv()
        return seen

    def halt(self) -> list[Truth]:
        """No fax that time advances goes on. By PBX, what happened until now."""
        self.pipe.send(_HALT)
        happened: list[Truth] = self.pipe.recv()
        return happened

    def resume(self) -> None:
        """They go on, and what happens is told anew, as to an exporter that is new."""
        self.pipe.send(_RESUME)


_HEAD: Final = b"ActionID: " + _ID + b"\r\n"


class _Texts:
    """Every answer about `sessions` sessions, prebuilt but for the ActionID and what advances."""

    def __init__(self, sessions: int) -> None:
        entries = "".join(
            "Event: FAXSessionsEntry\r\nActionID: =ID=\r\n"
            f"Channel: {_channel(number)}\r\nTechnology: Spandsp\r\nSessionNumber: {number}\r\n"
            f"SessionType: G.711\r\nOperation: {_operation(number)}\r\nState: Active\r\n"
            f"Files: {_file(number)}\r\n\r\n"
            for number in range(sessions)
        )
        self.list = (
            b"Response: Success\r\n" + _HEAD + b"EventList: Start\r\n"
            b"Message: FAXSessionsEntry event list will follow\r\n\r\n"
            + entries.encode()
            + b"Event: FAXSessionsComplete\r\n"
            + _HEAD
            + f"EventList: Complete\r\nListItems: {sessions}\r\nTotal: {sessions}\r\n\r\n".encode()
        )
        self.stats = (
            b"Response: Success\r\n" + _HEAD + b"Message: FAXStats event will follow\r\n\r\n"
            b"Event: FAXStats\r\n"
            + _HEAD
            + f"CurrentSessions: {sessions}\r\nReservedSessions: 0\r\nTransmitAttempts: 5\r\n"
            "ReceiveAttempts: 5\r\nCompletedFAXes: 5\r\nFailedFAXes: 1\r\n\r\n".encode()
        )


class _Pbx:
    """One of them, and what it saw."""

    def __init__(self, texts: _Texts, faxes: Faxes, writes: str) -> None:
        self.texts = texts
        self.faxes = faxes
        self.writes = writes
        self.polls: list[float] = []
        self.connections = 0
        self.received = self.sent = 0

    def answer(self, action: bytes, number: int) -> bytes:
        """What Asterisk says, with the ActionID to be put in."""
        if action == b"FAXSessions":
            self.faxes.lists += 1
            self.polls.append(time.monotonic())
            return self.texts.list
        if action == b"FAXSession":
            return _session(number, self.faxes.step(number))
        if action == b"FAXStats":
            return self.texts.stats
        return b"Response: Success\r\nActionID: =ID=\r\nChallenge: 1\r\nMessage: none\r\n\r\n"


@lru_cache(maxsize=1024)  # of a thousand PBXs many are as far as others
def _session(number: int, step: int) -> bytes:
    pages, bad_lines = reading(step)
    sent, received = (0, pages) if receives(number) else (pages, 0)
    return b"".join(
        (
            b"Response: Success\r\n" + _HEAD + b"Message: FAXSession event will follow\r\n\r\n",
            b"Event: FAXSession\r\n" + _HEAD,
            f"SessionNumber: {number}\r\nOperation: {_operation(number)}\r\n".encode(),
            b"State: Active\r\nErrorCorrectionMode: No\r\n",
            b"DataRate: 14400\r\nImageResolution: 8031x3850\r\n",
            f"PageNumber: {pages + 1}\r\nFileName: {_file(number)}\r\n".encode(),
            f"PagesTransmitted: {sent}\r\nPagesReceived: {received}\r\n"
            f"TotalBadLines: {bad_lines if receives(number) else 0}\r\n\r\n".encode(),
        )
    )


def _operation(number: int) -> str:
    return "receive" if receives(number) else "send"


def _host(number: int) -> str:
    return str(ipaddress.ip_address(HOST) + number // PORTS)


def _channel(number: int) -> str:
    return f"PJSIP/trunk-berlin-{number:08x}"


def _file(number: int) -> str:
    return f"/var/spool/asterisk/fax/rx-1795470256.{number}.tif"


def _completion(number: int) -> bytes:
    return (
        f"Event: SendFAX\r\nPrivilege: call,all\r\nChannel: PJSIP/other-{number:08x}\r\n"
        "ChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 5551234\r\nLanguage: en\r\n"
        "Context: fax\r\nExten: recv\r\nPriority: 2\r\nUniqueid: 1700000000.1\r\n"
        "Linkedid: 1700000000.1\r\nLocalStationID: 1\r\nRemoteStationID: 2\r\n"
        "PagesTransferred: 3\r\nResolution: 8031x3850\r\nTransferRate: 14400\r\n"
        "FileName: /x/y.tif\r\nChanVariable: FAXSTATUS=SUCCESS\r\nChanVariable: FAXERROR=\r\n"
        "ChanVariable: FAXMODE=audio\r\nChanVariable: FAXSTATUSSTRING=OK\r\n\r\n"
    ).encode()


class _ClientConnection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, pbx: _Pbx, burst: bytes, history: bytes) -> None:
        self._pbx = pbx
        self._history = history
        self._burst = burst
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._pbx.connections += 1
        self._storm_task: asyncio.Task[None] | None = None
        transport.write(b"Asterisk Call Manager/11.0.0\r\n")
        if self._history:
            loop = asyncio.get_running_loop()
            loop.call_later(HISTORY_AFTER, transport.write, self._history)
        if self._burst:
            self._storm_task = asyncio.create_task(self._send_storm())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._storm_task is not None:
            self._storm_task.cancel()

    def data_received(self, data: bytes) -> None:
        self._pbx.received += len(data)
        data = self._unread + data
        end = 0
        answers = []
        for found in _ACTION.finditer(data):
            end = found.end()
            action, identity, number = found.groups()
            answer = self._pbx.answer(action, int(number or 0)).replace(_ID, identity)
            self._pbx.sent += len(answer)
            if self._pbx.writes == "by message":
                for message in answer.split(_END)[:-1]:
                    self._write(message + _END)
            elif self._pbx.writes == "by answer":
                self._write(answer)
            else:
                answers.append(answer)
        self._unread = data[end:]
        if answers:
            self._write(b"".join(answers))

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():  # or asyncio would complain
            self._transport.write(data)

    async def _send_storm(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._transport.write(self._burst)
            due += STORM_TICK
            await asyncio.sleep(max(0.0, due - loop.time()))


async def _serve(
    pipe: "Connection[object, object]",
    pbxs: int,
    sessions: int,
    storm: int,
    completions: int,
    history: int,
    writes: str,
    certificate: Path | None,
    by_time: bool,
) -> None:
    loop = asyncio.get_running_loop()
    unwanted = round(storm * STORM_TICK)
    burst = b"".join((UNWANTED * (unwanted // len(UNWANTED) + 1))[:unwanted])
    burst += b"".join(_completion(number) for number in range(round(completions * STORM_TICK)))
    ended_before = b"".join(
        _completion(number).replace(b"=SUCCESS", b"=FAILED" if number % 4 == 0 else b"=SUCCESS")
        for number in range(history)
    )
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    ports = []
    texts, clock = _Texts(sessions), Clock() if by_time else None
    all_pbxs = [
        _Pbx(texts, Faxes(sessions, clock, number * sessions), writes) for number in range(pbxs)
    ]
    for number, one in enumerate(all_pbxs):
        server = await loop.create_server(
            lambda one=one: _ClientConnection(one, burst, ended_before),
            _host(number),
            0,
            ssl=context,
        )
        ports.append(server.sockets[0].getsockname()[1])
    pipe.send((ports, os.getpid()))
    ended = loop.create_future()
    late: list[float] = []

    def look(due: float) -> None:
        late.append(loop.time() - due)
        due = loop.time() + _LOOK
        loop.call_at(due, look, due)

    look(loop.time())

    def asked() -> None:
        try:
            wanted = pipe.recv()
        except EOFError:
            ended.cancel()
            return
        if wanted == _SEEN:
            pipe.send(_seen(all_pbxs, late))
            late.clear()
        elif wanted == _HALT:
            if clock is not None:
                clock.stop()
            pipe.send([one.faxes.truth() for one in all_pbxs])
        elif wanted == _RESUME:
            if clock is not None:
                clock.resume()
            for one in all_pbxs:
                one.connections = 0
                one.faxes.forget()
        else:
            ended.cancel()

    loop.add_reader(pipe.fileno(), asked)
    with contextlib.suppress(asyncio.CancelledError):
        await ended


def _seen(pbxs: list[_Pbx], late: list[float]) -> Seen:
    seen = Seen(
        [one.polls for one in pbxs],
        [one.connections for one in pbxs],
        sum(one.received for one in pbxs),
        sum(one.sent for one in pbxs),
        list(late),
    )
    for one in pbxs:
        one.polls = []
        one.received = one.sent = 0
    return seen


def _process(pipe: "Connection[object, object]", *options: Any) -> None:
    # Each PBX listens on a port of its own.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(pipe, *options))


@contextlib.contextmanager
def running(
    sessions: int,
    *,
    pbxs: int = 1,
    storm: int = 0,
    completions: int = 0,
    history: int = 0,
    writes: str = "by message",
    certificate: Path | None = None,
    by_time: bool = False,
) -> Iterator[Address]:
    """PBXs in a process of their own, each with so many sessions. `storm`: unwanted events a
    second on every connection; `completions`: likewise SendFAX events; `history`: so many of them
    once, HISTORY_AFTER seconds after connecting. `writes`: one of WRITES.
    `certificate`: a file with it and its key, for TLS. `by_time`: time advances the faxes, not each
    list."""
    options = (pbxs, sessions, storm, completions, history, writes, certificate, by_time)
    with apart(_process, *options) as pipe:
        ports, pid = pipe.recv()
        yield Address(ports, pid, pipe)
        pipe.send("all is measured")
