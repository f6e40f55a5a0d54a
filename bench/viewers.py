"""What it costs that people keep the page open, many of them, and how long one waits for the page
of many PBXs: the first look, for which all is made, and the next ones.
"""

import asyncio
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import aiohttp

from bench import pbx
from bench.fleet import polling, targets_file
from bench.measuring import Numbers, cpu_of, median, resident
from harness.running import Exporter

VIEWERS: Final = 50
PBXS: Final = 300
SIZES: Final = (PBXS, 3000)
"""PBXs at which one looks alone, with SESSIONS each."""
SESSIONS: Final = 1
EVERY: Final = 2.0
"""Seconds from look to look of each, as the page does."""
SECONDS: Final = 20.0
LOOKS: Final = 9
"""After the first one."""
LOOKED_AT: Final = (
    "/",
    "/?rows=all",
    "/api/v1/sessions",
    "/api/v1/targets?state=unhealthy",
    "/api/v1/targets",
)
MADE_ANEW: Final = ("/api/v1/sessions", "/api/v1/targets?state=unhealthy")
"""Of these nothing is kept from look to look."""
PATHS: Final = ("/", "/targets/pbx-00000", "/api/v1/targets")
"""The overview and one PBX, which tell of one state to all who look in one second, and the API,
which tells everything of every PBX."""


def measure(viewers: int = VIEWERS, pbxs: int = PBXS, sizes: Sequence[int] = SIZES) -> Numbers:
    """The share of a core, beside that of the polls, and how long an answer takes."""
    return _many_look(viewers, pbxs) | {
        what: of for size in sizes for what, of in _one_looks(size).items()
    }


@contextmanager
def _watching(pbxs: int, sessions: int) -> Iterator[Exporter]:
    """An exporter of so many PBXs, each of which had 40 faxes."""
    with ExitStack() as stack:
        address = stack.enter_context(
            pbx.running(sessions, pbxs=pbxs, history=40, writes="by answer")
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        exporter = stack.enter_context(polling(targets_file(address, folder)))
        exporter.wait_for_line("connected", 20)
        time.sleep(pbx.HISTORY_AFTER + 10 + pbxs / 200)
        yield exporter


def _one_looks(pbxs: int) -> Numbers:
    """The first look, and the next ones."""
    numbers: Numbers = {}
    with _watching(pbxs, SESSIONS) as exporter:
        pids = exporter.processes
        at_rest, before = _cores(pids), resident(pids)
        for path in LOOKED_AT:
            looks = [_look(exporter.base + path, pids, at_rest) for _ in range(1 + LOOKS)]
            (first_cpu, first_wait, size), following = looks[0], looks[1:]
            numbers[f"{pbxs} PBXs, one looks at {path}"] = {
                "first_cpu_ms": round(first_cpu * 1000, 1),
                "first_ms": round(first_wait * 1000, 1),
                "next_cpu_ms": round(median([cpu for cpu, _, _ in following]) * 1000, 1),
                "next_ms": round(median([wait for _, wait, _ in following]) * 1000, 1),
                "slowest_ms": round(max(wait for _, wait, _ in following) * 1000, 1),
                "size_kib": round(size / 1024, 1),
            }
        numbers[f"{pbxs} PBXs, after a look at everything"] = {
            "more_mib": round(resident(pids) - before, 1)
        }
    return numbers


def _look(url: str, pids: Sequence[int], at_rest: float) -> tuple[float, float, int]:
    """What a look costs beside the polls, seconds of CPU; how long it took, and its size."""
    before, begun = cpu_of(pids), time.perf_counter()
    asked = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        size = len(answer.read())
    waited = time.perf_counter() - begun
    time.sleep(max(0.0, EVERY - waited))
    took = time.perf_counter() - begun
    return cpu_of(pids) - before - at_rest * took, waited, size


def _many_look(viewers: int, pbxs: int) -> Numbers:
    numbers: Numbers = {}
    with _watching(pbxs, 0) as exporter:
        pids = exporter.processes
        at_rest = _cores(pids)
        numbers[f"{pbxs} PBXs, nobody looks"] = {"cores": round(at_rest, 4)}
        for path in PATHS:
            numbers[f"{pbxs} PBXs, {viewers} look at {path}"] = asyncio.run(
                _looked_at(exporter.base + path, viewers, pids, at_rest)
            )
    return numbers


def _cores(pids: Sequence[int]) -> float:
    before, begun = cpu_of(pids), time.perf_counter()
    time.sleep(SECONDS)
    return (cpu_of(pids) - before) / (time.perf_counter() - begun)


async def _looked_at(
    url: str, viewers: int, pids: Sequence[int], at_rest: float
) -> dict[str, float]:
    waits: list[float] = []
    sizes: list[int] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        looking = [
            asyncio.create_task(_viewer(session, url, number / viewers * EVERY, waits, sizes))
            for number in range(viewers)
        ]
        await asyncio.sleep(2 * EVERY)  # to warm up
        waits.clear()
        before, begun = cpu_of(pids), time.perf_counter()
        await asyncio.sleep(SECONDS)
        cores = (cpu_of(pids) - before) / (time.perf_counter() - begun)
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
    return {
        "cores": round(cores - at_rest, 4),
        "answer_ms": round(median(waits) * 1000, 1),
        "slowest_ms": round(max(waits) * 1000, 1),
        "largest_kib": round(max(sizes) / 1024, 1),
    }


async def _viewer(
    session: aiohttp.ClientSession, url: str, after: float, waits: list[float], sizes: list[int]
) -> None:
    """One who looks every EVERY seconds, and says which state he has, as a browser does."""
    loop, headers = asyncio.get_running_loop(), dict[str, str]()
    due = loop.time() + after
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        due = max(due + EVERY, loop.time())
        begun = loop.time()
        async with session.get(url, headers=headers) as answer:
            if answer.status not in (200, 304):
                raise RuntimeError(f"{url}: {answer.status}")
            sizes.append(len(await answer.read()))
            if (tag := answer.headers.get("ETag")) is not None:
                headers["If-None-Match"] = tag
        waits.append(loop.time() - begun)
