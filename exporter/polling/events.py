"""Completion events: what they tell, and whether they come for the faxes that Asterisk counts.

A user without read class call, or with a filter that stops them, is sent none; nothing says so.
"""

from exporter.fax import FaxStats, Problem, parse_result
from exporter.ledger import EVENT_LATENESS, Ledger
from exporter.polling import troubles
from exporter.polling.clock import Clock
from exporter.polling.notices import Notices
from exporter.polling.status import Failure, Status
from exporter.polling.troubles import Lack


class EventWatch:
    """Compares the events that came with the completions counted. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._heard_any = False
        self._unheard = 0
        """Completions without an event since the last event."""
        self._quiet_since: float | None = None
        """When an event last came, or FAXStats was first heard over this connection."""

    def connected(self) -> None:
        """A new connection: events of faxes that ended before it could not come."""
        self._quiet_since = None

    def heard(self, now: float) -> None:
        """A completion event came."""
        self._heard_any, self._unheard, self._quiet_since = True, 0, now

    def come(self, unobserved: int, now: float) -> bool:
        """Takes how many more completions FAXStats shows to be `unobserved`. Returns whether events
        come."""
        if self._quiet_since is None:
            self._quiet_since = now
        # Completions that show sooner were missed between two connections. If events of other faxes
        # hid them for longer, these have put off `_quiet_since` too.
        if now - self._quiet_since > 2 * EVENT_LATENESS:
            self._unheard += unobserved
        # A call that is moved by AMI can end its fax without an event, though all others come.
        return self._unheard <= self._heard_any


class Completions:
    """The completion events of one Asterisk, and what is noted of them."""

    def __init__(self, ledger: Ledger, status: Status, notices: Notices, clock: Clock) -> None:
        """Of the poller that all these belong to."""
        self._ledger = ledger
        self._status = status
        self._notices = notices
        self._clock = clock
        self._watch = EventWatch()

    def connected(self) -> None:
        """A new connection."""
        self._watch.connected()

    def take(self, event: str) -> None:
        """A fax has ended."""
        problems: list[Problem] = []
        result = parse_result(event, problems)
        if problems:
            self._status.failures[Failure.MALFORMED] += 1
            self._notices.unreadable(problems)
        if result is None:
            return
        now = self._clock.monotonic()
        self._status.events_come = True
        self._watch.heard(now)
        self._notices.end(Lack.EVENTS, "completion events come")
        if result.missing:
            self._notices.begin(troubles.no_result(result, self._status.asterisk_version))
        else:
            self._notices.end(Lack.RESULTS, "completion events carry their result")
        self._ledger.hear(result, now, self._clock.wall())

    def check(self, stats: FaxStats, username: str) -> None:
        """Notes whether events come for the completions that Asterisk counts. To be called as soon
        as FAXStats has come: an event right behind it belongs to a fax not counted yet.
        `username`: who should be sent them."""
        if stats.completed is None:
            return
        now = self._clock.monotonic()
        unobserved = self._ledger.unobserved.counted(stats.completed, now)
        if not self._watch.come(unobserved, now):
            self._status.events_come = False
            self._notices.begin(troubles.no_events(username))
