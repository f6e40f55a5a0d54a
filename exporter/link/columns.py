"""The counts of one PBX as bytes: the keys of its tables are sent once, then only the values.

With peers told apart there can be a million keys, and to pickle them takes seconds; their values
take milliseconds. A table's keys stay as they are and where they are, and new ones come after them
(see Totals and Gauges): so a number of keys says which.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from exporter.ledger import Gauges, PeerTotals, Totals
from exporter.link.messages import packed, unpacked
from exporter.polling import Counts

KEYS_AT_ONCE: Final = 2000
"""Pickling them takes a few milliseconds, in which nothing else happens."""

MAX_SHARED: Final = 256
"""Different sets of keys that are held once for all PBXs: of each table there are a few."""

_KEYS_COME_AND_GO: Final = ("oldest_start", "oldest_progress")
"""Gauges that are sent whole: they have a key for each operation at most."""
_PARTS: Final[Mapping[str, type[Any]]] = {"totals": Totals, "gauges": Gauges, "peers": PeerTotals}
_COLUMNS: Final = [
    (part, one.name)
    for part, kind in _PARTS.items()
    for one in fields(kind)
    if one.name not in _KEYS_COME_AND_GO
]
TABLES: Final = len(_COLUMNS)
_OF_PEERS: Final = ["peers" in column for column in _COLUMNS]
"""Whether the keys of a table have names of peers in them: no two PBXs have the same, and there can
be a million."""


def _table(counts: Counts, number: int) -> Mapping[Any, Any]:
    part, name = _COLUMNS[number]
    table: Mapping[Any, Any] = getattr(getattr(counts, part), name)
    return table


def new_keys(counts: Counts, known: Sequence[int]) -> Iterator[tuple[int, list[Any]]]:
    """The keys beyond those that are known, in pieces: the number of the table, and the keys.
    The counts may change between two pieces. `known`: how many are, by table."""
    for number, have in enumerate(known):
        while len(table := _table(counts, number)) > have:
            keys = list(islice(table, have, have + KEYS_AT_ONCE))
            yield number, keys
            have += len(keys)


def values(counts: Counts) -> bytes:
    """Everything but the keys: the same bytes as long as nothing has changed."""
    whole = [getattr(counts.gauges, name) for name in _KEYS_COME_AND_GO]
    columns = [list(_table(counts, number).values()) for number in range(TABLES)]
    return packed((columns, whole, counts.status, counts.unobserved, counts.restarts))


@lru_cache(MAX_SHARED)
def _shared(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same keys, once for all PBXs that have them: there can be thousands."""
    return keys


class Columns:
    """The keys that the web process knows of a PBX's tables."""

    def __init__(self, identity: int) -> None:
        """None yet of this poller."""
        self.identity = identity
        self._keys: list[Sequence[Any]] = [[] if peers else () for peers in _OF_PEERS]

    @property
    def known(self) -> list[int]:
        """How many, by table."""
        return [len(keys) for keys in self._keys]

    def add(self, table: int, keys: list[Any]) -> None:
        """Takes further keys."""
        known = self._keys[table]
        if isinstance(known, list):
            known.extend(keys)
        else:
            self._keys[table] = _shared((*known, *keys))

    def counts(self, content: bytes) -> Counts:
        """The counts with these values. May run in any thread, while keys are added."""
        columns, whole, status, unobserved, restarts = unpacked(content)
        tables = [
            dict(zip(keys, column, strict=False))
            for keys, column in zip(self._keys, columns, strict=True)
        ]
        # Every field of theirs is set here, so none need be made with its zeros.
        parts: dict[str, Any] = {part: object.__new__(kind) for part, kind in _PARTS.items()}
        for (part, name), table in zip(_COLUMNS, tables, strict=True):
            setattr(parts[part], name, table)
        for name, table in zip(_KEYS_COME_AND_GO, whole, strict=True):
            setattr(parts["gauges"], name, table)
        return Counts(status=status, unobserved=unobserved, restarts=restarts, **parts)
