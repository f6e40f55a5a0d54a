"""What ends the exporter: SIGTERM and SIGINT, heeded from its first line on. While there is nothing
to end in good order it ends at once; what there is to end has a limit.

Imported before all that takes time, so it imports next to nothing itself.
"""

import _thread
import os
import signal
import sys
import time
from collections.abc import Callable

LIMIT = 1.5
"""Seconds from the first signal until whatever still hangs is cut off: below two, the process has
ended, also on a machine that is busy."""
WRITTEN = 1.1
"""Seconds from the first signal until which what is to be written, such as lines of faxes, waits
for a disk that hangs or a pipe that nobody reads."""
SAID = 1.3
"""As WRITTEN, for the log, which has the last word."""

_ONCE = ("--check-pbx", "--config.check", "--health-check", "--setup-pbx")
"""What does one thing and ends. Its status tells how that went: never 0 if it was cut short."""
_VARIABLES = tuple(
    f"FAX_EXPORTER_{flag[2:].replace('-', '_').replace('.', '_').upper()}" for flag in _ONCE
)
_NUMBERS = (signal.SIGTERM, signal.SIGINT)

_begin_to_end: Callable[[], None] | None = None
_begun: float | None = None
"""Monotonic seconds: when the first signal came, if there was something to end."""
_cut_off: list[Callable[[], None]] = []


def heed_signals() -> None:
    """From now on SIGTERM and SIGINT end the process: process 1 of a container too, to which the
    kernel delivers no signal that nobody handles. SIGHUP does nothing: files of settings are read
    only later."""
    for number in _NUMBERS:
        signal.signal(number, _take)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # What starts the image has them blocked, so that one that comes before this line is kept.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _NUMBERS)


def in_good_order(begin: Callable[[], None] | None) -> None:
    """From now on the first signal calls `begin`, in the main thread, wherever that is, and what
    then has not ended within LIMIT is cut off. Further ones change nothing: some send two. None:
    there is nothing to end any more."""
    global _begin_to_end
    _begin_to_end = begin


def seconds_left(until: float) -> float:
    """Until so many seconds after the first signal; all of them if none came."""
    return until if _begun is None else max(0.0, _begun + until - time.monotonic())


def cut_off_with_it(end: Callable[[], None]) -> None:
    """This is called, by another thread, before the process is cut off. It may wait for nothing."""
    _cut_off.append(end)


def _take(number: int, _: object) -> None:
    global _begun
    if _begun is not None:
        return
    if _begin_to_end is None:
        # No exception: it would come out of the middle of an import, which may take it for its own.
        os._exit(128 + number if _does_one_thing() else 0)
    _begun = time.monotonic()
    # Not `threading`, whose locks the main thread may hold here.
    try:  # noqa: SIM105  # what the other way needs takes milliseconds to import
        _thread.start_new_thread(_limit, ())
    except RuntimeError:  # no more threads: then nothing is cut off
        pass
    _begin_to_end()


def _limit() -> None:
    time.sleep(LIMIT)
    for end in _cut_off:
        end()
    os._exit(0)


def _does_one_thing() -> bool:
    words = {word.partition("=")[0] for word in sys.argv[1:]}
    return not words.isdisjoint(_ONCE) or any(os.environ.get(name) for name in _VARIABLES)
