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
    SHUTTING_DOWN,
    Answer,
    Cause,
    ConnectError,
    Connection,
    ConnectionLost,
    Expects,
    Headers,
    LoginRefused,
    Request,
    ShuttingDown,
    connect,
)
from exporter.fax import (
    CHANNELVARS,
    FaxResult,
    FaxSession,
    FaxStats,
    ListedSession,
    Problem,
    Remembered,
    Version,
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
from exporter.ledger import EVENT_LATENESS, Ledger, Observation
from exporter.log import about_target
from exporter.settings import AmiSettings

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 1.0
"""Seconds before the second attempt to connect; doubled each time."""
LONGEST_PAUSE: Final = 60.0
REFUSED_PAUSE: Final = 60.0
"""Seconds before what was refused is tried again, be it a login or an action: Asterisk logs each
refusal, and faster ones get the host banned."""
SHUTDOWN_PAUSE: Final = 10.0
"""Seconds from question to question while Asterisk shuts down: each is an ERROR line in its log,
and without any nobody would notice that the shutdown was called off."""
RETURN_PAUSE: Final = 3.0
"""Seconds at most before the next attempt to connect to an Asterisk that was shutting down."""
RETURN_SECONDS: Final = 180.0
"""So long after it has ended it is expected back."""
_AGAIN: Final = f"tried again, after {LONGEST_PAUSE:.0f} s at the latest"
_SHUT_DOWN: Final = "Asterisk has ended, as it was about to once its last call had"
SILENT_TIMEOUTS: Final = 3
"""Poll timeouts without an answer after which a connection is taken for half-open and given up."""

FAXSTATS: Final = Request("FAXStats", Expects.EVENT)
CORESETTINGS: Final = Request("CoreSettings")
CORESTATUS: Final = Request("CoreStatus")

_ANEW: Final = (
    "'manager reload' in Asterisk's console, then restart the exporter, since a login keeps what "
    "it began with"
)
"""Asterisk copies the classes and filters of a user when it logs in (manager.c, authenticate)."""
_ADD: Final = f"to its write line in manager.conf, then {_ANEW}"
_LACKS: Final = {
    "FAXSessions": f"add 'call' {_ADD}; until then no session is listed: bad lines, data rates and "
    "what runs now are unknown, pages only come by completion events",
    "FAXSession": f"add 'call' {_ADD}; until then bad lines and data rates are unknown, pages only "
    "come by completion events",
    "FAXStats": f"add 'reporting' {_ADD}; until then Asterisk's own attempts, completed and failed "
    "are missing",
    "CoreSettings": f"add 'reporting' {_ADD}; until then the version is missing",
    "CoreStatus": f"add 'reporting' {_ADD}; until then a restart of Asterisk is not told from a "
    "lost connection",
}
_LOAD: Final = (
    "load res_fax.so and res_fax_spandsp.so in modules.conf; 'module show like res_fax' in "
    "Asterisk's console shows which run"
)


def refusal(action: str, user: str, answer: Answer, version: str = "") -> str:
    """What it means that Asterisk, of this version if it is known, refused an action, what is
    missing until it does not, and what to do about it."""
    if answer.denied:
        return f"user {user} may not {action}: {_LACKS[action]}"
    said = answer.message or "no reason given"
    if answer.shutting_down:
        return f"{action}: {SHUTTING_DOWN}"
    if answer.unknown:
        return f"{action}: {said.rstrip('.')}: {_unknown(action, version)}"
    if action == "FAXSession" and "provide a handler" in said:
        return (
            f"{action}: {said}: what runs these faxes, such as Digium's module, tells nothing of "
            "them while they run; until res_fax_spandsp.so runs them, see modules.conf, bad lines "
            "and data rates are unknown, pages only come by completion events"
        )
    return f"{action} failed: {said}; left out until it works, and Asterisk's log may say why"


def _unknown(action: str, version: str) -> str:
    if not action.startswith("FAX"):
        return "is this an Asterisk?"
    known = Version.parse(version)
    if known.major is None:
        old = "this is an Asterisk before 13, which has no such action"
        return f"res_fax is not loaded, or {old}; {_LOAD}"
    if not known.before_fax_actions:
        return f"res_fax is not loaded, and without it there is no fax; {_LOAD}"
    return (
        f"Asterisk {version} has no such action, 13 is the first that has it; of its faxes only "
        "completion events tell"
    )


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
    ERROR = "action_failed"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


_NO_POLL: Final = frozenset({Failure.TIMEOUT, Failure.LOST, Failure.SHUTTING_DOWN})
"""What a poll can fail by as a whole, whatever it brought until then."""
_REFUSALS: Final = ("denied", "unknown", "error")
_LACKING: Final = frozenset({*_REFUSALS, "events", "channelvars"})
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
    """Why it is not up, in an operator's words; empty while it is, and before the first attempt."""
    connected: bool = False
    """Logged in, and it is known which Asterisk that is."""
    answered: bool = False
    """The last poll was answered, be it by refusals."""
    begun: bool = False
    """A poll was answered, be it by refusals, so every counter stands there."""
    sessions_listed: bool = False
    """The last poll had a list of sessions."""
    sessions_asked: bool = False
    """And the last answers about them were none of refusal."""
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
            "events": self.answered and self.events_come,
        }


