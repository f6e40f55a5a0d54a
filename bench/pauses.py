"""The exporter, run so that each pause for garbage collection in its main process is written down.

python -m bench.pauses FILE FLAGS...
"""

import gc
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

LEAST: Final = 0.005
"""Seconds; what is shorter is not written."""


def noted(file: Path, since: float) -> list[float]:
    """Pauses from this moment of the monotonic clock on, seconds."""
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [float(took) for ended, took in lines if float(ended) >= since]


def noter(
    file: Path, now: Callable[[], float] = time.monotonic
) -> Callable[[str, dict[str, Any]], None]:
    """What gc.callbacks takes, and writes when each pause ended and how long it was."""
    begun = 0.0

    def note(phase: str, _: dict[str, Any]) -> None:
        nonlocal begun
        if phase == "start":
            begun = now()
        elif (took := now() - begun) >= LEAST:
            with file.open("a") as pauses:
                pauses.write(f"{begun + took} {took}\n")

    return note


if __name__ == "__main__":
    gc.callbacks.append(noter(Path(sys.argv.pop(1))))
    runpy.run_module("exporter", run_name="__main__", alter_sys=True)
