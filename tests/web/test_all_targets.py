"""All targets as JSON: the same as what is made of each alone; tests/link/test_told.py has what
happens to them meanwhile."""

import asyncio
import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from exporter.ledger import Ledger
from exporter.link import Known, News, Source
from exporter.polling import Clock, Fleet, Poller, Shown
from exporter.settings import AmiSettings
from exporter.web import all_targets
from exporter.web.all_targets import CLOCK_SET, AllTargets
from exporter.web.views import TargetView, target_view
from harness.web_side import linked
from tests.ledger.test_today import FAILED, FAX

SETTINGS = AmiSettings.model_validate({"username": "u", "secret": "s"})
HOSTILE = (
    '100 %a %b "ended_seconds_ago":0.0,"last_poll_timestamp":null,"last_poll_seconds_ago":null\\'
)
"""A text that looks like what is filled in."""


class Time:
    now, wall = 5000.0, 1785496500.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.wall)


def fleet_of(*names: str, clock: Clock) -> Fleet:
    fleet = Fleet(1.0, None)
    for name in names:
        poller = fleet.pollers[name] = Poller(SETTINGS, 1.0, Ledger(), name=name, clock=clock)
        for number in range(3):
            fax = replace(FAILED if number % 2 else FAX, ended_at=1000.0 * number, file=HOSTILE)
            poller.ledger.history.add(fax)
    return fleet


async def read(targets: AllTargets) -> list[dict[str, Any]]:
    body, _ = await targets(compress=False)
    found: list[dict[str, Any]] = json.loads(body)["targets"]
    return found


def all_of(source: Source, clock: Clock, *, details: bool = True) -> AllTargets:
    return AllTargets(source, clock, details=details, lasts=0.0)


@pytest.mark.parametrize("details", [False, True])
async def test_it_is_what_each_alone_is(details: bool) -> None:
    time = Time()
    clock = time.clock()
    fleet = fleet_of(HOSTILE, "oslo", clock=clock)
    fleet.pollers["oslo"].status.up = True
    fleet.pollers["oslo"].status.last_success = time.wall - 2.5
    async with linked(fleet) as source:
        targets = all_of(source, clock, details=details)
        for _ in range(2):  # made, and made of what was kept
            views = [
                target_view(name, Shown.of(poller), clock, details=details)
                for name, poller in fleet.pollers.items()
            ]
            alone = json.loads(TypeAdapter(list[TargetView]).dump_json(views))
            assert await read(targets) == alone
            assert list((await read(targets))[0]) == list(alone[0])  # in the same order
            time.now, time.wall = time.now + 2, time.wall + 2
            fleet.pollers["oslo"].status.last_success = time.wall


async def test_what_has_not_changed_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def view(name: str, *of: Any, **more: Any) -> TargetView:
        made.append(name)
        return target_view(name, *of, **more)

    monkeypatch.setattr(all_targets, "target_view", view)
    time = Time()
    fleet = fleet_of("a", "b", "c", clock=time.clock())
    async with linked(fleet) as source:
        targets = all_of(source, time.clock())
        await targets(compress=False)
        fleet.pollers["b"].status.trouble = "refused"
        (_, refused, _) = await read(targets)
        assert refused["trouble"] == "refused"
    assert made == ["a", "b", "c", "b"]


async def test_timestamps_are_right_once_the_clock_has_been_set() -> None:
    time = Time()
    async with linked(fleet_of("fax", clock=time.clock())) as source:
        targets = all_of(source, time.clock())
        before = (await read(targets))[0]["failed"][0]
        time.wall += 2 * CLOCK_SET
        after = (await read(targets))[0]["failed"][0]
        assert after["ended_timestamp"] == before["ended_timestamp"] + 2 * CLOCK_SET
        assert after["ended_seconds_ago"] == before["ended_seconds_ago"]


async def test_what_is_compressed_is_the_same() -> None:
    clock = Time().clock()
    async with linked(fleet_of("a", "b", clock=clock)) as source:
        targets = AllTargets(source, clock, details=True, lasts=60.0)
        packed, compressed = await targets(compress=True)
        assert compressed
        assert gzip.decompress(packed) == (await targets(compress=False))[0]


async def test_of_targets_that_are_no_more_nothing_is_kept() -> None:
    clock = Time().clock()
    fleet = fleet_of("a", "b", clock=clock)
    async with linked(fleet) as source:
        targets = all_of(source, clock)
        await targets(compress=False)
        fleet.pollers = {"b": fleet.pollers["b"]}
        assert [one["name"] for one in await read(targets)] == ["b"]
        assert list(targets._kept) == ["b"]
        fleet.pollers = {}
        assert await targets(compress=False) == (b'{"targets":[]}', False)


async def test_nothing_is_kept_once_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_targets, "UNUSED_SECONDS", 0.02)
    clock = Time().clock()
    async with linked(fleet_of("fax", clock=clock)) as source:
        targets = all_of(source, clock)
        assert len(await read(targets)) == 1
        async with asyncio.timeout(10):
            while targets._kept:
                await asyncio.sleep(0.01)
        assert len(await read(targets)) == 1


async def test_what_could_not_be_made_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Time().clock()
    async with linked(fleet_of("a", "b", clock=clock)) as source:
        targets = all_of(source, clock)
        with monkeypatch.context() as broken:
            broken.setattr(all_targets, "target_view", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await targets(compress=False)
        assert [one["name"] for one in await read(targets)] == ["a", "b"]


def test_news_are_taken_whole() -> None:
    known = Known()
    assert known.take(News(3, 1, ("a",)))
    assert not known.take(News(4, 1, None))
    assert known == Known(4, 1, ("a",))
