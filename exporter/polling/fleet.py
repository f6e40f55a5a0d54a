"""The Asterisks that are watched, each by a poller of its own; they come and go at a reload."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from exporter.descriptors import Room
from exporter.ledger import Earlier, EndedFax, Ledger, Remembered
from exporter.pieces import Pieces
from exporter.polling.clock import Clock
from exporter.polling.lateness import Lateness
from exporter.polling.poller import Poller
from exporter.settings import AmiSettings

log = logging.getLogger(__name__)

_PHASES: Final = 2**32


class Fleet:
    """Pollers by the name of their target, in the order of the file."""

    def __init__(
        self,
        interval: float,
        peer_limit: int | None,
        remembered: Callable[[str], Remembered] | None = None,
        *,
        tell: Callable[[str, EndedFax], None] | None = None,
        earlier: Callable[[str], Earlier | None] | None = None,
        clock: Clock | None = None,
        lateness: Lateness | None = None,
    ) -> None:
        """`interval`: seconds from poll to poll. `peer_limit`: see `Ledger`; `remembered`: the
        peers that are known of a target; `tell`: takes each fax that is over, and its target;
        `earlier`: what an exporter before this one was told of a target; `lateness`: None for one
        of its own, which knows nothing of the loop's time."""
        self.pollers: dict[str, Poller] = {}
        self._interval = interval
        self._peer_limit = peer_limit
        self._remembered = remembered
        self._tell = tell
        self._earlier = earlier
        self._clock = clock
        self.lateness: Final = lateness or Lateness(interval, clock=clock)
        """Of all their polls."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, Poller] = {}
        """No longer watched, and yet to be ended."""
        self._one_at_a_time = asyncio.Lock()
        self._room = Room()

    @property
    def stale(self) -> list[str]:
        """The targets whose last poll is not fresh."""
        return [name for name, poller in self.pollers.items() if not poller.fresh]

    async def watch(self, targets: Mapping[str, AmiSettings]) -> None:
        """Watches these and no others. A target whose settings are as before goes on undisturbed;
        one that has the same address and other settings connects again and keeps its counters.

        None is without polls for longer than its own connection takes: each is ended only when the
        new one can begin, and all others have their turn in between.
        """
        async with self._one_at_a_time:
            before, pieces = self.pollers, Pieces()
            fitting = self._room.take(len(targets))
            kept, pollers = set[str](), dict[str, Poller]()
            for name, settings in targets.items():
                if (poller := before.get(name)) is None:
                    poller = self._poller(name, settings)
                elif poller.settings == settings:
                    kept.add(name)
                pollers[name] = poller
                if before:  # else none is polled yet
                    await pieces.done()
            self.pollers = pollers  # before they begin, so that /-/ready waits for them from now on
            self._leaving = {name: before[name] for name in before.keys() - pollers.keys()}
            for name in list(self._leaving):
                await self._end(name)
                self._leaving.pop(name).ledger.close()
            changed = before.keys() & pollers.keys() - kept
            for name in list(targets)[fitting:]:  # before others need what they have
                await self._end(name)
                if name in changed:
                    pollers[name] = self._changed(name, targets[name], before[name])
                pollers[name].leave_out(self._room.why)
                await pieces.done()
            for name in list(targets)[:fitting]:
                if name in changed:
                    await self._end(name)
                    pollers[name] = self._changed(name, targets[name], before[name])
                if name not in self._tasks:
                    self._tasks[name] = asyncio.create_task(pollers[name].run(), name=name)
                    await pieces.turn()
                await pieces.done()
        added, removed = len(targets.keys() - before.keys()), len(before.keys() - targets.keys())
        log.info(
            "%d target%s: %d added, %d removed, %d changed",
            len(targets),
            "" if len(targets) == 1 else "s",
            added,
            removed,
            len(changed),
        )

    async def close(self) -> None:
        """Ends all pollers. What they waited for an event of is told."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for poller in [*self._leaving.values(), *self.pollers.values()]:
            poller.ledger.close()

    async def _end(self, name: str) -> None:
        """Ends the loop of a target, if it has one: not if it is left out, or after `close`."""
        if (task := self._tasks.pop(name, None)) is not None:
            await cancel_and_wait(task)

    def _changed(self, name: str, settings: AmiSettings, before: Poller) -> Poller:
        """The poller of a target from now on, whose loop has ended."""
        if _same_asterisk(before.settings, settings):
            before.log_in_with(settings)
            return before
        before.ledger.close()
        return self._poller(name, settings)

    def _poller(self, name: str, settings: AmiSettings) -> Poller:
        # By a hash of the name, as Prometheus spreads its scrapes, so that the polls of a fleet do
        # not all come at once, and a target keeps its place in the interval.
        digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
        phase = int.from_bytes(digest[:4], "big") / _PHASES
        remembered = self._remembered and self._remembered(name)
        tell = self._tell and partial(self._tell, name)
        ledger = Ledger(self._peer_limit, remembered, tell)
        poller = Poller(
            settings,
            self._interval,
            ledger,
            name=name,
            phase=phase,
            clock=self._clock,
            lateness=self.lateness,
        )
        if self._earlier is not None and (earlier := self._earlier(name)) is not None:
            ledger.recall(earlier, poller.clock.wall())
        return poller


def _same_asterisk(before: AmiSettings, now: AmiSettings) -> bool:
    return (before.host, before.port) == (now.host, now.port)


async def cancel_and_wait(task: asyncio.Task[None]) -> None:
    """Cancels a task and waits for its end."""
    task.cancel()
    await asyncio.wait([task])  # who waits may be cancelled himself, and is to notice
    if not task.cancelled():
        task.result()
