"""A cache of what was read of messages, from one poll to the next.

Most messages about a session are the same for many polls, and to look one up takes a tenth of the
time that reading it takes.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeAlias, TypeVar

from exporter.fax import Problem

Value = TypeVar("Value")
Parse: TypeAlias = Callable[[str, list[Problem]], Value | None]

MAX_KEPT: Final = 10_000
"""Messages."""
MAX_LENGTH: Final = 1024
"""Characters of a message that is kept; Asterisk's own have some 300."""


class PollCache(Generic[Value]):
    """Reads messages by `parse`, and keeps what those of this poll and of the last one gave."""

    def __init__(self, parse: Parse[Value]) -> None:
        self._parse = parse
        self._last_poll: dict[str, Value] = {}
        self._this_poll: dict[str, Value] = {}

    def __len__(self) -> int:
        """Messages of this poll that are kept."""
        return len(self._this_poll)

    def next_poll(self) -> None:
        """The next poll begins."""
        self._last_poll, self._this_poll = self._this_poll, {}

    def read(self, text: str, problems: list[Problem]) -> Value | None:
        """What `parse` gives. A message with problems is not kept: they are told in every poll."""
        value = self._last_poll.get(text)
        if value is None:
            known = len(problems)
            value = self._parse(text, problems)
            if value is None or len(problems) > known or len(text) > MAX_LENGTH:
                return value
        kept = self._this_poll
        if len(kept) < MAX_KEPT:
            kept[text] = value
        return value
