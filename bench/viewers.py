"""What it costs that people keep the page open: many of them, and many PBXs."""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import aiohttp

from bench import pbx
from bench.measuring import Numbers, cpu_of, median
from harness.running import Exporter

VIEWERS: Final = 50
PBXS: Final = 300
EVERY: Final = 2.0
"""Seconds from look to look of each, as the page does."""
SECONDS: Final = 20.0
PATHS: Final = ("/", "/targets/pbx-000", "/api/v1/targets")
"""The overview and one PBX, which tell of one state to all who look in one second, and the API,
which tells everything of every PBX."""


def measure(viewers: int = VIEWERS, pbxs: int = PBXS) -> Numbers:
    """The share of a core, beside that of the polls, and how long an answer takes."""
    numbers: Numbers = {}
    with ExitStack() as stack:
        address = stack.enter_context(pbx.running(0, pbxs=pbxs, history=40))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = folder / "exporter.yml"
        targets = {
            f"pbx-{number:03}": {"username": "u", "secret_env": "BENCH_SECRET", "port": port}
            for number, port in enumerate(address.ports)
        }
        file.write_text(json.dumps({"targets": targets}))
        exporter = stack.enter_context(
            Exporter(f"--config.file={file}", environment={"BENCH_SECRET": pbx.SECRET})
        )
        exporter.wait_for_line("connected", 20)
        time.sleep(pbx.HISTORY_AFTER + 10)
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
