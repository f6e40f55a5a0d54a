"""An exporter of a fleet at work: what it takes, and Prometheus; what the PBXs saw, and whether it
counted what happened at them.

What it is compared with is of PBXs that time advances, so that polls that come too late show.
"""

import contextlib
import http.client
import json
import os
import re
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from bench import pauses, pbx
from bench.measuring import cpu_of, resident
from bench.sessions import Truth
from harness.monitoring import Prometheus
from harness.running import OF_THE_TREE, Exporter

SCRAPE_SECONDS: Final = 15
POLL_SECONDS: Final = 1.0
WARM_UP: Final = 18.0
"""Until all are connected, every one was scraped once, and what is done once after a start."""
TRIES: Final = 20
"""To get a response of an exporter that a Prometheus scrapes as well as it can."""
AT_ONCE: Final = 8
"""Responses that are waited for, when all counts are fetched."""
FULL: Final = 0.9
"""From this share of a core on the PBXs, and of all cores the machine, are what is measured."""
LATE: Final = 0.02
"""Likewise if the PBXs themselves are so late, seconds."""

_COUNTED: Final = re.compile(
    rb"^asterisk_fax_(pages_transmitted|pages_received|bad_lines)_total(?:\{[^}]*\})? (\S+)$", re.M
)


def name_of(number: int) -> str:
    """The target's of a PBX."""
    return f"pbx-{number:05}"


def targets_file(address: pbx.Address, folder: Path) -> Path:
    """A file of targets, which has all these PBXs."""
    file = folder / "exporter.yml"
    targets = {
        name_of(number): {
            "host": host,
            "port": port,
            "username": "u",
            "secret_env": "BENCH_SECRET",
        }
        for number, (host, port) in enumerate(address.places)
    }
    file.write_text(json.dumps({"targets": targets}))
    return file


