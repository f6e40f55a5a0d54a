"""Log lines for standard error, logfmt or JSON: one event, one printable line.

Callers give the message and its fields: `log.info("listening", extra={"fields": {"url": url}})`.
What concerns one Asterisk is logged by the logger that `about_target` makes.
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO, TypeAlias

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
    """Log to standard error from `level` up; a second call replaces the first.

    Only this package's own loggers go below warnings: panoramisk logs the actions it sends, and
    the login is one of them.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _StandardError)]:
        root.removeHandler(old)
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
