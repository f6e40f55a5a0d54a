"""GET /metrics of a real exporter: one client, 50 at once, and prometheus_client's encoder."""

import http.client
import threading
import time
import urllib.parse
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from bench import pbx
from bench.measuring import RUNS, Cost, Numbers, median
from exporter.web.routes import OWN_SECONDS
from harness.running import Exporter

SIZES: Final = (10, 100, 1000, 5000)
SCRAPES: Final = 20
"""In each run."""
ANEW: Final = 5
"""Scrapes in each run that are so far apart that each is rendered anew."""
CLIENTS: Final = 50


class _Ready(Collector):
    """Families that were made before."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def measure(sizes: tuple[int, ...] = SIZES) -> Numbers:
    """By number of sessions. The exporter polls once in 10 minutes, so only scrapes cost CPU."""
    numbers: Numbers = {}
    for sessions in sizes:
        with (
            pbx.running(sessions, writes="at once") as address,
            Exporter.watching(
                "127.0.0.1",
                address.ports[0],
                "u",
                pbx.SECRET,
                "--poll.interval=600",
                "--ami.timeout=60",
            ) as exporter,
        ):
            exporter.wait_until(lambda now: now.value("up") == 1, 60)
            numbers |= _scrapes(exporter, sessions)
    return numbers


def _scrapes(exporter: Exporter, sessions: int) -> Numbers:
    pids, place = exporter.processes, urllib.parse.urlsplit(exporter.url)
    assert place.hostname is not None
    client = http.client.HTTPConnection(place.hostname, place.port)
    costs: dict[str, dict[str, float]] = {}
    firsts: list[float] = []
    body = b""
    for name, scrapes, pause in (("", SCRAPES, 0.0), (" again", ANEW, OWN_SECONDS)):
        cost = Cost()
        for run in range(RUNS + 1):
            with cost.measured(pids):
                for _ in range(scrapes):
                    time.sleep(pause)
                    begun = time.perf_counter()
                    client.request("GET", place.path)
                    answer = client.getresponse()
                    firsts.append(time.perf_counter() - begun)
                    body = answer.read()
            if not run:
                cost.forget()
        costs[name] = {"cpu_ms": round(cost.median()["cpu_ms"] / scrapes, 3)}
    client.close()
    families = list(text_string_to_metric_families(body.decode()))
    samples = sum(len(family.samples) for family in families)
    return {
        f"/metrics with {sessions} sessions": costs[" again"]
        | {"first_byte_ms": round(median(firsts[-RUNS * ANEW :]) * 1000, 3), "series": samples},
        f"/metrics with {sessions} sessions, the same again": costs[""],
        f"/metrics with {sessions} sessions, {CLIENTS} clients at once": _at_once(pids, place),
        f"prometheus_client's encoder, {samples} ready-made series": _encoder(families),
    }


def _at_once(pids: Sequence[int], place: urllib.parse.SplitResult) -> dict[str, float]:
    """For each of the clients' scrapes; wall: until the last has all."""
    assert place.hostname is not None
    cost = Cost()
    clients = [http.client.HTTPConnection(place.hostname, place.port) for _ in range(CLIENTS)]
    ready = threading.Barrier(CLIENTS + 1)

    def scrape(client: http.client.HTTPConnection) -> None:
        for _ in range(RUNS + 1):
            ready.wait()
            client.request("GET", place.path)
            client.getresponse().read()
            ready.wait()
        client.close()

    threads = [threading.Thread(target=scrape, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for run in range(RUNS + 1):
        with cost.measured(pids):
            ready.wait()
            ready.wait()
        if not run:
            cost.forget()
    for thread in threads:
        thread.join()
    return {
        "cpu_ms": round(median(cost.cpu) * 1000 / CLIENTS, 3),
        "wall_ms": round(median(cost.wall) * 1000, 3),
    }


def _encoder(families: list[Metric]) -> dict[str, float]:
    registry, cost = CollectorRegistry(), Cost()
    registry.register(_Ready(families))
    for run in range(RUNS + 1):
        with cost.measured():
            for _ in range(SCRAPES):
                generate_latest(registry)
        if not run:
            cost.forget()
    return {name: round(value / SCRAPES, 3) for name, value in cost.median().items()}
