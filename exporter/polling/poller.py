"""The polling loop of one Asterisk: connect, list, ask, record; what is asked, and when.

fax/ reads what the answers say, ledger/ adds it up.
"""

import asyncio
import itertools
import logging
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, NoReturn

from exporter.ami import Answer, Challenges, Connection, ConnectionLost, Request, connect
from exporter.fax import (
    Problem,
    may_ask,
    parse_core_status,
    parse_listed,
    parse_session,
    parse_stats,
    printable,
)
from exporter.ledger import Ledger, Observation
from exporter.log import about_target
from exporter.polling import troubles
from exporter.polling.backoff import HOLDS, QUICK_PAUSE, REFUSED_PAUSE, Backoff
from exporter.polling.clock import Clock
from exporter.polling.events import Completions
from exporter.polling.health import LatelyOf
from exporter.polling.late_lists import LateLists
from exporter.polling.lateness import Lateness
from exporter.polling.notices import Notices
from exporter.polling.poll import (
    CORESETTINGS,
    CORESTATUS,
    FAXSESSIONS,
    FAXSTATS,
    WHOLE_POLL,
    Poll,
    faxsession,
)
from exporter.polling.poll_cache import PollCache
from exporter.polling.schedule import Schedule
from exporter.polling.secret import with_secret_of_now
from exporter.polling.start_time import StartTime
from exporter.polling.status import Failure, Status
from exporter.polling.troubles import Trouble
from exporter.settings import AmiSettings

log = logging.getLogger(__name__)

SHUTDOWN_PAUSE: Final = 10.0
"""Seconds between two polls while Asterisk shuts down: each is an ERROR line in its log, and
without any the exporter would not notice that the shutdown was called off."""
SILENT_TIMEOUTS: Final = 3
"""Poll timeouts without an answer after which a connection is taken for half-open and given up."""
OURS: Final = 4
"""So many times as long, if this process itself is late: new logins would make that worse."""

