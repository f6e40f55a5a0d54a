"""A fax as a row of the database, and back. What a row says is not trusted: a file can be damaged.

PERSONAL columns are empty in a database of an exporter that shows no details.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from exporter.fax import Operation, Reason, Transport
from exporter.history.query import RESULTS, Stored
from exporter.ledger import EndedFax

PERSONAL: Final = ("channel", "caller", "local_station", "remote_station", "file")
"""Columns that tell of people."""

COLUMNS: Final = {
    "stored": "REAL NOT NULL",  # seconds since the epoch; retention goes by it
    "ended": "REAL NOT NULL",
    "target": "TEXT NOT NULL",
    "operation": "TEXT NOT NULL",
    "transport": "TEXT NOT NULL",
    "result": "INTEGER NOT NULL",  # a value of RESULTS
    "reason": "TEXT",
    "status_text": "TEXT",
    "pages": "INTEGER",
    "bad_lines": "INTEGER",
    "rejected": "INTEGER",
    "seconds": "REAL",
    "data_rate": "INTEGER",
    "fallbacks": "INTEGER",
    "ecm": "INTEGER",
    "resolution_x": "INTEGER",
    "resolution_y": "INTEGER",
    "peer": "TEXT",
    "uniqueid": "TEXT",
    "linkedid": "TEXT",
    "heard": "REAL",
    "began": "INTEGER NOT NULL",
    "went_on": "INTEGER NOT NULL",
    "counted_pages": "INTEGER",
    "counted_bad_lines": "INTEGER",
    "counted_transport": "TEXT",
    **dict.fromkeys(PERSONAL, "TEXT"),
}
"""Names and types, in the order of a row."""

_SUCCEEDED: Final = {1: True, 0: False}
_NAMES: Final = tuple(COLUMNS)
_LARGEST: Final = 2**53
"""Every reader of JSON knows whole numbers up to here."""
Word = TypeVar("Word", bound=StrEnum)


def row_of(target: str, fax: EndedFax, stored: float, *, details: bool) -> tuple[Any, ...]:
    """The values of its COLUMNS. `stored`: seconds since the epoch."""
    x, y = fax.resolution or (None, None)
    values = {
        "stored": stored,
        "ended": fax.ended,
        "target": plain(target),
        "operation": fax.operation.value,
        "transport": fax.transport.value,
        "result": RESULTS[fax.result],
        "reason": fax.reason and fax.reason.value,
        "status_text": _text(fax.status_text),
        "pages": _whole(fax.pages),
        "bad_lines": _whole(fax.bad_lines),
        "rejected": _whole(fax.rejected),
        "seconds": fax.seconds,
        "data_rate": _whole(fax.data_rate),
        "fallbacks": _whole(fax.fallbacks),
        "ecm": fax.ecm,
        "resolution_x": _whole(x),
        "resolution_y": _whole(y),
        "peer": _text(fax.peer),
        "uniqueid": _text(fax.unique_id),
        "linkedid": _text(fax.linked_id),
        "heard": fax.heard_at,
        "began": fax.began,
        "went_on": fax.went_on,
        "counted_pages": _whole(fax.counted_pages),
        "counted_bad_lines": _whole(fax.counted_bad_lines),
        "counted_transport": fax.counted_transport and fax.counted_transport.value,
        "channel": _text(fax.channel),
        "caller": _text(fax.caller),
        "local_station": _text(fax.local_station),
        "remote_station": _text(fax.remote_station),
        "file": _text(fax.file),
    }
    if not details:
        values |= dict.fromkeys(PERSONAL)
    return tuple(values[name] for name in _NAMES)


def fax_of(row: Sequence[Any]) -> Stored | None:
    """The fax of a row with its id before its columns; None if it can be none of ours."""
    number, *values = row
    said = dict(zip(_NAMES, values, strict=True))
    operation = _word(Operation, said["operation"])
    transport = _word(Transport, said["transport"])
    ended = _time(said["ended"])
    if operation is None or transport is None or ended is None or said["result"] not in _RESULTS:
        return None
    succeeded = _SUCCEEDED.get(said["result"])
    x, y = _count(said["resolution_x"]), _count(said["resolution_y"])
    fax = EndedFax(
        ended_at=0.0,
        operation=operation,
        transport=transport,
        channel=_str(said["channel"]),
        succeeded=succeeded,
        # A word of a later version is none of this one's labels.
        reason=_word(Reason, said["reason"]) or Reason.OTHER if succeeded is False else None,
        pages=_count(said["pages"]),
        bad_lines=_count(said["bad_lines"]),
        seconds=_time(said["seconds"]),
        data_rate=_count(said["data_rate"]),
        local_station=_str(said["local_station"]),
        remote_station=_str(said["remote_station"]),
        file=_str(said["file"]),
        unique_id=_str(said["uniqueid"]),
        heard_at=_time(said["heard"]),
        ended=ended,
        linked_id=_str(said["linkedid"]),
        peer=_str(said["peer"]),
        caller=_str(said["caller"]),
        status_text=_str(said["status_text"]),
        began=bool(said["began"]),
        rejected=_count(said["rejected"]) or 0,
        fallbacks=_count(said["fallbacks"]) or 0,
        ecm=None if said["ecm"] is None else bool(said["ecm"]),
        resolution=None if x is None or y is None else (x, y),
        counted_pages=_count(said["counted_pages"]) or 0,
        counted_bad_lines=_count(said["counted_bad_lines"]) or 0,
        counted_transport=_word(Transport, said["counted_transport"]),
        went_on=bool(said["went_on"]),
    )
    return Stored(number, _str(said["target"]), fax)


def plain(text: str) -> str:
    """A text as the database can have it: halves of characters are no text."""
    return text.encode("utf-8", "replace").decode()


_RESULTS: Final = frozenset(RESULTS.values())


def _text(text: str) -> str | None:
    return plain(text) or None


def _whole(value: int | None) -> int | None:
    return None if value is None else max(-_LARGEST, min(value, _LARGEST))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else None


def _time(value: object) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value)
    return None


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _word(kind: type[Word], value: Any) -> Word | None:
    try:
        return kind(value)
    except ValueError:
        return None
