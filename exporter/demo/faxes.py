"""The faxes of one Asterisk, as its module res_fax keeps them: how they begin and end, the counts
of FAXStats, and which completion events are sent."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from exporter.demo.messages import FIRST_WITH_FAX_ACTIONS, completion_event, message
from exporter.demo.sessions import (
    FAXES,
    UNTRAINED_RATE,
    Completion,
    DemoSession,
    FaxGone,
    Truth,
)

DROPPED: Final = "The call dropped prematurely"
"""FAXERROR and FAXSTATUSSTRING of a fax whose channel was hung up (spandsp's words)."""
_NO_SESSION: Final = {
    "send": ("INIT_ERROR", "error starting fax session"),
    "receive": ("Channel Problems", "Error before FAX transmission started."),
}
"""FAXERROR and FAXSTATUSSTRING of a fax that cannot start."""


@dataclass
class Stats:
    """What FAXStats says, kept since the last start of Asterisk. `completed` includes `failed`."""

    transmit_attempts: int = 0
    receive_attempts: int = 0
    completed: int = 0
    failed: int = 0
    reserved: int = 0


class Faxes(ABC):
    """What res_fax lists and counts. Who gets its events, and Asterisk's own end: pbx.py."""

    def __init__(
        self,
        *,
        version: str,
        technology: str,
        channelvars: bool,
        res_fax: bool,
        clock: Callable[[], float],
    ) -> None:
        self.version = version
        self.technology = technology
        """That of new sessions. FAXSession can be asked only about those of Spandsp."""
        self.channelvars = channelvars
        """Whether manager.conf has the exporter's variables written into events."""
        self.res_fax = res_fax
        """Whether the module is loaded."""
        self.clock = clock
        self.crashed = False
        self.truth = Truth()
        self._channels = 0
        self.calls_begun = 0
        """Since Asterisk started."""
        self._begin_counting()

    def _begin_counting(self) -> None:
        """The module is loaded: session numbers and FAXStats begin at 0."""
        self._life = object()
        self.next_number = 0
        self.sessions: dict[int, DemoSession] = {}
        self.stats = Stats()

    @property
    def major(self) -> int:
        """Of `version`; what one Asterisk writes another does not."""
        number = re.match(r"(?:1\.)?(\d+)", self.version)
        return int(number[1]) if number else 22

    @property
    def has_fax_actions(self) -> bool:
        """Whether this Asterisk knows FAXSessions, FAXSession and FAXStats at the moment."""
        return self.res_fax and self.major >= FIRST_WITH_FAX_ACTIONS

    def unload_res_fax(self) -> None:
        """Its faxes end without an event, its actions are unknown."""
        self._end_all()
        self.res_fax = False

    def load_res_fax(self) -> None:
        """Its counts begin at 0."""
        self.res_fax = True
        self._begin_counting()

    def reload_res_fax(self) -> None:
        """`module unload` and `module load`."""
        self.unload_res_fax()
        self.load_res_fax()

    def _end_all(self) -> None:
        for session in self.sessions.values():
            session.gone = True
            self.truth.ended[session.operation] += 1
        self.sessions.clear()

    @abstractmethod
    def _send_event(self, event: bytes) -> bool:
        """Sends an event of class call; returns whether anybody gets it."""

    @abstractmethod
    def _session_left(self) -> None:
        """Called whenever a session has left the list."""

    def new_channel(self, name: str) -> str:
        """A channel's full name, with its serial: `PJSIP/trunk-berlin-0000001a`."""
        self._channels += 1
        return f"{name}-{self._channels - 1:08x}"

    def begin(
        self,
        operation: str,
        channel: str,
        *,
        transport: str | None = None,
        files: Iterable[str] = (),
        state: str | None = None,
        linkedid: str | None = None,
    ) -> DemoSession:
        """A session appears in the list: Initialized, but a V.21 detector is Active at once.

        Raises FaxGone if Asterisk has crashed or res_fax is not loaded.
        """
        if self.crashed or not self.res_fax:
            raise FaxGone("Asterisk has crashed" if self.crashed else "res_fax is not loaded")
        fax = operation in FAXES
        uniqueid = f"{int(self.clock())}.{self.next_number}"
        received = (f"/var/spool/asterisk/fax/rx-{uniqueid}.tif",) if operation == "receive" else ()
        session = DemoSession(
            number=self.next_number,
            operation=operation,
            channel=channel,
            transport=transport or ("G.711" if fax else "none"),
            files=tuple(files) or received,
            state=state or ("Active" if operation == "V.21" else "Initialized"),
            rate=UNTRAINED_RATE if fax else 0,
            uniqueid=uniqueid,
            linkedid=linkedid or uniqueid,
            truth=self.truth,
            life=self._life,
            technology=self.technology,
        )
        self.next_number += 1
        self.calls_begun += 1
        self.sessions[session.number] = session
        self.truth.started[operation] += 1
        if fax:
            self.attempt(operation)
        return session

    def attempt(self, operation: str) -> None:
        """SendFAX or ReceiveFAX was called, even if no session comes of it."""
        if operation == "send":
            self.stats.transmit_attempts += 1
        else:
            self.stats.receive_attempts += 1

    def end(
        self,
        session: DemoSession,
        *,
        status: str = "SUCCESS",
        error: str = "",
        status_string: str | None = None,
        pages: int | None = None,
        announce: bool = True,
    ) -> None:
        """The session leaves the list; its event is sent unless `announce` is left for later.

        `pages` is what the event says, by default the truth. Gateways and V.21 detectors have no
        result and no event. Raises FaxGone if it had ended already.
        """
        if session.gone:
            raise FaxGone(f"session {session.number} on {session.channel} has ended already")
        session.gone = True
        del self.sessions[session.number]
        self.truth.ended[session.operation] += 1
        if session.operation not in FAXES:
            self._session_left()
            return
        self.stats.completed += 1
        self.stats.failed += status == "FAILED"
        mode = "T38" if session.transport == "T.38" else "audio"
        session.completion = Completion(session.operation, mode, status, error)
        session.status_string = status_string or ("OK" if status == "SUCCESS" else error)
        session.pages_transferred = session.pages if pages is None else pages
        self.truth.completions[session.completion] += 1
        if announce:
            self.announce(session)
        self._session_left()

    def drop(
        self, session: DemoSession, *, pages: int | None = None, announce: bool = True
    ) -> None:
        """The call of a session is hung up before its fax is over."""
        self.end(session, status="FAILED", error=DROPPED, pages=pages, announce=announce)

    def fail_to_start(self, operation: str, channel: str, *, files: Iterable[str] = ()) -> None:
        """A fax for which no session can be made, as without a timing module. FAXStats counts it as
        failed and not as completed, and an event tells of it."""
        session = self.begin(operation, channel, files=files)
        del self.sessions[session.number]
        self.truth.started[operation] -= 1
        self.stats.failed += 1
        session.gone, session.began = True, False
        error, session.status_string = _NO_SESSION[operation]
        session.completion = Completion(operation, "audio", "FAILED", error)
        self.announce(session)

    def hang_up(self, channel: str) -> bool:
        """Hangs a channel up, and the other half of a Local channel; False if it has no session."""
        call = channel[:-2] if channel.endswith((";1", ";2")) else channel
        halves = (channel,) if call == channel else (f"{call};2", f"{call};1")
        found = [
            session
            for half in halves
            for session in self.sessions.values()
            if (session.moved_to or session.channel) == half
        ]
        for session in found:
            self.drop(session)
        return bool(found)

    def announce(self, session: DemoSession) -> None:
        """Sends the completion event of an ended session, to those who may read class call.

        Raises FaxGone if Asterisk or res_fax was restarted since.
        """
        if session.completion is None:
            raise ValueError(f"session {session.number} has no completion to announce")
        if self.crashed or session.life is not self._life:
            raise FaxGone(f"session {session.number} on {session.channel} is forgotten")
        lines = completion_event(
            session, session.completion, major=self.major, channelvars=self.channelvars
        )
        if self._send_event(message(*lines)):
            heard = self.truth.heard if session.began else self.truth.never_began
            heard[session.completion] += 1
