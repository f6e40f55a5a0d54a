"""What Asterisk's manager answers to each action, and who may ask for it.

Nothing here reads, sends or waits: that is in connection.py.
"""

import hashlib
import random
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from exporter.demo.messages import Reply, message, session_numbers
from exporter.demo.sessions import FAXES

if TYPE_CHECKING:
    from exporter.demo.pbx import DemoPbx

Headers: TypeAlias = Mapping[str, str]
"""Of an action, by lower-case name."""


class Dialogue:
    """One client's login, and the answers to its actions."""

    def __init__(self, pbx: "DemoPbx") -> None:
        self._pbx = pbx
        self.username: str | None = None
        """None until it has logged in."""
        self.over = False
        """The connection ends once the last answer is sent."""
        self.events: deque[bytes] = deque()
        """To be sent as soon as no action is being answered."""
        self._challenge = ""
        self._wants_events = True
        self._read: frozenset[str] = frozenset()
        self._write: frozenset[str] = frozenset()

    def hears(self, event_class: str) -> bool:
        """Whether events of a class are for this client."""
        return self.username is not None and self._wants_events and event_class in self._read

    def answer(self, headers: Headers) -> bytes:
        """All messages that answer an action; b"" if Asterisk crashes over it."""
        reply = Reply(headers.get("actionid", ""))
        if self.is_in_use(headers):
            self.over = True
            return reply.error("Login Already In Use")
        if refusal := self.refusal(headers):
            return reply.error(refusal)
        return ACTIONS[headers["action"].lower()].answer(self, reply, headers)

    def refusal(self, headers: Headers) -> str:
        """Why an action is refused before it is looked at more closely; "" if it is not."""
        action = headers.get("action", "")
        known = ACTIONS.get(action.lower())
        if not action:
            return "Missing action in request"
        if self._pbx.shutting_down:
            return "Asterisk is shutting down"
        if self.username is None and (known is None or known.name not in _BEFORE_LOGIN):
            return "Permission denied"
        if known is None or (known.name in _OF_RES_FAX and not self._pbx.has_fax_actions):
            return (
                f"Invalid/unknown command: {action}. "
                "Use Action: ListCommands to show available commands."
            )
        if known.classes and not known.classes & self._write:
            return "Permission denied"
        return ""

    def is_in_use(self, headers: Headers) -> bool:
        """Whether somebody else is logged in under the name that this action would log in with."""
        asks = headers.get("action", "").lower() in ("challenge", "login")
        if self._pbx.allowmultiplelogin or not asks:
            return False
        name = headers.get("username", "")
        others = self.username is None and not self._pbx.shutting_down
        return others and bool(name) and self._pbx.logged_in(name)

    def _challenge_client(self, reply: Reply, headers: Headers) -> bytes:
        if headers.get("authtype", "").upper() != "MD5":
            return reply.error("Must specify AuthType")
        self._challenge = str(random.randrange(10**8, 10**9))
        return reply.success(f"Challenge: {self._challenge}")

    def _log_in(self, reply: Reply, headers: Headers) -> bytes:
        pbx = self._pbx
        if self.username is not None:
            return reply.success("Message: Already authenticated")
        if headers.get("authtype", "").upper() == "MD5":
            digest = hashlib.md5((self._challenge + pbx.secret).encode(), usedforsecurity=False)
            right = bool(self._challenge) and headers.get("key") == digest.hexdigest()
        else:
            right = headers.get("secret") == pbx.secret
        if headers.get("username") != pbx.username or not right:
            self.over = True
            return reply.error("Authentication failed")
        self.accept()
        self._wants_events = headers.get("events", "on").lower() != "off"
        if self.hears("system"):
            up = int(pbx.clock() - pbx.started)
            self.events.append(
                message(
                    "Event: FullyBooted",
                    "Privilege: system,all",
                    f"Uptime: {up}",
                    f"LastReload: {up}",
                    "Status: Fully Booted",
                )
            )
        return reply.success("Message: Authentication accepted")

    def accept(self) -> None:
        """The client is logged in, with the rights that its user has now."""
        self.username = self._pbx.username
        self._read, self._write = self._pbx.read, self._pbx.write

    def _log_off(self, reply: Reply, headers: Headers) -> bytes:
        self.over = True
        return reply.response("Goodbye", "Message: Thanks for all the fish.")

    def _ping(self, reply: Reply, headers: Headers) -> bytes:
        return reply.success("Ping: Pong", f"Timestamp: {self._pbx.clock():.6f}")

    def _set_events(self, reply: Reply, headers: Headers) -> bytes:
        mask = headers.get("eventmask", "").lower()
        if not mask:
            return reply.error("Invalid event mask")
        self._wants_events = not _EVENT_MASKS.isdisjoint(mask.split(","))
        return reply.success(f"Events: {'On' if self._wants_events else 'Off'}")

    def _get_variable(self, reply: Reply, headers: Headers) -> bytes:
        variable = headers.get("variable", "")
        if not variable:
            return reply.error("No variable specified")
        called = _STRFTIME.fullmatch(variable) if self._pbx.func_strings else None
        value = "" if called is None else f"{self._pbx.local(int(called[1])):{called[2]}}"
        return reply.success(f"Variable: {variable}", f"Value: {value}")

    def _core_status(self, reply: Reply, headers: Headers) -> bytes:
        pbx = self._pbx
        started = pbx.local(pbx.started)
        calls = len({session.channel for session in pbx.sessions.values()})
        return reply.success(
            f"CoreStartupDate: {started:%Y-%m-%d}",
            f"CoreStartupTime: {started:%H:%M:%S}",
            f"CoreReloadDate: {started:%Y-%m-%d}",
            f"CoreReloadTime: {started:%H:%M:%S}",
            f"CoreCurrentCalls: {calls}",
            *((f"CoreProcessedCalls: {pbx.calls_begun}",) if pbx.major >= 20 else ()),
        )

    def _core_settings(self, reply: Reply, headers: Headers) -> bytes:
        return reply.success(
            f"AMIversion: {self._pbx.ami_version}",
            f"AsteriskVersion: {self._pbx.version}",
            "SystemName: ",
            "CoreMaxCalls: 0",
            "CoreMaxLoadAvg: 0.000000",
            "CoreRunUser: ",
            "CoreRunGroup: ",
            "CoreMaxFilehandles: 0",
            "CoreRealTimeEnabled: No",
            "CoreCDRenabled: Yes",
            "CoreHTTPenabled: No",
            *(("SoundsSearchCustomDir: No",) if self._pbx.major >= 18 else ()),
        )

    def _fax_sessions(self, reply: Reply, headers: Headers) -> bytes:
        # Asterisk keeps them in ten buckets by number, and lists bucket by bucket.
        listed = sorted(self._pbx.sessions.values(), key=lambda s: (s.number % 10, s.number))
        entries = (
            reply.event(
                "FAXSessionsEntry",
                f"Channel: {session.channel}",
                f"Technology: {session.technology}",
                f"SessionNumber: {session.number}",
                f"SessionType: {session.transport}",
                f"Operation: {session.operation}",
                f"State: {session.state}",
                f"Files: {','.join(session.files)}",
            )
            for session in listed
        )
        return b"".join(
            (
                reply.success("EventList: Start", _follows("FAXSessionsEntry event list")),
                *entries,
                reply.event(
                    "FAXSessionsComplete",
                    "EventList: Complete",
                    f"ListItems: {len(listed)}",
                    f"Total: {len(listed)}",
                ),
            )
        )

    def _fax_session(self, reply: Reply, headers: Headers) -> bytes:
        pbx, number = self._pbx, headers.get("sessionnumber", "")
        if not (number.isascii() and number.isdigit()):
            return reply.error("Invalid session ID")
        session = pbx.sessions.get(int(number))
        if session is None:
            return reply.error("Session not found")
        if session.technology != "Spandsp":
            return reply.error("Fax technology doesn't provide a handler for FAXSession")
        fields = [
            f"SessionNumber: {session.number}",
            f"Operation: {session.operation}",
            f"State: {session.state}",
        ]
        if session.operation in FAXES and session.state in _WITHOUT_MODEM:
            pbx.crash()  # Asterisk reads through a null pointer here
            return b""
        if session.state != "Uninitialized":
            fields += session_numbers(session)
        follow = reply.success(_follows("FAXSession event"))
        return follow + reply.event("FAXSession", *fields)

    def _fax_stats(self, reply: Reply, headers: Headers) -> bytes:
        stats = self._pbx.stats
        return reply.success(_follows("FAXStats event")) + reply.event(
            "FAXStats",
            f"CurrentSessions: {len(self._pbx.sessions)}",
            f"ReservedSessions: {stats.reserved}",
            f"TransmitAttempts: {stats.transmit_attempts}",
            f"ReceiveAttempts: {stats.receive_attempts}",
            f"CompletedFAXes: {stats.completed}",
            f"FailedFAXes: {stats.failed}",
        )

    def _originate(self, reply: Reply, headers: Headers) -> bytes:
        channel = headers.get("channel", "")
        if not channel:
            return reply.error("Channel not specified")
        if "/" not in channel:
            return reply.error("Invalid channel")
        if headers.get("application", "").lower() != "sendfax" or self._pbx.originate is None:
            return reply.error("Originate failed")
        self._pbx.spawn(self._pbx.originate(headers))
        return reply.success("Message: Originate successfully queued")

    def _hang_up(self, reply: Reply, headers: Headers) -> bytes:
        channel = headers.get("channel", "")
        if not channel:
            return reply.error("No channel specified")
        if not self._pbx.hang_up(channel):
            return reply.error("No such channel")
        return reply.success("Message: Channel Hungup")