_identities = itertools.count(1)


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
        lateness: Lateness | None = None,
    ) -> None:
        """`interval`: seconds from poll to poll. `name`: in the log, else host and port. `phase`:
        when to poll within an interval, from 0 to 1; None: as the first poll happens to be.
        `jitter`: numbers from 0 to 1. `lateness`: of all pollers; None: its own."""
        self.settings = settings
        self.ledger = ledger
        self.identity: Final = next(_identities)
        """No other poller of this process has the same."""
        self._interval = interval
        self.clock = clock or Clock()
        """The clocks that all its times are read from."""
        self.status = Status(watched_since=self.clock.wall(), waiting=troubles.FIRST_TRY)
        ledger.today.begin(self.status.watched_since)
        self._jitter = jitter
        self._lateness = lateness or Lateness(interval, clock=self.clock)
        self._ours = 0.0
        """Seconds of the last poll that this process took, rather than the PBX."""
        self._late_lists = LateLists(interval)
        self.name = name or f"{settings.host}:{settings.port}"
        """What its log lines name as their target."""
        self._log = about_target(log, self.name)
        self._phase = phase
        self._listed = PollCache(parse_listed)
        self._details = PollCache(parse_session)
        self._notices = Notices(self._log, self.clock.wall)
        self._completions = Completions(ledger, self.status, self._notices, self.clock)
        self.lately = LatelyOf(ledger.history)
        """How its last faxes ended."""
        self._challenges = Challenges()
        self._start = StartTime(self.status, self.clock)
        self._denied_at: dict[str, float] = {}
        self._shutting_down = False
        self._logged_in_at = math.inf
        """Monotonic seconds: of this connection, or the last attempt; inf if it had no login."""
        self._step_ends = self.clock.monotonic()
        """Monotonic seconds: when what is being done, such as a pause, has to be over."""

    def log_in_with(self, settings: AmiSettings) -> None:
        """Uses other settings from the next connection on, and logs again whatever goes wrong. Not
        to be called while `run` is at work."""
        self.settings = settings
        self._notices.clear()
        self.status.begin_anew(troubles.NEW_SETTINGS)

    def leave_out(self, why: str) -> None:
        """It is not watched until `run` is called again, and that is told. Not to be called while
        `run` is at work."""
        self.status.begin_anew(troubles.FIRST_TRY)
        self.status.trouble = why
        self._step_ends = -math.inf

    @property
    def fresh(self) -> bool:
        """Whether the last poll succeeded, and is no older than the next one may take."""
        if not self.status.up or self.status.last_success is None:
            return False
        age = self.clock.wall() - self.status.last_success
        return age <= 2 * self._interval + self.settings.timeout

    @property
    def alive(self) -> bool:
        """Whether its loop goes on, even if every poll fails: each step has a deadline, and a loop
        that hangs or has ended misses it."""
        return self.clock.monotonic() <= self._step_ends + self.settings.timeout

    @property
    def hints(self) -> list[str]:
        """What this PBX lacks, and what to do about it."""
        return self._notices.hints(up=self.status.up)

    async def run(self) -> None:
        """Connects, polls, and connects again; ends only when cancelled."""
        backoff = Backoff()
        self.status.begin_anew(self.status.waiting)
        while True:
            logins, polled = self.status.connects, self.status.last_success
            part = self._lateness.part(self.clock.monotonic())
            try:
                await self._watch()
            except Exception as error:
                timeout = self.settings.timeout
                trouble = troubles.no_connection(error, timeout, backoff.least)
                late = part.ours(self.clock.monotonic()) >= timeout / 2
                if late and trouble.kind is Failure.TIMEOUT:
                    trouble = troubles.late_connection(timeout)
                if trouble.kind is Failure.INTERNAL:
                    # A bug in the exporter must not end it; the log has the traceback.
                    self._log.exception("unexpected error, connecting again")
                self._note_outage(self._notices.with_those_before(trouble))
            now = self.clock.monotonic()
            backoff = backoff.after(
                now,
                refused=trouble.kind is Failure.LOGIN,
                shutting_down=self._shutting_down or trouble.kind is Failure.SHUTTING_DOWN,
                logged_in=self.status.connects != logins,
                polled=self.status.last_success != polled,
                held=self._holds,
            )
            self._shutting_down = False
            pause = backoff.pause(now, self._jitter())
            self._begin_step(pause)
            await asyncio.sleep(pause)

    @property
    def _holds(self) -> bool:
        """Whether the connection, or the last one, has lasted for long enough to rely on it."""
        return self.clock.monotonic() - self._logged_in_at >= HOLDS

    @property
    def _may_still_load(self) -> bool:
        """Whether Asterisk, just restarted, may be about to load res_fax, as it had before."""
        fresh = self.status.last_success is not None and not self._holds
        return fresh and self._notices.not_known("FAXSessions")

    def _begin_step(self, seconds: float) -> None:
        """What is done now takes so many seconds at most; see `alive`."""
        self._step_ends = self.clock.monotonic() + seconds

    async def _watch(self) -> NoReturn:
        """One connection from login to loss. Raises what `ami.connect` does, and TimeoutError."""
        begun = self.clock.monotonic()
        self._logged_in_at = math.inf
        self._begin_step(self.settings.timeout)
        self.settings = await with_secret_of_now(self.settings, self._notices)
        connection = await connect(self.settings, self._completions.take, self._challenges)
        try:
            self._logged_in_at = self.clock.monotonic()
            self.status.connects += 1
            self.status.begin_anew(troubles.LOGGED_IN)
            self._completions.connected()
            self._denied_at.clear()
            self.status.ami_version = connection.ami_version
            self._notices.connected(connection.ami_version)
            self._notices.challenged(again=self._challenges.repeated, tls=self.settings.tls)
            now = self.clock.monotonic()
            schedule = Schedule(self._interval, self._phase, self._lateness, now)
            while True:
                self._begin_step(self._patience)
                if not self.status.connected:
                    await self._introduce(connection, begun)
                if self.status.connected:
                    await self.poll(connection)
                    await self._start.ask(connection, self.settings.timeout / 2)
                now = self.clock.monotonic()
                least = SHUTDOWN_PAUSE if self._shutting_down else 0.0
                pause = schedule.over(now, self._ours, least)
                if self._may_still_load:
                    pause = schedule.sooner(now, QUICK_PAUSE)
                self._begin_step(pause)
                await asyncio.wait([connection.lost], timeout=pause)
                if not connection.lost.done():
                    schedule.begins(self.clock.monotonic())
        except ConnectionLost as error:
            if not (self._shutting_down and connection.lost.done()):
                raise
            self.ledger.observe(self._no_session_left())
            raise ConnectionLost(f"{troubles.ENDED} ({error})") from error
        finally:
            self.status.up = self.status.connected = self.status.answered = False
            connection.close()

    def _no_session_left(self) -> Observation:
        """An empty list, which an Asterisk that has shut down cannot give any more: it waited for
        its last call, so every fax has ended."""
        now = self.clock.monotonic()
        return Observation(now, now, self.clock.wall(), ())

    async def _introduce(self, connection: Connection, begun: float) -> None:
        """Once for each connection: asks which Asterisk it is, and since when it runs. `begun`:
        when connecting began. Raises TimeoutError."""
        self._begin_step(self.settings.timeout)
        answers: list[Answer] = []
        async with asyncio.timeout(self.settings.timeout):
            await connection.ask_each([CORESETTINGS, CORESTATUS], answers.append)
        if any(answer.shutting_down for answer in answers):
            self._asterisk_shuts_down()
            return
        for answer in answers:
            if answer.success:
                self._notices.action_works(answer.request.action)
            else:
                self._note_refusal(answer)
        self._asterisk_stays()
        settings, status = (answer.headers if answer.success else {} for answer in answers)
        self.status.asterisk_version = printable(str(settings.get("AsteriskVersion", "")))
        told, seconds = parse_core_status(status), self.settings.timeout / 2
        self.ledger.connected(await self._start.connected(connection, told, seconds), begun)
        self.status.connected = True

    def _asterisk_shuts_down(self) -> None:
        """It refuses every action until its last call has ended; events still come."""
        self._shutting_down = True
        self._note_outage(troubles.shutting_down(SHUTDOWN_PAUSE))

    def _asterisk_stays(self) -> None:
        """It does what it is asked: a shutdown, if there was one, was called off."""
        self._shutting_down = False
        self._notices.end(Failure.SHUTTING_DOWN, "Asterisk is no longer shutting down")

    async def poll(self, connection: Connection) -> None:
        """Lists the sessions, asks for those that may be asked about, and for FAXStats.

        What came is recorded even if the rest did not. Raises ConnectionLost, also if the PBX has
        given no answer for SILENT_TIMEOUTS times the poll timeout.
        """
        self.status.polls += 1
        begun = self.clock.monotonic()
        poll, part = Poll(Observation(listed_at=begun)), self._lateness.part(begun)
        try:
            async with asyncio.timeout(self._patience):
                await connection.drained()
                poll.seen.listed_at = self.clock.monotonic()
                await self._ask(connection, poll)
        except TimeoutError:
            poll.failures.add(Failure.TIMEOUT)
            timeout, ours = self.settings.timeout, part.ours(self.clock.monotonic())
            late = ours >= timeout / 2
            self._note_outage((troubles.late_poll if late else troubles.slow_poll)(timeout))
            if connection.unanswered_for > SILENT_TIMEOUTS * timeout * (OURS if late else 1):
                silent = f"no answer for {connection.unanswered_for:.0f} s"
                raise ConnectionLost(silent) from None
        except ConnectionLost:
            poll.failures.add(Failure.LOST)
            raise
        finally:
            self._ours = part.ours(self.clock.monotonic())
            self._record(poll, begun)

    @property
    def _patience(self) -> float:
        """Seconds that a poll may take: as long longer as this process itself made the last one, so
        that a PBX that answers in time has not failed."""
        return self.settings.timeout + min(self._ours, self.settings.timeout)

    async def _ask(self, connection: Connection, poll: Poll) -> None:
        """Asks everything that a poll asks. Raises ConnectionLost."""
        requests = []
        if not self._denied_lately("FAXSessions", poll):
            self._listed.next_poll()
            self._details.next_poll()
            answer = await connection.ask(FAXSESSIONS)
            poll.answered |= not answer.lost
            if answer.success:
                self._notices.action_works("FAXSessions")
                self._take_list(answer, poll)
                requests = self._session_requests(poll)
            else:
                poll.failures.add(self._note_refusal(answer))
        # What is refused while Asterisk shuts down is an ERROR line in its log.
        if Failure.SHUTTING_DOWN not in poll.failures and not self._denied_lately("FAXStats", poll):
            requests.append(FAXSTATS)
        await connection.ask_each(requests, partial(self._take_answer, poll))
        if poll.details_refused:
            self.status.sessions_asked = False
        elif poll.seen.details:
            self.status.sessions_asked = True
            self._notices.action_works("FAXSession")

    def _take_list(self, answer: Answer, poll: Poll) -> None:
        """Takes the answer to FAXSessions."""
        read = [self._listed.read(event, poll.problems) for event in answer.events]
        poll.seen.listed = [session for session in read if session is not None]
        poll.seen.whole = answer.complete and len(poll.seen.listed) == len(read)
        if not answer.complete:
            poll.problems.append(Problem("FAXSessionsComplete", "list cut short"))

    def _session_requests(self, poll: Poll) -> list[Request]:
        """The requests for the sessions that were listed and may be asked about."""
        listed = poll.seen.listed or ()
        asked = [session.number for session in listed if may_ask(session)]
        if len(asked) < len(listed) and log.isEnabledFor(logging.DEBUG):
            left = Counter(f"{s.operation} {s.state}" for s in listed if not may_ask(s))
            self._log.debug("not asked about: %s", dict(left))
        if not asked or self._denied_lately("FAXSession", poll):
            return []
        return [faxsession(number) for number in asked]

    def _take_answer(self, poll: Poll, answer: Answer) -> None:
        """Takes the answer to FAXSession or FAXStats."""
        request, seen = answer.request, poll.seen
        poll.answered |= not answer.lost
        if request is FAXSTATS:
            if answer.success:
                seen.stats = parse_stats(answer.events[0], poll.problems)
                self._completions.check(seen.stats, self.settings.username)
                self._notices.action_works("FAXStats")
            else:
                poll.failures.add(self._note_refusal(answer))
        elif answer.success:
            detail = self._details.read(answer.events[0], poll.problems)
            if detail is not None and str(detail.number) == request.headers["SessionNumber"]:
                seen.details[detail.number] = detail
        elif not answer.not_found:  # a session that has ended since the list is no failure
            poll.failures.add(self._note_refusal(answer))
            poll.details_refused |= not (answer.lost or answer.shutting_down)

    def _record(self, poll: Poll, begun: float) -> None:
        """Gives what the poll saw to the ledger, and how it went to the status."""
        seen, failures, status = poll.seen, poll.failures, self.status
        seen.at, seen.wall = self.clock.monotonic(), self.clock.wall()
        whole = not failures & {Failure.TIMEOUT, Failure.LOST}
        poll.answered |= Failure.DENIED in failures
        if seen.listed is not None:
            status.late_polls += self._late_lists.missed(seen)
            self.ledger.observe(seen)
        elif poll.answered and whole:
            self.ledger.observe_without_list(seen.at)
        if poll.problems:
            failures.add(Failure.MALFORMED)
            self._notices.unreadable(poll.problems)
        if failures:  # to count nothing takes as long as to read three sessions
            status.failures.update(failures - WHOLE_POLL)
        status.answered = poll.answered and whole
        status.begun |= status.answered
        brought = seen.listed is not None or seen.stats is not None
        status.up = brought and not failures & WHOLE_POLL
        status.sessions_listed = seen.listed is not None
        status.stats = seen.stats
        if Failure.SHUTTING_DOWN in failures:
            self._asterisk_shuts_down()
        elif status.answered:
            self._asterisk_stays()
            self._notices.end(Failure.TIMEOUT, "polls are answered in time again")
            if self._holds:  # a login alone, or a poll, did not show that they are over
                self._notices.forget_outages()
        if status.up:
            status.last_success = seen.wall
            status.last_duration = seen.at - begun
            status.trouble = ""
        elif whole and Failure.SHUTTING_DOWN not in failures:
            refusals = self._notices.refusals_of("FAXSessions", "FAXStats")
            status.trouble = troubles.nothing_came(
                refusals, self.settings.username, status.asterisk_version
            )

    def _denied_lately(self, action: str, poll: Poll) -> bool:
        """Whether this action was denied so lately that it is not asked now. The poll then counts
        as denied."""
        at = self._denied_at.get(action)
        denied = at is not None and self.clock.monotonic() < at + REFUSED_PAUSE
        if denied:
            poll.failures.add(Failure.DENIED)
        return denied

    def _note_refusal(self, answer: Answer) -> Failure:
        """Notes why an action was not done, and returns what to count it as."""
        action = answer.request.action
        if answer.shutting_down:
            return Failure.SHUTTING_DOWN
        if answer.lost:
            self._notices.begin(troubles.unanswered(action))
            return Failure.UNANSWERED
        if answer.denied:
            self._denied_at[action] = self.clock.monotonic()
        trouble = troubles.refused(answer, self.settings.username, self.status.asterisk_version)
        self._notices.begin(trouble)
        return trouble.kind

    def _note_outage(self, trouble: Trouble[Failure]) -> None:
        """Counts and notes that there is no connection, or no poll, and why."""
        # Some texts begin with the address, which can be the name of the target too.
        text = trouble.text.removeprefix(f"{self.name}: ")
        self.status.failures[trouble.kind] += 1
        self.status.trouble = text
        self._notices.begin(replace(trouble, text=text))
