"""One process that watches a thousand PBXs and more, beside a real Prometheus that scrapes each.

The exporter, the PBXs and Prometheus are processes of their own. When it polls is what the PBXs
saw, so their own delays are in it: `pbx_cores` says how busy they were.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Final

from bench import pbx
from bench.measuring import Numbers, cpu_of, resident
from harness.monitoring import Prometheus
from harness.running import Exporter

SIZES: Final = ((1000, 5), (2000, 5))
"""PBXs, and sessions on each."""
SECONDS: Final = 60.0
WARM_UP: Final = 25.0
"""Until all are connected, every one was scraped once, and what is done once after a start."""
SCRAPE_SECONDS: Final = 15
POLL_SECONDS: Final = 1.0


def measure(sizes: tuple[tuple[int, int], ...] = SIZES, seconds: float = SECONDS) -> Numbers:
    """Of each fleet the cores and the memory, and from poll to poll; first not scraped, then
    scraped."""
    numbers: Numbers = {}
    for pbxs, sessions in sizes:
        with ExitStack() as stack:
            address = stack.enter_context(pbx.running(sessions, pbxs=pbxs, writes="by answer"))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            exporter = stack.enter_context(watching(address.ports, folder))
            exporter.wait_for_line("connected", 20)
            time.sleep(WARM_UP)
            what = f"{pbxs} PBXs with {sessions} sessions each"
            numbers[f"{what}, not scraped"] = _measured(exporter, address, seconds)
            prometheus = stack.enter_context(Prometheus(_scraping(exporter), folder / "prometheus"))
            time.sleep(WARM_UP)
            numbers[f"{what}, scraped"] = _measured(exporter, address, seconds)
            numbers[f"{what}, scraped"] |= {"scraped": _up(prometheus)}
    return numbers


def watching(ports: list[int], folder: Path, *flags: str) -> Exporter:
    """An exporter, not started, that watches a PBX on each of these ports at 1 Hz."""
    file = folder / "exporter.yml"
    targets = {
        f"pbx-{number:05}": {"username": "u", "secret_env": "BENCH_SECRET", "port": port}
        for number, port in enumerate(ports)
    }
    file.write_text(json.dumps({"targets": targets}))
    return Exporter(
        f"--config.file={file}",
        f"--poll.interval={POLL_SECONDS:g}",
        *flags,
        environment={"BENCH_SECRET": pbx.SECRET},
    )


def _measured(exporter: Exporter, address: pbx.Address, seconds: float) -> dict[str, float]:
    main, web = exporter.processes
    address.polls()
    processes = (main, web, address.pid)
    before, begun = [cpu_of([pid]) for pid in processes], time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - begun
    of_main, of_web, of_pbxs = (
        (cpu_of([pid]) - cpu) / took for pid, cpu in zip(processes, before, strict=True)
    )
    gaps = sorted(_gaps(address.polls()))
    if not gaps:
        raise RuntimeError(f"no PBX was polled twice:\n{exporter.log}")
    return {
        "cores": round(of_main + of_web, 3),
        "main_cores": round(of_main, 3),
        "web_cores": round(of_web, 3),
        "pbx_cores": round(of_pbxs, 3),
        "gap_p50_s": round(gaps[len(gaps) // 2], 3),
        "gap_p99_s": round(gaps[len(gaps) * 99 // 100], 3),
        "gap_max_s": round(gaps[-1], 3),
        "polls": len(gaps),
        "resident_mib": round(resident([main, web]), 1),
    }


def _gaps(polls: list[list[float]]) -> Iterator[float]:
    for times in polls:
        for earlier, later in pairwise(times):
            yield later - earlier


def _scraping(exporter: Exporter) -> dict[str, object]:
    """As docs/fleet.md has it."""
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


def _up(prometheus: Prometheus) -> float:
    """How many of the PBXs the last scrape brought, and it took 10 seconds at most."""
    found = prometheus.query('count(up{job="asterisk-fax"} == 1)')
    return found[0].value if found else 0.0
