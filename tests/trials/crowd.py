"""One exporter and 200 PBXs with faxes on each, three of the PBXs a nuisance to the others.

    make crowd PBXS=200 ARGS="--seconds 60"

One hangs, one floods as fast as the connection takes it, one answers garbage. The others must be
polled on time all the while, and counted exactly. The PBXs share a process of their own.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from harness.apart import apart
from harness.events import UNWANTED
from harness.exposition import Scrape, process
from harness.pbx import FaultyPbx
from harness.running import Exporter

SECRET: Final = "s"
PAGE_SECONDS: Final = 6.0
NUISANCES: Final = ("hangs", "floods", "garbles")


@dataclass
class Report:
    """What the PBXs saw, and what is true of them."""

    polls: dict[str, list[float]]
    """When each well PBX was asked for its list, seconds of a monotonic clock."""
    pages: int
    bad_lines: int
    flooded: int
    """Bytes."""

    @property
    def gaps(self) -> list[float]:
        """Seconds from poll to poll, of all of them."""
        return [b - a for times in self.polls.values() for a, b in pairwise(times)]


class _Crowd:
    def __init__(self, count: int, sessions: int) -> None:
        self.pbxs = {f"pbx-{n:03}": FaultyPbx(secret=SECRET) for n in range(count)}
        self.pbxs |= {name: FaultyPbx(secret=SECRET) for name in NUISANCES}
        self.polls: dict[str, list[float]] = defaultdict(list)
        self.flooded = 0
        self._sessions = sessions
        self._work: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for name, pbx in self.pbxs.items():
            await pbx.start()
            if name not in NUISANCES:
                pbx.rewrite = self._noting(name)
                for number in range(self._sessions):
                    fax = pbx.begin("receive", f"PJSIP/trunk-{number:08x}")
                    fax.negotiate()
                    self._work.append(asyncio.create_task(self._send_pages(fax)))

    def misbehave(self) -> None:
        self.pbxs["hangs"].mute = True
        self.pbxs["garbles"].rewrite = lambda _, answer: b"\xff\r\n\r\n" * 100 + answer[::-1]
        self._work.append(asyncio.create_task(self._flood(self.pbxs["floods"])))

    async def stop(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    def _noting(self, name: str) -> Callable[[str, bytes], bytes]:
        def note(action: str, answer: bytes) -> bytes:
            if action.lower() == "faxsessions":
                self.polls[name].append(time.monotonic())
            return answer

        return note

    async def _send_pages(self, fax: Any) -> None:
        while True:
            await asyncio.sleep(PAGE_SECONDS * 2 / 3)
            fax.add_bad_lines(1)
            await asyncio.sleep(PAGE_SECONDS / 3)
            fax.finish_page()

    async def _flood(self, pbx: FaultyPbx) -> None:
        storm = b"".join(UNWANTED) * 20
        while True:
            pbx.inject(storm)
            self.flooded += len(storm)
            await asyncio.sleep(0.005)


async def _serve(pipe: "Connection[Any, Any]", count: int, sessions: int, seconds: float) -> None:
    crowd = _Crowd(count, sessions)
    await crowd.start()
    pipe.send({name: pbx.port for name, pbx in crowd.pbxs.items()})
    while not pipe.poll():  # until all are connected
        await asyncio.sleep(0.1)
    pipe.recv()
    # The first poll is made at once, the next when it is this PBX's turn.
    while sum(len(times) > 1 for times in crowd.polls.values()) < count:
        await asyncio.sleep(0.1)
    crowd.misbehave()
    crowd.polls.clear()
    await asyncio.sleep(seconds)
    polls, flooded = dict(crowd.polls), crowd.flooded
    await crowd.stop()
    well = [pbx for name, pbx in crowd.pbxs.items() if name not in NUISANCES]
    pages = sum(pbx.truth.pages["receive"] for pbx in well)
    pipe.send(Report(polls, pages, sum(pbx.truth.bad_lines for pbx in well), flooded))
    while not pipe.poll():  # until all is compared
        await asyncio.sleep(0.1)


def serve(pipe: "Connection[Any, Any]", count: int, sessions: int, seconds: float) -> None:
    """The process of the PBXs: tells their ports, then the report; answers until told to end."""
    asyncio.run(_serve(pipe, count, sessions, seconds))


def run_crowd(
    count: int, sessions: int, seconds: float, interval: float
) -> tuple[Report, Scrape, Scrape]:
    """One run; AssertionError if a well PBX was miscounted. /metrics is from its begin and end."""
    with apart(serve, count, sessions, seconds) as pbxs:
        ports = pbxs.recv()
        with tempfile.TemporaryDirectory() as directory:
            config = Path(directory) / "exporter.yml"
            target = {"username": "demo", "secret_env": "CROWD_SECRET"}
            targets = {name: target | {"port": port} for name, port in ports.items()}
            config.write_text(json.dumps({"targets": targets}))
            with Exporter(
                f"--config.file={config}",
                f"--poll.interval={interval}",
                environment={"CROWD_SECRET": SECRET},
            ) as exporter:
                _wait(lambda: _get(f"{exporter.base}/-/ready") is not None)
                pbxs.send("all are connected")
                first = exporter.scrape()
                assert pbxs.poll(seconds * 5 + 60), "the PBXs are overloaded"
                report: Report = pbxs.recv()
                last = exporter.scrape()
                _wait(lambda: _counted(exporter, ports, report))
                pbxs.send("all is compared")
    return report, first, last


def _counted(exporter: Exporter, ports: dict[str, int], report: Report) -> bool:
    names = [name for name in ports if name not in NUISANCES]
    scrapes = [Scrape(_get(f"{exporter.base}/probe?target={name}") or "") for name in names]
    assert all(now.value("up") == 1 for now in scrapes)
    pages = sum(now.sum("pages_received_total") for now in scrapes)
    bad_lines = sum(now.sum("bad_lines_total") for now in scrapes)
    assert pages <= report.pages
    assert bad_lines <= report.bad_lines
    return (pages, bad_lines) == (report.pages, report.bad_lines)


def _get(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        error.close()
        return None


def _wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)


def main() -> None:
    """Runs once and says what was seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pbxs", type=int, default=200)
    parser.add_argument("--sessions", type=int, default=5, help="on each")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--interval", type=float, default=1.0, help="from poll to poll, seconds")
    given = parser.parse_args()
    report, first, last = run_crowd(given.pbxs, given.sessions, given.seconds, given.interval)
    gaps = sorted(report.gaps)
    cpu = process(last, "cpu_seconds_total") - process(first, "cpu_seconds_total")
    print(
        f"{len(report.polls)} PBXs with {given.sessions} sessions each for {given.seconds:.0f} s,"
    )
    print(f"three more that hang, flood ({report.flooded / 2**20:.0f} MiB) and garble")
    print(f"{len(gaps)} polls, {statistics.median(gaps):.3f} s apart", end=" ")
    print(f"(from {gaps[0]:.3f} to {gaps[-1]:.3f}, 99.9 % within {gaps[-len(gaps) // 1000]:.3f})")
    print(f"counted exactly: {report.pages} pages, {report.bad_lines} bad lines")
    resident = process(last, "resident_memory_bytes") / 2**20
    print(f"the exporter: {cpu / given.seconds:.2f} of a core, {resident:.1f} MiB resident")


if __name__ == "__main__":
    main()
