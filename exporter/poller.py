"""The scrape loop of one Asterisk: list, ask, record, reconnect.

What is asked and when. What an answer says is `fax`'s business, what it adds up to the `ledger`'s.
"""

import asyncio
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from exporter.ami import (
    Answer,
    ConnectError,
    Connection,
    ConnectionLost,
    Expects,
    LoginRefused,
    Request,
    connect,
)
from exporter.fax import (
    FaxSession,
    FaxStats,
    Headers,
    ListedSession,
    Problem,
    Remembered,
    may_ask,
    parse_core_status,
    parse_listed,
    parse_result,
    parse_session,
    parse_stats,
    printable,
    read_listed,
    read_session,
)
from exporter.ledger import Ledger, Observation
from exporter.matching import EVENT_LATENESS
from exporter.settings import AmiSettings

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 1.0
"""Seconds before the second attempt to connect; doubled each time."""
LONGEST_PAUSE: Final = 60.0
REFUSED_PAUSE: Final = 60.0
"""Seconds before what was refused is tried again, be it a login or an action: Asterisk logs each
refusal, and faster ones get the host banned."""
SILENT_TIMEOUTS: Final = 3
"""Poll timeouts without an answer after which a connection is taken for half-open and given up."""

FAXSTATS: Final = Request("FAXStats", Expects.EVENT)
CORESETTINGS: Final = Request("CoreSettings")
CORESTATUS: Final = Request("CoreStatus")

CHANNELVARS: Final = "channelvars = FAXSTATUS,FAXERROR,FAXMODE,FAXSTATUSSTRING"
"""The line of manager.conf that puts a fax' result on its completion event."""

_LACKS: Final = {
    "FAXSessions": "add 'call' to its write line in manager.conf; until then there are no session, "
    "page, bad-line and data-rate metrics, FAXStats and completion events go on",
    "FAXSession": "add 'call' to its write line in manager.conf; until then there are no page, "
    "bad-line and data-rate metrics, FAXStats and completion events go on",
    "FAXStats": "add 'reporting' to its write line in manager.conf; until then Asterisk's own "
    "attempts, completed and failed are missing, all else goes on",
    "CoreSettings": "add 'reporting' to its write line in manager.conf; until then the version is "
    "missing, all else goes on",
    "CoreStatus": "add 'reporting' to its write line in manager.conf; until then a restart of "
    "Asterisk is not told from a lost connection, all else goes on",
}
_NO_RES_FAX: Final = (
    "is res_fax loaded? see 'module show like fax', and load res_fax.so and res_fax_spandsp.so in "
    "modules.conf; an Asterisk before 13.2 has no such action; completion events, the version and "
    "the connection go on"
)


def refusal(action: str, user: str, answer: Answer) -> str:
    """What it means that Asterisk refused an action, what is missing until it does not, and what
    to do about it."""
    if answer.denied:
        return f"user {user} may not {action}: {_LACKS[action]}"
    said = answer.message or "no reason given"
    if answer.unknown:
        hint = _NO_RES_FAX if action.startswith("FAX") else "is this an Asterisk?"
        return f"{action}: {said}: {hint}"
    return f"{action} failed: {said}; left out"


class Failure(StrEnum):
    """Why a poll failed, or could not read all that came."""

    CONNECT = "connect"
    LOGIN = "login_refused"
    LOST = "connection_lost"
    TIMEOUT = "timeout"
    DENIED = "permission_denied"
    UNKNOWN_ACTION = "unknown_action"
    UNANSWERED = "unanswered"
    MALFORMED = "malformed"
    INTERNAL = "internal"


_LACKING: Final = frozenset({"denied", "unknown", "events", "channelvars"})
"""What is said and then stays true until it is put right at the PBX."""


