"""How cost is measured: CPU and memory of a process, medians, and the form of the results."""

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

RUNS: Final = 7
"""Of each measurement; the median is reported."""

Numbers: TypeAlias = dict[str, dict[str, float]]
"""By what was measured: its numbers, by names that end in their units."""


def cpu_of(pids: Iterable[int]) -> float:
    """Seconds of CPU, user and system, that processes have used: clock_getcpuclockid(3)."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def resident(pids: Iterable[int]) -> float:
    """MiB of memory that processes hold; what they share counts for each."""
    return sum(_resident(pid) for pid in pids)


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@dataclass
class Cost:
    """What something cost, from run to run, seconds."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @contextmanager
    def measured(self, pids: Sequence[int] = ()) -> Iterator[None]:
        """Adds a run: of this process, or of others."""
        wall = time.perf_counter()
        cpu = cpu_of(pids) if pids else time.process_time()
        yield
        self.cpu.append((cpu_of(pids) if pids else time.process_time()) - cpu)
        self.wall.append(time.perf_counter() - wall)

    def forget(self) -> None:
        """Drops the runs so far, which were to warm up."""
        self.cpu.clear()
        self.wall.clear()

    def median(self) -> dict[str, float]:
        """In milliseconds."""
        return {
            "cpu_ms": round(median(self.cpu) * 1000, 3),
            "wall_ms": round(median(self.wall) * 1000, 3),
        }


def median(values: Sequence[float]) -> float:
    """Raises ValueError if there are fewer than 5."""
    if len(values) < 5:
        raise ValueError(f"{len(values)} runs are too few to say anything")
    return statistics.median(values)
