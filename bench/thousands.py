"""One process that watches a thousand PBXs and more, beside a real Prometheus that scrapes each.

The exporter, the PBXs and Prometheus are processes of their own. When it polls is what the PBXs
saw, so their own delays are in it: where those, or the machine, are what is measured, it says so.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import pbx
from bench.fleet import WARM_UP, notes, watching
from bench.measuring import Numbers


class Case(NamedTuple):
    """A fleet."""

    pbxs: int
    sessions: int
    """On each."""
    writes: str = "by answer"
    """One of pbx.WRITES. As Asterisk does, by message, costs the PBXs twice as much."""

    def __str__(self) -> str:
        return f"{self.pbxs} PBXs with {self.sessions} sessions each, written {self.writes}"


CASES: Final = (Case(1000, 1), Case(1000, 5), Case(1000, 5, "by message"), Case(2000, 5))
SECONDS: Final = 30.0
"""As often as Prometheus scrapes, or a multiple of it."""


def measure(cases: Iterable[tuple[Any, ...]] = CASES, seconds: float = SECONDS) -> Numbers:
    """Of each fleet what is taken, and the gaps from poll to poll; first not scraped, then scraped,
    then what of both is not counted."""
    numbers: Numbers = {}
    for case in (Case(*given) for given in cases):
        with ExitStack() as stack:
            address = stack.enter_context(
                pbx.running(case.sessions, pbxs=case.pbxs, writes=case.writes, by_time=True)
            )
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            watch = stack.enter_context(watching(address, folder))
            time.sleep(WARM_UP)
            numbers[f"{case}, not scraped"] = watch.measured(seconds)
            stack.enter_context(watch.scraped())
            time.sleep(WARM_UP)
            numbers[f"{case}, scraped"] = watch.measured(seconds)
            numbers[f"{case}, counted"] = watch.compared()
    for what, of_it in numbers.items():
        if "cores" in of_it:
            for note in notes(what, of_it):
                print(note, file=sys.stderr)
    return numbers
