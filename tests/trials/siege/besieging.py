"""One victim and its control, flood after flood: what is measured, and when.

The faxes run from before a flood until after it; then all hold still, and what both exporters have
counted is compared with what there was.
"""

import asyncio
import contextlib
import dataclasses
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp

from harness.apart import apart
from harness.exposition import Scrape
from harness.running import Exporter
from tests.trials.siege.attacking import Attack, Count, Flood, Victim, flood_until_told
from tests.trials.siege.lateness import punctuality
from tests.trials.siege.lines import GRACE, LINES, MIB, Row
from tests.trials.siege.pbx import BESIEGED, CONTROL, SECRET, Orders, Truth, serve
from tests.trials.siege.processes import Use, tree, use
from tests.trials.siege.scraping import Prometheus, Tally
from tests.trials.siege.victims import (
    EXPORTER,
    PASSWORDS,
    SETUPS,
    Besieged,
    NodeExporter,
    Setup,
    write_web_file,
)

INTERVAL: Final = 1.0
"""Seconds from poll to poll."""
ELSEWHERE: Final = "127.0.3.1"
STRANGER: Final = "127.0.3.2"
"""Where no flood comes from."""
_SAMPLE: Final = 0.1  # seconds between two looks at the memory
_BACK: Final = 8.0  # seconds for the connection to the PBX to come back
_SETTLE: Final = 5.0  # seconds, at most, for all to be seen, and for memory to be given back
_COUNTERS: Final = {
    "pages": "pages_received_total",
    "bad_lines": "bad_lines_total",
    "finished": "finished_total",
}
_KEPT: Final = next(line.worst for line in LINES if line.figure == "memory kept afterwards")

Counters = dict[str, float]


