"""What ends the exporter: SIGTERM and SIGINT, heeded from its first line on. While there is nothing
to end in good order it ends at once.

Imported before all that takes time, so it imports next to nothing itself.
"""

import os
import signal
import sys
from collections.abc import Callable

_ONCE = ("--check-pbx", "--config.check", "--health-check", "--setup-pbx")
"""What does one thing and ends. Its status tells how that went: never 0 if it was cut short."""
_VARIABLES = ("FAX_EXPORTER_CHECK_PBX", "FAX_EXPORTER_CONFIG_CHECK")

_begin_to_end: Callable[[], None] | None = None


def heed_signals() -> None:
    """From now on SIGTERM and SIGINT end the process, process 1 of a container too, which the
    kernel protects from signals that nobody handles. SIGHUP is left to who reads files again."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _take)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the files are about to be read anyway


def end_in_good_order(begin: Callable[[], None] | None) -> None:
    """From now on a signal calls this, wherever the main thread is; None: it ends the process."""
    global _begin_to_end
    _begin_to_end = begin


def _take(number: int, _: object) -> None:
    if _begin_to_end is not None:
        _begin_to_end()
        return
    # No exception: it would come out of the middle of an import, which may take it for its own.
    os._exit(128 + number if _does_one_thing() else 0)


def _does_one_thing() -> bool:
    words = {word.partition("=")[0] for word in sys.argv[1:]}
    return not words.isdisjoint(_ONCE) or any(os.environ.get(name) for name in _VARIABLES)
