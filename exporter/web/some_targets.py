"""Some of the targets as JSON, `/api/v1/targets` with a query: those in a state, those with such a
name, so many at a time. Nothing is kept of them; all_targets.py has all at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp.web import HTTPBadRequest, HTTPServiceUnavailable
from multidict import MultiMapping

from exporter.ledger import last_hours
from exporter.link import Source, read_pieces
from exporter.polling import Clock
from exporter.web.fleet import NotToBeHad, Wanted
from exporter.web.http import COME_AGAIN
from exporter.web.one_by_one import BUSY, OneByOne
from exporter.web.rendering import Renderings
from exporter.web.views import target_view, targets_json

MAX_LIMIT: Final = 1000
"""Targets that can be had at a time; all, or all that are like that, can be had at once too."""
MAX_WAITING: Final = 32
"""Clients that wait for an answer; one more is told to come again."""

_PARAMETERS: Final = ("state", "name", "after", "limit")


@dataclass(frozen=True, slots=True)
class Part:
    """Which of the targets are wanted, in the order of the file."""

    wanted: Wanted
    after: str | None = None
    """Behind this one."""
    limit: int | None = None

    @classmethod
    def of(cls, query: MultiMapping[str]) -> "Part | None":
        """What this query wants; None if that is all. Raises NotToBeHad."""
        given: dict[str, str] = {}
        for name in _PARAMETERS:
            values = query.getall(name, [])
            if len(values) > 1:
                raise NotToBeHad(f"takes {name} once")
            if values and values[0]:
                given[name] = values[0]
        wanted = Wanted.of({key: given[key] for key in ("state", "name") if key in given})
        part = cls(wanted, given.get("after"), _limit(given))
        return None if part == cls(Wanted()) else part


def _limit(given: Mapping[str, str]) -> int | None:
    text = given.get("limit")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise NotToBeHad(f"limit takes a number from 1 to {MAX_LIMIT}")
    return int(text)


class SomeTargets:
    """Answers one after the other: of a large fleet each answer can be as large as that of all, and
    be another one than all others."""

    def __init__(
        self, source: Source, clock: Clock, renderings: Renderings, *, details: bool
    ) -> None:
        """`clock`: that of the pollers."""
        self._source = source
        self._clock = clock
        self._renderings = renderings
        self._details = details
        self._clients = OneByOne(MAX_WAITING)

    async def __call__(
        self, query: MultiMapping[str], *, compress: bool
    ) -> tuple[bytes, bool] | None:
        """Those that the query wants, and whether they are compressed; None if that is all. Raises
        NoSuchTarget if there is none to be `after`, HTTPBadRequest, and HTTPServiceUnavailable if
        too many wait."""
        try:
            part = Part.of(query)
        except NotToBeHad as error:
            raise HTTPBadRequest(text=f"{error}\n") from None
        if part is None:
            return None
        if self._clients.full:
            raise HTTPServiceUnavailable(text=f"{BUSY}\n", headers=COME_AGAIN)
        return await self._clients(partial(self._answer, part, compress=compress))

    async def _answer(self, part: Part, *, compress: bool) -> tuple[bytes, bool]:
        wanted = part.wanted
        pieces = await self._source.some(
            wanted.healths, wanted.name, after=part.after, limit=part.limit
        )
        return await self._renderings.once(partial(self._json, pieces), compress=compress)

    def _json(self, pieces: list[bytes]) -> bytes:
        hours = last_hours(self._clock.wall())
        return targets_json(
            target_view(name, shown, self._clock, details=self._details, hours=hours)
            for name, shown in read_pieces(pieces)
        )
