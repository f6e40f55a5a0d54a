"""A poller that watches a demo PBX, which the test controls; both run in the test's own loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from exporter.demo import DemoSession
from exporter.ledger import EVENT_LATENESS, Ledger
from exporter.polling import Clock, Lateness, Poller, cancel_and_wait
from exporter.polling.lateness import SLOT_SECONDS
from exporter.settings import AmiSettings
from harness.pbx import FaultyPbx
from harness.virtual_time import clock, until, wall

CHANNEL = "Local/recv@fax-00000001;2"
SECRET = "correct horse battery staple"


def settings_for(pbx: FaultyPbx, **changes: Any) -> AmiSettings:
    """How to log in to it, with these changes."""
    given = {"port": pbx.port, "username": pbx.username, "secret": SecretStr(SECRET)} | changes
    return AmiSettings(**given)


@contextlib.asynccontextmanager
async def watched(
    interval: float = 1.0,
    *,
    start: bool = True,
    peer_limit: int | None = None,
    wall_clock: Callable[[], float] = wall,
    lateness: Lateness | None = None,
    **options: Any,
) -> AsyncIterator[tuple[FaultyPbx, Poller]]:
    """A demo PBX and a poller that watches it, both running; `start=False`: nobody listens yet.
    `wall_clock`, `lateness`: the poller's."""
    pbx = FaultyPbx(secret=SECRET, clock=wall, **options)
    await pbx.start()
    if not start:
        pbx.refuse_connections()
    poller = Poller(
        settings_for(pbx),
        interval,
        Ledger(peer_limit),
        clock=replace(clock(), wall=wall_clock),
        jitter=lambda: 1.0,
        lateness=lateness,
    )
    task = asyncio.create_task(poller.run())
    try:
        if start:
            await until(lambda: poller.status.up)
            await asyncio.sleep(EVENT_LATENESS)  # events of faxes before the start have come by now
        yield pbx, poller
    finally:
        await cancel_and_wait(task)
        await pbx.stop()


def begin(pbx: FaultyPbx, operation: str = "receive", channel: str = CHANNEL) -> DemoSession:
    """A fax that has negotiated."""
    session = pbx.begin(operation, channel)
    session.negotiate()
    return session


def overloaded(interval: float = 1.0) -> Lateness:
    """That of a process which does not keep up with 40 targets, and stays so."""
    now = 0.0
    lateness = Lateness(interval, clock=Clock(monotonic=lambda: now))
    while lateness.keeps_up:
        lateness.begun(10 * interval)
        now += max(SLOT_SECONDS, interval)
        lateness.tick(0.0, 40)
    return lateness


def end_with_texts(
    pbx: FaultyPbx, session: DemoSession, *, local: str, remote: str, file: str
) -> None:
    """Ends a session; its completion event has these texts in it."""
    pbx.end(session, announce=False)
    lines = [
        "Event: ReceiveFAX",
        f"Channel: {session.channel}",
        f"Uniqueid: {session.uniqueid}",
        f"LocalStationID: {local}",
        f"RemoteStationID: {remote}",
        "PagesTransferred: 1",
        f"FileName: {file}",
        "ChanVariable: FAXSTATUS=SUCCESS",
        "ChanVariable: FAXMODE=audio",
    ]
    pbx.inject(("\r\n".join(lines) + "\r\n\r\n").encode())
