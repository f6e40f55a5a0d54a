"""The demo PBX as tests need it: with faults, and it records who connects and what is asked.

All else is as in exporter/demo/.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from exporter.demo import DemoPbx
from exporter.demo.actions import ACTIONS, Headers
from exporter.demo.connection import Connection


class Query(NamedTuple):
    """A FAXSession that was asked; operation and state are '' if there was no such session."""

    number: int
    operation: str
    state: str


class FaultyConnection(Connection):
    """A connection on which the faults of the PBX show."""

    pbx: "FaultyPbx"

    async def answer(self, headers: Headers) -> bytes:
        """Rewrites the answer, and is late with it."""
        pbx, action = self.pbx, headers.get("action", "")
        name = ACTIONS[action.lower()].name if action.lower() in ACTIONS else action
        if name == "FAXSession" and not self.dialogue.refusal(headers):
            pbx.note_query(headers.get("sessionnumber", ""))
        answer = await super().answer(headers)
        pbx.note_answer(name, answer)
        if pbx.rewrite:
            answer = pbx.rewrite(name, answer)
        if seconds := pbx.delay.get(name):
            await pbx.sleep(seconds)
        return answer

    def hears(self, event_class: str) -> bool:
        """Whether an event reaches this client: none does from a mute PBX."""
        return not self.pbx.mute and super().hears(event_class)

    async def send(self, data: bytes) -> None:
        """Sends the message in pieces."""
        size = self.pbx.chunk or max(len(data), 1)
        for start in range(0, len(data), size):
            self.write(data[start : start + size])
            for _ in range(3):  # by then a reader in this loop has seen these bytes alone
                await asyncio.sleep(0)

    def write(self, data: bytes) -> None:
        """Sends bytes now, unless the PBX is mute."""
        if not self.pbx.mute:
            super().write(data)


class FaultyPbx(DemoPbx):
    """A demo PBX whose faults may be set at any time."""

    connection: type[Connection] = FaultyConnection

    def __init__(self, **options: Any) -> None:
        """The options are DemoPbx's."""
        super().__init__(**options)
        self.delay: dict[str, float] = {}
        """Seconds that an answer is late, by action."""
        self.mute = False
        """Nothing is sent to anybody; it is lost."""
        self.chunk = 0
        """Bytes sent at once; 0 is all."""
        self.rewrite: Callable[[str, bytes], bytes] | None = None
        """Changes an answer before it is sent, given the action and what it would have been."""

        self.connections: list[float] = []
        """Times, by `clock`; likewise `logins` and `failed_logins`."""
        self.logins: list[float] = []
        self.failed_logins: list[float] = []
        self.refused_actions: list[float] = []
        """Likewise of actions during a shutdown: each is an ERROR line in Asterisk's log."""
        self.queries: deque[Query] = deque(maxlen=10_000)

    def inject(self, data: bytes) -> None:
        """Sends raw bytes to everybody who is connected, now."""
        for client in self.clients:
            client.write(data)

    async def open(self, connection: socket.socket) -> None:
        """Records the time and serves the client."""
        self.connections.append(self.clock())
        await super().open(connection)

    def note_query(self, number: str) -> None:
        """Keeps what a FAXSession asks for, as it is now."""
        if number.isascii() and number.isdigit():
            session = self.sessions.get(int(number))
            found = (session.operation, session.state) if session else ("", "")
            self.queries.append(Query(int(number), *found))

    def note_answer(self, action: str, answer: bytes) -> None:
        """Keeps when a login was accepted or refused, and what was refused at a shutdown."""
        if b"\r\nMessage: Asterisk is shutting down\r\n" in answer:
            self.refused_actions.append(self.clock())
        elif action == "Login" and b"\r\nMessage: Authentication accepted\r\n" in answer:
            self.logins.append(self.clock())
        elif action == "Login" and b"\r\nMessage: Authentication failed\r\n" in answer:
            self.failed_logins.append(self.clock())
