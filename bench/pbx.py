"""A PBX that costs next to nothing: a process of its own that answers from prebuilt bytes.

Like Asterisk's own manager it writes each message by itself, unless told otherwise. Its sessions
are receive and send in turn, and all advance from list to list: PATTERN is what bad lines read in
the course of a page. What they add up to is known, so a poll can be checked.
"""

import asyncio
import contextlib
import os
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from harness.apart import apart
from harness.events import UNWANTED

HOST: Final = "127.0.0.1"
SECRET: Final = "s"
PATTERN: Final = (0, 2, 2, 9)
"""What TotalBadLines reads from list to list while a page is received; then comes the next page."""
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
_POLLS: Final = "polls"


@dataclass(frozen=True)
class Address:
    """Where PBXs listen, their process, and what they can be asked for."""

    ports: list[int]
    pid: int
    pipe: "Connection[Any, Any]"

    def polls(self) -> list[list[float]]:
        """By PBX, when it was asked for its list since the last time this was called, seconds of a
        monotonic clock."""
        self.pipe.send(_POLLS)
        times: list[list[float]] = self.pipe.recv()
        return times


def truth(lists: int, sessions: int) -> tuple[int, int]:
    """Pages and bad lines that are counted after so many lists; the first is where counting
    begins."""
    pages = (lists - 1) // len(PATTERN)
    bad_lines = pages * PATTERN[-1] + PATTERN[(lists - 1) % len(PATTERN)]
    return pages * sessions, bad_lines * ((sessions + 1) // 2)


class _Script:
    """Every answer about `sessions` sessions, prebuilt but for the ActionID and what advances."""

    def __init__(self, sessions: int, writes: str) -> None:
        self.writes = writes
        head = b"ActionID: " + _ID + b"\r\n"
        entries = "".join(
            "Event: FAXSessionsEntry\r\nActionID: =ID=\r\n"
            f"Channel: {_channel(number)}\r\nTechnology: Spandsp\r\nSessionNumber: {number}\r\n"
            f"SessionType: G.711\r\nOperation: {_operation(number)}\r\nState: Active\r\n"
            f"Files: {_file(number)}\r\n\r\n"
            for number in range(sessions)
        )
        self.list = (
            b"Response: Success\r\n" + head + b"EventList: Start\r\n"
            b"Message: FAXSessionsEntry event list will follow\r\n\r\n"
            + entries.encode()
            + b"Event: FAXSessionsComplete\r\n"
            + head
            + f"EventList: Complete\r\nListItems: {sessions}\r\nTotal: {sessions}\r\n\r\n".encode()
        )
        self.before = (
            b"Response: Success\r\n" + head + b"Message: FAXSession event will follow\r\n\r\n"
            b"Event: FAXSession\r\n" + head
        )
        self.numbers = [f"SessionNumber: {n}\r\n".encode() for n in range(sessions)]
        self.files = [f"FileName: {_file(n)}\r\n".encode() for n in range(sessions)]
        self.stats = (
            b"Response: Success\r\n" + head + b"Message: FAXStats event will follow\r\n\r\n"
            b"Event: FAXStats\r\n"
            + head
            + f"CurrentSessions: {sessions}\r\nReservedSessions: 0\r\nTransmitAttempts: 5\r\n"
            "ReceiveAttempts: 5\r\nCompletedFAXes: 5\r\nFailedFAXes: 1\r\n\r\n".encode()
        )
        self.lists = 0
        self.polls: list[float] = []
        """When each list was asked for."""

    def session(self, number: int) -> bytes:
        pages, moment = divmod(self.lists - 1, len(PATTERN))
        operation = _operation(number)
        sent, received = (0, pages) if operation == "receive" else (pages, 0)
        bad_lines = PATTERN[moment] if operation == "receive" else 0
        return b"".join(
            (
                self.before,
                self.numbers[number],
                f"Operation: {operation}\r\nState: Active\r\nErrorCorrectionMode: No\r\n".encode(),
                b"DataRate: 14400\r\nImageResolution: 8031x3850\r\n",
                f"PageNumber: {pages + 1}\r\n".encode(),
                self.files[number],
                f"PagesTransmitted: {sent}\r\nPagesReceived: {received}\r\n"
                f"TotalBadLines: {bad_lines}\r\n\r\n".encode(),
            )
        )


def _operation(number: int) -> str:
    return "send" if number % 2 else "receive"


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

    def __init__(self, script: _Script, burst: bytes, history: bytes) -> None:
        self._script = script
        self._history = history
        self._burst = burst
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
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
        data = self._unread + data
        end = 0
        answers = []
        for found in _ACTION.finditer(data):
            end = found.end()
            action, identity, number = found.groups()
            answer = self._answer(action, int(number or 0)).replace(_ID, identity)
            if self._script.writes == "by message":
                for message in answer.split(_END)[:-1]:
                    self._transport.write(message + _END)
            elif self._script.writes == "by answer":
                self._transport.write(answer)
            else:
                answers.append(answer)
        self._unread = data[end:]
        if answers:
            self._transport.write(b"".join(answers))

    def _answer(self, action: bytes, number: int) -> bytes:
        if action == b"FAXSessions":
            self._script.lists += 1
            self._script.polls.append(time.monotonic())
            return self._script.list
        if action == b"FAXSession":
            return self._script.session(number)
        if action == b"FAXStats":
            return self._script.stats
        return b"Response: Success\r\nActionID: =ID=\r\nChallenge: 1\r\nMessage: none\r\n\r\n"

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
    scripts = [_Script(sessions, writes) for _ in range(pbxs)]
    for script in scripts:
        server = await loop.create_server(
            lambda script=script: _ClientConnection(script, burst, ended_before),
            HOST,
            0,
            ssl=context,
        )
        ports.append(server.sockets[0].getsockname()[1])
    pipe.send((ports, os.getpid()))
    ended = loop.create_future()

    def asked() -> None:
        try:
            if pipe.recv() != _POLLS:
                ended.cancel()
                return
        except EOFError:
            ended.cancel()
            return
        pipe.send([script.polls for script in scripts])
        for script in scripts:
            script.polls = []

    loop.add_reader(pipe.fileno(), asked)
    with contextlib.suppress(asyncio.CancelledError):
        await ended


def _process(pipe: "Connection[object, object]", *options: Any) -> None:
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
) -> Iterator[Address]:
    """PBXs in a process of their own, each with so many sessions. `storm`: unwanted events a
    second on every connection; `completions`: likewise SendFAX events; `history`: so many of them
    once, HISTORY_AFTER seconds after connecting. `writes`: one of WRITES.
    `certificate`: a file with it and its key, for TLS."""
    with apart(_process, pbxs, sessions, storm, completions, history, writes, certificate) as pipe:
        ports, pid = pipe.recv()
        yield Address(ports, pid, pipe)
        pipe.send("all is measured")
