"""What `make packages` makes, beside the exporter as pip installed it: start, memory, and polls.

They differ by their Python: the package brings its own, pip took the machine's.
"""

import platform
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import pbx
from bench.measuring import RUNS, Cost, Numbers, cpu_of, median, resident
from harness.running import OF_THE_TREE, Exporter

SESSIONS: Final = 1000
"""On the PBX of the run that tells what polls cost."""
SECONDS: Final = 5.0

_DIST: Final = Path(__file__).parent.parent / "dist"


def measure() -> Numbers:
    """From the command to the first scrape served, memory then, and the core that polls take."""
    archives = sorted(_DIST.glob(f"*-linux-{platform.machine()}.tar.gz"))
    if not archives:
        sys.exit("there is no package to measure; build it: make packages")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archives[-1]) as archive:
            archive.extractall(folder, filter="tar")
        (program,) = Path(folder).glob("*/usr/bin/asterisk-fax-exporter")
        kinds: dict[str, Sequence[str]] = {"package": (str(program),), "pip install": OF_THE_TREE}
        return _starts(kinds) | _polls(kinds)


def _starts(kinds: dict[str, Sequence[str]]) -> Numbers:
    cost = {kind: Cost() for kind in kinds}
    memory: dict[str, list[float]] = {kind: [] for kind in kinds}
    with pbx.running(5) as address:
        # In turn, since the machine is not equally fast all the time. The first warms the files.
        for run in range(RUNS + 1):
            for kind, command in kinds.items():
                begun = time.perf_counter()
                with Exporter.watching(
                    pbx.HOST, address.ports[0], "u", pbx.SECRET, command=command
                ) as exporter:
                    exporter.scrape()
                    if run:
                        cost[kind].wall.append(time.perf_counter() - begun)
                        cost[kind].cpu.append(cpu_of(exporter.processes))
                        memory[kind].append(resident(exporter.processes))
    return {
        f"{kind}: start to first scrape": cost[kind].median()
        | {"resident_mib": round(median(memory[kind]), 1)}
        for kind in kinds
    }


def _polls(kinds: dict[str, Sequence[str]]) -> Numbers:
    cores: dict[str, list[float]] = {kind: [] for kind in kinds}
    with pbx.running(SESSIONS) as address:
        for _ in range(RUNS):
            for kind, command in kinds.items():
                with Exporter.watching(
                    pbx.HOST, address.ports[0], "u", pbx.SECRET, command=command
                ) as exporter:
                    exporter.wait_until(lambda now: now.value("polls_total") >= 2, 20)
                    main = [exporter.process.pid]  # the other one serves the scrapes
                    begun, before = time.perf_counter(), cpu_of(main)
                    time.sleep(SECONDS)
                    share = (cpu_of(main) - before) / (time.perf_counter() - begun)
                    cores[kind].append(share)
    return {
        f"{kind}: polls of {SESSIONS} sessions": {"cores": round(median(shares), 4)}
        for kind, shares in cores.items()
    }
