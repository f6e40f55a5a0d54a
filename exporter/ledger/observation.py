"""What one poll saw: the list of sessions, what FAXSession said of each, and FAXStats."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from exporter.fax import FaxSession, FaxStats, ListedSession


@dataclass(slots=True)
class Observation:
    """Filled while the answers come, and recorded even if not all of them came."""

    listed_at: float
    """Seconds, monotonic: when the list was asked for."""
    at: float = 0.0
    """Seconds, monotonic: when the answers were in."""
    wall: float = 0.0
    """Seconds since the epoch, at the same moment as `at`."""
    listed: Sequence[ListedSession] | None = None
    """None if no list came."""
    whole: bool = True
    """False if a line of the list could not be read: absence then proves nothing."""
    details: dict[int, FaxSession] = field(default_factory=dict)
    stats: FaxStats | None = None
    """None if they did not come."""
