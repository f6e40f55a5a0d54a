"""A part of the targets as JSON: which, by the query, in which order, and what is no query."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.web import HTTPBadRequest, HTTPServiceUnavailable
from multidict import MultiDict

from exporter.ledger import Ledger
from exporter.link import NoSuchTarget, Source
from exporter.polling import Clock, Fleet, Poller
from exporter.settings import AmiSettings
from exporter.web import some_targets
from exporter.web.all_targets import AllTargets
from exporter.web.rendering import Renderings
from exporter.web.some_targets import MAX_LIMIT, MAX_WAITING, SomeTargets
from harness.web_side import linked
from tests.ledger.test_today import FAILED
from tests.polling.test_health import STATS

SETTINGS = AmiSettings.model_validate({"username": "u", "secret": "s"})
CLOCK = Clock(lambda: 100.0, lambda: 1785496500.0)
NAMES = ("berlin", "paris", "Berlin-2", "oslo", "rome", "london")


def poller(name: str) -> Poller:
    one = Poller(SETTINGS, 1.0, Ledger(), name=name, clock=CLOCK)
    status = one.status
    status.up = status.answered = status.sessions_listed = name not in ("paris", "oslo")
    status.stats = None if name == "rome" else STATS  # which is incomplete
    status.trouble = "refused" if name == "paris" else ""
    for _ in range(5 if name == "Berlin-2" else 0):
        one.ledger.history.add(FAILED)
    return one


@asynccontextmanager
async def source_of(*names: str) -> AsyncIterator[Source]:
    fleet = Fleet(1.0, None)
    fleet.pollers = {name: poller(name) for name in names}
    async with linked(fleet) as source:
        yield source


@asynccontextmanager
async def asking() -> AsyncIterator[SomeTargets]:
    async with source_of(*NAMES) as source:
        yield SomeTargets(source, CLOCK, Renderings(), details=True)


async def read(some: SomeTargets, **query: str) -> list[dict[str, Any]]:
    answer = await some(MultiDict(query), compress=False)
    assert answer is not None
    found: list[dict[str, Any]] = json.loads(answer[0])["targets"]
    return found


async def names_of(some: SomeTargets, **query: str) -> list[str]:
    return [target["name"] for target in await read(some, **query)]


async def test_they_are_found_by_state_and_by_a_part_of_the_name_in_the_order_of_the_file() -> None:
    async with asking() as some:
        assert await names_of(some, state="unhealthy") == ["paris", "Berlin-2", "rome"]
        for health, name in {
            "failing": "Berlin-2",
            "down": "paris",
            "starting": "oslo",
            "incomplete": "rome",
        }.items():
            assert await names_of(some, state=health) == [name]
        assert await names_of(some, name="BERLIN") == ["berlin", "Berlin-2"]
        assert await names_of(some, name="berlin", state="ok") == ["berlin"]
        assert await names_of(some, name="nobody") == []


@pytest.mark.parametrize("limit", range(1, 8))
async def test_all_can_be_had_one_part_after_the_other(limit: int) -> None:
    async with asking() as some:
        found: list[str] = []
        while True:
            more = {"after": found[-1]} if found else {}
            part = await names_of(some, limit=str(limit), **more)
            found += part
            if len(part) < limit:
                break
        assert found == list(NAMES)
        assert await names_of(some, state="unhealthy", after="paris", limit="1") == ["Berlin-2"]


async def test_they_are_told_as_among_all() -> None:
    async with source_of(*NAMES) as source:
        some = SomeTargets(source, CLOCK, Renderings(), details=False)
        body, _ = await AllTargets(source, CLOCK, details=False, lasts=0.0)(compress=False)
        assert await read(some, limit=str(MAX_LIMIT)) == json.loads(body)["targets"]


@pytest.mark.parametrize(
    "query",
    [{}, {"state": ""}, {"limit": "", "after": ""}, {"cb": "1"}, {"state": "all"}, {"name": " "}],
)
async def test_what_wants_all_of_them_is_all(query: dict[str, str]) -> None:
    async with asking() as some:
        assert await some(MultiDict(query), compress=False) is None


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ([("state", "up")], "state takes"),
        ([("name", "x" * 101)], "name takes"),
        ([("limit", "0")], "limit takes"),
        ([("limit", "1001")], "limit takes"),
        ([("limit", "-1")], "limit takes"),
        ([("limit", "\u0661")], "limit takes"),
        ([("limit", "1"), ("limit", "2")], "takes limit once"),
        ([("after", "berlin"), ("after", "")], "takes after once"),
    ],
)
async def test_what_is_no_query_is_told(query: list[tuple[str, str]], why: str) -> None:
    async with asking() as some:
        with pytest.raises(HTTPBadRequest) as refused:
            await some(MultiDict(query), compress=False)
        assert (refused.value.text or "").startswith(why)


@pytest.mark.parametrize("name", ["nobody", "x" * 100_000])
async def test_behind_one_that_there_is_not_there_is_nothing(name: str) -> None:
    async with asking() as some:
        with pytest.raises(NoSuchTarget):
            await some(MultiDict({"after": name}), compress=False)


async def test_more_than_a_few_who_wait_are_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(some_targets, "MAX_WAITING", 3)
    async with asking() as some:
        asked = [some(MultiDict({"state": "down"}), compress=False) for _ in range(5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one for one in answers if isinstance(one, HTTPServiceUnavailable)]
        assert len(refused) == 2
        assert refused[0].headers["Retry-After"] == "5"
        assert await names_of(some, state="down") == ["paris"]


async def test_of_those_who_do_not_wait_for_their_answers_one_is_asked_for_at_a_time() -> None:
    begun, goes_on = 0, asyncio.Event()

    class Slow:
        async def some(self, *_: object, **__: object) -> list[bytes]:
            nonlocal begun
            begun += 1
            await goes_on.wait()
            return []

    some = SomeTargets(Slow(), CLOCK, Renderings(), details=True)  # type: ignore[arg-type]
    query = MultiDict({"state": "down"})
    clients = set[asyncio.Task[object]]()
    for _ in range(MAX_WAITING):
        client: asyncio.Task[object] = asyncio.create_task(some(query, compress=False))
        clients.add(client)
        await asyncio.sleep(0)
        client.cancel()
    goes_on.set()
    await asyncio.wait(clients)
    assert begun == 1
    assert await names_of(some, state="down") == []


async def test_as_long_as_what_was_found_is_written_nothing_more_is_looked_up() -> None:
    under_way = most = 0

    class Counting(Renderings):
        async def once(self, render: Callable[[], bytes], *, compress: bool) -> tuple[bytes, bool]:
            nonlocal under_way
            await asyncio.sleep(0.01)
            under_way -= 1
            return await super().once(render, compress=compress)

    async with source_of(*NAMES) as source:

        class Noting:
            async def some(self, *of: Any, **more: Any) -> list[bytes]:
                nonlocal under_way, most
                under_way += 1
                most = max(most, under_way)
                return await source.some(*of, **more)

        some = SomeTargets(Noting(), CLOCK, Counting(), details=True)  # type: ignore[arg-type]
        await asyncio.gather(*(names_of(some, name="o") for _ in range(5)))
    assert most == 1
