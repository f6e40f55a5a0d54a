"""Whether completion events come for the faxes that Asterisk counts as completed.

A user without read class call, or with a filter that stops them, is sent none; nothing says so.
"""

from exporter.ledger import EVENT_LATENESS


class EventWatch:
    """What is heard is compared with what is counted. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._heard_any = False
        self._unheard = 0
        """Completions without an event since the last event."""
        self._quiet_since: float | None = None
        """When an event last came, or FAXStats was first heard over this connection."""

    def connected(self) -> None:
        """What ended before is no sign: its events went nowhere."""
        self._quiet_since = None

    def heard(self, now: float) -> None:
        """A completion event came."""
        self._heard_any, self._unheard, self._quiet_since = True, 0, now

    def come(self, unobserved: int, now: float) -> bool:
        """Whether they come, now that FAXStats came and made so many more completions known that
        no event told of."""
        if self._quiet_since is None:
            self._quiet_since = now
        # What becomes known sooner was missed between two connections; so was what becomes known
        # later because events of other faxes stood in for it.
        if now - self._quiet_since > 2 * EVENT_LATENESS:
            self._unheard += unobserved
        # A call that is moved by AMI can end its fax without an event, though all others come.
        return self._unheard <= self._heard_any
