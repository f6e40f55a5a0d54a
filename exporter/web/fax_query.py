"""Which faxes a URL asks for: the parameters of /faxes and /api/v1/faxes, read as strictly as they
are documented. Pure functions of texts and the time.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from exporter.fax import MAX_TEXT, Reason
from exporter.history import MAX_LIMIT, MAX_TIME, RESULTS, Query
from exporter.ledger import PAGE_OPERATIONS

LIMIT: Final = 100
"""Faxes of one answer, if nothing else is asked for."""

_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)([Zz]|[+ -]\d\d:\d\d)?", re.ASCII
)
_EPOCH: Final = re.compile(r"\d{1,11}(?:\.\d{1,9})?", re.ASCII)
_DURATION: Final = re.compile(r"(\d{1,6})(s|m|h|d|w)", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NUMBER: Final = re.compile(r"\d{1,4}", re.ASCII)


class BadQuery(ValueError):
    """A parameter is wrong: which, and what is accepted."""


def read_query(parameters: Iterable[tuple[str, str]], now: float) -> Query:
    """What the parameters of a URL ask for; one that is empty, as a form sends it, is left out.
    `now`: seconds since the epoch. Raises BadQuery."""
    found: dict[str, Any] = {}
    seen = set()
    for name, value in parameters:
        if name not in _READ:
            raise BadQuery(f"there is no such parameter; there are {', '.join(_READ)}")
        if name in seen:
            raise BadQuery(f"{name}: it is there twice")
        seen.add(name)
        if value:
            try:
                found[name] = _READ[name](value, now)
            except ValueError as error:
                raise BadQuery(f"{name}: takes {error}") from None
    query = Query(**{"limit": LIMIT, **found})
    try:
        query.check()
    except ValueError:  # all that is left: one made by hand
        raise BadQuery("cursor: takes next_cursor of an answer") from None
    return query


def time_of(text: str, now: float) -> float:
    """The time that a text names, in seconds since the epoch: as RFC 3339, without a zone in that
    of the exporter, as seconds since the epoch, or as how long before `now`. Raises ValueError."""
    if (match := _DURATION.fullmatch(text)) is not None:
        return max(0.0, now - int(match[1]) * _UNITS[match[2]])
    if _EPOCH.fullmatch(text):
        time = float(text)
    elif (match := _TIME.fullmatch(text)) is not None:
        date, clock, zone = match.groups()
        if date.startswith("0000"):  # RFC 3339 has that year, Python has not
            date = f"0001{date[4:]}"
        clock = clock.replace(":60", ":59")  # and a second that is put in
        # A + that is not escaped in a URL comes as a blank.
        time = _timestamp(f"{date}T{clock}{(zone or '').upper().replace(' ', '+')}")
    else:
        raise ValueError(_TIMES)
    return min(time, MAX_TIME)


_TIMES: Final = (
    "a time as 2026-01-31T08:00:00+01:00, seconds since the epoch, or how long ago it was, "
    "as 90s, 15m, 24h, 7d or 4w"
)


def _timestamp(text: str) -> float:
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise ValueError(_TIMES) from None


def _text(value: str, now: float) -> str:
    if len(value) > MAX_TEXT:
        raise ValueError(f"at most {MAX_TEXT} characters")
    return value


def _word(words: Iterable[str]) -> Callable[[str, float], str]:
    known = tuple(words)

    def read(value: str, now: float) -> str:
        if value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return value

    return read


def _limit(value: str, now: float) -> int:
    if not _NUMBER.fullmatch(value) or not 1 <= int(value) <= MAX_LIMIT:
        raise ValueError(f"a number from 1 to {MAX_LIMIT}")
    return int(value)


_READ: Final[dict[str, Callable[[str, float], object]]] = {
    "target": _text,
    "operation": _word(PAGE_OPERATIONS),
    "result": _word(RESULTS),
    "reason": _word(Reason),
    "peer": _text,
    "uniqueid": _text,
    "since": time_of,
    "until": time_of,
    "limit": _limit,
    "cursor": _text,
}
