"""200 PBXs with faxes on each, three of them a nuisance to the others, and who watches them.

    make crowd PBXS=200 ARGS="--seconds 60"

One hangs, one floods as fast as the connection takes it, one answers garbage. The others must be
polled on time all the while, and counted exactly. The PBXs share a process of their own.

    make crowd PBXS=200 ARGS="--shards 3"

Three exporters with the same file, each with its share: each PBX is polled by exactly one.

    make crowd PBXS=10000 ARGS="--shards 8 --in-turn"

More than a machine holds: the exporters run one after the other, each with a Prometheus that
scrapes it (`bench/turns.py`), and what they take together is added up. A minute for each.
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
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from bench.fleet import notes
from bench.measuring import cpu_of, resident
from bench.turns import SECONDS, in_turn
from harness.apart import apart
from harness.events import UNWANTED
from harness.exposition import Scrape
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
    logins: dict[str, int]
    """Of each well PBX."""
    pages: int
    bad_lines: int
    flooded: int
    """Bytes."""

    @property
    def gaps(self) -> list[float]:
        """Seconds from poll to poll, of all of them."""
        return [b - a for times in self.polls.values() for a, b in pairwise(times)]


@dataclass
class Used:
    """What one exporter watched, and what both its processes took for it."""

    targets: list[str]
    cores: float
    """Since all began."""
    resident: float
    """MiB."""
    last: Scrape
    """Of /metrics, at the end."""


class _Crowd:
    def __init__(self, count: int, sessions: int) -> None:
        self.pbxs = {f"pbx-{n:03}": FaultyPbx(secret=SECRET) for n in range(count)}
        self.pbxs |= {name: FaultyPbx(secret=SECRET) for name in NUISANCES}
        self.polls: dict[str, list[float]] = defaultdict(list)
        self.flooded = 0
        self._sessions = sessions
        self._faxes: list[Any] = []
        self._work: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for name, pbx in self.pbxs.items():
            await pbx.start()
            if name not in NUISANCES:
                pbx.rewrite = self._noting(name)
                for number in range(self._sessions):
                    fax = pbx.begin("receive", f"PJSIP/trunk-{number:08x}")
                    fax.negotiate()
                    self._faxes.append(fax)

    def send_pages(self) -> None:
        self._work += [asyncio.create_task(self._send_pages(fax)) for fax in self._faxes]

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
    # The first poll is made at once, the next when it is this PBX's turn. What a session has before
    # the first is not counted.
    while sum(len(times) > 1 for times in crowd.polls.values()) < count:
        await asyncio.sleep(0.1)
    crowd.send_pages()
    crowd.misbehave()
    crowd.polls.clear()
    await asyncio.sleep(seconds)
    polls, flooded = dict(crowd.polls), crowd.flooded
    await crowd.stop()
    well = {name: pbx for name, pbx in crowd.pbxs.items() if name not in NUISANCES}
    logins = {name: len(pbx.logins) for name, pbx in well.items()}
    pages = sum(pbx.truth.pages["receive"] for pbx in well.values())
    bad_lines = sum(pbx.truth.bad_lines for pbx in well.values())
    pipe.send(Report(polls, logins, pages, bad_lines, flooded))
    while not pipe.poll():  # until all is compared
        await asyncio.sleep(0.1)


def serve(pipe: "Connection[Any, Any]", count: int, sessions: int, seconds: float) -> None:
    """The process of the PBXs: tells their ports, then the report; answers until told to end."""
    asyncio.run(_serve(pipe, count, sessions, seconds))


def run_crowd(
    count: int, sessions: int, seconds: float, interval: float, shards: int = 1
) -> tuple[Report, list[Used]]:
    """One run; AssertionError if a well PBX was miscounted, or not polled by exactly one of the
    exporters, of which there are as many as shards."""
    with ExitStack() as stack:
        pbxs = stack.enter_context(apart(serve, count, sessions, seconds))
        ports = pbxs.recv()
        config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "exporter.yml"
        target = {"username": "demo", "secret_env": "CROWD_SECRET"}
        targets = {name: target | {"port": port} for name, port in ports.items()}
        config.write_text(json.dumps({"targets": targets}))
        exporters = [
            stack.enter_context(
                Exporter(
                    f"--config.file={config}",
                    f"--poll.interval={interval}",
                    *([f"--config.shard={shard}/{shards}"] if shards > 1 else []),
                    environment={"CROWD_SECRET": SECRET},
                )
            )
            for shard in range(shards)
        ]
        for exporter in exporters:
            _wait(partial(_is_ready, exporter))
        pbxs.send("all are connected")
        begun, before = time.monotonic(), [cpu_of(of.processes) for of in exporters]
        assert pbxs.poll(seconds * 5 + 60), "the PBXs are overloaded"
        report: Report = pbxs.recv()
        took = time.monotonic() - begun
        used = [
            Used(
                _targets(exporter),
                (cpu_of(exporter.processes) - cpu) / took,
                resident(exporter.processes),
                exporter.scrape(),
            )
            for exporter, cpu in zip(exporters, before, strict=True)
        ]
        shown = [name for of_one in used for name in of_one.targets]
        assert sorted(shown) == sorted(ports), "not each PBX is in exactly one share"
        assert set(report.logins.values()) == {1}, report.logins
        shares = [
            (exporter, of_it.targets) for exporter, of_it in zip(exporters, used, strict=True)
        ]
        _wait(lambda: _counted(shares, report))
        pbxs.send("all is compared")
    return report, used


def _is_ready(exporter: Exporter) -> bool:
    return _get(f"{exporter.base}/-/ready") is not None


def _targets(exporter: Exporter) -> list[str]:
    shown = json.loads(_get(f"{exporter.base}/sd") or "")
    return [name for group in shown for name in group["targets"]]


def _counted(shares: Sequence[tuple[Exporter, list[str]]], report: Report) -> bool:
    scrapes = [
        Scrape(_get(f"{exporter.base}/probe?target={name}") or "")
        for exporter, targets in shares
        for name in targets
        if name not in NUISANCES
    ]
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
    parser.add_argument("--seconds", type=float, help="60; with --in-turn for each shard, and 30")
    parser.add_argument("--interval", type=float, default=1.0, help="from poll to poll, seconds")
    parser.add_argument("--shards", type=int, default=1, help="as many exporters")
    parser.add_argument("--in-turn", action="store_true", help="of which one runs at a time")
    given = parser.parse_args()
    if given.in_turn:
        _say_in_turn(given.pbxs, given.sessions, given.shards, given.seconds or SECONDS)
        return
    seconds = given.seconds or 60.0
    report, used = run_crowd(given.pbxs, given.sessions, seconds, given.interval, given.shards)
    gaps = sorted(report.gaps)
    print(f"{len(report.polls)} PBXs with {given.sessions} sessions each for {seconds:.0f} s,")
    print(f"three more that hang, flood ({report.flooded / 2**20:.0f} MiB) and garble")
    print(f"{len(gaps)} polls, {statistics.median(gaps):.3f} s apart", end=" ")
    print(f"(from {gaps[0]:.3f} to {gaps[-1]:.3f}, 99.9 % within {gaps[-len(gaps) // 1000]:.3f})")
    print(f"counted exactly: {report.pages} pages, {report.bad_lines} bad lines")
    for number, one in enumerate(used):
        print(f"exporter {number}: {len(one.targets)} PBXs,", end=" ")
        print(f"{one.cores:.2f} of a core, {one.resident:.1f} MiB resident, both processes")


def _say_in_turn(pbxs: int, sessions: int, shards: int, seconds: float) -> None:
    """Runs them and prints a line for each, then the sums. Raises AssertionError if pages are
    missed, which are exact however late the polls are."""
    print(f"{pbxs} PBXs with {sessions} sessions each; {shards} exporters, one after the other,")
    print("each scraped by a Prometheus of its own")
    ran = []
    for one in in_turn(pbxs, sessions, shards, seconds=seconds):
        ran.append(one)
        print(
            "shard {shard:.0f}: {watched:.0f} PBXs, {cores:.2f} of a core ({main_cores:.2f} polls, "
            "{web_cores:.2f} answers), {resident_mib:.0f} MiB, gaps {gap_p50_s:.3f} / "
            "{gap_p99_s:.3f} / {gap_max_s:.3f} s (p50, p99, longest); {pages:.0f} pages counted, "
            "{bad_lines_lost:.0f} of {bad_lines:.0f} bad lines missed".format(**one),
            flush=True,
        )
        for note in notes(f"shard {one['shard']:.0f}", one):
            print(f"  {note}")
        assert not one["pages_lost"], f"{one['pages_lost']:.0f} pages were not counted"
    sums = {name: sum(one[name] for one in ran) for name in ran[0]}
    sums["longest"] = max(one["gap_max_s"] for one in ran)
    print(
        "all: {watched:.0f} PBXs, each watched by exactly one; {cores:.2f} cores, "
        "{resident_mib:.0f} MiB, longest gap {longest:.3f} s; {pages:.0f} pages counted exactly, "
        "{bad_lines_lost:.0f} of {bad_lines:.0f} bad lines missed; Prometheus: "
        "{prometheus_cores:.2f} cores".format(**sums)
    )


if __name__ == "__main__":
    main()
