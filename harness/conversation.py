"""The exporter's poller against a PBX that says arbitrary bytes, with the checks afterwards.

It needs no socket and no real time. fuzz/ami.py has the bytes found by coverage,
tests/ami/test_hostile.py by hypothesis. Whatever they are, what comes after them must be
understood and counted exactly.
"""

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from unittest.mock import patch

from pydantic import SecretStr

from exporter.ami import connection, stream
from exporter.fax import Operation
from exporter.ledger import EVENT_LATENESS, Ledger
from exporter.log import Json, Logfmt
from exporter.polling import REFUSED_PAUSE, Failure, Poller
from exporter.settings import AmiSettings
from harness.script import CHANNEL, ScriptedPbx
from harness.virtual_time import clock, run

INTERVAL: Final = EVENT_LATENESS
"""Seconds from poll to poll; long, for a conversation to be short."""
MOST_INTERVALS: Final = 100
"""Intervals after which polls succeed again, whatever was said."""
SMALL: Final[dict[str, Any]] = {"MAX_MESSAGE": 1000, "MAX_LISTED": 5, "MAX_LIST": 900}
"""Limits of exporter.ami.stream while it runs, low enough to be reached."""
MOST_OUTSTANDING: Final = 2
"""Likewise MAX_OUTSTANDING of exporter.ami.connection."""
_SETTINGS: Final = AmiSettings(username="u", secret=SecretStr("s"))


class _Lines(logging.Handler):
    """Log lines as users see them, in both formats."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [Logfmt().format(record), Json().format(record)]


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    handler, logger = _Lines(), logging.getLogger("exporter")
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates


def converse(data: bytes) -> Poller:
    """One conversation, given as bytes like those of `script`. Raises AssertionError, or whatever
    the exporter raised, if they did any harm."""
    few = patch.object(connection, "MAX_OUTSTANDING", MOST_OUTSTANDING)
    with patch.multiple(stream, None, **SMALL), few, _logged() as lines:
        poller = run(_converse(data))
    for line in lines:
        assert line.isprintable(), line
    return poller


async def _converse(data: bytes) -> Poller:
    async with conversation(ScriptedPbx(data)) as poller:
        return poller


@contextlib.asynccontextmanager
async def conversation(pbx: ScriptedPbx) -> AsyncIterator[Poller]:
    """In virtual time: a poller whose polls succeed again after the script, and that then counts a
    fax exactly. No exception may escape meanwhile."""
    loop = asyncio.get_running_loop()
    escaped: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: escaped.append(context))

    async def sock_connect(*_: Any) -> None:
        pass

    async def create_connection(factory: Any, *, sock: socket.socket, **_: Any) -> Any:
        sock.close()
        protocol = factory()
        return pbx.connected(protocol), protocol

    setattr(loop, "sock_connect", sock_connect)  # noqa: B010
    setattr(loop, "create_connection", create_connection)  # noqa: B010
    poller = Poller(_SETTINGS, INTERVAL, Ledger(5), clock=clock(), jitter=lambda: 1.0)
    task = asyncio.create_task(poller.run())
    try:
        await _wait_until_up(pbx, poller)
        yield poller
        await _wait_until_up(pbx, poller)
        await asyncio.sleep(EVENT_LATENESS + INTERVAL)
        if poller.status.failures[Failure.DENIED]:
            await asyncio.sleep(REFUSED_PAUSE)
        await _check_one_fax(pbx, poller)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await pbx.stop()
    assert not escaped, escaped
    assert poller.status.failures[Failure.INTERNAL] == 0


async def _wait_until_up(pbx: ScriptedPbx, poller: Poller) -> None:
    for _ in range(MOST_INTERVALS):
        await asyncio.sleep(INTERVAL)
        if pbx.done and poller.status.up:
            return
    raise AssertionError("polls do not succeed again")


async def _check_one_fax(pbx: ScriptedPbx, poller: Poller) -> None:
    """Two pages and three bad lines, after which exactly these are counted and nothing failed."""
    before = _counts(poller)
    fax = pbx.begin("receive", CHANNEL)
    fax.negotiate(rate=9600)
    await asyncio.sleep(INTERVAL)
    fax.add_bad_lines(3)
    await asyncio.sleep(INTERVAL)
    fax.finish_page()
    await asyncio.sleep(INTERVAL)
    fax.finish_page(last=True)
    pbx.end(fax)
    await asyncio.sleep(EVENT_LATENESS + INTERVAL)
    counted = _counts(poller)
    counted.subtract(before)
    true = {"started": 1, "ended": 1, "pages": 2, "bad lines": 3, "finished": 1}
    assert +counted == true, f"{+counted} instead of {true}"
    assert not -counted, "a counter went down"


def _counts(poller: Poller) -> Counter[str]:
    totals, status = poller.ledger.totals, poller.status
    return Counter(
        {
            "started": totals.started[Operation.RECEIVE],
            "ended": totals.ended[Operation.RECEIVE],
            "pages": totals.pages.total(),
            "bad lines": totals.bad_lines.total(),
            "finished": totals.finished.total(),
            "failures": totals.failures.total(),
            "unobserved": poller.ledger.unobserved.total,
        }
        | {f"failed polls: {reason}": times for reason, times in status.failures.items()}
    )
