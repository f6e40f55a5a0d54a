"""A fleet as somebody wants to see it: which of its PBXs, in which order, and the rest as numbers.

What is wanted stands in the query of `/`, so that it can be sent as a link.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from exporter.polling import Health, Row

ROWS: Final = 90
"""So many PBXs are shown first: some three screens."""
MAX_ROWS: Final = 1000
"""And so many where all are wanted. Of a larger fleet the filter finds the others."""
MAX_NAME: Final = 100
"""Characters of a part of a name: names have fewer."""

UNHEALTHY: Final = "unhealthy"
STATES: Final[Mapping[str, frozenset[Health]]] = {
    "": frozenset(Health),
    UNHEALTHY: frozenset({Health.FAILING, Health.DOWN, Health.INCOMPLETE}),
    **{health.value: frozenset({health}) for health in Health},
}
"""What may be wanted as `state`; empty stands for all."""
_WORST_FIRST: Final = {health: place for place, health in enumerate(Health)}


def _worst(row: Row) -> tuple[Any, ...]:
    # What has just gone down is news; what was never up is known to be off, or not yet there.
    return _WORST_FIRST[row.health], -(row.down_since or 0.0), -row.today.failed, row.name


def _success(row: Row) -> float:
    ratio = row.today.success_ratio
    return 2.0 if ratio is None else ratio


SORTS: Final[Mapping[str, Callable[[Row], Any]]] = {
    "state": _worst,
    "name": lambda row: row.name,
    "since": lambda row: (row.up, row.down_since or row.watched_since, row.name),
    "sessions": lambda row: (-(row.sessions or 0), row.name),
    "faxes": lambda row: (-row.today.faxes, row.name),
    "failed": lambda row: (-row.today.failed, row.name),
    "well": lambda row: (_success(row), row.name),
    "pages": lambda row: (-row.today.pages, row.name),
    "bad_lines": lambda row: (-row.today.bad_lines, row.name),
}
"""What may be wanted as `sort`, each so that what matters stands first; with `-` the other way."""


class NotToBeHad(ValueError):
    """What the query wants does not exist; the text says what does."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a fleet is to be shown, and how."""

    state: str = ""
    name: str = ""
    """A part of the names, whether small or capital."""
    sort: str = "state"
    all: bool = False
    """Whether more than ROWS are to be shown."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """What this query wants. Raises NotToBeHad."""
        state = query.get("state", "")
        state = "" if state == "all" else state
        name = query.get("name", "")
        sort = query.get("sort", "") or "state"
        rows = query.get("rows", "")
        if state not in STATES:
            raise NotToBeHad(f"state takes all, {', '.join(filter(None, STATES))}")
        if len(name) > MAX_NAME:
            raise NotToBeHad(f"name takes a part of a name, of {MAX_NAME} characters at most")
        if sort.removeprefix("-") not in SORTS:
            raise NotToBeHad(f"sort takes {', '.join(SORTS)}, and - before it for the other way")
        if rows not in ("", "all"):
            raise NotToBeHad("rows takes all")
        return cls(state, name.strip(), sort, rows == "all")

    def but(self, **other: Any) -> str:
        """The query for the same, except for these."""
        wanted = replace(self, **other)
        given = {
            "state": wanted.state,
            "name": wanted.name,
            "sort": "" if wanted.sort == "state" else wanted.sort,
            "rows": "all" if wanted.all else "",
        }
        return "?" + urlencode({key: value for key, value in given.items() if value})

    def sorted_by(self, column: str) -> str:
        """The query for the order of a column, or, if that is the present one, for the other way
        round."""
        return self.but(sort=f"-{column}" if self.sort == column else column)

    @property
    def healths(self) -> frozenset[Health]:
        """What `state` stands for."""
        return STATES[self.state]

    def takes(self, row: Row) -> bool:
        """Whether this PBX has such a name."""
        return self.name.lower() in row.name.lower()


@dataclass(frozen=True, slots=True)
class Selection:
    """Those that are shown, and how many there are."""

    rows: Sequence[Row]
    found: int
    """How many there are of what is wanted."""
    watched: int
    up: int
    failing: int
    """Of `up`."""
    down: int
    starting: int
    by_state: Mapping[str, int]
    """How many have such a name, by `state`."""

    @property
    def summary(self) -> str:
        """The fleet in a few words, for head and tab."""
        failing = f" ({self.failing} failing)" if self.failing else ""
        starting = f", {self.starting} starting" if self.starting else ""
        return f"{self.up} up{failing}, {self.down} down{starting}"


def select(rows: Iterable[Row], wanted: Wanted) -> Selection:
    """What is wanted of this fleet."""
    every = list(rows)
    named = [row for row in every if wanted.takes(row)]
    found = [row for row in named if row.health in wanted.healths]
    found.sort(
        key=SORTS[wanted.sort.removeprefix("-")],
        reverse=wanted.sort.startswith("-"),
    )
    return Selection(
        rows=found[: MAX_ROWS if wanted.all else ROWS],
        found=len(found),
        watched=len(every),
        up=sum(row.up for row in every),
        failing=sum(row.health is Health.FAILING for row in every),
        down=sum(row.health is Health.DOWN for row in every),
        starting=sum(row.health is Health.STARTING for row in every),
        by_state={
            state: sum(row.health in healths for row in named) for state, healths in STATES.items()
        },
    )
