"""A search for a client: no more wait than there is room for, and each is told how it went."""

import asyncio
from collections.abc import Callable

import pytest

from exporter.history import FaxPage, Query
from exporter.link import NoFaxes, NoSuchTarget
from exporter.polling import Clock
from exporter.web.search import MAX_SEARCHES, Search


class Waiting:
    """The main process, which answers when it is let."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.asked: list[Query] = []
        self.error: Exception | None = None

    async def faxes(self, query: Query) -> Callable[[], FaxPage]:
        self.asked.append(query)
        await self.goes_on.wait()
        if self.error is not None:
            raise self.error
        return lambda: FaxPage([], None, 0, there=True, in_file=False)


async def test_who_comes_when_too_many_wait_is_told_to_come_again() -> None:
    source = Waiting()
    search = Search(source, Clock())  # type: ignore[arg-type]
    waiting = [asyncio.create_task(search([])) for _ in range(MAX_SEARCHES)]
    await asyncio.sleep(0)
    refused = await search([])
    assert (refused.status, refused.read) == (503, None)
    waiting.pop().cancel()  # who goes makes room
    await asyncio.sleep(0)
    one = asyncio.create_task(search([("peer", "x")]))
    await asyncio.sleep(0)
    source.goes_on.set()
    assert {found.status for found in await asyncio.gather(*waiting, one)} == {200}
    assert source.asked[-1].peer == "x"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [(NoFaxes("so slow"), 503, "so slow"), (NoSuchTarget(), 404, "no such target")],
)
async def test_an_error_is_told(error: Exception, status: int, words: str) -> None:
    source = Waiting()
    source.error = error
    source.goes_on.set()
    found = await Search(source, Clock())([])  # type: ignore[arg-type]
    assert found.status == status
    assert words in str(found.wrong)


async def test_a_question_that_is_wrong_reaches_nobody() -> None:
    source = Waiting()
    found = await Search(source, Clock())([("result", "x")])  # type: ignore[arg-type]
    assert (found.status, found.query) == (400, Query())
    assert not source.asked
