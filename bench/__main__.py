"""Measures everything, once, side by side: prints a table, writes it as JSON and draws the plot.

    make bench ARGS="polling scraping"

Without arguments: all subjects. Compare CPU; wall time depends on what else the machine does.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import (
    asterisk,
    goals,
    packaged,
    plot,
    polling,
    probing,
    process,
    scraping,
    thousands,
    viewers,
)
from bench.measuring import Numbers

SUBJECTS: Final[dict[str, Callable[[], Numbers]]] = {
    "polling": polling.measure,
    "tls": polling.tls,
    "scraping": scraping.measure,
    "probing": probing.measure,
    "viewers": viewers.measure,
    "thousands": thousands.measure,
    "start": process.start,
    "package": packaged.measure,
    "storm": process.storm,
    "fleet": process.fleet,
    "week": process.week,
    "asterisk": asterisk.measure,
}
LIBRARIES: Final = ("aiohttp", "panoramisk", "prometheus_client", "pydantic")


def main() -> None:
    """Runs the subjects that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--plot", type=Path, help="an SVG of cost against sessions")
    given = parser.parse_args()
    if unknown := set(given.subjects) - SUBJECTS.keys():
        parser.error(f"no such subject: {', '.join(sorted(unknown))}; see --help")
    machine = _machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    numbers: Numbers = {}
    for name, measure in SUBJECTS.items():
        if not given.subjects or name in given.subjects:
            measured = measure()
            numbers |= measured
            for what, values in measured.items():
                said = "  ".join(f"{unit} {value:g}" for unit, value in values.items())
                print(f"{what:58}  {said}", flush=True)
    reached = goals.reached(numbers)
    print()
    for goal in reached:
        print(f"{goal.name:74} {goal.value:9.3g}  goal {goal.limit}")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    ratios = {goal.name: goal.value for goal in reached}
    written = {"machine": machine, "numbers": numbers, "goals": ratios}
    given.json.write_text(json.dumps(written, indent=1) + "\n")
    if given.plot is not None:
        given.plot.write_text(plot.cost_against_sessions(numbers))


def _machine() -> dict[str, str]:
    model = (
        Path("/proc/cpuinfo")
        .read_text()
        .partition("model name")[2]
        .partition("\n")[0]
        .strip(": \t")
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "CPU": f"{os.cpu_count()} x {model}",
        "Python": platform.python_version(),
    } | {name: importlib.metadata.version(name) for name in LIBRARIES}


if __name__ == "__main__":
    main()
