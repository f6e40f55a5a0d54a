"""An event storm: a PBX that sends 50,000 events a second, and an exporter that stays exact.

    make storm ARGS="--seconds 60"

The PBX is a process of its own. Its one fax advances with each poll; other faxes end unseen, their
events amid the storm.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice, pairwise
from multiprocessing.connection import Connection
from typing import Any, Final

from harness.apart import apart
from harness.events import UNWANTED
from harness.exposition import Scrape, process
from harness.fax_lines import assert_lines_make_up, fax_lines
from harness.pbx import FaultyPbx
from harness.running import Exporter, scraped_meanwhile

TICK: Final = 0.01
"""Seconds; in each the PBX sends its share of events at once."""
SECRET: Final = "s"
PAGE: Final = (0, 2, 2, 9)
"""Bad lines of the fax from poll to poll, page by page."""
MOST_GROWTH: Final = 8 * 1024 * 1024
"""Bytes by which resident memory may differ between the first and the last second."""


@dataclass
class Report:
    """What the PBX did."""

    events: int = 0
    size: int = 0
    """Bytes of them."""
    seconds: float = 0.0
    polls: list[float] = field(default_factory=list)
    """When each list was asked for, seconds since the storm began."""
    pages: int = 0
    bad_lines: int = 0
    finished: int = 0

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def gaps(self) -> list[float]:
        """Seconds from poll to poll."""
        return [later - earlier for earlier, later in pairwise(self.polls)]


class Storm:
    """The PBX with its one fax, and the storm on all connections to it."""

    def __init__(self, rate: int) -> None:
        self.pbx = FaultyPbx(secret=SECRET)
        self.pbx.rewrite = self._note
        self.report = Report()
        self._over = False
        self._began = time.monotonic()
        self._events = int(rate * TICK)
        unwanted = list(islice(cycle(UNWANTED), self._events - 1))
        self._storm = b"".join(unwanted)

    async def serve(self, seconds: float) -> Report:
        """Until the storm is over and a poll has seen its end."""
        await self._poll()  # what is there at the first is not counted
        self._fax = self.pbx.begin("receive", "PJSIP/fax-00000001")
        self._fax.negotiate(rate=9600)
        self._advance = self._pages()
        self.report.polls.clear()
        self._began = due = time.monotonic()
        # The last page is told by the completion event alone.
        while time.monotonic() < self._began + seconds or self._fax.bad_lines < PAGE[-1]:
            await self._send_events()
            due += TICK
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        self.report.seconds = time.monotonic() - self._began
        self._over = True
        await self._poll()
        self._fax.finish_page(last=True)
        self.pbx.end(self._fax)
        truth = self.pbx.truth
        self.report.pages, self.report.bad_lines = truth.pages["receive"], truth.bad_lines
        self.report.finished = truth.heard.total()
        return self.report

    async def _poll(self) -> None:
        """Waits until a poll that begins from now on is over, and so the next has begun."""
        seen = len(self.report.polls)
        while len(self.report.polls) < seen + 2:
            await asyncio.sleep(TICK)

    def _pages(self) -> Iterator[None]:
        """The fax from poll to poll."""
        while True:
            yield
            for before, lines in pairwise(PAGE):
                self._fax.add_bad_lines(lines - before)
                yield
            self._fax.finish_page()

    def _note(self, action: str, answer: bytes) -> bytes:
        if action == "FAXSessions":
            self.report.polls.append(time.monotonic() - self._began)
            if self.pbx.sessions and not self._over:
                next(self._advance)
        return answer

    async def _send_events(self) -> None:
        self.pbx.end(self.pbx.begin("send", self.pbx.new_channel("PJSIP/other")))
        self.pbx.inject(self._storm)
        for client in list(self.pbx.clients):
            assert isinstance(client.writer, asyncio.StreamWriter)
            await client.writer.drain()
        self.report.events += self._events
        self.report.size += len(self._storm)


async def _serve(pipe: "Connection[Any, Any]", rate: int, seconds: float) -> None:
    storm = Storm(rate)
    await storm.pbx.start()
    pipe.send(storm.pbx.port)
    pipe.send(await storm.serve(seconds))
    while not pipe.poll():  # until all is compared
        await asyncio.sleep(0.1)
    await storm.pbx.stop()


def serve(pipe: "Connection[Any, Any]", rate: int, seconds: float) -> None:
    """The PBX's process: tells its port, the report, and answers until told to end."""
    asyncio.run(_serve(pipe, rate, seconds))


def run_storm(rate: int, seconds: float, interval: float) -> tuple[Report, list[Scrape]]:
    """One storm; AssertionError if the exporter has miscounted. Scrapes are from first to last."""
    scrapes: list[Scrape] = []
    with apart(serve, rate, seconds) as pbx:
        flags = (f"--poll.interval={interval}", "--ami.timeout=5")
        with Exporter.watching("127.0.0.1", pbx.recv(), "demo", SECRET, *flags) as exporter:
            with scraped_meanwhile(exporter, scrapes):
                assert pbx.poll(seconds * 10 + 60), "the PBX cannot get rid of its events"
                report: Report = pbx.recv()
            last = exporter.wait_until(
                lambda now: (
                    now.value("sessions_ended_total", operation="receive") == 1
                    and now.sum("finished_total") == report.finished
                ),
                60,
                f"{report.finished} faxes finished",
            )
            scrapes.append(last)
            pbx.send("all is compared")
    assert last.sum("bad_lines_total") == report.bad_lines
    assert last.sum("pages_received_total") == report.pages
    assert last.sum("failures_total") == 0
    assert last.value("unobserved_completions_total") == 0
    assert_lines_make_up(fax_lines(exporter.log), last)
    assert last.value("connects_total") == 1
    assert last.sum("poll_failures_total") == 0
    steady = scrapes[len(scrapes) // 5 :]
    assert all(now.value("up") == 1 for now in steady)
    growth = process(steady[-1], "resident_memory_bytes") - process(
        steady[0], "resident_memory_bytes"
    )
    assert growth <= MOST_GROWTH, f"{growth} bytes more in memory"
    return report, scrapes


def main() -> None:
    """Runs one storm and says what it saw; fails if the machine made no storm of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=50_000, help="events a second")
    parser.add_argument("--interval", type=float, default=1.0, help="from poll to poll, seconds")
    given = parser.parse_args()
    report, scrapes = run_storm(given.rate, given.seconds, given.interval)
    resident = [round(process(now, "resident_memory_bytes") / 2**20, 1) for now in scrapes]
    cpu = process(scrapes[-1], "cpu_seconds_total") - process(scrapes[0], "cpu_seconds_total")
    print(
        f"{report.events} events, {report.size / 2**20:.0f} MiB, in {report.seconds:.1f} s:",
        end=" ",
    )
    print(f"{report.rate:.0f} a second; {len(report.polls)} polls", end=" ")
    print(f"{min(report.gaps):.3f} to {max(report.gaps):.3f} s apart")
    print(f"counted exactly: {report.pages} pages, {report.bad_lines} bad lines,", end=" ")
    print(f"{report.finished} completion events amid the others")
    print(f"the exporter: {cpu:.1f} s of CPU, resident MiB {resident[0]} at first,", end=" ")
    print(f"{min(resident)} to {max(resident)}, {resident[-1]} at the end")
    if report.rate < 0.98 * given.rate or max(report.gaps) > 2 * given.interval:
        sys.exit("This machine is too slow, or the exporter is: not the storm that was asked for.")


if __name__ == "__main__":
    main()
