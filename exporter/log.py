"""Log lines for standard error, logfmt or JSON: one event, one printable line. Whoever logs never
waits for standard error to be read: line_writer.py.

Callers give the message and its fields: `log.info("listening", extra={"fields": {"url": url}})`.
What concerns one Asterisk is logged by the logger that `about_target` makes.
"""

import contextlib
import copy
import json
import logging
import math
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Protocol, TextIO, TypeAlias

from exporter.ending import SAID, seconds_left
from exporter.line_writer import Descriptor, LineWriter
from exporter.log_limit import SECONDS, Kind, LeftOut, Limiter, has_words, without_values, words_of
from exporter.words import visible

# Characters of a value that are kept: the first of a text, as many as are kept of Asterisk's texts,
# and the last of a traceback, whose end names the error.
MAX_TEXT = 1024
MAX_TRACEBACK = 10_000
FLUSH_SECONDS = 1.0
"""At the end, for what is not yet written."""

_PACKAGE = "exporter"

Value: TypeAlias = str | int | float | None
Format: TypeAlias = Literal["logfmt", "json"]
_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class Lines(Protocol):
    """What takes lines, each with its end, and never blocks."""

    def put(self, line: str) -> bool:
        """False if it is lost. Raises nothing."""


def setup(level: Literal["debug", "info", "warning", "error"], format: Format) -> Lines:
    """Log to standard error from `level` up; a second call replaces the first. Of lines of one
    kind some are written in a minute, and the others counted: see log_limit.py. Returns what takes
    further lines for standard error.

    Only this package's own loggers go below warnings: panoramisk logs the actions it sends, and
    the login is one of them.
    """
    root = logging.getLogger()
    for old in _standard_errors():
        root.removeHandler(old)
        old.close()
    handler = _StandardError()
    if (queue := _queue_before(sys.stderr)) is not None:
        handler.setStream(queue)
    handler.setFormatter(formatter(format))
    root.addHandler(handler)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(threshold, logging.WARNING))
    logging.getLogger(_PACKAGE).setLevel(threshold)
    return handler


def formatter(format: Format) -> logging.Formatter:
    """What makes a line, without its end, of a record."""
    return Json() if format == "json" else Logfmt()


def flush() -> None:
    """Waits until what was logged is written, but not for more than FLUSH_SECONDS: before anything
    else is written there, and before the end."""
    for handler in _standard_errors():
        handler.wait()


def _standard_errors() -> list["_StandardError"]:
    return [one for one in logging.getLogger().handlers if isinstance(one, _StandardError)]


def about_target(logger: logging.Logger, name: str) -> "logging.LoggerAdapter[logging.Logger]":
    """This logger for what concerns one Asterisk: its lines name it, `target=fax-berlin`."""
    return logging.LoggerAdapter(logger, {"fields": {"target": name}})


class _Queue:
    """A stream before a descriptor: what is written to it a thread writes there."""

    def __init__(self, number: int, encoding: str) -> None:
        self._encoding = encoding
        self.writer = LineWriter(Descriptor(number))

    def write(self, text: str) -> bool:
        """Whether it is kept."""
        return self.writer.put(text.encode(self._encoding, "backslashreplace"))

    def flush(self) -> None:
        """Called after each line: it waits for nothing."""


def _queue_before(stream: TextIO | None) -> _Queue | None:
    """None if it was closed when the process began, or is in memory, where it blocks nobody."""
    try:
        return None if stream is None else _Queue(stream.fileno(), stream.encoding)
    except (OSError, ValueError):
        return None


