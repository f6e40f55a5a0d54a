"""The headers of a message: what their values may be, and what they are read as.

One function reads each kind of header, wherever it is in the message: that is the definition. What
comes a thousand times a second is read as a `Layout` of fields. Each of these has that function and
a faster one for the values that faxes usually have.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from exporter.ami import Headers, read_event
from exporter.fax.values import MAX_NUMBER, MAX_TEXT, MODEM_RATES, Problem

Value = TypeVar("Value")


# --- one header -----------------------------------------------------------------------------


def text(headers: Headers, name: str) -> str:
    """The first MAX_TEXT characters of a header; empty if it is missing."""
    value = headers.get(name, "")
    if not isinstance(value, str):  # repeated: the first is the one Asterisk wrote itself
        value = value[0]
    return value[:MAX_TEXT]


def number(headers: Headers, name: str, most: int, problems: list[Problem]) -> int | None:
    """A number from 0 to `most`; None if it is missing or is no such number."""
    value = headers.get(name)
    if value is None:
        return None
    # The length is checked first: int() is slow on very long strings, and raises.
    if isinstance(value, str) and len(value) <= 10 and value.isascii() and value.isdigit():
        number = int(value)
        if number <= most:
            return number
    _unreadable(name, value, problems)
    return None


def word(
    headers: Headers, name: str, words: Mapping[str, Value], other: Value, problems: list[Problem]
) -> Value:
    """What a word stands for; `other`, and a problem, if it is missing or unknown."""
    value = headers.get(name)
    if isinstance(value, str) and value in words:
        return words[value]
    _unreadable(name, value, problems)
    return other


def data_rate(headers: Headers, name: str, problems: list[Problem]) -> int | None:
    """bit/s; None if it is missing or no modem's, or 0, by which a gateway means "not yet"."""
    rate = number(headers, name, MAX_NUMBER, problems)
    if rate is None or rate in MODEM_RATES:
        return rate
    if rate != 0:
        problems.append(Problem(name, str(rate)))
    return None


def _ecm(headers: Headers, problems: list[Problem]) -> bool | None:
    value = headers.get("ErrorCorrectionMode")
    if value is None:
        return None
    # "Yes"/"No" for faxes, "yes"/"no" for gateways.
    if isinstance(value, str) and len(value) <= 3 and value.lower() in ("yes", "no"):
        return value.lower() == "yes"
    _unreadable("ErrorCorrectionMode", value, problems)
    return None


_PIXELS: Final = "[0-9]{1,6}x[0-9]{1,6}"


def _resolution(headers: Headers, problems: list[Problem]) -> tuple[int, int] | None:
    value = headers.get("ImageResolution")
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(_PIXELS, value):
        return _pixels(value)
    _unreadable("ImageResolution", value, problems)
    return None


def pixels(value: str) -> tuple[int, int] | None:
    """What a resolution says, per metre; None if it is none, or 0x0, which means "not yet"."""
    found = _pixels(value) if re.fullmatch(_PIXELS, value) else None
    return None if found == (0, 0) else found


@lru_cache(maxsize=64)  # faxes have few resolutions
def _pixels(value: str) -> tuple[int, int]:
    x, _, y = value.partition("x")
    return int(x), int(y)


def _unreadable(name: str, value: str | list[str] | None, problems: list[Problem]) -> None:
    if isinstance(value, list):  # a header that may be there only once
        value = f"{len(value)} times: {value[0]}"
    problems.append(Problem(name, (value or "")[:MAX_TEXT]))


# --- the headers of a fax, many times a second -------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A header that is read both ways."""

    name: str
    read: Callable[[Headers, list[Problem]], Any]
    """Reads any value: the definition."""
    usual: str
    """A regular expression for values as faxes usually have them."""
    convert: Callable[[str], Any]
    """Reads values that match `usual`, with the same result as `read`."""


def text_field(name: str) -> Field:
    """A text, as `text` reads it."""
    return Field(name, lambda headers, _: text(headers, name), rf"[^\r\n]{{0,{MAX_TEXT}}}", str)


def number_field(name: str, most: int = MAX_NUMBER) -> Field:
    """A number, as `number` reads it."""
    digits = len(str(most)) - 1  # a number with so many is never above `most`
    return Field(
        name,
        lambda headers, problems: number(headers, name, most, problems),
        f"[0-9]{{1,{digits}}}",
        int,
    )


def word_field(name: str, words: Mapping[str, Value], other: Value) -> Field:
    """A word, as `word` reads it."""
    return Field(
        name,
        lambda headers, problems: word(headers, name, words, other, problems),
        "|".join(map(re.escape, words)),
        words.__getitem__,
    )


ECM: Final = Field("ErrorCorrectionMode", _ecm, "Yes|No", {"Yes": True, "No": False}.__getitem__)
DATA_RATE: Final = Field(
    "DataRate",
    lambda headers, problems: data_rate(headers, "DataRate", problems),
    "|".join(map(str, MODEM_RATES)),
    int,
)
RESOLUTION: Final = Field("ImageResolution", _resolution, _PIXELS, _pixels)


class Layout:
    """The headers of an event, in the order in which Asterisk writes them."""

    def __init__(self, *headers: Field | str, key: Field | None = None) -> None:
        """A header given by its name alone is skipped. `key`: the field without whose value the
        others are of no use, if there is one."""
        self._key = key
        self._fields = [one for one in headers if isinstance(one, Field)]
        self._converts = [field.convert for field in self._fields]
        lines = [
            f"{one}: [^\r\n]*" if isinstance(one, str) else f"{one.name}: ({one.usual})"
            for one in headers
        ]
        self._usual = re.compile("\r\n".join(lines))

    def read(self, event: str, problems: list[Problem]) -> list[Any] | None:
        """The value of each field; None if there is a key, and it has none.

        An event that has exactly these headers, in this order and with usual values, is read by one
        regular expression: that takes a tenth of the time.
        """
        usual = self._usual.fullmatch(event)
        if usual is None:
            return self._read_by_header(event, problems)
        values = usual.groups()  # as many as fields; strict=True would take time
        return [convert(value) for convert, value in zip(self._converts, values)]  # noqa: B905

    def _read_by_header(self, event: str, problems: list[Problem]) -> list[Any] | None:
        headers = read_event(event)
        if self._key is not None and self._key.read(headers, problems) is None:
            return None
        return [field.read(headers, problems) for field in self._fields]
