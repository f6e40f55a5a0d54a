"""Observations in, exact totals out: pages, bad lines, sessions and results, each counted once.
Which session an event is of tells matching.py, and whether Asterisk was restarted, lives.py.

No I/O, no clock, no Prometheus: every time is an argument, in seconds of a monotonic clock.
Nothing here goes down, and all of it is bounded whatever Asterisk says.

What a poll sees of a session is a reading, not a total: TotalBadLines is that of the current page,
page counts start again when a fax switches to T.38, and the last page often shows only in the
completion event, which comes up to 5 s after the session has left the list and names no session.
"""

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from typing import Final

from exporter.fax import (
    MODEM_RATES,
    CoreStatus,
    FaxResult,
    FaxSession,
    ListedSession,
    Operation,
    Reason,
    State,
    Transport,
    peer_of,
)
from exporter.ledger.history import EndedFax, History
from exporter.ledger.lives import Lives, is_another
from exporter.ledger.matching import EVENT_LATENESS, Heard, Matching, Outcome, Phase
from exporter.ledger.observation import Observation

OTHER_PEER: Final = "other"
MOST_COMPLETIONS: Final = 1000
"""Completions a second; a count that rises faster is no count."""

PAGE_OPERATIONS: Final = (Operation.SEND, Operation.RECEIVE, Operation.GATEWAY)
RESULT_OPERATIONS: Final = (Operation.SEND, Operation.RECEIVE)
COUNTED_STATES: Final = (State.ACTIVE, State.COMPLETE)
_NOT_BEGUN: Final = frozenset({State.UNINITIALIZED, State.INITIALIZED, State.RESERVED})

PAGE_SECONDS: Final = (2, 4, 6, 8, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300)
SESSION_SECONDS: Final = (10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1800, 3600)
SESSION_PAGES: Final = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200)
SESSION_BAD_LINES: Final = (0, 1, 3, 10, 30, 100, 300, 1000, 3000)


@dataclass(slots=True)
class Histogram:
    """Counts per bucket, each bound inclusive, and the sum of what was observed."""

    bounds: tuple[int, ...]
    counts: list[int] = field(init=False)
    sum: float = 0.0

    def __post_init__(self) -> None:
        """One bucket more than bounds: what exceeds them all."""
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float, times: int = 1) -> None:
        """Counts `value`, `times` times."""
        bucket = next((i for i, bound in enumerate(self.bounds) if value <= bound), -1)
        self.counts[bucket] += times
        self.sum += value * times


@dataclass(slots=True)
class PageCount:
    """The pages of one session, from readings that start again at 0 on a switch to T.38."""

    last: int = 0
    before_switch: int = 0
    transport: Transport = Transport.NONE

    @property
    def total(self) -> int:
        """Pages of the whole session, both transports."""
        return self.before_switch + self.last

    def read(self, value: int, transport: Transport) -> int:
        """The pages that `value` adds. A smaller value without a switch adds and changes nothing:
        the completion event says 0 when the call dropped, though pages went through."""
        if self.switches(transport):
            self.before_switch += self.last
            self.last = 0
        # A session that is switching is listed as none, and none ever switches back.
        if transport is not Transport.NONE and self.transport is not Transport.T38:
            self.transport = transport
        added = max(0, value - self.last)
        self.last += added
        return added

    def switches(self, transport: Transport) -> bool:
        """Whether a reading by `transport` is the first after the switch; it happens once."""
        return self.transport is Transport.G711 and transport is Transport.T38


@dataclass(slots=True)
class BadLines:
    """The bad lines of one session, from readings that count the current page only.

    The reading is set back to 0 when the next page begins. Where the page count has advanced and
    the reading is no smaller, either this was the last page (nothing was set back) or the new page
    has as many already and the old page's are `owed`. Another page, or a growing reading, tells.
    """

    page: int = 0
    last: int = 0
    reset_page: int = 0
    """Page count at which the reading was last known to start from 0."""
    owed: int = 0

    def begin(self, page: int, value: int) -> None:
        """Counts from this reading on, and nothing that it says."""
        self.page = self.reset_page = page
        self.last = value
        self.owed = 0

    def read(self, page: int, value: int) -> tuple[int, bool]:
        """The bad lines that this reading adds, and whether it tells of a rejected page."""
        advance = max(0, page - self.page)
        added = 0
        if self.owed:
            if advance or value > self.last:
                added = self.settle()
            elif value < self.last:  # the reset came late: it was the ordinary one
                self.owed = 0
        rejected = False
        if advance > 1:
            # A whole page went by unseen, and with it at least one reset: all of this is new.
            added += value
            self.reset_page = page - 1
        elif value < self.last:
            added += value
            rejected = advance == 0 and self.reset_page == self.page
            self.reset_page = page
        else:
            added += value - self.last
            if advance:
                self.owed = self.last
        if value == 0:
            self.reset_page = max(page, self.page)
        self.page = max(page, self.page)
        self.last = value
        return added, rejected

    def settle(self) -> int:
        """The lines owed, now that another page is known to have followed."""
        owed, self.owed = self.owed, 0
        self.reset_page = self.page
        return owed