class Siege:
    """One setup: its PBX, its control and its victim, which is replaced where a flood ruins it."""

    def __init__(self, setup: Setup, kind: str, folder: Path) -> None:
        self.setup, self.kind, self._folder = setup, kind, folder
        self._stack = contextlib.ExitStack()
        self.web_file = write_web_file(setup, folder)
        self.pbx: Orders | None = None
        self.victim: Exporter | None = None
        self._rest = Use()

    async def __aenter__(self) -> "Siege":
        if self.kind == EXPORTER:
            with contextlib.ExitStack() as stack:
                self.pbx = Orders(stack.enter_context(apart(serve)))
                stack.callback(self.pbx.stop)
                port, interval = self.pbx.ports[CONTROL], f"--poll.interval={INTERVAL}"
                self.control = stack.enter_context(
                    Exporter.watching("127.0.0.1", port, "demo", SECRET, interval)
                )
                self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.victim is not None:
            await self.end()
        self._stack.close()

    async def begin(self) -> Exporter:
        """A fresh victim, at rest: it has polled, and served a few scrapes."""
        if self.pbx is not None:
            port = self.pbx.ports[BESIEGED]
            self.victim = Besieged(self.setup, port, self.web_file, self._folder)
        else:
            self.victim = NodeExporter(self.setup, self.web_file)
        self.victim.__enter__()
        if self.pbx is not None:
            await self.pbx.seen(_SETTLE)
            if self.setup.peers:
                await self.pbx.show_peers(self.setup.peers)
        for _ in range(5):
            await self.prometheus().text()
        self._rest = use(self.victim.process.pid)
        return self.victim

    async def end(self) -> float:
        """SIGTERM; returns how many seconds it took, GRACE if it had to be killed."""
        assert self.victim is not None
        victim, self.victim = self.victim, None
        begun = time.monotonic()
        try:
            await asyncio.to_thread(victim.stop)
        except subprocess.TimeoutExpired:
            return GRACE
        return time.monotonic() - begun

    def prometheus(self, user: str | None = "prometheus", **options: Any) -> Prometheus:
        """One that scrapes the victim; `user` None: without a password."""
        assert self.victim is not None
        known = user is not None and self.setup.users
        login = (str(user), PASSWORDS[str(user)]) if known else None
        return Prometheus(self.victim.url, login, **options)

    def _target(self) -> Prometheus:
        """What the victim has counted of the PBX; where it watches several, /metrics has not."""
        path = "/probe?target=pbx" if self.setup.targets > 1 else "/metrics"
        one = self.prometheus()
        return dataclasses.replace(one, url=one.url.removesuffix("/metrics") + path)

    async def flood(self, attack: Attack, seconds: float) -> Row:
        """One flood, or several at once, and what they did."""
        victim = self.victim or await self.begin()
        kinds = attack.floods
        row = Row(attack.name, attack.setup)
        row.connections = sum(kind.connections for kind in kinds)
        row.cut = any(kind.cuts_ami for kind in kinds)
        row.rest = self._rest.resident
        truth, before, control_before = await self._counted()
        if self.pbx is not None:
            await self.pbx.begin_faxes()
            await self.pbx.seen(_SETTLE)
        logged = len(victim.log.encode())
        processes = set(tree(victim.process.pid))
        begin, end = await self._under_attack(row, kinds, seconds)
        row.restarts = len(processes - set(tree(victim.process.pid)))
        if any(kind.ends_it for kind in kinds):
            row.ended = await self.end()
            row.after = row.rest
        else:
            row.recovery = await self.prometheus().recovered(GRACE)
            row.after = await self._given_back()
            row.peak = max(row.peak, row.after)
        row.logged = len(victim.log.encode()) - logged
        if self.pbx is not None:
            true = (await self.pbx.end_faxes(_SETTLE)).since(truth)
            polls = await self.pbx.polls()
            row.polls = punctuality(polls[BESIEGED], begin, end, INTERVAL)
            row.control = punctuality(polls[CONTROL], begin, end, INTERVAL)
            control = Prometheus(self.control.url)
            row.control_miscounted = await _miscounted(control, control_before, true)
            if self.victim is not None:
                row.miscounted = await _miscounted(self._target(), before, true)
        return row

    async def _counted(self) -> tuple[Truth, Counters, Counters]:
        if self.pbx is None:
            return Truth(), {}, {}
        return (
            await self.pbx.end_faxes(0),
            await _counters(self._target()),
            await _counters(Prometheus(self.control.url)),
        )

    async def _under_attack(
        self, row: Row, kinds: Sequence[type[Flood]], seconds: float
    ) -> tuple[float, float]:
        """From when to when."""
        assert self.victim is not None
        pid = self.victim.process.pid
        over = asyncio.Event()
        scrapes = self._scrapes(row, kinds, over)
        port = int(self.victim.base.rpartition(":")[2])
        open_path = "/-/healthy" if self.kind == EXPORTER else "/"
        victim = Victim(port, self.setup.tls, pid, self.web_file, open_path=open_path)
        with contextlib.ExitStack() as stack:
            # Two processes where there are several, so that one does not keep another waiting.
            attackers = [
                stack.enter_context(apart(flood_until_told, list(share), victim))
                for share in (kinds[::2], kinds[1::2])
                if share
            ]
            for each in attackers:
                await asyncio.to_thread(each.recv)
            begin, used = time.monotonic(), use(pid).cpu
            watching = asyncio.create_task(_peak_of(row, pid))
            running = [asyncio.create_task(scrape) for scrape in scrapes]
            if self.pbx is not None and row.cut:
                await asyncio.sleep(1)  # until the places are taken
                row.back = await self.pbx.cut(_BACK)
            await asyncio.sleep(max(seconds, *(kind.least for kind in kinds)))
            over.set()
            # Those that are under way are answered while the flood goes on, or not at all.
            await asyncio.gather(*running)
            row.cores = (use(pid).cpu - used) / (time.monotonic() - begin)
            watching.cancel()
            for each in attackers:
                each.send("stop")
            count = Count()
            for each in attackers:
                count.add(await asyncio.to_thread(each.recv))
        end = time.monotonic()
        row.seconds, row.sent, row.answers = end - begin, count.sent, dict(count.answers)
        row.requests = count.answers.total()
        if self.setup.users:
            row.opened += count.answers[200]
        return begin, end

    def _scrapes(self, row: Row, kinds: Sequence[type[Flood]], over: asyncio.Event) -> list[Any]:
        beside = [self.prometheus(), self.prometheus(keep_alive=True)]
        elsewhere = self.prometheus(source=ELSEWHERE)
        told_apart = self.setup.users or all(kind.sources > 1 for kind in kinds)
        found: list[Any] = []
        for prometheus in (*beside, elsewhere):
            # With fewer descriptors than it is to be run with, it holds few connections. And until
            # a handshake is over, nothing tells a new client from others at his address.
            new = self.setup.tls and not prometheus.keep_alive
            guarded = (told_apart and not new) or (
                prometheus is elsewhere and not self.setup.descriptors
            )
            tally = Tally()
            (row.guarded if guarded else row.unguarded).append(tally)
            found.append(prometheus.scrape_into(tally, over))
        if any(kind.logs_in_late for kind in kinds):
            row.late_login = Tally()
            late = self.prometheus("late", source=ELSEWHERE)
            found.append(late.scrape_into(row.late_login, over))
        if self.setup.users:
            found.append(self._stranger(row, over))
        return found

    async def _stranger(self, row: Row, over: asyncio.Event) -> None:
        tally = Tally()
        await self.prometheus(None, source=STRANGER, interval=0.2).scrape_into(tally, over)
        row.opened += tally.answered

    async def _given_back(self) -> int:
        assert self.victim is not None
        deadline = time.monotonic() + _SETTLE
        while True:
            now = use(self.victim.process.pid).resident
            if now - self._rest.resident <= _KEPT * MIB / 2 or time.monotonic() > deadline:
                return now
            await asyncio.sleep(_SAMPLE)

    def ruined(self, row: Row) -> bool:
        """Whether the next flood needs a fresh victim, to show its own figures."""
        kept = row.after - row.rest > _KEPT * MIB
        return kept or row.recovery >= GRACE or not row.back or any(row.miscounted.values())


