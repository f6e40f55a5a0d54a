"""Whether Asterisk has been restarted since it was last asked, by every sign of it.

Pure: no I/O, no clock. After a restart numbers and channel names begin again and mean other
sessions. Asterisk tells to the second when it started, but a machine without a clock of its own
says the same after every boot. So the same time of start does not rule a restart out: any one sign
of a restart is taken for one.
"""

from typing import Final

from exporter.fax import CoreStatus, FaxSession, FaxStats, ListedSession, State, Transport

_RUNNING: Final = frozenset({State.ACTIVE, State.COMPLETE})
_NOT_YET_RUNNING: Final = frozenset(State) - _RUNNING - {State.UNKNOWN}


class Lives:
    """The last values of what a restart changes. A life is the time from one start to the next."""

    def __init__(self) -> None:
        self._status = CoreStatus("", "", None)
        self._stats: FaxStats | None = None

    def status_shows_restart(self, status: CoreStatus) -> bool:
        """Takes a CoreStatus asked over a new connection. Whether it shows a restart."""
        before = self._status
        if status.started:
            self._status = status
        restarted = bool(
            (before.started and status.started and before.started != status.started)
            or (before.reloaded != before.started and status.reloaded == status.started != "")
            or _fell(before.calls, status.calls)
        )
        if restarted:
            self._stats = (
                None  # or its counts, which fall now, would show the same restart once more
            )
        return restarted

    def stats_show_restart(self, stats: FaxStats) -> bool:
        """Takes a FAXStats. Whether it shows a restart, at least of res_fax: a count has fallen."""
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
    """Whether a session listed `now` is another fax than the one with the same number and channel
    that was listed `before` the connection was lost and had so many `pages`. Within one fax the
    state only advances, T.38 stays T.38, and the file is the same."""
    return (
        (before.state in _RUNNING and now.state in _NOT_YET_RUNNING)
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