class Unobserved:
    """Completions that Asterisk has counted and no event has told of.

    Events come up to 5 s late: whatever was counted EVENT_LATENESS ago must have been heard by
    now, and what is missing is unobserved. While other faxes end, their events can stand in for
    the missing ones; after EVENT_LATENESS without a completion the number is exact.
    """

    def __init__(self) -> None:
        self.total = 0
        self._completed: int | None = None
        self._balance = 0
        """Completions counted less events heard less those known to be unobserved."""
        self._readings: deque[tuple[float, int]] = deque()
        """When, and how many completions were new: back to EVENT_LATENESS ago."""

    def heard(self) -> None:
        """A completion event."""
        self._balance -= 1

    def restarted(self) -> None:
        """Asterisk counts from 0 again."""
        if self._completed is not None:
            self._completed = 0

    def counted(self, completed: int, at: float) -> int:
        """What FAXStats says; returns how many completions this reading shows to be unobserved."""
        if self._completed is None:
            new = 0
        elif completed < self._completed:  # res_fax was loaded anew
            new = completed
        else:
            new = completed - self._completed
        self._completed = completed
        elapsed = at - self._readings[-1][0] if self._readings else 0.0
        if new > MOST_COMPLETIONS * (1 + elapsed):
            new = 0
        self._balance += new
        self._readings.append((at, new))
        while self._readings[0][0] <= at - EVENT_LATENESS:
            self._readings.popleft()
        lately = sum(new for _, new in self._readings)
        missing = self._balance - lately
        if missing > 0:
            self._balance -= missing
            self.total += missing
        elif missing < 0 and lately == 0:
            # Events of faxes that were counted before the first reading, or never.
            self._balance = 0
        return max(0, missing)


class Peers:
    """Names for the far ends, at most `limit` of them; None: peers are not told apart."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._known: set[str] = set()

    @property
    def told_apart(self) -> bool:
        """Whether they are."""
        return self._limit is not None

    def name(self, channel: str) -> str:
        """The peer's name, `other` for those beyond the limit; empty if not told apart."""
        if self._limit is None:
            return ""
        peer = peer_of(channel)
        if peer and peer not in self._known and len(self._known) < self._limit:
            self._known.add(peer)
        return peer if peer in self._known else OTHER_PEER


# Keys are the same objects for every PBX, of which there can be thousands.
_ALL_SESSIONS: Final = tuple(product(Operation, State, [""]))
_ALL_TRANSPORTS: Final = tuple(product(Operation, Transport, [""]))


@lru_cache(maxsize=8)
def _states(operation: Operation, peer: str) -> tuple[tuple[Operation, State, str], ...]:
    """Every state in which something is counted."""
    return tuple(product([operation], COUNTED_STATES, [peer]))


@lru_cache(maxsize=8)
def _ways(operation: Operation, peer: str) -> tuple[tuple[Operation, Transport, str], ...]:
    """Every way to travel."""
    return tuple(product([operation], Transport, [peer]))


@lru_cache(maxsize=8)
def _failures(
    operation: Operation, peer: str
) -> tuple[tuple[Operation, Transport, Reason, str], ...]:
    """Every way to fail."""
    return tuple(product([operation], Transport, Reason, [peer]))


