"""What the web process was told of the targets, so that only what is new is told again.

Each side remembers numbers alone: the main process that of the last change of each target, the web
process that of the last one it knows. So it may be ended at any time: the next one knows none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.polling import Poller, told


@dataclass(frozen=True, slots=True)
class News:
    """What is new, beside the pieces that were sent before it."""

    number: int
    """Of the last change that is in them."""
    names_number: int
    names: tuple[str, ...] | None
    """None if they are known."""
    polled: tuple[float | None, ...] = ()
    """When the last successful poll of each target ended, in the order of the names, if that was
    asked for; seconds since the epoch."""


class Told:
    """The main process's side."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._number = 0
        self._targets: dict[str, tuple[tuple[object, ...], int]] = {}
        """What each was made from when it changed last, and the number of that."""
        self._names: tuple[str, ...] = ()
        self._names_number = 0

    @property
    def number(self) -> int:
        """Of the last change."""
        return self._number

    def names(
        self, pollers: Mapping[str, Poller], known: int
    ) -> tuple[int, tuple[str, ...] | None]:
        """The number of these names, and the names unless they are known by that number."""
        names = tuple(pollers)
        if names != self._names:
            self._names = names
            self._names_number += 1
            self._targets = {n: of for n, of in self._targets.items() if n in pollers}
        return self._names_number, None if known == self._names_number else names

    def is_new(self, name: str, poller: Poller, since: int) -> bool:
        """Whether the target has changed since the change of that number."""
        of = told(poller)
        before = self._targets.get(name)
        if before is not None and before[0] == of:
            return before[1] > since
        self._number += 1
        self._targets[name] = of, self._number
        return True


@dataclass(slots=True)
class Known:
    """The web process's side: what it has of each target, of one kind."""

    number: int = 0
    names_number: int = 0
    names: tuple[str, ...] = ()

    @property
    def ask(self) -> dict[str, Any]:
        """What an ask for news says of it."""
        return {"since": self.number, "names": self.names_number}

    def take(self, news: News) -> bool:
        """Notes that this is known now; whether there are other names."""
        self.number = news.number
        if news.names is None:
            return False
        self.names_number, self.names = news.names_number, news.names
        return True
