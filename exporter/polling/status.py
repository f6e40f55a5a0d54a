"""How the polling of one Asterisk goes, for metrics and page.

What Asterisk says about faxes is in the ledger, what is wrong with it in notices.py.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from exporter.fax import FaxStats


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


@dataclass(slots=True)
class Status:
    """The outcome of the last poll, and counts since the exporter began."""

    up: bool = False
    """The last poll brought sessions or FAXStats, and was not cut short."""
    trouble: str = ""
    """Why it is not up, in an operator's words; empty while it is, and while that is still to be
    found out: before the first attempt has ended, and after a login or new settings."""
    waiting: str = "not tried yet"
    """What is awaited then."""
    connected: bool = False
    """Logged in, and CoreSettings and CoreStatus are answered."""
    answered: bool = False
    """The last poll was answered, even if only by refusals."""
    begun: bool = False
    """A poll was answered once, even if only by refusals: from then on counters are shown."""
    sessions_listed: bool = False
    """The last poll brought the list of sessions."""
    sessions_asked: bool = True
    """No session that was last asked about was refused."""
    events_come: bool = True
    """False if Asterisk counted completions over this connection and no event told of them."""
    stats: FaxStats | None = None
    """None if the last poll did not bring them."""
    asterisk_version: str = ""
    ami_version: str = ""
    asterisk_start: int | None = None
    """Seconds since the epoch, by Asterisk's own clock; None if it could not be told."""
    watched_since: float = 0.0
    """Since when polls are tried, seconds since the epoch."""
    last_success: float | None = None
    """When the last successful poll ended, seconds since the epoch."""
    last_duration: float | None = None
    """Seconds the last successful poll took."""
    polls: int = 0
    late_polls: int = 0
    """Lists that came so late that bad lines of a page may have been missed; see
    late_lists.py."""
    connects: int = 0
    failures: Counter[Failure] = field(default_factory=lambda: Counter(dict.fromkeys(Failure, 0)))

    @property
    def outage(self) -> str | None:
        """Why it is not up, in an operator's words; None if it is."""
        if self.up:
            return None
        return self.trouble or self.waiting

    @property
    def lists_sessions(self) -> bool:
        """Whether the sessions of the last list are those that run now."""
        return self.up and self.sessions_listed

    @property
    def untried(self) -> bool:
        """Whether nothing is known yet: neither that it was up, nor why it is not."""
        return not self.up and not self.trouble and self.last_success is None

    def begin_anew(self, waiting: str) -> None:
        """Something has changed, so that what was wrong before may be so no longer; `waiting`: what
        is awaited now, in an operator's words."""
        self.trouble, self.waiting = "", waiting

    @property
    def down_since(self) -> float | None:
        """Seconds since the epoch: when the last successful poll ended, or since when it is watched
        if there was none; None while it is up."""
        if self.up:
            return None
        return self.watched_since if self.last_success is None else self.last_success

    @property
    def collectors(self) -> dict[str, bool]:
        """Which parts work."""
        return {
            "sessions": self.lists_sessions and self.sessions_asked,
            "stats": self.up and self.stats is not None,
            "events": self.answered and self.events_come,
        }