@dataclass(slots=True)
class Totals:
    """The counters. A key is there with 0 before it is counted up, so that increase() sees it."""

    pages: Counter[tuple[Operation, State, str]] = field(default_factory=Counter)
    bad_lines: Counter[tuple[Operation, State, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[Operation, str]] = field(default_factory=Counter)
    fallbacks: Counter[Operation] = field(default_factory=Counter)
    started: Counter[Operation] = field(default_factory=Counter)
    ended: Counter[Operation] = field(default_factory=Counter)
    finished: Counter[tuple[Operation, Transport, str]] = field(default_factory=Counter)
    failures: Counter[tuple[Operation, Transport, Reason, str]] = field(default_factory=Counter)
    results_unknown: Counter[Operation] = field(default_factory=Counter)
    page_seconds: dict[Operation, Histogram] = field(default_factory=dict)
    session_seconds: dict[Operation, Histogram] = field(default_factory=dict)
    session_pages: dict[Operation, Histogram] = field(default_factory=dict)
    session_rate: dict[Operation, Histogram] = field(default_factory=dict)
    session_lines: dict[Operation, Histogram] = field(default_factory=dict)
    opened: set[tuple[Operation, str]] = field(default_factory=set)
    """Operations and peers whose series all stand there."""

    def __post_init__(self) -> None:
        """Every series without a peer that can occur."""
        for operation in Operation:
            self.started[operation] = self.ended[operation] = 0
            self.session_seconds[operation] = Histogram(SESSION_SECONDS)
        for operation in PAGE_OPERATIONS:
            self.fallbacks[operation] = 0
            self.page_seconds[operation] = Histogram(PAGE_SECONDS)
            self.session_pages[operation] = Histogram(SESSION_PAGES)
            self.session_rate[operation] = Histogram(MODEM_RATES)
        for operation in RESULT_OPERATIONS:
            self.results_unknown[operation] = 0
        self.session_lines[Operation.RECEIVE] = Histogram(SESSION_BAD_LINES)

    def open(self, operation: Operation, peer: str) -> None:
        """Every series of this operation and peer that can occur."""
        if (operation, peer) in self.opened:
            return
        self.opened.add((operation, peer))
        if operation in PAGE_OPERATIONS:
            for key in _states(operation, peer):
                self.pages[key] += 0
        if operation is Operation.RECEIVE:
            for key in _states(operation, peer):
                self.bad_lines[key] += 0
            self.rejected[operation, peer] += 0
        if operation in RESULT_OPERATIONS:
            for way in _ways(operation, peer):
                self.finished[way] += 0
            for failure in _failures(operation, peer):
                self.failures[failure] += 0


@dataclass(slots=True)
class Gauges:
    """The sessions as the last list showed them. Keys once seen stay, with 0."""

    sessions: dict[tuple[Operation, State, str], int]
    negotiated: dict[tuple[Operation, State, str], int]
    data_rate: dict[tuple[Operation, State, str], int]
    """Sum over the negotiated sessions, bit/s."""
    ecm: dict[tuple[Operation, State, str], int]
    transports: dict[tuple[Operation, Transport, str], int]
    oldest_start: dict[Operation, float] = field(default_factory=dict)
    """Seconds since the epoch; no key without a running session."""
    oldest_progress: dict[Operation, float] = field(default_factory=dict)
    """Seconds since the epoch; no key without a running session that has pages."""


@dataclass(frozen=True, slots=True)
class RunningSession:
    """One session of the last list, with what only its past tells."""

    listed: ListedSession
    detail: FaxSession | None
    """None if it may not be asked about, or did not answer."""
    bad_lines: int
    """Of the whole session, as far as seen."""
    first_seen: float
    """Seconds, monotonic."""
    start_seen: bool
    """False if it may have run for longer than we know."""
    progress_at: float
    """Seconds, monotonic: when the last page was done, or it was first seen."""


@dataclass(slots=True, eq=False)
class _Session:
    channel: str
    listed: ListedSession
    operation: Operation
    begun_as: Operation
    """Under which it was counted as started, and will be as ended."""
    peer: str
    listed_at: float
    first_seen: float
    start_seen: bool
    """False if it may have run for longer than we know."""
    counts_from_first_reading: bool
    progress_at: float
    pages: PageCount = field(default_factory=PageCount)
    bad_lines: BadLines = field(default_factory=BadLines)
    page_began: float | None = None
    data_rate: int | None = None
    detail: FaxSession | None = None
    reading: tuple[FaxSession, Transport] | None = None
    """The last; the same once more adds nothing."""
    lines: int = 0
    """Bad lines of the whole session, as far as seen."""
    last_seen: float = 0.0
    gone_at: float = 0.0
    ended_at: float | None = None
    """None until it has left the list, and was counted as ended."""
    phase: Phase = Phase.LISTED

    @property
    def files(self) -> str:
        """As the list has them."""
        return self.listed.files

    @property
    def pages_seen(self) -> int:
        """In the transport that it last had, which is what its event tells of."""
        return self.pages.last

    @property
    def transport(self) -> Transport:
        """Once T.38, always."""
        return self.pages.transport

    @property
    def agreed(self) -> bool:
        """Whether a rate was agreed while it was looked at."""
        return self.data_rate is not None


class Ledger:
    """Everything counted of one Asterisk, over all its connections and restarts."""

    def __init__(self, peer_limit: int | None = None) -> None:
        """`peer_limit`: names of far ends told apart at most; None: they are not told apart."""
        self.totals = Totals()
        # Without a peer also where peers are told apart: no session is not the same as no list.
        sessions = dict.fromkeys(_ALL_SESSIONS, 0)
        self.gauges = Gauges(sessions, {}, {}, {}, dict.fromkeys(_ALL_TRANSPORTS, 0))
        self._peers = Peers(peer_limit)
        self._matching: Matching[_Session] = Matching()
        self._lives = Lives()
        self.unobserved = Unobserved()
        self.history = History()
        self._began: float | None = None
        self._connected_at = -math.inf
        self._first_of_connection = True
        if peer_limit is None:
            for operation in Operation:
                self.totals.open(operation, "")

    @property
    def running(self) -> list[RunningSession]:
        """The sessions of the last list, the oldest first."""
        return [
            RunningSession(
                listed=session.listed,
                detail=session.detail,
                bad_lines=session.lines,
                first_seen=session.first_seen,
                start_seen=session.start_seen,
                progress_at=session.progress_at,
            )
            for session in self._matching.listed
        ]

    def connected(self, status: CoreStatus, at: float) -> None:
        """A new connection, on which events can have come since `at`, and what Asterisk says of its
        life."""
        self._first_of_connection = True
        self._connected_at = at
        if self._lives.connected(status):
            self._matching.restarted(at)
            self.unobserved.restarted()

    def hear(self, result: FaxResult, received_at: float) -> None:
        """A completion event. Its pages wait for the next list, which tells whose they are; and so
        does all else that it says if peers are told apart."""
        if result.began:
            self.unobserved.heard()
        if not self._peers.told_apart:
            self._count_result(result, "")
        self._take(self._matching.hear(result, received_at))

    def _count_result(self, result: FaxResult, peer: str) -> None:
        totals, operation = self.totals, result.operation
        totals.open(operation, peer)
        totals.finished[operation, result.transport, peer] += 1
        if result.succeeded is None:
            totals.results_unknown[operation] += 1
        elif result.reason is not None:
            totals.failures[operation, result.transport, result.reason, peer] += 1

    def observe(self, seen: Observation) -> None:
        """One poll's list, and what FAXSession said of the sessions in it."""
        first = self._began is None
        if first:
            self._began = seen.at
        listed: dict[tuple[int, str], ListedSession] = {}
        for entry in seen.listed or ():
            listed.setdefault((entry.number, entry.channel), entry)
        fell = seen.stats is not None and self._lives.counted(seen.stats)
        if self._first_of_connection and (fell or self._shows_others(seen)):
            self._matching.restarted(self._connected_at)
        running = []
        for (number, channel), entry in listed.items():
            session = self._matching.find(number, channel, seen.listed_at)
            if session is None:
                session = self._begin(entry, seen, first=first)
            running.append(session)
            session.last_seen = seen.at
            session.listed = entry
            session.detail = detail = seen.details.get(entry.number)
            if session.operation is not entry.operation and session.operation is Operation.NONE:
                session.operation = entry.operation  # unreadable, or not yet known, until now
                self.totals.open(session.operation, session.peer)
            if detail is not None and detail.operation is session.operation:
                self._read(session, detail, entry.transport, seen.at)
        for session in self._matching.leave(listed.keys(), seen.at, whole=seen.whole):
            self._leave(session, seen.at)
        self._take(self._matching.settle(seen.at, seen.listed_at if seen.whole else -math.inf))
        self._measure(running, seen)
        self._first_of_connection = False

    def unlisted(self, at: float) -> None:
        """A poll to which FAXSessions was refused: results of faxes never listed count now."""
        if self._began is None:
            self._began = at
        self._take(self._matching.settle(at, None))

    def _shows_others(self, seen: Observation) -> bool:
        """Whether a list, the first over a connection, has another fax under the number and channel
        of one before."""
        for entry in seen.listed or ():
            session = self._matching.known(entry.number, entry.channel)
            if session is not None:
                detail = seen.details.get(entry.number)
                if is_another(session.listed, session.pages.last, entry, detail):
                    return True
        return False

    def _begin(self, entry: ListedSession, seen: Observation, *, first: bool) -> _Session:
        session = _Session(
            channel=entry.channel,
            listed=entry,
            operation=entry.operation,
            begun_as=entry.operation,
            peer=self._peers.name(entry.channel),
            listed_at=seen.listed_at,
            first_seen=seen.at,
            start_seen=not self._first_of_connection,
            counts_from_first_reading=first and entry.state not in _NOT_BEGUN,
            progress_at=seen.at,
        )
        self._matching.begin(entry.number, session)
        self.totals.open(entry.operation, session.peer)
        if not session.counts_from_first_reading:
            self.totals.started[entry.operation] += 1
        return session

    def _read(self, session: _Session, detail: FaxSession, transport: Transport, at: float) -> None:
        if session.counts_from_first_reading:
            session.counts_from_first_reading = False
            session.pages.read(detail.pages or 0, transport)
            session.bad_lines.begin(session.pages.last, detail.bad_lines or 0)
            session.lines = detail.bad_lines or 0
            session.data_rate = detail.data_rate if detail.negotiated else None
            return
        if session.reading == (detail, transport):
            return
        session.reading = detail, transport
        totals, key = self.totals, (session.operation, detail.state, session.peer)
        if session.pages.switches(transport):
            session.bad_lines = BadLines()
            session.data_rate = None
            if session.pages.total == 0:
                session.page_began = None
        if detail.pages is not None:
            added = session.pages.read(detail.pages, transport)
            if added:
                totals.pages[key] += added
                if session.page_began is not None:
                    seconds = (at - session.page_began) / added
                    totals.page_seconds[session.operation].observe(seconds, added)
                session.page_began = session.progress_at = at
        if detail.bad_lines is not None:
            lines, rejected = session.bad_lines.read(session.pages.last, detail.bad_lines)
            if lines:
                totals.bad_lines[key] += lines
                session.lines += lines
            if rejected:
                totals.rejected[session.operation, session.peer] += 1
        if detail.negotiated and detail.data_rate is not None:
            if session.page_began is None and session.pages.total == 0:
                session.page_began = at  # the first page is timed from the agreement on
            if session.data_rate is not None and detail.data_rate < session.data_rate:
                totals.fallbacks[session.operation] += 1
            session.data_rate = detail.data_rate

    def _leave(self, session: _Session, at: float) -> None:
        if session.ended_at is None:
            self.totals.ended[session.begun_as] += 1
        session.reading = None  # if it comes back, an event may have told of more pages meanwhile
        # Over a lost connection nobody knows when it ended: the last time it was seen must do.
        session.ended_at = session.last_seen if self._first_of_connection else at

    def _take(self, outcomes: Sequence[Outcome[_Session]]) -> None:
        for outcome in outcomes:
            session, heard = outcome.session, outcome.heard
            if heard is not None and self._peers.told_apart:
                result = heard.result
                peer = self._peers.name(result.channel) if session is None else session.peer
                self._count_result(result, peer)
            if session is not None:
                if session.ended_at is None and heard is not None:
                    self._leave(session, heard.at)  # no list tells of it
                self._close(session, None if heard is None else heard.result)
            elif heard is not None:
                self._count_unlisted(heard)

    def _read_result(self, session: _Session, result: FaxResult) -> None:
        """What the event of a session adds to what was seen of it."""
        if result.pages is None or session.counts_from_first_reading:
            return
        key = (session.operation, State.COMPLETE, session.peer)
        added = session.pages.read(result.pages, result.transport)
        self.totals.pages[key] += added
        if added and session.bad_lines.owed:
            owed = session.bad_lines.settle()
            self.totals.bad_lines[key] += owed
            session.lines += owed

    def _count_unlisted(self, heard: Heard) -> None:
        received_at, result = heard.at, heard.result
        trained = result.reason is not Reason.TRAINING
        self.history.add(
            EndedFax(
                ended_at=received_at,
                operation=result.operation,
                transport=result.transport,
                channel=result.channel,
                succeeded=result.succeeded,
                reason=result.reason,
                pages=result.pages,
                bad_lines=None,
                seconds=None,
                data_rate=result.data_rate if trained else None,
                local_station=result.local_station,
                remote_station=result.remote_station,
                file=result.file,
            )
        )
        if self._began is not None and received_at <= self._began + EVENT_LATENESS:
            # No fax with a page is over so soon: it ended before the exporter began to look.
            return
        totals, operation = self.totals, result.operation
        totals.started[operation] += 1
        totals.ended[operation] += 1
        pages = result.pages or 0
        totals.pages[operation, State.COMPLETE, self._peers.name(result.channel)] += pages
        totals.session_pages[operation].observe(pages)
        if result.data_rate is not None and trained:
            totals.session_rate[operation].observe(result.data_rate)

    def _close(self, session: _Session, result: FaxResult | None) -> None:
        """Observes what is known of a session only once it is over."""
        if result is not None:
            self._read_result(session, result)
        totals, operation = self.totals, session.operation
        ended_at = session.ended_at
        assert ended_at is not None  # it has left the list
        seconds = ended_at - session.first_seen if session.start_seen else None
        if seconds is not None:
            totals.session_seconds[operation].observe(seconds)
        if operation not in PAGE_OPERATIONS:
            return
        totals.session_pages[operation].observe(session.pages.total)
        if operation is Operation.RECEIVE:
            totals.session_lines[operation].observe(session.lines)
        # After "cannot train" the rate jumps back to 14400: no fax ever had it.
        trained = result is None or result.reason is not Reason.TRAINING
        data_rate = session.data_rate if trained else None
        if data_rate is None and trained and result is not None:
            data_rate = result.data_rate  # agreed, and over, between two polls
        if data_rate is not None:
            totals.session_rate[operation].observe(data_rate)
        fax = EndedFax(
            ended_at=ended_at,
            operation=operation,
            transport=session.pages.transport,
            channel=session.channel,
            succeeded=None,
            reason=None,
            pages=session.pages.total,
            bad_lines=session.lines if operation is Operation.RECEIVE else None,
            seconds=seconds,
            data_rate=data_rate,
            file=session.listed.files,
        )
        if result is not None:
            fax = replace(
                fax,
                transport=result.transport if fax.transport is Transport.NONE else fax.transport,
                succeeded=result.succeeded,
                reason=result.reason,
                pages=max(session.pages.total, result.pages or 0),
                local_station=result.local_station,
                remote_station=result.remote_station,
                file=result.file,
            )
        self.history.add(fax)

    def _measure(self, running: Sequence[_Session], seen: Observation) -> None:
        old = self.gauges
        new = self.gauges = Gauges(
            sessions=dict.fromkeys(old.sessions, 0),
            negotiated=dict.fromkeys(old.sessions, 0),
            data_rate=dict.fromkeys(old.sessions, 0),
            ecm=dict.fromkeys(old.sessions, 0),
            transports=dict.fromkeys(old.transports, 0),
        )
        groups: dict[tuple[Operation, State, Transport, str], _Group] = {}
        for session in running:
            listed, detail = session.listed, session.detail
            place = (session.operation, listed.state, listed.transport, session.peer)
            group = groups.get(place)
            if group is None:
                group = groups[place] = _Group()
            group.sessions += 1
            if detail is not None and detail.negotiated and detail.data_rate is not None:
                group.negotiated += 1
                group.data_rate += detail.data_rate
                group.ecm += bool(detail.ecm)
            if session.first_seen < group.first_seen:
                group.first_seen = session.first_seen
            if session.progress_at < group.progress_at:
                group.progress_at = session.progress_at
        for (operation, state, transport, peer), group in groups.items():
            key = (operation, state, peer)
            new.sessions[key] = new.sessions.get(key, 0) + group.sessions
            if group.negotiated:
                new.negotiated[key] = new.negotiated.get(key, 0) + group.negotiated
                new.data_rate[key] = new.data_rate.get(key, 0) + group.data_rate
                new.ecm[key] = new.ecm.get(key, 0) + group.ecm
            way = (operation, transport, peer)
            new.transports[way] = new.transports.get(way, 0) + group.sessions
            start = seen.wall - (seen.at - group.first_seen)
            _keep_least(new.oldest_start, operation, start)
            if operation in PAGE_OPERATIONS:
                progress = seen.wall - (seen.at - group.progress_at)
                _keep_least(new.oldest_progress, operation, progress)


@dataclass(slots=True)
class _Group:
    """The sessions of one list that are alike, added up."""

    sessions: int = 0
    negotiated: int = 0
    data_rate: int = 0
    ecm: int = 0
    first_seen: float = math.inf
    progress_at: float = math.inf


def _keep_least(values: dict[Operation, float], operation: Operation, value: float) -> None:
    values[operation] = min(value, values.get(operation, value))
