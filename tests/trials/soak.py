"""Simulated weeks of faxes and faults in minutes; then every counter against the truth.

    make soak HOURS=336 SEED=1

The demo PBX lives through its traffic, the exporter's poller watches it over real sockets, and
every few minutes something goes wrong. What a fault hides cannot be counted by anybody, so faxes
hold still while the exporter is blind; some of them end meanwhile, unheard.
"""

import argparse
import asyncio
import gc
import random
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from exporter.demo import run_traffic
from exporter.ledger import EVENT_LATENESS, Ledger
from exporter.polling import Clock, Counts, Poller, cancel_and_wait
from harness.exposition import text
from harness.pbx import FaultyPbx
from harness.told import Told
from harness.truth import assert_exact
from harness.virtual_time import run, until, wall
from harness.watching import SECRET, settings_for

NONSENSE = (
    b"\r\n\r\n",
    b"Event: ReceiveFAX\r\nEvent: SendFAX\r\n\r\n",
    b"Event: FAXSessionsEntry\r\nActionID: nobody\r\n\r\n",
    b"Event: Newchannel\r\nChannel: \xff\xfe\x00\r\n\r\n",
    b"Response: Success\r\nActionID: a\r\nActionID: b\r\n\r\n",
    b"x" * 300_000 + b"\r\n\r\n",
)


