"""What ends the exporter: SIGTERM and SIGINT, heeded from its first line on. While there is nothing
to end in good order it ends at once; what there is to end has a limit.

A thread takes the signals, since nothing can hold that up: the main thread may wait for a disk that
hangs, or be within an import. This is imported before all that takes time, and imports next to
nothing itself.
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

_ONCE = ("--check-pbx", "--config.check", "--health-check", "--setup-pbx")
"""What does one thing and ends. Its status tells how that went: never 0 if it was cut short."""
_VARIABLES = tuple(
    f"FAX_EXPORTER_{flag[2:].replace('-', '_').replace('.', '_').upper()}" for flag in _ONCE
)
_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

not_now = _thread.allocate_lock()
"""In a block with it no signal ends the process at once: one that comes does so after it."""

_came = False
_end: Callable[[], None] | None = None
_hang_up: Callable[[], None] | None = None
_begun: float | None = None
"""Monotonic seconds: when the first signal came, if there was something to end."""
_cut_off: list[Callable[[], None]] = []


def heed_signals() -> None:
    """From now on SIGTERM and SIGINT end the process: process 1 of a container too, to which the
    kernel delivers no signal that nobody handles. SIGHUP does nothing yet: files of settings are
    read only later."""
    # Threads and processes that are started later inherit it, so that one thread alone takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    try:
        _thread.start_new_thread(_take, ())
    except RuntimeError:  # no thread to be had: then the kernel ends it, without any order
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NUMBERS)


def in_good_order(end: Callable[[], None] | None, hang_up: Callable[[], None] | None) -> None:
    """From now on the first SIGTERM or SIGINT calls `end`, and SIGHUP `hang_up`, in another thread;
    neither may wait, or raise. What has not ended within LIMIT is cut off. Further signals change
    nothing: some send two. None: there is nothing to end any more."""
    global _end, _hang_up
    _end, _hang_up = end, hang_up


def came() -> bool:
    """Whether a signal to end has."""
    return _came


def seconds_left(until: float) -> float:
    """Until so many seconds after the first signal; all of them if none came."""
    return until if _begun is None else max(0.0, _begun + until - time.monotonic())


def cut_off_with_it(end: Callable[[], None]) -> None:
    """This is called, in another thread, before the process is cut off. It may wait for nothing."""
    _cut_off.append(end)


def _take() -> None:
    global _begun, _came
    while True:
        number = signal.sigwait(_NUMBERS)
        if number != signal.SIGHUP:
            break
        if (hang_up := _hang_up) is not None:
            hang_up()
    _came = True
    if (end := _end) is None:
        not_now.acquire()
        os._exit(128 + number if _does_one_thing() else 0)
    _begun = time.monotonic()
    end()
    time.sleep(LIMIT)
    for each in _cut_off:
        each()
    os._exit(0)


def _does_one_thing() -> bool:
    words = {word.partition("=")[0] for word in sys.argv[1:]}
    return not words.isdisjoint(_ONCE) or any(os.environ.get(name) for name in _VARIABLES)
