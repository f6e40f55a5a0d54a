"""Whether Asterisk has been restarted since it was last asked, by all signs there are of it.

Pure: no I/O, no clock. When it started it tells to the second, which a machine without a clock of
its own repeats at every boot, and so no sign is enough: each that speaks for a restart is one, and
none speaks against it. After one, numbers and channels begin again and mean other sessions.
"""

from typing import Final

from exporter.fax import CoreStatus, FaxSession, FaxStats, ListedSession, State, Transport

_RUNNING: Final = frozenset({State.ACTIVE, State.COMPLETE})
_BEFORE: Final = frozenset(State) - _RUNNING - {State.UNKNOWN}


class Lives:
    """What Asterisk said last of its life so far."""

    def __init__(self) -> None:
        self._status = CoreStatus("", "", None)
        self._stats: FaxStats | None = None

    def connected(self, status: CoreStatus) -> bool:
        """Whether CoreStatus, asked over a new connection, tells of a restart."""
        before = self._status
        if status.started:
            self._status = status
        restarted = bool(
            (before.started and status.started and before.started != status.started)
            or (before.reloaded != before.started and status.reloaded == status.started != "")
            or _fell(before.calls, status.calls)
        )
        if restarted:
            self._stats = None  # or what falls now would be another
        return restarted

    def counted(self, stats: FaxStats) -> bool:
        """Whether FAXStats tells of a restart, of res_fax at least: what it counts has fallen."""
        before, self._stats = self._stats, stats
        return before is not None and (
            _fell(before.completed, stats.completed)
            or _fell(before.failed, stats.failed)
            or _fell(before.transmit_attempts, stats.transmit_attempts)
            or _fell(before.receive_attempts, stats.receive_attempts)
        )


def is_another(
    before: ListedSession,
    pages: int,
    now: ListedSession,
    detail: FaxSession | None,
) -> bool:
    """Whether a session that has the number and channel of one with so many `pages`, which was
    seen `before` a connection was lost, is another fax: a state only advances, T.38 stays."""
    return (
        (before.state in _RUNNING and now.state in _BEFORE)
        or (before.transport is Transport.T38 and now.transport is Transport.G711)
        or (bool(before.files and now.files) and before.files != now.files)
        or (
            detail is not None
            and detail.pages is not None
            and detail.pages < pages
            and before.transport is now.transport
        )
    )


def _fell(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now < before
