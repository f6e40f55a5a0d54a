"""What the exporter tells systemd: ready, reloading, ending, its status, and that it is alive.

The protocol is sd_notify(3): lines of NAME=value, one datagram each time to the socket that
NOTIFY_SOCKET names. Without that variable nothing is sent.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Final

from exporter.polling import Fleet

log = logging.getLogger(__name__)

STATUS_PERIOD: Final = 5.0
"""Seconds until a change shows in the status line, at most."""
_MAX_NAMED: Final = 5
"""Targets named in the status line; it is one line of `systemctl status`."""
_STOPPED: Final = 1.0
"""Seconds by which this itself is late, if the whole process was stopped or has too much to do."""
_SEND_TIMEOUT: Final = 1.0
"""Seconds to wait while the socket is full, for a message that is sent only once."""
_STOPPING_TIMEOUT: Final = 0.1
"""As above, for the last one: the end has other things to do."""


class Notifier:
    """Sends messages to the service manager, if there is one."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._failed = False
        self.watchdog = _watchdog(environment)
        """Seconds within which the service manager wants a sign of life; None if it wants none."""

    def ready(self) -> None:
        """Tells that the exporter listens."""
        self._send("READY=1")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Tells that files are being read again, for as long as the block runs."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            self._send("READY=1")

    def stopping(self) -> None:
        """Tells that the exporter ends."""
        self._send("STOPPING=1", timeout=_STOPPING_TIMEOUT)

    async def follow(self, fleet: Fleet) -> None:
        """Keeps the status line true, and feeds the watchdog while polling goes on; ends only when
        cancelled."""
        period = min(STATUS_PERIOD, self.watchdog / 2) if self.watchdog else STATUS_PERIOD
        sent, alive, loop = "", True, asyncio.get_running_loop()
        while True:
            due = loop.time() + period
            await asyncio.sleep(period)  # at the start no target could be reached yet
            stopped = loop.time() - due > _STOPPED
            if (status := status_line(fleet)) != sent:
                sent = status if self._send(f"STATUS={status}", timeout=0) else ""
            if self.watchdog:
                # In a process that was stopped they had no time to go on either, and will.
                alive, was_alive = stopped or any_alive(fleet), alive
                if alive:
                    self._send("WATCHDOG=1", timeout=0)
                elif was_alive:
                    log.error("no poller has gone on for too long; the watchdog is not fed")

    def _send(self, *lines: str, timeout: float = _SEND_TIMEOUT) -> bool:
        """Sends lines. Whether they reached the service manager; True if there is none."""
        if not self._address:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(timeout)
                sender.connect(self._address)
                sender.send("\n".join(lines).encode())
        except OSError as error:
            if not self._failed:
                log.warning("NOTIFY_SOCKET %r: %s; going on", self._address, error)
            self._failed = True
            return False
        self._failed = False
        return True


def any_alive(fleet: Fleet) -> bool:
    """Whether at least one poller's loop runs, even if its polls fail; True without targets."""
    pollers = fleet.pollers.values()
    return not pollers or any(poller.alive for poller in pollers)


def status_line(fleet: Fleet) -> str:
    """How many targets there are, and which of them the last poll did not reach."""
    count, stale = len(fleet.pollers), fleet.stale
    targets = f"{count} target{'' if count == 1 else 's'}"
    if not stale:
        return f"{targets}, all reached" if count else targets
    more = f" and {len(stale) - _MAX_NAMED} more" if len(stale) > _MAX_NAMED else ""
    return f"{targets}, {len(stale)} not reached: {', '.join(stale[:_MAX_NAMED])}{more}"


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """The watchdog's period in seconds, as sd_watchdog_enabled(3); None if there is none, or it is
    for another process."""
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (usec.isascii() and usec.isdigit() and int(usec)) or pid not in ("", str(os.getpid())):
        return None
    return int(usec) / 1_000_000
