"""When Asterisk started, in seconds since the epoch. CoreStatus tells what Asterisk's clock showed
then, but not in which zone. So Asterisk is asked what its clock shows at other times, by its
dialplan function STRFTIME: its own rules of summer time are what counts.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

from exporter.ami import Connection, Request
from exporter.fax import MAX_TEXT

_SHOWN: Final = "%Y-%m-%d %H:%M:%S"
_EARLIEST: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
"""Before there was an Asterisk: the clock of a machine that was not set yet."""
_CLOCKS_APART: Final = 300
"""Seconds by which the clock of a PBX may be ahead of ours; further, it is wrong."""
_EAST: Final = 14 * 3600
"""Seconds by which a clock is ahead of UTC at most."""
_WEST: Final = 12 * 3600
"""Seconds by which a clock is behind UTC at most."""


async def start_time(connection: Connection, shown: str, wall: float, timeout: float) -> int | None:
    """Seconds since the epoch when Asterisk's clock showed `shown`, a date and time of CoreStatus.

    None if that cannot be known: it is no time, or one that was not yet at `wall` (seconds since
    the epoch); STRFTIME is not there (func_strings), not allowed, or not answered within `timeout`
    seconds; or the clock showed it twice, in the hour that ends summer time. Raises ConnectionLost.
    """
    try:
        async with asyncio.timeout(timeout):
            starts = await _instants(connection, shown)
    except TimeoutError:
        return None
    if len(starts) != 1 or not _EARLIEST <= starts[0] <= wall + _CLOCKS_APART:
        return None
    return starts[0]


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
