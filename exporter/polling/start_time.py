"""When Asterisk started, in seconds since the epoch. CoreStatus tells what Asterisk's clock showed
then, but not in which zone. So Asterisk is asked what its clock shows at other times, by its
dialplan function STRFTIME: its own rules of summer time are what counts.
"""

import asyncio
import math
from datetime import UTC, datetime
from typing import Final

from exporter.ami import Connection, Request
from exporter.fax import MAX_TEXT, CoreStatus
from exporter.polling.clock import Clock
from exporter.polling.status import Status

_SHOWN: Final = "%Y-%m-%d %H:%M:%S"
_EARLIEST: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
"""Before there was an Asterisk: the clock of a machine that was not set yet."""
_CLOCKS_APART: Final = 300
"""Seconds by which the clock of a PBX may be ahead of ours; further, it is wrong."""
_SOONEST: Final = 2.0
"""Seconds after which it is asked for the second time."""
_EAST: Final = 14 * 3600
"""Seconds by which a clock is ahead of UTC at most."""
_WEST: Final = 12 * 3600
"""Seconds by which a clock is behind UTC at most."""


class StartTime:
    """When the Asterisk started that one poller watches: keeps `asterisk_start` of its status."""

    def __init__(self, status: Status, clock: Clock) -> None:
        self._status, self._clock = status, clock
        self._shown = ""
        self._connected_at = 0.0
        self._due = math.inf
        """When to ask. Just after it has started Asterisk may not have loaded func_strings yet. And
        where it never does, each question is an ERROR in its log: they become ever fewer."""

    async def connected(
        self, connection: Connection, status: CoreStatus, timeout: float
    ) -> CoreStatus:
        """Takes what CoreStatus told over a new connection, and returns it with its `start`. As
        `ask`, which it does."""
        self._shown, self._status.asterisk_start = status.started, None
        self._connected_at = self._due = self._clock.monotonic()
        await self.ask(connection, timeout)
        return status._replace(start=self._status.asterisk_start)

    async def ask(self, connection: Connection, timeout: float) -> None:
        """Asks, unless the start is known or it is not yet time to ask again.

        It stays unknown if no time was shown, or one that is still to come; STRFTIME is not there,
        not allowed, or not answered within `timeout` seconds; or the clock shows that time twice,
        in the hour that ends summer time. Raises ConnectionLost.
        """
        now = self._clock.monotonic()
        if self._status.asterisk_start is not None or now < self._due:
            return
        self._due = now + max(_SOONEST, now - self._connected_at)
        try:
            async with asyncio.timeout(timeout):
                starts = await _instants(connection, self._shown)
        except TimeoutError:
            self._due = math.inf  # once is enough: no poll goes on meanwhile
            return
        if len(starts) == 1 and _EARLIEST <= starts[0] <= self._clock.wall() + _CLOCKS_APART:
            self._status.asterisk_start = starts[0]


async def _instants(connection: Connection, shown: str) -> list[int]:
    """When Asterisk's clock shows this: never, once or twice; also none if it does not say."""
    local = _as_if_utc(shown)
    if local is None:
        return []
    offsets = set()  # those of that day: one, or two if summer time begins or ends
    for instant in (local - _EAST, local + _WEST):
        offset = await _offset(connection, instant)
        if offset is None:  # each further question is an ERROR in Asterisk's log
            return []
        offsets.add(offset)
    instants = [local - offset for offset in offsets]
    return [at for at in instants if await _offset(connection, at) == local - at]


async def _offset(connection: Connection, instant: int) -> int | None:
    """Seconds by which Asterisk's clock is ahead of UTC at an instant; None if it does not say."""
    variable = f"STRFTIME({instant},,{_SHOWN})"
    answer = await connection.ask(Request("Getvar", headers={"Variable": variable}))
    local = _as_if_utc(str(answer.headers.get("Value", ""))[:MAX_TEXT]) if answer.success else None
    return None if local is None else local - instant


def _as_if_utc(shown: str) -> int | None:
    """The seconds since the epoch when a clock in UTC shows this; None if no clock does."""
    try:
        return int(datetime.strptime(shown, _SHOWN).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
