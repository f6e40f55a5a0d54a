"""GET /probe of a real exporter, each of them rendered anew and compressed, as Prometheus asks.

Beside it, at the same pace, writing the same metrics by prometheus_client: what is done now and
then finds no cache of the CPU as it left it, and takes twice as long as what is done in a loop.
"""

import gzip
import http.client
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import pbx
from bench.fleet import watching
from bench.measuring import RUNS, Numbers, cpu_of, median
from exporter.exposition import encoder
from exporter.fax import FaxStats
from exporter.metrics import of_target
from exporter.polling import Counts, Status
from exporter.web.rendering import gzipped
from harness.reference import registry, written

PBXS: Final = 50
"""Each is scraped once a second, as often as it is polled: so nothing is there from before."""
SESSIONS: Final = 5
SECONDS: Final = 2.0
"""Of each run, not scraped and scraped."""
WARM_UP: Final = 5.0
HEADERS: Final = {
    "Accept": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "Accept-Encoding": "gzip",
}
"""Those of Prometheus 3.5."""
LEVEL: Final = 5
"""Of compression, as long as prometheus_client wrote."""


def measure() -> Numbers:
    """CPU of both processes for a scrape, without that of the polls."""
    with (
        pbx.running(SESSIONS, pbxs=PBXS, writes="by answer") as address,
        tempfile.TemporaryDirectory() as folder,
        watching(address, Path(folder)) as watch,
    ):
        exporter = watch.exporter
        time.sleep(WARM_UP)
        main, web = exporter.processes
        client = http.client.HTTPConnection(exporter.base.removeprefix("http://"))
        bodies: list[bytes] = []

        def probe(number: int) -> None:
            path = f"/probe?target=pbx-{number % PBXS:05}"
            client.request("GET", path, headers=HEADERS)
            answer = client.getresponse()
            bodies[:] = [answer.read()]
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status}\n{exporter.log}")

        _paced(probe)
        costs: dict[int, list[float]] = {main: [], web: []}
        ours, theirs = [], []
        for _ in range(RUNS):
            at_rest = _shares(costs, lambda: time.sleep(SECONDS))
            scraped = _shares(costs, lambda: _paced(probe))
            for pid, of_this in costs.items():
                of_this.append((scraped[pid] - at_rest[pid]) / PBXS * 1000)
            ours.append(_paced(_ours))
            theirs.append(_paced(_theirs))
        client.close()
    answered = gzip.decompress(bodies[0])
    return {
        "/probe rendered anew": {
            "cpu_ms": round(median([sum(each) for each in zip(*costs.values(), strict=True)]), 3),
            "main_cpu_ms": round(median(costs[main]), 3),
            "web_cpu_ms": round(median(costs[web]), 3),
            "series": sum(not line.startswith(b"#") for line in answered.splitlines()),
            "kib": round(len(bodies[0]) / 1024, 1),
        },
        "writing of one PBX, compressed": {"cpu_ms": round(median(ours), 3)},
        "writing of one PBX, compressed, by prometheus_client": {
            "cpu_ms": round(median(theirs), 3)
        },
    }


def _shares(pids: dict[int, list[float]], do: Callable[[], object]) -> dict[int, float]:
    """Which share of a core each process has meanwhile."""
    before, begun = {pid: cpu_of([pid]) for pid in pids}, time.perf_counter()
    do()
    took = time.perf_counter() - begun
    return {pid: (cpu_of([pid]) - cpu) / took for pid, cpu in before.items()}


def _paced(do: Callable[[int], object]) -> float:
    """Does it PBXS times a second; the CPU of this process that each took, milliseconds."""
    begun, used, times = time.perf_counter(), 0.0, int(SECONDS * PBXS)
    for number in range(times):
        time.sleep(max(0.0, begun + number / PBXS - time.perf_counter()))
        before = time.process_time()
        do(number)
        used += time.process_time() - before
    return used * 1000 / times


def _counts(number: int) -> Counts:
    """Those of a PBX at work, other ones each time."""
    stats = FaxStats(SESSIONS, 0, number, number, number, 1)
    status = Status(True, connected=True, begun=True, sessions_listed=True, stats=stats)
    status.last_success, status.last_duration = time.time(), 0.01
    return Counts(status)


def _ours(number: int) -> bytes:
    families = of_target(_counts(number), peer_label=False)
    return gzipped(encoder(in_openmetrics=True, dots=False).encode(families))


def _theirs(number: int) -> bytes:
    counts = _counts(number)
    families = registry(lambda: of_target(counts, peer_label=False))
    return gzip.compress(written(families, in_openmetrics=True, dots=False), LEVEL, mtime=0)
