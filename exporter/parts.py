"""Processes that are parts of the exporter, beside the one that polls: how each is started, and how
it makes way for that one.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

_NICE: Final = 5
"""Polls, and the calls of a PBX on this machine, come first."""


def command(module: str) -> tuple[str, ...]:
    """What starts one, by the name of its module; with `python_path` in its environment."""
    return sys.executable, "-P", "-m", module  # the folder it is started in may hold anything


def python_path() -> dict[str, str]:
    """What finds this Python's modules."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def make_way(killed_first: int) -> None:
    """To be called by it. `killed_first`: as /proc/self/oom_score_adj has it: if
    memory runs out, the kernel ends this process rather than one that has less, or 0."""
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        os.nice(_NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(killed_first))
