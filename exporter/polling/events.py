"""Whether completion events come for the faxes that Asterisk counts as completed.

A user without read class call, or with a filter that stops them, is sent none; nothing says so.
"""

from exporter.ledger import EVENT_LATENESS


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
