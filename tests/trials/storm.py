"""An event storm: a PBX that sends 50,000 events a second, and an exporter that stays exact.

    make storm SECONDS=30

The PBX is a process of its own that answers from prebuilt bytes: the demo PBX would be the slower
one. Its one fax advances with each poll; other faxes end unseen, their events amid the storm.
"""

import argparse
import multiprocessing
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count, pairwise, repeat
from multiprocessing.connection import Connection
from typing import Final

from harness.events import UNWANTED
from harness.exposition import Scrape, process
from harness.running import Exporter, every_scrape

TICK: Final = 0.01
"""Seconds; in each the PBX sends its share of events at once."""
SECRET: Final = "s"
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


def fax() -> Iterator[tuple[int, int]]:
    """Pages and bad lines as a session reads from poll to poll; pages have 9 bad lines each."""
    return ((page, bad_lines) for page in count() for bad_lines in (0, 2, 2, 9))


class Pbx:
    """One connection of one exporter, and the storm on it."""

    def __init__(self, connection: socket.socket, rate: int, seconds: float) -> None:
        self.report = Report()
        self._socket = connection
        self._unread = b""
        self._seconds = seconds
        self._readings = fax()
        self._reading = (0, 0)
        self._listed = False
        self._over = False
        self._began = 0.0
        events = int(rate * TICK)
        kinds = chain.from_iterable(repeat(UNWANTED))
        unwanted = [event for event, _ in zip(kinds, range(events - 1), strict=False)]
        self._before = b"".join(unwanted[: events // 2])
        self._after = b"".join(unwanted[events // 2 :])
        self._events = events

    def serve(self) -> Report:
        """Until the storm is over and a poll has seen its end."""
        self._socket.sendall(b"Asterisk Call Manager/11.0.0\r\n")
        while not self.report.polls:
            self._listen(1)
        self.report.polls.clear()
        self._listed = True
        self._began = due = time.monotonic()
        # The last page is told by the completion event alone.
        while time.monotonic() < self._began + self._seconds or self._reading[1] != 9:
            self._send_events()
            due += TICK
            self._listen(max(0.0, due - time.monotonic()))
        self.report.seconds = time.monotonic() - self._began
        self._over = True
        self.report.pages = self._reading[0] + 1
        self.report.bad_lines = self.report.pages * 9
        return self.report

    def end_fax(self) -> None:
        """The scripted fax is over."""
        self._listed = False
        self.report.finished += 1
        self._socket.sendall(_completion("Receive", "PJSIP/fax-00000001", self.report.pages))

    def answer_for(self, seconds: float) -> None:
        """Goes on, without a storm."""
        self._listen(seconds)

    def _send_events(self) -> None:
        number = self.report.finished
        wanted = _completion("Send", f"PJSIP/other-{number:08x}", 0)
        self._socket.sendall(self._before + wanted + self._after)
        self.report.finished += 1
        self.report.events += self._events
        self.report.size += len(self._before) + len(wanted) + len(self._after)

    def _listen(self, seconds: float) -> None:
        if select.select([self._socket], [], [], seconds)[0]:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the exporter has hung up")
            *actions, self._unread = (self._unread + data).split(b"\r\n\r\n")
            for action in actions:
                headers = dict(
                    line.split(": ", 1) for line in action.decode().split("\r\n") if line
                )
                self._socket.sendall(self._answer(headers["Action"], headers["ActionID"]))

    def _answer(self, action: str, identity: str) -> bytes:
        head = f"ActionID: {identity}\r\n"
        says = f"Response: Success\r\n{head}\r\n"
        if action == "FAXSessions":
            self.report.polls.append(time.monotonic() - self._began)
            if self._listed:
                if not self._over:
                    self._reading = next(self._readings)
                says += (
                    f"Event: FAXSessionsEntry\r\n{head}Channel: PJSIP/fax-00000001\r\n"
                    "SessionNumber: 1\r\nSessionType: G.711\r\nOperation: receive\r\n"
                    "State: Active\r\n\r\n"
                )
            says += f"Event: FAXSessionsComplete\r\n{head}ListItems: {int(self._listed)}\r\n\r\n"
        elif action == "FAXSession":
            pages, bad_lines = self._reading
            says += (
                f"Event: FAXSession\r\n{head}SessionNumber: 1\r\nOperation: receive\r\n"
                "State: Active\r\nErrorCorrectionMode: No\r\nDataRate: 9600\r\n"
                f"ImageResolution: 8031x3850\r\nPageNumber: {pages + 1}\r\n"
                f"PagesReceived: {pages}\r\nTotalBadLines: {bad_lines}\r\n\r\n"
            )
        elif action == "FAXStats":
            says += f"Event: FAXStats\r\n{head}CompletedFAXes: {self.report.finished}\r\n\r\n"
        return says.encode()


def _completion(operation: str, channel: str, pages: int) -> bytes:
    return (
        f"Event: {operation}FAX\r\nPrivilege: call,all\r\nChannel: {channel}\r\n"
        "ChanVariable: FAXSTATUS=SUCCESS\r\nChanVariable: FAXMODE=audio\r\n"
        f"PagesTransferred: {pages}\r\n\r\n"
    ).encode()


def serve(to_parent: "Connection[int | Report, None]", rate: int, seconds: float) -> None:
    """The PBX's process: tells its port, the report, and answers until told to end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        to_parent.send(listener.getsockname()[1])
        connection, _ = listener.accept()
    with connection:
        pbx = Pbx(connection, rate, seconds)
        pbx.serve()
        pbx.answer_for(0)
        pbx.end_fax()
        to_parent.send(pbx.report)
        while not to_parent.poll():
            pbx.answer_for(0.1)


def weather(rate: int, seconds: float, interval: float) -> tuple[Report, list[Scrape]]:
    """One storm; AssertionError if the exporter has miscounted. Scrapes are from first to last."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    pbx = context.Process(target=serve, args=(theirs, rate, seconds), daemon=True)
    pbx.start()
    try:
        port = ours.recv()
        scrapes: list[Scrape] = []
        flags = (f"--poll.interval={interval}", "--ami.timeout=5")
        with Exporter.watching("127.0.0.1", port, "u", SECRET, *flags) as exporter:
            with every_scrape(exporter, scrapes):
                assert ours.poll(seconds * 10 + 60), "the PBX cannot get rid of its events"
                report: Report = ours.recv()
            last = exporter.wait_until(
                lambda now: (
                    now.value("sessions_ended_total", operation="receive") == 1
                    and now.sum("finished_total") == report.finished
                ),
                60,
                f"{report.finished} faxes finished",
            )
            scrapes.append(last)
            ours.send(0)
            pbx.join(20)
    finally:
        pbx.kill()
        pbx.join()
        ours.close()
        theirs.close()
    assert last.sum("bad_lines_total") == report.bad_lines
    assert last.sum("pages_received_total") == report.pages
    assert last.sum("failures_total") == 0
    assert last.value("unobserved_completions_total") == 0
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
    report, scrapes = weather(given.rate, given.seconds, given.interval)
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
