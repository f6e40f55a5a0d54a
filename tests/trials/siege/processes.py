"""What a process and all below it hold and use, read from /proc."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Use:
    """Sums over a tree of processes."""

    resident: int = 0
    """Bytes; what processes share counts in each."""
    descriptors: int = 0
    cpu: float = 0.0
    """Seconds, user and system."""


def tree(pid: int) -> Iterator[int]:
    """A process and all below it; none if it has ended."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def use(pid: int) -> Use:
    """Of a process and all below it, now; what ends meanwhile counts nothing."""
    resident, descriptors, cpu = 0, 0, 0.0
    for each in tree(pid):
        process = Path(f"/proc/{each}")
        with contextlib.suppress(OSError, IndexError):
            status = (process / "status").read_text()
            resident += int(status.partition("VmRSS:")[2].split()[0]) * 1024
            descriptors += len(os.listdir(process / "fd"))
            # After the name, which may have spaces in it: utime and stime are fields 14 and 15.
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            cpu += (int(fields[11]) + int(fields[12])) / _TICKS
    return Use(resident, descriptors, cpu)