@dataclass(frozen=True)
class Clock:
    """Where time comes from: `monotonic` seconds for durations, `wall` seconds since the epoch."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass
class Status:
    """How the polling itself goes."""

    up: bool = False
    trouble: str = ""
    """Why it is not up, in an operator's words; empty while it is, and before the first poll."""
    begun: bool = False
    """There has been a successful poll, so every counter stands there."""
    sessions_listed: bool = False
    """The last poll had a list of sessions."""
    sessions_asked: bool = False
    """And asking about them was not refused."""
    events_come: bool = True
    """False if Asterisk counted completions over this connection and no event told of them."""
    stats: FaxStats | None = None
    """None if the last poll did not bring them."""
    asterisk_version: str = ""
    ami_version: str = ""
    last_success: float | None = None
    """Seconds since the epoch."""
    last_duration: float | None = None
    """Seconds the last successful poll took."""
    polls: int = 0
    connects: int = 0
    failures: Counter[Failure] = field(default_factory=lambda: Counter(dict.fromkeys(Failure, 0)))

    @property
    def collectors(self) -> dict[str, bool]:
        """Which parts work."""
        return {
            "sessions": self.up and self.sessions_listed and self.sessions_asked,
            "stats": self.up and self.stats is not None,
            "events": self.up and self.events_come,
        }


@dataclass
class _Seen:
    """What came back in one poll, also if it was cut short."""

    listed_at: float
    listed: list[ListedSession] | None = None
    whole: bool = True
    details: dict[int, FaxSession] = field(default_factory=dict)
    asked: bool = True
    stats: FaxStats | None = None
    failures: set[Failure] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


