"""All targets as JSON, `/api/v1/targets`: of a large fleet tens of megabytes, most of which are the
same from look to look.

Of each target the bytes are kept, with gaps for what is another each time. They are what views.py
and pydantic make of it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pydantic import TypeAdapter

from exporter.ledger import last_hours
from exporter.link import Known, News, Source, read_pieces
from exporter.polling import Clock, Shown
from exporter.shared import Recent
from exporter.web.rendering import gzipped
from exporter.web.views import TargetView, target_view

UNUSED_SECONDS: Final = 300.0
"""After which nothing is kept, if nobody asks for it any more."""
CLOCK_SET: Final = 0.5
"""Seconds: by so much has the clock been set, where timestamps that are kept are made anew."""

_TARGET: Final = TypeAdapter(TargetView)
_POLLED: Final = b'"last_poll_timestamp":null,"last_poll_seconds_ago":null'
_ENDED: Final = b'"ended_seconds_ago":0.0'
# As keys they stand nowhere else: within a text there is a backslash before each quote.


@dataclass(frozen=True, slots=True)
class _Kept:
    """One target."""

    form: bytes
    """With gaps for what is another each time."""
    ended_at: tuple[float, ...]
    """When each of its faxes ended, in the order of the form; seconds, monotonic."""


class AllTargets:
    """What of each target was made before."""

    def __init__(self, source: Source, clock: Clock, *, details: bool, lasts: float) -> None:
        """`clock`: that of the pollers. `lasts`: for how many seconds a response is good for all
        who ask."""
        self._source = source
        self._clock = clock
        self._details = details
        self._plain = Recent(self._make, lasts)
        self._compressed = Recent(self._compress, lasts)
        self._known = Known()
        self._kept: dict[str, _Kept] = {}
        self._epoch = 0.0
        """Of the monotonic clock, seconds since 1970, by which all that is kept was made."""
        self._unused: asyncio.TimerHandle | None = None

    async def __call__(self, *, compress: bool) -> tuple[bytes, bool]:
        """All targets, in the order of the file, and whether it is compressed. It is kept for as
        long as it is good for others, and no longer."""
        return await (self._compressed() if compress else self._plain()), compress

    async def _compress(self) -> bytes:
        body = await self._plain()
        return await asyncio.get_running_loop().run_in_executor(None, gzipped, body)

    async def _make(self) -> bytes:
        wall, monotonic = self._clock.wall(), self._clock.monotonic()
        if abs(wall - monotonic - self._epoch) > CLOCK_SET:
            self._forget()
            self._epoch = wall - monotonic
        news, pieces = await self._source.targets(self._known)
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(None, partial(self._render, news, pieces))
        if self._unused is not None:
            self._unused.cancel()
        self._unused = loop.call_later(UNUSED_SECONDS, self._forget_unused)
        return body

    def _forget_unused(self) -> None:
        if self._plain.idle:  # else somebody asks, and it is called again after that
            self._forget()

    def _forget(self) -> None:
        self._known, self._kept = Known(), {}

    def _render(self, news: News, pieces: list[bytes]) -> bytes:
        hours = last_hours(self._clock.wall())
        for name, shown in read_pieces(pieces):
            self._kept[name] = self._form(name, shown, hours)
        if self._known.take(news):
            self._kept = {name: self._kept[name] for name in self._known.names}
        wall, monotonic = self._clock.wall(), self._clock.monotonic()
        each = (
            _filled(self._kept[name], polled, wall, monotonic)
            for name, polled in zip(self._known.names, news.polled, strict=True)
        )
        return b'{"targets":[' + b",".join(each) + b"]}"

    def _form(self, name: str, shown: Shown, hours: Sequence[float]) -> _Kept:
        monotonic = self._clock.monotonic()
        view = target_view(name, shown, self._clock, details=self._details, hours=hours)
        view = replace(view, last_poll_timestamp=None, last_poll_seconds_ago=None)
        ended_at = []
        for fax in (*view.failed, *view.others):
            ended_at.append(monotonic - fax.ended_seconds_ago)
            fax.ended_seconds_ago = 0.0
        form = _TARGET.dump_json(view).replace(b"%", b"%%")
        form = form.replace(_POLLED, b'"last_poll_timestamp":%b,"last_poll_seconds_ago":%b')
        return _Kept(form.replace(_ENDED, b'"ended_seconds_ago":%.3f'), tuple(ended_at))


def _filled(kept: _Kept, polled: float | None, wall: float, monotonic: float) -> bytes:
    ago = None if polled is None else max(0.0, wall - polled)
    ages = [monotonic - at for at in kept.ended_at]
    return kept.form % (_number(polled), _number(ago), *ages)


def _number(value: float | None) -> bytes:
    return b"null" if value is None else b"%a" % value
