"""Log lines for standard error, logfmt or JSON: one event, one printable line.

Callers give the message and its fields: `log.info("listening", extra={"fields": {"url": url}})`.
What concerns one Asterisk is logged by the logger that `about_target` makes.
"""

import contextlib
import copy
import json
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO, TypeAlias

from exporter.log_limit import SECONDS, Kind, LeftOut, Limiter, has_words, without_values, words_of
from exporter.words import visible

# Characters of a value that are kept: the first of a text, the last of a traceback, whose end
# names the error.
MAX_TEXT = 1000
MAX_TRACEBACK = 10_000

_PACKAGE = "exporter"

Value: TypeAlias = str | int | float | None
_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


def setup(
    level: Literal["debug", "info", "warning", "error"], format: Literal["logfmt", "json"]
) -> None:
    """Log to standard error from `level` up; a second call replaces the first. Of lines of one
    kind some are written in a minute, and the others counted: see log_limit.py.

    Only this package's own loggers go below warnings: panoramisk logs the actions it sends, and
    the login is one of them.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _StandardError)]:
        root.removeHandler(old)
        old.close()
    handler = _StandardError()
    handler.setFormatter(Json() if format == "json" else Logfmt())
    root.addHandler(handler)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(threshold, logging.WARNING))
    logging.getLogger(_PACKAGE).setLevel(threshold)


def about_target(logger: logging.Logger, name: str) -> "logging.LoggerAdapter[logging.Logger]":
    """This logger for what concerns one Asterisk: its lines name it, `target=fax-berlin`."""
    return logging.LoggerAdapter(logger, {"fields": {"target": name}})


class _StandardError(logging.StreamHandler[TextIO]):
    """What it leaves out it tells when the minute is over, and at its end."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, seconds: float = SECONDS
    ) -> None:
        super().__init__()
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
        super().emit(record)

    def close(self) -> None:
        with self.lock or contextlib.nullcontext():
            self._tell(self._limiter.over(math.inf))
            if self._timer is not None:
                self._timer.cancel()
        super().close()

    def _tell(self, left_out: Iterable[LeftOut]) -> None:
        for kind, count in left_out:
            what = f"lines like this: {kind.words}" if kind.words else "lines, of other words each"
            text, args = "left out within %g s: %d more %s", (self._seconds, count, what)
            line = logging.LogRecord(kind.logger, kind.level, "", 0, text, args, None)
            line.__dict__["fields"] = {"target": kind.target} if kind.target else {}
            super().emit(line)

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
    time = datetime.fromtimestamp(record.created, UTC)
    pairs: dict[str, Value] = {
        "ts": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
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
