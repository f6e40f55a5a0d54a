"""The ledger of one Asterisk: takes connections, polls and events, and has each counted in order.

session.py reads the values of a session, matching.py tells whose an event is, lives.py whether
Asterisk was restarted; totals.py, gauges.py, unobserved.py, history.py and today.py hold what comes
out.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from exporter.fax import CoreStatus, FaxResult, ListedSession, Operation, State, peer_of
from exporter.ledger.gauges import Gauges
from exporter.ledger.history import EndedFax, History
from exporter.ledger.lives import Lives, is_another
from exporter.ledger.matching import EVENT_LATENESS, Heard, Matching, Outcome, Phase
from exporter.ledger.observation import Observation
from exporter.ledger.peers import Peers, Remembered
from exporter.ledger.session import NOT_BEGUN, Added, RunningSession, Session, Start
from exporter.ledger.today import Earlier, Today
from exporter.ledger.totals import PAGE_OPERATIONS, Totals
from exporter.ledger.unobserved import Unobserved


class Ledger:
    """Everything counted of one Asterisk, over all its connections and restarts.

    No counter goes down, each fax is counted once, and memory is bounded whatever Asterisk says.
    There is no clock: every time is an argument, in seconds of a monotonic clock.
    """

    def __init__(
        self,
        peer_limit: int | None = None,
        remembered: Remembered | None = None,
        tell: Callable[[EndedFax], None] | None = None,
    ) -> None:
        """`peer_limit` and `remembered`: see `Peers`. `tell`: called once for each fax that is
        over, or never began, with all that was counted of it; it may not raise."""
        self._tell = tell
        self.totals = Totals()
        self.gauges = Gauges()
        self.unobserved = Unobserved()
        self.history = History()
        self.today = Today()
        self.peers = Peers(peer_limit, remembered)
        self._matching: Matching[Session] = Matching()
        self._lives = Lives()
        self._first_poll_at: float | None = None
        """When the first poll was taken."""
        self._new_connection_at: float | None = -math.inf
        """When the present connection began; None once a list came over it. What that first list
        shows may have begun, and what it lacks may have ended, any time since the list before."""
        self._now = 0.0
        """When the last poll or event was."""
        self._epoch = 0.0
        """Of the monotonic clock, seconds since 1970, as of then."""

    @property
    def running(self) -> list[RunningSession]:
        """The sessions of the last list, the oldest first."""
        return [session.running for session in self._matching.listed]

    @property
    def session_count(self) -> int:
        """How many sessions the last list has."""
        return len(self._matching.listed)

    @property
    def restarts(self) -> int:
        """Restarts of Asterisk that were noticed."""
        return self._lives.restarts

    def connected(self, status: CoreStatus, at: float) -> None:
        """A new connection, over which events can have come since `at`, and its CoreStatus."""
        self._new_connection_at = at
        if self._lives.status_shows_restart(status):
            self._matching.restarted(at)
            self.unobserved.restarted()

    def hear(self, result: FaxResult, received_at: float, wall: float) -> None:
        """A completion event. Its pages are counted when the next list tells which session they are
        of; so is by which peer it ended. `wall`: the time since the epoch, seconds."""
        if result.began:
            self.unobserved.heard()
        self._now, self._epoch = received_at, wall - received_at
        self.totals.add_result(result, wall)
        self._close(self._matching.hear(result, received_at))

    def observe(self, seen: Observation) -> None:
        """A poll that brought a list, and what FAXSession said of the sessions in it."""
        self._now, self._epoch = seen.at, seen.wall - seen.at
        listed: dict[tuple[int, str], ListedSession] = {}
        for entry in seen.listed or ():
            listed.setdefault((entry.number, entry.channel), entry)
        restarted = seen.stats is not None and self._lives.stats_show_restart(seen.stats)
        if self._new_connection_at is not None:
            if self._shows_others(seen):
                self._lives.list_shows_restart()
                restarted = True
            if restarted:
                self._matching.restarted(self._new_connection_at)
        running = []
        for (number, channel), entry in listed.items():
            session = self._matching.find(number, channel, seen.listed_at)
            if session is None:
                session = self._begin(entry, seen)
            running.append(session)
            session.last_seen = seen.at
            session.listed = entry
            session.detail = detail = seen.details.get(number)
            if session.operation is not entry.operation and session.operation is Operation.NONE:
                session.operation = entry.operation  # unreadable, or not yet known, until now
                self.peers.open(session.operation, session.peer, seen.at)
            if detail is not None and detail.operation is session.operation:
                added = session.read(detail, entry.transport, seen.at)
                if added is not None:
                    self._add(added, session, detail.state)
                    if session.phase is Phase.BACK and not added.nothing:
                        went_on = session.went_on(added, seen.at, self._epoch)
                        self._over(went_on, session.peer)
        if self._first_poll_at is None:
            self._first_poll_at = seen.at
        for session in self._matching.leave(listed.keys(), seen.at, whole=seen.whole):
            self._end(session, seen.at)
        self._close(self._matching.settle(seen.at, seen.listed_at if seen.whole else -math.inf))
        self.gauges = self.gauges.measured(running, seen.at, seen.wall)
        self._new_connection_at = None

    def observe_without_list(self, at: float) -> None:
        """A poll to which FAXSessions was refused: events no longer wait for a list."""
        if self._first_poll_at is None:
            self._first_poll_at = at
        self._now = at
        self._close(self._matching.settle(at, None))

    def close(self) -> None:
        """No poll or event will come any more: nothing waits any longer to be told. What still runs
        is not over."""
        self._close(self._matching.settle(math.inf, None))
        self._close(self._matching.rest())

    def recall(self, earlier: Earlier, now: float) -> None:
        """Takes what an exporter before this one was told into today's figures, and into nothing
        else: counters begin with this one. `now`: seconds since the epoch."""
        of_peers = ((fax, self.peers.counted_as(fax.peer)) for fax in earlier.faxes)
        self.today.restore(of_peers, earlier.since, now)

    def _shows_others(self, seen: Observation) -> bool:
        """Whether a list, the first over a connection, has another fax under the number and channel
        of one that is known: then Asterisk was restarted."""
        for entry in seen.listed or ():
            session = self._matching.known(entry.number, entry.channel)
            if session is not None:
                detail = seen.details.get(entry.number)
                if is_another(session.listed, session.pages_seen, entry, detail):
                    return True
        return False

    def _begin(self, entry: ListedSession, seen: Observation) -> Session:
        start = Start.SEEN
        if self._first_poll_at is None and entry.state not in NOT_BEGUN:
            start = Start.BEFORE_EXPORTER
        elif self._new_connection_at is not None:
            start = Start.MISSED
        session = Session(entry, self.peers.name(entry.channel), start, seen.at, seen.listed_at)
        self._matching.begin(entry.number, session)
        self.peers.open(entry.operation, session.peer, seen.at)
        if start is not Start.BEFORE_EXPORTER:
            self.totals.started[entry.operation] += 1
        return session

    def _add(self, added: Added, session: Session, state: State) -> None:
        session.counted.add(added)
        self.totals.add(added, session.operation, state)
        self.peers.add(added, session.operation, session.peer)

    def _end(self, session: Session, at: float) -> None:
        """It has left the list: counted once, though it may be back and leave again."""
        if session.ended_at is None:
            self.totals.ended[session.started_as] += 1
        # If it ended while there was no connection, the last time it was seen is the best known.
        session.ended_at = at if self._new_connection_at is None else session.last_seen

    def _close(self, outcomes: Iterable[Outcome[Session]]) -> None:
        """Counts what can be counted only once it is certain which event is whose."""
        for outcome in outcomes:
            if outcome.session is not None:
                self._close_session(outcome.session, outcome.heard)
            elif outcome.heard is not None:
                self._count_unlisted(outcome.heard)

    def _close_session(self, session: Session, heard: Heard | None) -> None:
        result, heard_at = None, 0.0
        if heard is not None:
            result, heard_at = heard.result, heard.at
            wall = heard_at + self._epoch
            self.peers.add_result(result, session.peer, self._now, wall)
            if session.ended_at is None:
                self._end(session, heard.at)  # while the list still has it
            self._add(session.read_event(result), session, State.COMPLETE)
        fax = session.ended(result, self._epoch, heard_at)
        self.totals.add_ended(fax, session.page_reader.total)
        self.peers.add_ended(fax, session.peer)
        self._over(fax, session.peer)

    def _over(self, fax: EndedFax, peer: str) -> None:
        """`peer`: as it is counted; see `Peers.name`."""
        if fax.operation not in PAGE_OPERATIONS:
            return
        self.today.add(fax, peer, self._now + self._epoch)
        if not fax.went_on:
            self.history.add(fax)
        if self._tell is not None:
            self._tell(fax)

    def _count_unlisted(self, heard: Heard) -> None:
        channel, wall = heard.result.channel, heard.at + self._epoch
        peer = self.peers.name(channel)
        self.peers.add_result(heard.result, peer, self._now, wall)
        fax = EndedFax.never_listed(heard.result, heard.at, wall, peer=peer_of(channel))
        # No fax is over so soon after the first poll: one that ended until then began before it.
        if self._first_poll_at is None or heard.at > self._first_poll_at + EVENT_LATENESS:
            fax = replace(fax, counted_pages=fax.pages or 0)
            self.totals.add_unlisted(fax)
            self.peers.add_unlisted(fax, peer)
        self._over(fax, peer)