def _follows(what: str) -> str:
    return f"Message: {what} will follow"


class Action(NamedTuple):
    """An action that the manager knows, and who may ask for it."""

    name: str
    classes: frozenset[str]
    """Write classes, of which the user needs one; if empty, everybody may ask."""
    answer: Callable[[Dialogue, Reply, Headers], bytes]


ACTIONS: Final = {
    name.lower(): Action(name, frozenset(classes), answer)
    for name, classes, answer in (
        ("Challenge", (), Dialogue._challenge_client),
        ("Login", (), Dialogue._log_in),
        ("Logoff", (), Dialogue._log_off),
        ("Ping", (), Dialogue._ping),
        ("Events", (), Dialogue._set_events),
        ("CoreStatus", ("system", "reporting"), Dialogue._core_status),
        ("CoreSettings", ("system", "reporting"), Dialogue._core_settings),
        ("Getvar", ("call", "reporting"), Dialogue._get_variable),
        ("FAXSessions", ("call",), Dialogue._fax_sessions),
        ("FAXSession", ("call",), Dialogue._fax_session),
        ("FAXStats", ("reporting",), Dialogue._fax_stats),
        ("Originate", ("originate",), Dialogue._originate),
        ("Hangup", ("system", "call"), Dialogue._hang_up),
    )
}
_STRFTIME: Final = re.compile(r"STRFTIME\((-?\d{1,10}),,([^{}()]*)\)")
_BEFORE_LOGIN: Final = ("Challenge", "Login", "Logoff")
_OF_RES_FAX: Final = ("FAXSessions", "FAXSession", "FAXStats")
_WITHOUT_MODEM: Final = ("Initialized", "Open", "Reserved", "Inactive")
_EVENT_MASKS: Final = frozenset({"on", "all", "call", "system", "reporting", "1", "true", "yes"})
