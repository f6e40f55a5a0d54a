"""What was read of messages, for as long as every poll brings the same messages again.

What is said of a session stays the same for long, and to look it up takes a tenth of reading it.
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
    """Reads messages by `parse`. Of those of a poll before the last nothing is kept."""

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
        """What `parse` makes of it; what is wrong with it is told again in every poll."""
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
