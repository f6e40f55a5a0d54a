"""A search of the history for who asks by a URL: how many may wait for one, and what is said where
there is no answer.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from exporter.history import FaxPage, Query
from exporter.link import NoFaxes, NoSuchTarget, Source
from exporter.polling import Clock
from exporter.web.fax_query import BadQuery, read_query
from exporter.web.one_by_one import BUSY, OneByOne

MAX_SEARCHES: Final = 32
"""Clients that wait for an answer; one more is told to come again."""


@dataclass(frozen=True, slots=True)
class Found:
    """How a search went."""

    query: Query
    """What was asked for; all faxes, where that cannot be understood."""
    read: Callable[[], FaxPage] | None = None
    """What was found, to be read in any thread; None if nothing can be."""
    status: int = 200
    """Of HTTP: 400, 404 or 503 where there is no answer."""
    wrong: str | None = None
    """Why there is none."""


class Search:
    """All searches of one web process."""

    def __init__(self, source: Source, clock: Clock) -> None:
        """Nobody waits."""
        self._source = source
        self._clock = clock
        self._clients = OneByOne(MAX_SEARCHES)

    async def __call__(self, parameters: Iterable[tuple[str, str]]) -> Found:
        """Looks for what the parameters of a URL ask for."""
        try:
            query = read_query(parameters, self._clock.wall())
        except BadQuery as error:
            return Found(Query(), None, 400, str(error))
        if self._clients.full:
            return Found(query, None, 503, BUSY)
        try:
            return Found(query, await self._clients(partial(self._source.faxes, query)))
        except NoFaxes as error:
            return Found(query, None, 503, str(error))
        except NoSuchTarget:
            # Names no other target; whoever may see them finds them at /sd.
            nobody = "no such target, now or in the history; /sd lists those of this exporter"
            return Found(query, None, 404, nobody)
