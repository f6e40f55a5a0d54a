"""The exporter as a process: start, memory, many PBXs, and a storm of unwanted events."""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench import pbx
from bench.fleet import polling, targets_file
from bench.measuring import RUNS, Cost, Numbers, cpu_of, median, resident
from harness.running import Exporter

LIBRARIES: Final = (
    "aiohttp.web, bcrypt, jinja2, panoramisk.manager, prometheus_client, pydantic, "
    "pydantic_settings"
)
"""What the exporter imports to serve a first scrape."""
SECONDS: Final = 10.0
STORM: Final = 50_000
PARSED: Final = 1000
_ROOT: Final = Path(__file__).parent.parent


def start() -> Numbers:
    """From the command to the first scrape served, and what Python needs for the libraries."""
    ours, libraries = Cost(), Cost()
    with pbx.running(5) as address:
        for _ in range(RUNS):
            begun = time.perf_counter()
            with Exporter.watching("127.0.0.1", address.ports[0], "u", pbx.SECRET) as exporter:
                exporter.scrape()
                ours.wall.append(time.perf_counter() - begun)
                ours.cpu.append(cpu_of(exporter.processes))
            # In turn, since the machine is not equally fast all the time.
            begun, before = time.perf_counter(), os.times()
            subprocess.run([sys.executable, "-c", f"import {LIBRARIES}"], check=True)
            after = os.times()
            libraries.wall.append(time.perf_counter() - begun)
            used = after.children_user + after.children_system
            libraries.cpu.append(used - before.children_user - before.children_system)
    return {
        "start to first scrape": ours.median(),
        "import of the libraries": libraries.median(),
    }


def fleet(sizes: tuple[int, ...] = (1, 50, 200)) -> Numbers:
    """Resident memory and share of a core, with 5 sessions on each PBX; then at rest, without."""
    numbers: Numbers = {}
    for sessions in (5, 0):
        for pbxs in sizes:
            with ExitStack() as stack:
                address = stack.enter_context(pbx.running(sessions, pbxs=pbxs))
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                file = targets_file(address, directory)
                exporter = stack.enter_context(polling(file))
                pids = exporter.processes
                exporter.wait_for_line("connected", 20)
                time.sleep(5)
                before = cpu_of(pids)
                time.sleep(SECONDS)
                numbers[f"{pbxs} PBXs with {sessions} sessions each, at 1 Hz"] = {
                    "cores": round((cpu_of(pids) - before) / SECONDS, 4),
                    "resident_mib": round(resident(pids), 2),
                }
    return numbers


def storm() -> Numbers:
    """CPU of an event that is not wanted, and of one that is parsed and counted."""
    costs = {}
    for name, rate, wanted in (("none", 0, 0), ("unwanted", STORM, 0), ("parsed", 0, PARSED)):
        with (
            pbx.running(1, storm=rate, completions=wanted) as address,
            Exporter.watching("127.0.0.1", address.ports[0], "u", pbx.SECRET) as exporter,
        ):
            exporter.wait_until(lambda now: now.value("up") == 1, 20)
            pids = exporter.processes
            shares = []
            for _ in range(5):
                before, begun = cpu_of(pids), time.perf_counter()
                time.sleep(2)
                shares.append((cpu_of(pids) - before) / (time.perf_counter() - begun))
            costs[name] = median(shares)
    unwanted = (costs["unwanted"] - costs["none"]) / STORM
    parsed = (costs["parsed"] - costs["none"]) / PARSED
    return {
        f"{STORM} unwanted events a second": {"cores": round(costs["unwanted"], 3)},
        "one unwanted event": {"cpu_us": round(unwanted * 1e6, 2)},
        "one completion event": {"cpu_us": round(parsed * 1e6, 2)},
    }


def week(hours: int = 168) -> Numbers:
    """Resident memory of a fresh process, and after a week of faxes and faults in virtual time.

    PBX and exporter are in one process there, so only the growth is the exporter's at most.
    """
    script = (
        "import random\nfrom tests.trials.soak import Soak\nfrom harness.virtual_time import run\n"
        f"soak = Soak(random.Random(1))\nrun(soak.live({hours}))\n"
        "print(soak.memory[0], soak.memory[-1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=_ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    first, last = (int(kib) / 1024 for kib in done.stdout.split())
    return {
        f"{hours} simulated hours": {
            "after_1_hour_mib": round(first, 1),
            "at_the_end_mib": round(last, 1),
        }
    }