class Poller:
    """Watches one Asterisk for ever."""

    def __init__(
        self,
        settings: AmiSettings,
        interval: float,
        ledger: Ledger,
        *,
        name: str = "",
        phase: float | None = None,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`interval`: seconds from poll to poll. `name`: in the log, else host and port. `phase`:
        when to poll within an interval, from 0 to 1; None: whenever the first poll was. `jitter`:
        numbers from 0 to 1."""
        self.settings = settings
        self.ledger = ledger
        self.status = Status()
        self._interval = interval
        self._clock = clock or Clock()
        self._jitter = jitter
        self._name = name
        self._phase = phase
        self._listing = Remembered(read_listed)
        self._reading = Remembered(read_session)
        self._asking = Remembered(self._about)
        self._sessions = Request("FAXSessions", Expects.LIST, read=self._listing)
        self._said: dict[str, str] = {}
        self._denied_at: dict[str, float] = {}
        self._heard_any = False
        self._unheard = 0
        """Completions without an event since the last event."""
        self._quiet_since: float | None = None
        """When an event last came, or FAXStats was first heard over this connection."""
        self._step_ends = self._clock.monotonic()
        """When the step that is under way, be it a pause, has to be over."""

    def log_in_with(self, settings: AmiSettings) -> None:
        """Uses these from the next connection on; what then goes wrong is news. Not while it
        runs."""
        self.settings = settings
        self._said.clear()

    @property
    def clock(self) -> Clock:
        """What its times are of."""
        return self._clock

    @property
    def name(self) -> str:
        """What its log lines begin with."""
        return self._name or f"{self.settings.host}:{self.settings.port}"

    @property
    def fresh(self) -> bool:
        """Whether the last poll succeeded, and is no older than the next one may take."""
        if not self.status.up or self.status.last_success is None:
            return False
        age = self._clock.wall() - self.status.last_success
        return age <= 2 * self._interval + self.settings.timeout

    @property
    def alive(self) -> bool:
        """Whether it goes on, be it from failure to failure: every step of it has a deadline."""
        return self._clock.monotonic() <= self._step_ends + self.settings.timeout

    @property
    def hints(self) -> list[str]:
        """What this PBX lacks, and what to do about it."""
        return [text for kind, text in self._said.items() if kind.partition(" ")[0] in _LACKING]

    async def run(self) -> None:
        """Connects, polls, and connects again; ends only when cancelled."""
        attempt = 0
        least = 0.0
        while True:
            polled, connects = self.status.last_success, self.status.connects
            try:
                await self._watch()
            except LoginRefused as error:
                self._fail(Failure.LOGIN, f"{error}; next attempt in {REFUSED_PAUSE:.0f} s")
                least = REFUSED_PAUSE
            except ConnectError as error:
                self._fail(Failure.CONNECT, str(error))
            except ConnectionLost as error:
                self._fail(Failure.LOST, str(error))
            except TimeoutError:
                waited = f"not connected and introduced within {self.settings.timeout:g} s"
                self._fail(Failure.TIMEOUT, f"{waited}; the PBX or the network is slow")
            except Exception:
                # A defect of ours must not end the watch over a phone system; it is told whole.
                log.exception("%s: unexpected error, connecting again", self.name)
                self._fail(Failure.INTERNAL, "internal error")
            if self.status.connects != connects:  # no longer locked out
                least = 0.0
            attempt = 0 if self.status.last_success != polled else attempt + 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt, 10))
            pause = max(least, pause * (0.5 + 0.5 * self._jitter()))
            self._begin_step(pause)
            await asyncio.sleep(pause)

    def _begin_step(self, seconds: float) -> None:
        self._step_ends = self._clock.monotonic() + seconds

    async def _watch(self) -> None:
        """One connection from login to loss. Raises what `ami.connect` does, and TimeoutError."""
        begun = self._clock.monotonic()
        self._begin_step(self.settings.timeout)
        async with asyncio.timeout(self.settings.timeout):
            connection = await connect(self.settings, self._hear)
        try:
            self.status.connects += 1
            self._quiet_since = None
            self._denied_at.clear()
            self.status.ami_version = connection.ami_version
            log.info("%s: connected, AMI %s", self.name, connection.ami_version)
            for failure in Failure:
                self._said.pop(failure, None)
            self._begin_step(self.settings.timeout)
            async with asyncio.timeout(self.settings.timeout):
                await self._introduce(connection, begun)
            due = self._clock.monotonic()
            if self._phase is not None:
                due -= (due - self._phase * self._interval) % self._interval
            while True:
                self._begin_step(self.settings.timeout)
                await self.poll(connection)
                now = self._clock.monotonic()
                # By the clock; a poll that overran puts the next one off, none piles up.
                due += self._interval * max(1, math.ceil((now - due) / self._interval))
                self._begin_step(due - now)
                await asyncio.wait([connection.lost], timeout=due - now)
        finally:
            self.status.up = False
            connection.close()

    async def _introduce(self, connection: Connection, begun: float) -> None:
        """Once a connection, which was `begun` then: which Asterisk, and since when."""
        said: dict[str, Headers] = {}

        def take(request: Request, answer: Answer) -> None:
            if answer.success:
                self._granted(request.action)
                said[request.action] = answer.headers
            else:
                self._refused(request, answer)

        await connection.ask_each([CORESETTINGS, CORESTATUS], take)
        version = _word(said.get("CoreSettings", {}), "AsteriskVersion")
        self.status.asterisk_version = printable(version)
        self.ledger.connected(parse_core_status(said.get("CoreStatus", {})), begun)

    async def poll(self, connection: Connection) -> None:
        """Lists the sessions, asks for those that may be asked about, and for FAXStats.

        What came is recorded even if the rest did not. Raises ConnectionLost, also if the PBX has
        given no answer for SILENT_TIMEOUTS times the poll timeout.
        """
        self.status.polls += 1
        begun = self._clock.monotonic()
        seen = _Seen(listed_at=begun)
        try:
            async with asyncio.timeout(self.settings.timeout):
                await connection.drained()
                seen.listed_at = self._clock.monotonic()
                await self._ask(connection, seen)
        except TimeoutError:
            self._fail(
                Failure.TIMEOUT,
                f"no complete answer within {self.settings.timeout:g} s; "
                "the PBX is slow or the network loses packets",
            )
            seen.failures.add(Failure.TIMEOUT)
            if connection.unanswered_for > SILENT_TIMEOUTS * self.settings.timeout:
                silent = f"no answer for {connection.unanswered_for:.0f} s"
                raise ConnectionLost(silent) from None
        except ConnectionLost:
            seen.failures.add(Failure.LOST)
            raise
        finally:
            self._record(seen, begun)

    async def _ask(self, connection: Connection, seen: _Seen) -> None:
        requests = []
        if not self._denied("FAXSessions", seen):
            for remembered in (self._listing, self._reading, self._asking):
                remembered.turn()
            answer = await connection.ask(self._sessions)
            if answer.success:
                self._granted("FAXSessions")
                requests = self._listed(answer, seen)
            else:
                seen.failures |= self._refused(self._sessions, answer)
        if not self._denied("FAXStats", seen):
            requests.append(FAXSTATS)

        def take(request: Request, answer: Answer) -> None:
            if not answer.success:
                # A session that has ended since the list is no failure.
                if request is FAXSTATS or answer.lost or answer.denied or answer.unknown:
                    seen.failures |= self._refused(request, answer)
                    seen.asked &= request is FAXSTATS or not answer.denied
            elif request is FAXSTATS:
                seen.stats = parse_stats(answer.events[0], seen.problems)
                self._compare(seen.stats)
                self._granted("FAXStats")
            else:
                detail = answer.events[0]
                if not isinstance(detail, FaxSession):
                    detail = parse_session(detail, seen.problems)
                if detail is not None and str(detail.number) == request.headers["SessionNumber"]:
                    seen.details[detail.number] = detail

        await connection.ask_each(requests, take)
        if seen.details:
            self._granted("FAXSession")

    def _listed(self, answer: Answer, seen: _Seen) -> list[Request]:
        """Takes the list; returns what is to be asked about its sessions."""
        listed = [
            event if isinstance(event, ListedSession) else parse_listed(event, seen.problems)
            for event in answer.events
        ]
        seen.listed = [session for session in listed if session is not None]
        seen.whole = answer.complete and len(seen.listed) == len(listed)
        if not answer.complete:
            seen.problems.append(Problem("FAXSessionsComplete", "list cut short"))
        asked = [session for session in seen.listed if may_ask(session)]
        if len(asked) < len(seen.listed) and log.isEnabledFor(logging.DEBUG):
            left = Counter(f"{s.operation} {s.state}" for s in seen.listed if not may_ask(s))
            log.debug("%s: not asked about: %s", self.name, dict(left))
        if not asked or self._denied("FAXSession", seen):
            return []
        return [self._asking(session.number) for session in asked]

    def _about(self, number: int) -> Request:
        """What asks about one session."""
        about = {"SessionNumber": str(number)}
        return Request("FAXSession", Expects.EVENT, about, self._reading)

    def _record(self, seen: _Seen, begun: float) -> None:
        status, now, wall = self.status, self._clock.monotonic(), self._clock.wall()
        if seen.listed is not None:
            self.ledger.observe(
                Observation(
                    listed_at=seen.listed_at,
                    at=now,
                    wall=wall,
                    listed=tuple(seen.listed),
                    whole=seen.whole,
                    details=seen.details,
                    stats=seen.stats,
                )
            )
        elif seen.failures & {Failure.DENIED, Failure.UNKNOWN_ACTION}:
            self.ledger.unlisted(now)
        if seen.problems:
            seen.failures.add(Failure.MALFORMED)
            self._mention(seen.problems)
        status.failures.update(seen.failures - {Failure.TIMEOUT, Failure.LOST})
        answered = seen.listed is not None or seen.stats is not None
        status.up = answered and not seen.failures & {Failure.TIMEOUT, Failure.LOST}
        status.sessions_listed = seen.listed is not None
        status.sessions_asked = seen.asked
        status.stats = seen.stats
        if status.up:
            status.begun = True
            status.last_success = wall
            status.last_duration = now - begun
            status.trouble = ""
            self._said.pop(Failure.TIMEOUT, None)

    def _compare(self, stats: FaxStats) -> None:
        """Whether events come for the completions that Asterisk counts. At the moment it says so:
        an event that is right behind is of a fax that is not in these stats yet."""
        if stats.completed is None:
            return
        now = self._clock.monotonic()
        if self._quiet_since is None:
            self._quiet_since = now
        unobserved = self.ledger.unobserved.counted(stats.completed, now)
        # What becomes known sooner was missed between two connections; so was what becomes known
        # later because events of other faxes stood in for it.
        if unobserved and now - self._quiet_since > 2 * EVENT_LATENESS:
            self._unheard += unobserved
        # A call that is moved by AMI can end its fax without an event, though all others come.
        if self._unheard > self._heard_any:
            self.status.events_come = False
            self._say(
                "events",
                "Asterisk counts faxes and sends no event for them; add 'call' to "
                f"the read line of {self.settings.username} in manager.conf, and let its "
                "eventfilter pass SendFAX and ReceiveFAX; until then results and failures are "
                "missing, all else goes on",
            )

    def _denied(self, action: str, seen: _Seen) -> bool:
        """Whether this action was refused so lately that it is left out."""
        at = self._denied_at.get(action)
        denied = at is not None and self._clock.monotonic() < at + REFUSED_PAUSE
        if denied:
            seen.failures.add(Failure.DENIED)
            seen.asked &= action != "FAXSession"
        return denied

    def _hear(self, headers: Headers) -> None:
        problems: list[Problem] = []
        result = parse_result(headers, problems)
        if problems:
            self.status.failures[Failure.MALFORMED] += 1
            self._mention(problems)
        if result is None:
            return
        self.status.events_come = self._heard_any = True
        self._unheard = 0
        self._quiet_since = self._clock.monotonic()
        self._said.pop("events", None)
        if result.missing:
            lack = "failures" if result.succeeded is None else "reasons of failures"
            self._say(
                "channelvars",
                f"completion events lack {', '.join(result.missing)}; add '{CHANNELVARS}', without "
                "blanks, to the first [general] of manager.conf, or below '[general](+)' at its "
                "end (a second [general] is ignored), then 'manager reload'; until then "
                f"{lack} are unknown, all else goes on",
            )
        else:
            self._said.pop("channelvars", None)
        self.ledger.hear(result, self._clock.monotonic())

    def _refused(self, request: Request, answer: Answer) -> set[Failure]:
        """Says what a refused action means and what to do; returns what to count it as."""
        action, user = request.action, self.settings.username
        if answer.lost:
            self._say(f"lost {action}", f"{action} was never answered; left out")
            return {Failure.UNANSWERED}
        if answer.denied:
            self._denied_at[action] = self._clock.monotonic()
            self._say(f"denied {action}", refusal(action, user, answer))
            return {Failure.DENIED}
        if answer.unknown:
            self._say(f"unknown {action}", refusal(action, user, answer))
            return {Failure.UNKNOWN_ACTION}
        self._say(f"error {action}", refusal(action, user, answer))
        return {Failure.MALFORMED}

    def _granted(self, action: str) -> None:
        """This action works: what was said of it is over."""
        if self._said:
            for kind in ("denied", "unknown"):
                self._said.pop(f"{kind} {action}", None)

    def _mention(self, problems: list[Problem]) -> None:
        for problem in problems:
            self._say(
                f"malformed {problem.field}",
                f"{problem.field} is not as Asterisk writes it and is left out: {problem.value}",
            )

    def _fail(self, failure: Failure, text: str) -> None:
        text = text.removeprefix(f"{self.name}: ")  # which may be the address that was tried
        self.status.failures[failure] += 1
        self.status.trouble = text
        if self._said.get(failure) != text:  # another reason than last time is news
            self._said.pop(failure, None)
        self._say(failure, text)

    def _say(self, kind: str, text: str) -> None:
        """Warns once per kind, until that kind is over: a log is read by people."""
        if kind not in self._said:
            self._said[kind] = text
            log.warning("%s: %s", self.name, text)


def _word(headers: Headers, name: str) -> str:
    value = headers.get(name, "")
    return value if isinstance(value, str) else ""
