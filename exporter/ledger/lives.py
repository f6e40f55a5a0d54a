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


_UNKNOWN: Final = CoreStatus("", "", None)


class Lives:
    """The last values of what a restart changes. A life is the time from one start to the next, and
    no connection outlasts it: so there is one restart at most from a connection to the next."""

    def __init__(self) -> None:
        self.restarts = 0
        """How many were noticed. Several while there was no connection are one."""
        self._status = _UNKNOWN
        self._stats: FaxStats | None = None
        # Of the present connection:
        self._counted = False
        """Whether a restart before it is counted."""
        self._status_told = self._stats_told = False
        """Whether CoreStatus, or FAXStats, has come over it."""
        self._same_life = False
        """Whether CoreStatus shows more than that Asterisk may not have been restarted."""

    def status_shows_restart(self, status: CoreStatus) -> bool:
        """Takes a CoreStatus asked over a new connection. Whether it shows a restart."""
        before = self._status
        self._status_told, self._stats_told, self._counted = bool(status.started), False, False
        if status.started:
            self._status = status
        restarted = bool(
            _differ(before, status)
            or (before.reloaded != before.started and status.reloaded == status.started != "")
            or _fell(before.calls, status.calls)
        )
        self._same_life = not restarted and (
            (before.reloaded != before.started and status.reloaded == before.reloaded)
            or bool(before.calls and status.calls)
        )
        if restarted:
            self._count()
        return restarted

    def stats_show_restart(self, stats: FaxStats) -> bool:
        """Takes a FAXStats. Whether it shows a restart, at least of res_fax: a count has fallen."""
        before, self._stats = self._stats, stats
        first, self._stats_told = not self._stats_told, True
        fell = before is not None and (
            _fell(before.completed, stats.completed)
            or _fell(before.failed, stats.failed)
            or _fell(before.transmit_attempts, stats.transmit_attempts)
            or _fell(before.receive_attempts, stats.receive_attempts)
        )
        if fell and first and not self._same_life:  # else only res_fax was loaded again
            self._count()
        return fell

    def list_shows_restart(self) -> None:
        """Takes that the first list over a connection has another fax in place of a known one."""
        self._count()

    def _count(self) -> None:
        """Counts the restart before this connection, once however many signs of it there are."""
        if self._counted:
            return
        self._counted = True
        self.restarts += 1
        # What is of the life before would show the same restart over the next connection again.
        if not self._status_told:
            self._status = _UNKNOWN
        if not self._stats_told:
            self._stats = None


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


def _differ(before: CoreStatus, now: CoreStatus) -> bool:
    """Whether these tell of two starts. Where the zone of a PBX was changed, what its clock showed
    at one start is told in two ways."""
    if before.start is not None and now.start is not None:
        return before.start != now.start
    return bool(before.started and now.started) and before.started != now.started


def _fell(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now < before
