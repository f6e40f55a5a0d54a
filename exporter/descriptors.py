"""The limit of open files of a process, against what it is going to need.

Without it, connections to the PBXs would take the descriptors that all else needs, such as a second
web process, and those of HTTP clients all there are.
"""

import asyncio
import contextlib
import errno
import logging
import os
import resource
import sys
from typing import Any, Final

ENOUGH: Final = 65536
"""The limit is not raised above this: some programs look at every number below it."""
RESERVE: Final = 64
"""Descriptors for all but the connections to the PBXs: standard streams, event loop, listening
sockets, history and log (some 25), and what comes and goes: secrets and settings that are read,
look-ups of host names, another web process."""
RESERVE_OF_WEB: Final = 24
"""Beside what is open at its start: files that are read, and clients that have been accepted for
whom others have to go first."""
_ADVICE: Final = (
    "raise it: LimitNOFILE= in a systemd unit, ulimit -n in a shell, --ulimit nofile= of Docker"
)

_OF_THE_MACHINE: Final = "raise it: sysctl fs.file-max"
_NOT_ACCEPTED: Final = "socket.accept() out of system resource"
"""How asyncio begins what it says of each connection that it could not accept, four a second."""
_QUIET_SECONDS: Final = 60.0
"""Without a connection that is not accepted, until one is told again."""

log = logging.getLogger(__name__)


def raise_limit() -> int:
    """Raise the soft limit of open files as far as the hard one lets it. Returns the limit in
    force, sys.maxsize if there is none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # forbidden, as by a filter of system calls
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def in_use() -> int:
    """Return how many descriptors this process has open; 0 where the system does not tell."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(directory)) - 1  # one was for looking
    return 0


def needed(targets: int) -> int:
    """Return how many descriptors the process needs that watches so many targets: one each."""
    return targets + RESERVE


def targets_that_fit(limit: int) -> int:
    """Return how many targets can be watched: those whose connections leave the reserve, or half
    of what there is."""
    return max(limit - RESERVE, limit // 2)


def advice(error: OSError) -> str | None:
    """Return what to do if there are too many open files; None if that is not the error."""
    return {errno.EMFILE: _ADVICE, errno.ENFILE: _OF_THE_MACHINE}.get(error.errno or 0)


class TellOnce:
    """For `loop.set_exception_handler`: clients wait for as long as there are no descriptors for
    them, and asyncio tries again each second; that is said once and not each time."""

    def __init__(self) -> None:
        self._last: float | None = None

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Takes what asyncio has to say."""
        error = context.get("exception")
        if not str(context.get("message")).startswith(_NOT_ACCEPTED) or not isinstance(
            error, OSError
        ):
            loop.default_exception_handler(context)
            return
        last, self._last = self._last, loop.time()
        if last is None or self._last - last > _QUIET_SECONDS:
            to_do = advice(error)
            log.warning(
                "clients wait, as no more connections can be accepted: %s%s",
                error.strerror or error,
                f"; {to_do}" if to_do else "",
            )


class Room:
    """For which targets there are descriptors: for the first ones, in the order of the file. The
    others are not even tried, so that they take nothing from these."""

    def __init__(self) -> None:
        self.why = ""
        """Why some are not watched, in an operator's words; empty if all are."""

    def take(self, targets: int) -> int:
        """Return how many of so many targets fit. Raises the limit as far as it can be, and logs
        if some do not fit, or all do again."""
        limit = raise_limit()
        fitting = targets_that_fit(limit)
        if targets > fitting:
            self.why = (
                f"not watched, as it would take too many open files: {targets} targets need"
                f" {needed(targets)}, and the limit is {limit}; {_ADVICE}"
            )
            log.warning(
                "%d targets need %d open files, and the limit is %d: only the first %d are "
                "watched, and %d are not; %s",
                targets,
                needed(targets),
                limit,
                fitting,
                targets - fitting,
                _ADVICE,
            )
        elif self.why:
            self.why = ""
            log.info("the limit of open files is enough for all targets now")
        return fitting


def connections_that_fit(max_connections: int, limit: int, used: int) -> int:
    """Return how many HTTP connections fit: `max_connections`, or what is left of `limit` by `used`
    and a reserve, but never none."""
    return max(1, min(max_connections, limit - used - RESERVE_OF_WEB))


def too_few_for_connections(max_connections: int, fitting: int) -> str | None:
    """Return a warning if fewer connections fit than --web.max-connections allows, else None."""
    if fitting >= max_connections:
        return None
    return (
        f"--web.max-connections is {max_connections}, and the limit of open files leaves"
        f" {fitting}: no more are held at once; {_ADVICE}"
    )