@dataclass
class Soak:
    """One run. `rng` decides everything."""

    rng: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    """Resident KiB, once a simulated hour."""
    jump: float = 0.0
    """Seconds by which the machine's clock is wrong."""
    page: str = ""

    async def live(self, hours: float) -> None:
        """Raises AssertionError if a counter is wrong at the end, or ever goes down."""
        pbx = self.pbx = FaultyPbx(secret=SECRET, clock=wall)
        await pbx.start()
        loop = asyncio.get_running_loop()
        clock = Clock(monotonic=loop.time, wall=lambda: wall() + self.jump)
        told = Told()
        poller = self.poller = Poller(
            settings_for(pbx), 1.0, Ledger(tell=told.take), clock=clock, jitter=self.rng.random
        )
        self.moving = asyncio.Event()
        self.moving.set()
        watch = asyncio.create_task(poller.run())
        await self.seen()
        await asyncio.sleep(EVENT_LATENESS)
        traffic = asyncio.create_task(run_traffic(pbx, rng=self.rng, sleep=self.sleep, lines=8))
        end = loop.time() + hours * 3600
        hour = loop.time() + 3600
        while loop.time() < end:
            await asyncio.sleep(self.rng.uniform(30, 600))
            assert not traffic.done(), "the traffic has ended"
            await self.something_goes_wrong()
            counts = Counts.of(self.poller)
            self.page = text(counts)
            if loop.time() > hour:
                hour += 3600
                self.memory.append(resident())
        self.moving.clear()
        await asyncio.sleep(2 * EVENT_LATENESS)
        await cancel_and_wait(traffic)
        for session in list(pbx.sessions.values()):
            pbx.end(session)
        await asyncio.sleep(3 * EVENT_LATENESS)
        await cancel_and_wait(watch)
        await pbx.stop()
        assert not pbx.crashed
        assert_exact(poller, pbx)
        told.assert_all(poller.ledger.totals)

    async def sleep(self, seconds: float) -> None:
        """The faxes' own time, which stands still while nobody can see them."""
        await asyncio.sleep(seconds)
        await self.moving.wait()

    async def seen(self) -> None:
        """Until the exporter has seen everything as it is now."""
        status = self.poller.status
        await until(lambda: all(status.collectors.values()), 400)
        polls = status.polls
        await until(lambda: status.polls >= polls + 2, 60)

    async def something_goes_wrong(self) -> None:
        blind = (
            self.connection_dropped,
            self.message_cut_short,
            self.nobody_listens,
            self.half_open,
            self.answers_late,
            self.wrong_secret,
            self.class_taken_away,
            self.asterisk_restarted,
            self.asterisk_crashed,
            self.res_fax_reloaded,
            self.answer_lost,
        )
        seeing = (self.nonsense, self.bytewise, self.clock_jumps)
        fault: Callable[[], Awaitable[None]] = self.rng.choice(blind + seeing)
        self.faults[fault.__name__] += 1
        if fault in seeing:
            await fault()
            return
        self.moving.clear()
        await asyncio.sleep(EVENT_LATENESS)  # the events under way
        await self.seen()
        await fault()
        await self.seen()
        self.moving.set()

    async def pause(self, most: float) -> None:
        await asyncio.sleep(self.rng.uniform(0, most))

    # --- while the exporter is blind, faxes hold still

    async def connection_dropped(self) -> None:
        status = self.poller.status
        connects = status.connects
        self.pbx.drop_connections()
        # The next connection may be there before anybody has looked.
        await until(lambda: not status.up or status.connects > connects)

    async def message_cut_short(self) -> None:
        self.pbx.inject(b"Event: ReceiveFAX\r\nChann")
        await self.connection_dropped()

    async def nobody_listens(self) -> None:
        self.pbx.refuse_connections()
        await self.connection_dropped()
        for session in list(self.pbx.sessions.values()):
            if self.rng.random() < 0.3:
                self.pbx.end(session)
        await self.pause(900)
        self.pbx.accept_connections()

    async def half_open(self) -> None:
        self.pbx.mute = True
        await until(lambda: not self.poller.status.up)
        await self.pause(120)
        self.pbx.mute = False
        self.pbx.drop_connections()  # or an answer lost on the way would be awaited

    async def answers_late(self) -> None:
        self.pbx.delay = {"FAXStats": 10.0, "FAXSessions": self.rng.uniform(0, 10)}
        await self.pause(300)
        self.pbx.delay = {}

    async def wrong_secret(self) -> None:
        self.pbx.secret = "another"
        await self.connection_dropped()
        await self.pause(300)
        self.pbx.secret = SECRET

    async def class_taken_away(self) -> None:
        self.pbx.write = frozenset({self.rng.choice(("reporting", "call"))})
        await self.connection_dropped()
        await until(lambda: self.poller.status.up)
        await self.pause(120)
        self.pbx.write = frozenset({"reporting", "call"})
        await self.connection_dropped()

    async def asterisk_restarted(self) -> None:
        self.pbx.keeps_time = self.rng.random() < 0.5
        self.pbx.restart()

    async def asterisk_crashed(self) -> None:
        self.pbx.keeps_time = self.rng.random() < 0.5
        self.pbx.crash()
        await self.pause(300)
        self.pbx.restart()

    async def res_fax_reloaded(self) -> None:
        self.pbx.unload_res_fax()
        await self.pause(60)
        self.pbx.load_res_fax()

    async def answer_lost(self) -> None:
        lost = self.rng.choice(("FAXSessions", "FAXSession", "FAXStats"))
        self.pbx.rewrite = lambda action, answer: b"" if action == lost else answer
        await self.pause(30)
        self.pbx.rewrite = None

    # --- while faxes go on

    async def nonsense(self) -> None:
        for _ in range(self.rng.randint(1, 5)):
            self.pbx.inject(self.rng.choice(NONSENSE))
            await self.pause(2)

    async def bytewise(self) -> None:
        self.pbx.chunk = self.rng.randint(1, 50)
        await self.pause(20)
        self.pbx.chunk = 0

    async def clock_jumps(self) -> None:
        self.jump += self.rng.choice((-3600.0, 3600.0))


def resident() -> int:
    """KiB of this process in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def main() -> None:
    """Runs one soak and says what it saw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0, help="of simulated time")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    soak = Soak(random.Random(given.seed))
    began = time.monotonic()
    run(soak.live(given.hours))
    truth = soak.pbx.truth
    print(
        f"{given.hours:g} simulated hours in {time.monotonic() - began:.0f} s, all counters equal"
    )
    print(f"sessions {truth.started.total()}, pages {truth.pages.total()}, bad lines", end=" ")
    print(
        f"{truth.bad_lines}, completions {truth.completions.total()}, of them unobserved", end=" "
    )
    print(soak.poller.ledger.unobserved.total)
    print(f"faults {soak.faults.total()}: {dict(soak.faults.most_common())}")
    print(f"polls {soak.poller.status.polls}, connects {soak.poller.status.connects}")
    if soak.memory:
        print(f"resident KiB, hour by hour: {soak.memory}")


if __name__ == "__main__":
    main()