class _StandardError(logging.StreamHandler["TextIO | _Queue"]):
    """What it leaves out it tells when the minute is over, and at its end."""

    _lost = 0
    """Lines for which there was no room, since nobody reads standard error."""
    _patience = FLUSH_SECONDS
    """Seconds that the end may still wait: all of it no more than once."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, seconds: float = SECONDS
    ) -> None:
        super().__init__(sys.stderr)
        self._clock = clock
        self._seconds = seconds
        self._limiter = Limiter(seconds)
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        # `handle` holds the lock.
        now = self._clock()
        self._tell(self._limiter.over(now))
        count = self._limiter.admit(_kind(record), now)
        if not count:
            self._come_back(now)
            return
        if count > 1 and record.exc_info:  # the first one's is enough
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        self._write(record)

    def put(self, line: str) -> bool:
        """Writes a line of somebody who sees to it himself that there are not too many."""
        with self.lock or contextlib.nullcontext():
            try:
                taken = self.stream.write(line) is not False
                self.stream.flush()
            except (AttributeError, OSError, ValueError):  # there is none, or it is closed
                return False
            self._lost += not taken
            return taken

    def wait(self) -> None:
        """Until everything is written, but not for more than FLUSH_SECONDS."""
        if isinstance(self.stream, _Queue):
            written = self.stream.writer.flush(min(self._patience, seconds_left(SAID)))
            self._patience = FLUSH_SECONDS if written else 0.0

    def close(self) -> None:
        with self.lock or contextlib.nullcontext():
            self._tell(self._limiter.over(math.inf))
            if self._timer is not None:
                self._timer.cancel()
        if isinstance(self.stream, _Queue):
            self.stream.writer.close(min(self._patience, seconds_left(SAID)))
        super().close()

    def _write(self, record: logging.LogRecord) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            text = "lines lost: %d, since nobody read standard error, or it could not be written"
            told = logging.LogRecord(__name__, logging.WARNING, "", 0, text, (lost,), None)
            if not self.put(self.format(told) + self.terminator):
                self._lost = lost
        try:
            self.put(self.format(record) + self.terminator)
        except Exception:
            self.handleError(record)

    def _tell(self, left_out: Iterable[LeftOut]) -> None:
        for kind, count in left_out:
            what = f"lines like this: {kind.words}" if kind.words else "lines, of other words each"
            text, args = "left out within %g s: %d more %s", (self._seconds, count, what)
            line = logging.LogRecord(kind.logger, kind.level, "", 0, text, args, None)
            line.__dict__["fields"] = {"target": kind.target} if kind.target else {}
            self._write(line)

    def _come_back(self, now: float) -> None:
        """Sees to it that what was left out is told even if nothing else is logged."""
        due = self._limiter.due if self._timer is None else None
        if due is None:
            return
        self._timer = threading.Timer(due - now, self._minute_over)
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:  # no more threads: then the next line tells it
            self._timer = None

    def _minute_over(self) -> None:
        with self.lock or contextlib.nullcontext():
            self._timer = None
            now = self._clock()
            self._tell(self._limiter.over(now))
            self._come_back(now)

    def handleError(self, record: logging.LogRecord) -> None:
        # A full disk or a closed terminal must not stop the exporter, and there is nowhere left
        # to say so.
        pass


class Logfmt(logging.Formatter):
    """key=value pairs, as Prometheus and its exporters write them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        return " ".join(f"{key}={_logfmt(value)}" for key, value in entry(record).items())


class Json(logging.Formatter):
    """One object, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        return json.dumps(entry(record))


def entry(record: logging.LogRecord) -> dict[str, Value]:
    """Return the keys and values of a record's line, in their order; times are UTC."""
    pairs: dict[str, Value] = {
        "ts": rfc3339(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": _cut(_message(record)),
    }
    fields = getattr(record, "fields", {})
    for key, value in fields.items() if isinstance(fields, Mapping) else ():
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", _text(key)[:100]) or "_"
        while name in pairs:  # a field named msg must not replace the message
            name += "_"
        pairs[name] = _value(value)
    if record.exc_info and record.exc_info[0]:
        text = _traceback(record.exc_info)
        cut = len(text) - MAX_TRACEBACK
        pairs["traceback"] = f"...({cut} more){text[cut:]}" if cut > 0 else text
    return pairs


def rfc3339(seconds: float) -> str:
    """A time since the epoch as lines have it: UTC, with milliseconds."""
    time = datetime.fromtimestamp(seconds, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _kind(record: logging.LogRecord) -> Kind:
    fields = getattr(record, "fields", {})
    target = fields.get("target", "") if isinstance(fields, Mapping) else ""
    words = template = _text(record.msg)[:MAX_TEXT]
    if not has_words(template):
        words = _message(record)
    elif record.args:  # without any, a % is one
        words = without_values(template)
    error = record.exc_info[0] if record.exc_info else None
    return Kind(
        record.name,
        record.levelno,
        _text(target),
        words_of(words),
        "" if error is None else error.__name__,
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit; half a message is better than none
        return f"{_text(record.msg)} {_text(record.args)}"


def _traceback(exc_info: _ExcInfo) -> str:
    try:
        return logging.Formatter().formatException(exc_info)
    except Exception as error:  # Python reads files for it, and there may be no descriptor left
        return f"{_text(exc_info[1])} (no traceback: {_text(error)})"


def _value(value: object) -> Value:
    if value is None or isinstance(value, bool):
        return value
    # JSON has no NaN, and many readers take larger numbers for floats, which are not exact.
    if isinstance(value, int | float) and abs(value) < 2**53:
        return value
    return _cut(_text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # logging must not fail because something cannot be shown
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _cut(text: str) -> str:
    more = len(text) - MAX_TEXT
    return f"{text[:MAX_TEXT]}...({more} more)" if more > 0 else text


def _logfmt(value: Value) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if re.fullmatch(r"[!#-<>-\[\]-~]+", value):  # printable ASCII but space, ", = and \
        return value
    # Readers of logfmt take a quoted value as a JSON string. What is not printable could give a
    # terminal commands, end the line, or have it shown from right to left.
    quoted = value.replace("\\", r"\\").replace('"', r"\"")
    return f'"{visible(quoted, _escape)}"'


def _escape(char: str) -> str:
    return json.dumps(char)[1:-1]