@dataclass
class Watch:
    """An exporter that watches PBXs, and a Prometheus that scrapes it, if any."""

    exporter: Exporter
    address: pbx.Address
    pauses: Path
    """Where those of the exporter are written."""
    folder: Path
    prometheus: Prometheus | None = None

    @contextmanager
    def scraped(self) -> Iterator[None]:
        """By a Prometheus, for the time of a `with`."""
        config = scraping(self.exporter)
        with Prometheus(config, self.folder / f"prometheus-{time.monotonic_ns()}") as prometheus:
            self.prometheus = prometheus
            try:
                yield
            finally:
                self.prometheus = None

    def share(self) -> list[int]:
        """The numbers of the PBXs that it watches, as /sd tells."""
        _, body = get(self.exporter, "/sd")
        shown = [name for group in json.loads(body) for name in group["targets"]]
        return [int(name.rpartition("-")[2]) for name in shown]

    def measured(self, seconds: float) -> dict[str, float]:
        """What all of them take in so many seconds from now on."""
        main, web = self.exporter.processes
        scraper = [self.prometheus.process.pid] if self.prometheus is not None else []
        processes, share = [main, web, self.address.pid, *scraper], self.share()
        self.address.seen()
        before, begun, since = [cpu_of([pid]) for pid in processes], _machine(), time.monotonic()
        time.sleep(seconds)
        until, ended = time.monotonic(), _machine()
        took = until - since
        used = [(cpu_of([pid]) - cpu) / took for pid, cpu in zip(processes, before, strict=True)]
        seen = self.address.seen()
        gaps = sorted(gap for number in share for gap in gaps_of(seen.polls[number], since, until))
        late = sorted(seen.late)
        numbers = {
            "watched": len(share),
            "cores": used[0] + used[1],
            "main_cores": used[0],
            "web_cores": used[1],
            "pbx_cores": used[2],
            "machine_cores": (ended - begun) / took,
            "gap_p50_s": gaps[len(gaps) // 2],
            "gap_p99_s": gaps[len(gaps) * 99 // 100],
            "gap_max_s": gaps[-1],
            "pbx_late_p99_s": late[len(late) * 99 // 100],
            "gc_worst_s": max(pauses.noted(self.pauses, since), default=0.0),
            "resident_mib": resident([main, web]),
            "main_mib": resident([main]),
            "web_mib": resident([web]),
            "main_files": _files(main),
            "web_files": _files(web),
            "ami_bytes_per_s": (seen.received + seen.sent) / took / len(share),
        }
        if scraper:
            numbers |= {"prometheus_cores": used[3], "prometheus_mib": resident(scraper)}
            numbers |= self._scraped()
        return {name: round(value, 4) for name, value in numbers.items()}

    def _scraped(self) -> dict[str, float]:
        """Series and bytes of each PBX, and what the last scrapes took."""
        assert self.prometheus is not None
        job = '{job="asterisk-fax"}'

        def value(expr: str) -> float:
            assert self.prometheus is not None
            found = self.prometheus.query(expr)
            return found[0].value if found else 0.0

        path = f"/probe?target={name_of(self.share()[0])}"
        body = get(self.exporter, path, {"Accept-Encoding": "gzip"})[1]
        return {
            "up": value(f"count(up{job} == 1)"),
            "series_per_pbx": value(f"avg(scrape_samples_scraped{job} > 0)") + _OF_PROMETHEUS,
            "scrapes_lost": value(
                f"sum(count_over_time(up{job}[1m]) - sum_over_time(up{job}[1m]))"
            ),
            "scrape_max_s": value(f"max(scrape_duration_seconds{job})"),
            "scrape_bytes": len(body),
        }

    def compared(self) -> dict[str, float]:
        """Halts the faxes, and tells how many of their pages and bad lines are not counted.

        Raises AssertionError if more is counted than happened: that is no matter of load.
        """
        truth = self.address.halt()
        numbers = self.share()
        self._polled_thrice(numbers)
        happened = _sum(truth[number] for number in numbers)
        with ThreadPoolExecutor(AT_ONCE) as at_once:
            counted = _sum(at_once.map(self._counted, numbers))
        lost = [was - is_ for was, is_ in zip(happened, counted, strict=True)]
        assert min(lost) >= 0, f"happened: {happened}, counted: {counted}"
        return {
            "pages": happened.transmitted + happened.received,
            "pages_lost": lost[0] + lost[1],
            "bad_lines": happened.bad_lines,
            "bad_lines_lost": lost[2],
        }

    def _polled_thrice(self, numbers: Sequence[int]) -> None:
        """Once from before, once whole, and once more, before which that was counted."""
        times = dict.fromkeys(numbers, 0)
        self.address.seen()
        deadline = time.monotonic() + 60
        while min(times.values()) < 3:
            assert time.monotonic() < deadline, "not every PBX is polled any more"
            time.sleep(POLL_SECONDS / 2)
            for number, polls in enumerate(self.address.seen().polls):
                if polls:
                    times[number] += len(polls)

    def _counted(self, number: int) -> Truth:
        status, body = get(self.exporter, f"/probe?target={name_of(number)}")
        assert status == 200, body
        sums = dict.fromkeys((b"pages_transmitted", b"pages_received", b"bad_lines"), 0)
        for name, value in _COUNTED.findall(body):
            sums[name] += int(float(value))
        return Truth(*sums.values())


_OF_PROMETHEUS: Final = 5
"""Series that Prometheus itself makes of each target: up, scrape_duration_seconds and others."""


def get(exporter: Exporter, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """The status and the body of a response, the latter as it was sent."""
    for _ in range(TRIES):
        # With Prometheus' from the same address there can be more connections than places.
        with contextlib.suppress(http.client.RemoteDisconnected, ConnectionResetError):
            return _asked(exporter, path, headers or {})
        time.sleep(POLL_SECONDS)
    return _asked(exporter, path, headers or {})


def _asked(exporter: Exporter, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    place = urllib.parse.urlsplit(exporter.base)
    assert place.hostname is not None
    client = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    try:
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


def gaps_of(polls: Sequence[float], since: float, until: float) -> Iterator[float]:
    """Seconds from poll to poll of one PBX in a time; before the first and after the last they are
    some if they are more than the interval already."""
    for earlier, later in pairwise((since, *(at for at in polls if since <= at <= until), until)):
        if later - earlier > POLL_SECONDS or (earlier > since and later < until):
            yield later - earlier


def polling(file: Path, *flags: str, command: Sequence[str] = OF_THE_TREE) -> Exporter:
    """An exporter, not started, that polls the targets of this file at 1 Hz."""
    return Exporter(
        f"--config.file={file}",
        f"--poll.interval={POLL_SECONDS:g}",
        *flags,
        environment={"BENCH_SECRET": pbx.SECRET},
        command=command,
    )


@contextmanager
def watching(
    address: pbx.Address, folder: Path, *flags: str, file: Path | None = None
) -> Iterator[Watch]:
    """An exporter, for the time of a `with`, that polls these PBXs at 1 Hz. `file`: of targets, if
    it is written already."""
    noted = folder / f"pauses-{time.monotonic_ns()}"
    command = (OF_THE_TREE[0], "-m", "bench.pauses", str(noted))
    with polling(file or targets_file(address, folder), *flags, command=command) as exporter:
        exporter.wait_for_line("connected", 30)
        yield Watch(exporter, address, noted, folder)


def scraping(exporter: Exporter) -> dict[str, object]:
    """What Prometheus is told; as docs/fleet.md has it."""
    place = exporter.base.removeprefix("http://")
    return {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": "10s"},
        "scrape_configs": [
            {
                "job_name": "asterisk-fax",
                "metrics_path": "/probe",
                "http_sd_configs": [{"url": f"{exporter.base}/sd"}],
                "relabel_configs": [
                    {"source_labels": ["__address__"], "target_label": "__param_target"},
                    {"source_labels": ["__address__"], "target_label": "instance"},
                    {"target_label": "__address__", "replacement": place},
                ],
            }
        ],
    }


def notes(what: str, numbers: dict[str, float]) -> Iterator[str]:
    """What a reader has to know of these numbers."""
    if numbers["pbx_cores"] > FULL or numbers["pbx_late_p99_s"] > LATE:
        yield (
            f"{what}: the PBXs took {numbers['pbx_cores']:.2f} of a core and were themselves "
            f"{numbers['pbx_late_p99_s'] * 1000:.0f} ms late (p99): the gaps are not the exporter's"
        )
    if numbers["machine_cores"] > FULL * (os.cpu_count() or 1):
        yield (
            f"{what}: {numbers['machine_cores']:.2f} of {os.cpu_count()} cores were busy: the gaps "
            "are those of a full machine"
        )
    if (up := numbers.get("up", numbers["watched"])) < numbers["watched"]:
        yield f"{what}: only {up:.0f} of {numbers['watched']:.0f} PBXs were scraped at the end"
    if lost := numbers.get("scrapes_lost"):
        yield f"{what}: {lost:.0f} scrapes of the last minute brought nothing"


def _machine() -> float:
    """Seconds of CPU that all programs of the machine have used."""
    user, nice, system, _, _, irq, softirq = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _sum(truths: Iterator[Truth]) -> Truth:
    return Truth(*(sum(column) for column in zip(*truths, strict=True)))
