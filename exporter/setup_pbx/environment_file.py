"""A file of variables as systemd reads it for EnvironmentFile=: which it sets, and how it ends.

Source: parse_env_file_internal in systemd's src/basic/env-file.c, the same since 229.
"""

from dataclasses import dataclass
from typing import Final

_BLANKS: Final = " \t"
_ENDS: Final = "\n\r"


@dataclass(frozen=True)
class Variables:
    """What a file of variables says."""

    values: dict[str, tuple[str, int]]
    """Of each variable the value that holds, and the number of its line."""
    is_open: bool
    """Whether what is written at the end of the file goes on with its last line: a quote is open,
    or a backslash is the last character."""


def variables(content: bytes) -> Variables:
    """What the file sets."""
    values: dict[str, tuple[str, int]] = {}
    text = content.decode("utf-8", "surrogateescape")
    key, value, quote = "", "", ""
    state, number, begun = "key", 1, 1
    chars = iter(text)
    escaped = False
    for char in chars:
        if state == "comment":
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char in _ENDS:
                state, key = "key", ""
        elif escaped:
            escaped = False
            if char not in _ENDS:
                value += char
        elif state == "key":
            if char in _ENDS:
                key = ""
            elif not key and char in ";#":
                state = "comment"
            elif char == "=":
                state, value, begun = "value", "", number
            elif key or char not in _BLANKS:
                key += char
        elif quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"':
                escaped = True
            else:
                value += char
        elif char in _ENDS:
            values[key.strip(_BLANKS)] = (value.strip(_BLANKS), begun)
            state, key = "key", ""
        elif char in "\"'" and not value.strip(_BLANKS):
            quote = char
        elif char == "\\":
            escaped = True
        else:
            value += char
        number += char == "\n"
    if state == "value":
        values[key.strip(_BLANKS)] = (value.strip(_BLANKS), begun)
    return Variables(values, escaped or bool(quote))