@dataclass
class _Seen:
    """What came back in one poll, also if it was cut short."""

    listed_at: float
    listed: list[ListedSession] | None = None
    whole: bool = True
    details: dict[int, FaxSession] = field(default_factory=dict)
    answered: bool = False
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
        self._log = about_target(log, self.name)
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
        self._shutting_down = False
        self._untold = False
        """When sessions were last asked about, FAXSession did not work for all."""
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
        """What its log lines name as their target."""
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
        least, back_by = 0.0, -math.inf
        while True:
            polled, connects = self.status.last_success, self.status.connects
            try:
                await self._watch()
            except LoginRefused as error:
                self._fail(Failure.LOGIN, f"{error}; next attempt in {REFUSED_PAUSE:.0f} s")
                least = REFUSED_PAUSE
            except ShuttingDown as error:
                again = f"tried again within {max(least, RETURN_PAUSE):g} s"
                self._fail(Failure.SHUTTING_DOWN, f"{error}; {again}")
                self._shutting_down = True
            except ConnectError as error:
                silent = error.cause is Cause.SILENT
                self._fail(Failure.TIMEOUT if silent else Failure.CONNECT, f"{error}; {_AGAIN}")
            except ConnectionLost as error:
                self._fail(Failure.LOST, f"{error}; {_AGAIN}")
            except TimeoutError:
                waited = f"logged in, then not introduced within {self.settings.timeout:g} s"
                hint = "the PBX or the network is slow"
                self._fail(Failure.TIMEOUT, f"{waited}; {hint}; {_AGAIN}")
            except Exception:
                # A defect of ours must not end the watch over a phone system; it is told whole.
                self._log.exception("unexpected error, connecting again")
                self._fail(Failure.INTERNAL, "internal error; the log has its traceback")
            if self._shutting_down:
                self._shutting_down = False
                back_by = self._clock.monotonic() + RETURN_SECONDS
            if self.status.connects != connects:  # no longer locked out
                least = 0.0
            attempt = 0 if self.status.last_success != polled else attempt + 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt, 10))
            if self._clock.monotonic() < back_by:
                pause = min(pause, RETURN_PAUSE)
            pause = max(least, pause * (0.5 + 0.5 * self._jitter()))
            self._begin_step(pause)
            await asyncio.sleep(pause)

    def _begin_step(self, seconds: float) -> None:
        self._step_ends = self._clock.monotonic() + seconds

    async def _watch(self) -> None:
        """One connection from login to loss. Raises what `ami.connect` does, and TimeoutError."""
        begun = self._clock.monotonic()
        self._begin_step(self.settings.timeout)
        connection = await connect(self.settings, self._hear)
        try:
            self.status.connects += 1
            self.status.trouble = ""
            self._quiet_since = None
            self._denied_at.clear()
            self.status.ami_version = connection.ami_version
            self._log.info("connected, AMI %s", connection.ami_version)
            due = self._clock.monotonic()
            if self._phase is not None:
                due -= (due - self._phase * self._interval) % self._interval
            while True:
                self._begin_step(self.settings.timeout)
                if not self.status.connected:
                    await self._introduce(connection, begun)
                if self.status.connected:
                    await self.poll(connection)
                now = self._clock.monotonic()
                least = SHUTDOWN_PAUSE if self._shutting_down else 0.0
                # By the clock; a poll that overran puts the next one off, none piles up.
                due += self._interval * max(1, math.ceil((now + least - due) / self._interval))
                self._begin_step(due - now)
                await asyncio.wait([connection.lost], timeout=due - now)
        except ConnectionLost as error:
            if not (self._shutting_down and connection.lost.done()):
                raise
            self.ledger.observe(self._no_session_left())
            raise ConnectionLost(f"{_SHUT_DOWN} ({error})") from error
        finally:
            self.status.up = self.status.connected = self.status.answered = False
            connection.close()

    def _no_session_left(self) -> Observation:
        """What an Asterisk that has waited for the end of its last call would list."""
        now = self._clock.monotonic()
        return Observation(now, now, self._clock.wall(), (), True, {})

    async def _introduce(self, connection: Connection, begun: float) -> None:
        """Once a connection, which was `begun` then: which Asterisk, and since when. Raises
        TimeoutError."""
        said: dict[str, Headers] = {}
        refused: list[tuple[Request, Answer]] = []

        def take(request: Request, answer: Answer) -> None:
            if answer.success:
                self._granted(request.action)
                said[request.action] = answer.headers
            else:
                refused.append((request, answer))

        self._begin_step(self.settings.timeout)
        async with asyncio.timeout(self.settings.timeout):
            await connection.ask_each([CORESETTINGS, CORESTATUS], take)
        if any(answer.shutting_down for _, answer in refused):
            self._shut_down()
            return
        for request, answer in refused:
            self._refused(request, answer)
        self._no_longer_shutting_down()
        version = _word(said.get("CoreSettings", {}), "AsteriskVersion")
        self.status.asterisk_version = printable(version)
        self.ledger.connected(parse_core_status(said.get("CoreStatus", {})), begun)
        self.status.connected = True

    def _shut_down(self) -> None:
        """Asterisk refuses whatever it is asked; events still come."""
        self._shutting_down = True
        every = f"completion events are still counted; it is asked again every {SHUTDOWN_PAUSE:g} s"
        self._fail(Failure.SHUTTING_DOWN, f"{SHUTTING_DOWN}; {every}")

    def _no_longer_shutting_down(self) -> None:
        self._shutting_down = False
        self._over(Failure.SHUTTING_DOWN, "Asterisk is no longer shutting down")

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
            seen.answered |= not answer.lost
            if answer.success:
                self._granted("FAXSessions")
                requests = self._listed(answer, seen)
            else:
                seen.failures |= self._refused(self._sessions, answer)
        # What is refused while Asterisk shuts down is an ERROR line in its log.
        if Failure.SHUTTING_DOWN not in seen.failures and not self._denied("FAXStats", seen):
            requests.append(FAXSTATS)
        untold = False

        def take(request: Request, answer: Answer) -> None:
            nonlocal untold
            seen.answered |= not answer.lost
            if not answer.success:
                # A session that has ended since the list is no failure.
                if request is FAXSTATS or not answer.not_found:
                    seen.failures |= self._refused(request, answer)
                    if request is not FAXSTATS and not answer.lost and not answer.shutting_down:
                        untold = True
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
        if untold:
            self._untold = True
        elif seen.details:
            self._untold = False
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
            self._log.debug("not asked about: %s", dict(left))
        if not asked or self._denied("FAXSession", seen):
            return []
        return [self._asking(session.number) for session in asked]

    def _about(self, number: int) -> Request:
        """What asks about one session."""
        about = {"SessionNumber": str(number)}
        return Request("FAXSession", Expects.EVENT, about, self._reading)

    def _record(self, seen: _Seen, begun: float) -> None:
        status, now, wall = self.status, self._clock.monotonic(), self._clock.wall()
        whole = not seen.failures & {Failure.TIMEOUT, Failure.LOST}
        seen.answered |= Failure.DENIED in seen.failures
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
        elif seen.answered and whole:
            self.ledger.unlisted(now)
        if seen.problems:
            seen.failures.add(Failure.MALFORMED)
            self._mention(seen.problems)
        status.failures.update(seen.failures - _NO_POLL)
        status.answered = seen.answered and whole
        status.begun |= status.answered
        status.up = (
            seen.listed is not None or seen.stats is not None
        ) and not seen.failures & _NO_POLL
        status.sessions_listed = seen.listed is not None
        status.sessions_asked = not self._untold
        status.stats = seen.stats
        if Failure.SHUTTING_DOWN in seen.failures:
            self._shut_down()
        elif status.answered:
            self._no_longer_shutting_down()
            self._over(Failure.TIMEOUT, "polls are answered in time again")
            for failure in Failure:  # a login alone is no end of what was wrong
                self._said.pop(failure, None)
        if status.up:
            status.last_success = wall
            status.last_duration = now - begun
            status.trouble = ""
        elif whole and Failure.SHUTTING_DOWN not in seen.failures:
            status.trouble = self._nothing_came()

    def _nothing_came(self) -> str:
        """Why a poll brought neither sessions nor FAXStats though it was answered."""
        neither = "neither FAXSessions nor FAXStats"
        if {"denied FAXSessions", "denied FAXStats"} <= self._said.keys():
            return f"user {self.settings.username} may {neither}: add 'call,reporting' {_ADD}"
        if {"unknown FAXSessions", "unknown FAXStats"} <= self._said.keys():
            why = _unknown("FAXSessions", self.status.asterisk_version)
            return f"Asterisk knows {neither}: {why}"
        kinds = [f"{kind} {action}" for action in ("FAXSessions", "FAXStats") for kind in _REFUSALS]
        said = [self._said[kind] for kind in kinds if kind in self._said]
        return "; ".join(said) or "what Asterisk answered cannot be read; the log quotes it"

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
                f"eventfilter pass SendFAX and ReceiveFAX, then {_ANEW}; until then results and "
                "failures are missing",
            )

    def _denied(self, action: str, seen: _Seen) -> bool:
        """Whether this action was refused so lately that it is left out."""
        at = self._denied_at.get(action)
        denied = at is not None and self._clock.monotonic() < at + REFUSED_PAUSE
        if denied:
            seen.failures.add(Failure.DENIED)
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
        self._over("events", "completion events come")
        if result.missing:
            self._say("channelvars", self._without_result(result))
        else:
            self._over("channelvars", "completion events carry their result")
        self.ledger.hear(result, self._clock.monotonic())

    def _without_result(self, result: FaxResult) -> str:
        """Why completion events tell no result, or not all of it, and what to do."""
        said, version = "completion events carry no result", self.status.asterisk_version
        unknown = "failures and their reasons are unknown"
        if result.succeeded is not None:
            said = f"completion events lack {', '.join(result.missing)}"
            unknown = "reasons of failures, and over what they travelled, are unknown"
        elif Version.parse(version).before_fax_actions:
            return f"{said}: Asterisk {version} writes no channel variables on them; {unknown}"
        return (
            f"{said}; add '{CHANNELVARS}', without blanks, to the first [general] of manager.conf, "
            "or below '[general](+)' at its end (a second [general] is ignored), then 'manager "
            f"reload'; until then {unknown}"
        )

    def _refused(self, request: Request, answer: Answer) -> set[Failure]:
        """Says what a refused action means and what to do; returns what to count it as."""
        action = request.action
        if answer.shutting_down:
            return {Failure.SHUTTING_DOWN}
        if answer.lost:
            self._say(f"lost {action}", f"{action} was never answered; left out")
            return {Failure.UNANSWERED}
        kind, failure = "error", Failure.ERROR
        if answer.denied:
            self._denied_at[action] = self._clock.monotonic()
            kind, failure = "denied", Failure.DENIED
        elif answer.unknown:
            kind, failure = "unknown", Failure.UNKNOWN_ACTION
        for other in _REFUSALS:
            if other != kind:
                self._said.pop(f"{other} {action}", None)
        text = refusal(action, self.settings.username, answer, self.status.asterisk_version)
        self._say(f"{kind} {action}", text)
        return {failure}

    def _granted(self, action: str) -> None:
        """This action works: what was said of it is over."""
        if self._said:
            for kind in _REFUSALS:
                self._over(f"{kind} {action}", f"{action} works now")

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

    def _over(self, kind: str, text: str) -> None:
        """Says once that what was said of this kind is over."""
        if self._said.pop(kind, None) is not None:
            self._log.info("%s", text)

    def _say(self, kind: str, text: str) -> None:
        """Warns once per kind, until that kind is over: a log is read by people."""
        if kind not in self._said:
            self._said[kind] = text
            self._log.warning("%s", text)


def _word(headers: Headers, name: str) -> str:
    value = headers.get(name, "")
    return value if isinstance(value, str) else ""
