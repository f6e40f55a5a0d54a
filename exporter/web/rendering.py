"""What is served as bytes, made once for all who want the same; what is large, in a thread.

A response that is asked for again while nothing has changed is the same bytes object.
"""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

MAX_KEPT: Final = 16 * 1024 * 1024
"""Bytes of responses that are kept; but always the last one, however large."""
WORKERS: Final = 2
"""Threads: what is large does not hold up all that is small."""
SAME_SECONDS: Final = 60.0
"""For so long what shows the time it is of need not be made again for those who know the rest."""
_LEVEL: Final = 3
"""Of compression: 4 takes half as long again and 5 twice as long, for 4 and 8 percent."""
_LEAST: Final = 1024
"""Bytes that are worth compressing."""


@dataclass(slots=True)
class _Kept:
    version: object
    until: float
    body: "asyncio.Future[bytes]"
    compressed: "asyncio.Future[bytes] | None" = None
    tag: str | None = None
    size: int = 0
    """Bytes of both."""
    waiting: int = 0
    """Clients that wait for one of them."""


@dataclass(slots=True)
class _KeptSmall:
    version: object
    body: bytes
    compressed: bool

    @property
    def size(self) -> int:
        return len(self.body)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A response with its entity tag."""

    tag: str
    body: bytes | None
    """None if who asks has it."""
    compressed: bool = False


class Renderings:
    """The last responses by their key, such as the path and the format."""

    def __init__(self) -> None:
        """Nothing is rendered yet."""
        self._kept: OrderedDict[Hashable, _Kept | _KeptSmall] = OrderedDict()
        self._size = 0
        """Bytes of all that are kept and done."""
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="rendering")

    async def get(
        self,
        key: Hashable,
        version: object,
        render: Callable[[], bytes],
        *,
        compress: bool,
        lasts: float = float("inf"),
    ) -> tuple[bytes, bool]:
        """What was rendered for this key and version less than `lasts` seconds ago, or what
        `render` returns now, in a thread. And whether it is compressed."""
        return await self._taken(key, self._recent(key, version, render, lasts), compress)

    def small(
        self, key: Hashable, version: object, render: Callable[[], bytes], *, compress: bool
    ) -> tuple[bytes, bool]:
        """What was rendered for this key and version, or what `render` returns now: at once, in the
        event loop, for what takes less time than threads do. And whether it is compressed. Nothing
        else is kept of it."""
        key = key, compress
        kept = self._kept.get(key)
        if not isinstance(kept, _KeptSmall) or kept.version != version:
            body = render()
            compressed = compress and len(body) >= _LEAST
            kept = _KeptSmall(version, gzipped(body) if compressed else body, compressed)
            self._keep(key, kept)
            self._forget()
        self._kept.move_to_end(key)
        return kept.body, kept.compressed

    async def get_tagged(
        self,
        key: Hashable,
        version: object,
        render: Callable[[], bytes],
        *,
        tag: Callable[[bytes], str],
        known: Collection[str],
        compress: bool,
        lasts: float,
    ) -> Tagged:
        """The same, with what `tag` makes of the body, which may leave out what changes by itself.
        `known`: the tags of what the client has."""
        kept = self._kept.get(key)
        if (
            isinstance(kept, _Kept)
            and kept.version == version
            and kept.tag is not None
            and kept.tag in known
            and asyncio.get_running_loop().time() < kept.until + SAME_SECONDS
        ):
            self._kept.move_to_end(key)
            return Tagged(kept.tag, None)
        kept = self._recent(key, version, render, lasts)
        body = await _made(kept, kept.body)
        if kept.tag is None:
            kept.tag = tag(body)
        if kept.tag in known:
            return Tagged(kept.tag, None)
        return Tagged(kept.tag, *await self._taken(key, kept, compress))

    def _recent(
        self, key: Hashable, version: object, render: Callable[[], bytes], lasts: float
    ) -> _Kept:
        loop = asyncio.get_running_loop()
        kept = self._kept.get(key)
        if (
            not isinstance(kept, _Kept)
            or kept.version != version
            or loop.time() >= kept.until
            or _failed(kept.body)
        ):
            kept = _Kept(version, loop.time() + lasts, loop.run_in_executor(self._threads, render))
            self._keep(key, kept)
            kept.body.add_done_callback(partial(self._done, key, kept))
        self._kept.move_to_end(key)
        return kept

    async def _taken(self, key: Hashable, kept: _Kept, compress: bool) -> tuple[bytes, bool]:
        body = await _made(kept, kept.body)
        if not compress or len(body) < _LEAST:
            return body, False
        if kept.compressed is None or _failed(kept.compressed):
            loop = asyncio.get_running_loop()
            kept.compressed = loop.run_in_executor(self._threads, gzipped, body)
            kept.compressed.add_done_callback(partial(self._done, key, kept))
        return await _made(kept, kept.compressed), True

    async def once(self, render: Callable[[], bytes], *, compress: bool) -> tuple[bytes, bool]:
        """What `render` returns, in a thread, and whether it is compressed. It is not kept: of what
        each client asks for in another way there is no end."""
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._threads, render)
        if not compress or len(body) < _LEAST:
            return body, False
        return await loop.run_in_executor(self._threads, gzipped, body), True

    def _keep(self, key: Hashable, kept: _Kept | _KeptSmall) -> None:
        if (before := self._kept.get(key)) is not None:
            self._size -= before.size
        self._kept[key] = kept
        self._size += kept.size

    def _done(self, key: Hashable, kept: _Kept, made: "asyncio.Future[bytes]") -> None:
        """A body of this, plain or compressed, is made, or has failed."""
        failed = _failed(made)
        if self._kept.get(key) is not kept:
            return
        if not failed:
            kept.size += len(made.result())
            self._size += len(made.result())
            self._forget()
        elif made is kept.body:
            del self._kept[key]

    def _forget(self) -> None:
        """Forgets the longest unused, if there are too many."""
        while self._size > MAX_KEPT and len(self._kept) > 1:
            self._size -= self._kept.popitem(last=False)[1].size

    def close(self) -> None:
        """Begins nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def gzipped(body: bytes) -> bytes:
    """As it is sent to who takes gzip."""
    return gzip.compress(body, _LEVEL, mtime=0)


async def _made(kept: _Kept, body: "asyncio.Future[bytes]") -> bytes:
    """This body, plain or compressed, once it is made. Who is cancelled leaves it to the others who
    wait; if there are none, and it has not begun to be made, it never is: else clients that do not
    wait would have any number made."""
    kept.waiting += 1
    try:
        return await asyncio.shield(body)
    finally:
        kept.waiting -= 1
        if not kept.waiting:
            body.cancel()  # of one that is made nothing is changed


def _failed(body: "asyncio.Future[bytes]") -> bool:
    return body.done() and (body.cancelled() or body.exception() is not None)