async def _peak_of(row: Row, pid: int) -> None:
    while True:
        now = use(pid)
        row.peak = max(row.peak, now.resident)
        row.descriptors = max(row.descriptors, now.descriptors)
        await asyncio.sleep(_SAMPLE)


async def _counters(prometheus: Prometheus) -> Counters:
    scrape = Scrape(await prometheus.text())
    found = {}
    for name, metric in _COUNTERS.items():
        found[name] = 0.0
        with contextlib.suppress(KeyError):
            found[name] = scrape.sum(metric)
    return found


async def _miscounted(prometheus: Prometheus, before: Counters, true: Truth) -> Counters:
    """How many more there are than there should be: the least, while the last events come in."""
    off: Counters = {}
    for _ in range(30):
        try:
            after = await _counters(prometheus)
        except (OSError, aiohttp.ClientError, TimeoutError):
            off = {"cannot be read": 1.0}
        else:
            off = {
                name: after[name] - before[name] - getattr(true, name)
                for name in _COUNTERS
                if after[name] - before[name] != getattr(true, name)
            }
            if not off:
                break
        await asyncio.sleep(0.1)
    return off


async def besiege(
    attacks: Sequence[Attack],
    seconds: float,
    kind: str = EXPORTER,
    say: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Each of these, one after the other, those of the same setup against the same victim. `say`
    is called with each row as soon as it is there."""
    rows = []
    for name in dict.fromkeys(attack.setup for attack in attacks):
        with tempfile.TemporaryDirectory() as folder:
            async with Siege(SETUPS[name], kind, Path(folder)) as siege:
                own = [attack for attack in attacks if attack.setup == name]
                for attack in own:
                    row = await siege.flood(attack, seconds)
                    if siege.victim is not None and (attack is own[-1] or siege.ruined(row)):
                        row.ended = await siege.end()
                    rows.append(row)
                    say(row)
    return rows
