"""Lines that are written by a thread of their own: whoever has one to write never waits for a disk,
or for who reads the other end of a pipe.

What cannot be written is held, up to a bound, and tried again until it can.
"""

import os
import select
import threading
import time
from collections import deque
from typing import Final, Protocol

MOST_LINES: Final = 10_000
"""Held at once; of one more nothing is kept."""
MOST_BYTES: Final = 10 * 1024 * 1024
RETRY_SECONDS: Final = 1.0
"""After a line could not be written until it is tried again."""


class Sink(Protocol):
    """Where lines go. Its methods are called by one thread, and may block."""

    def write(self, line: bytes) -> None:
        """Raises OSError: then the same line is given again."""

    def reopen(self) -> None:
        """Begins anew, after somebody has moved away what was written to. Raises OSError."""

    def close(self) -> None:
        """Nothing more comes. Raises nothing."""


class Descriptor:
    """A descriptor that is open anyway, such as that of standard error."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._written = 0
        """Bytes of the line under way."""

    def write(self, line: bytes) -> None:
        """Completes the line that it could not write the last time."""
        while self._written < len(line):
            try:
                self._written += os.write(self._number, line[self._written :])
            except BlockingIOError:  # another process that has it too has made it so
                self._wait()
        self._written = 0

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        poll.poll()

    def reopen(self) -> None:
        """There is nothing to open."""

    def close(self) -> None:
        """It belongs to the process."""


class Watcher(Protocol):
    """Is told how it goes, by the thread that writes. Raises nothing."""

    def failed(self, error: OSError) -> None:
        """A line could not be written, and the one before could."""

    def went_on(self) -> None:
        """A line could be written, and the one before could not."""


class LineWriter:
    """A bounded queue before a sink. Its methods may be called by any thread."""

    def __init__(
        self,
        sink: Sink,
        watcher: Watcher | None = None,
        *,
        most_lines: int = MOST_LINES,
        most_bytes: int = MOST_BYTES,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._sink = sink
        self._watcher = watcher
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._retry_seconds = retry_seconds
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._reopening = False
        self._stopping = False
        self._failing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, line: bytes) -> bool:
        """Takes a line, with its end; False if so many are held that it is lost. Never blocks."""
        with self._changed:
            full = self._lines and self._bytes + len(line) > self._most_bytes
            if self._stopping or full or len(self._lines) >= self._most_lines:
                return False
            self._lines.append(line)
            self._bytes += len(line)
            self._wake()
            return True

    def reopen(self) -> None:
        """The sink begins anew before the next line, and now if there is none."""
        with self._changed:
            self._reopening = True
            self._wake()

    def flush(self, seconds: float) -> bool:
        """Waits until every line is written, but not for longer; whether every one is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines, seconds)

    def close(self, seconds: float) -> int:
        """Writes what it can in that time, and takes no more. Returns how many lines are lost.

        A thread that hangs in a write is left behind: it keeps no process from ending."""
        deadline = time.monotonic() + seconds
        self.flush(seconds)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            return len(self._lines)

    def _wake(self) -> None:
        # `_changed` is held. The thread begins with the first line.
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="lines", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads; tried again with the next line
                return
            self._thread = thread
        self._changed.notify_all()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            reopening, line = work
            try:
                if reopening:
                    self._sink.reopen()
                if line:
                    self._sink.write(line)
            except OSError as error:
                self._pause(error)
                continue
            with self._changed:
                if line:
                    self._lines.popleft()
                    self._bytes -= len(line)
                failing, self._failing = self._failing, False
                self._changed.notify_all()
            if failing and self._watcher is not None:
                self._watcher.went_on()
        self._sink.close()

    def _next(self) -> tuple[bool, bytes] | None:
        """Whether to reopen, and the line to write, empty if none; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._reopening or self._stopping)
            if self._stopping:
                return None
            reopening, self._reopening = self._reopening, False
            return reopening, self._lines[0] if self._lines else b""

    def _pause(self, error: OSError) -> None:
        with self._changed:
            failing, self._failing = self._failing, True
        if not failing and self._watcher is not None:
            self._watcher.failed(error)
        with self._changed:
            self._changed.wait_for(lambda: self._reopening or self._stopping, self._retry_seconds)
