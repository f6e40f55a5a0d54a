"""Several Asterisks, each watched on its own; what comes and goes does not disturb the others."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

import pytest
from pydantic import SecretStr

from exporter import descriptors
from exporter.fax import Operation
from exporter.ledger import Earlier, EndedFax
from exporter.polling import Clock, Failure, Fleet, Poller
from exporter.polling.troubles import FIRST_TRY
from exporter.settings import AmiSettings
from harness.pbx import FaultyPbx
from harness.virtual_time import clock, in_virtual_time, until, wall
from harness.watching import SECRET, begin, settings_for, watched
from tests.ledger.test_today import FAX


@contextlib.asynccontextmanager
async def pbxs(count: int) -> AsyncIterator[list[FaultyPbx]]:
    started = [FaultyPbx(secret=SECRET, clock=wall) for _ in range(count)]
    for pbx in started:
        await pbx.start()
    try:
        yield started
    finally:
        for pbx in started:
            await pbx.stop()


@contextlib.asynccontextmanager
async def fleet_of(
    targets: dict[str, AmiSettings], tell: Callable[[str, EndedFax], None] | None = None
) -> AsyncIterator[Fleet]:
    fleet = Fleet(1.0, None, tell=tell, clock=clock())
    await fleet.watch(targets)
    try:
        yield fleet
    finally:
        await fleet.close()


def named(started: list[FaultyPbx]) -> dict[str, AmiSettings]:
    return {f"pbx-{number}": settings_for(pbx) for number, pbx in enumerate(started)}


def fields(line: logging.LogRecord) -> Mapping[str, str]:
    found: Mapping[str, str] = line.__dict__["fields"]
    return found


def pages(poller: Poller) -> int:
    return sum(poller.ledger.totals.pages.values())


@in_virtual_time
async def test_each_target_has_the_counters_of_its_own_pbx() -> None:
    async with pbxs(3) as started, fleet_of(named(started)) as fleet:
        await until(lambda: not fleet.stale)
        for count, pbx in enumerate(started):
            for _ in range(count):
                begin(pbx).finish_page()
        await asyncio.sleep(3)
        assert [pages(poller) for poller in fleet.pollers.values()] == [0, 1, 2]


@in_virtual_time
async def test_who_is_unchanged_is_not_disturbed_by_who_comes_and_goes() -> None:
    async with pbxs(3) as started, fleet_of(named(started[:2])) as fleet:
        await until(lambda: not fleet.stale)
        begin(started[0]).finish_page()
        await until(lambda: pages(fleet.pollers["pbx-0"]) == 1)
        for targets in (started, started[:1], [started[0], started[2]], started[:2]):
            await fleet.watch(named(targets))
            await until(lambda: not fleet.stale)
            assert list(fleet.pollers) == list(named(targets))
        first = fleet.pollers["pbx-0"]
        assert first.status.connects == 1
        assert pages(first) == 1
        assert len(started[0].connections) == 1


@in_virtual_time
async def test_while_many_come_the_others_have_their_turn_after_each() -> None:
    async with pbxs(1) as (pbx,), fleet_of({}) as fleet:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        work = asyncio.create_task(others())
        await fleet.watch({f"pbx-{number}": settings_for(pbx) for number in range(100)})
        work.cancel()
        assert turns >= 99


@in_virtual_time
async def test_who_is_about_to_be_watched_is_not_ready_from_the_first_moment_on() -> None:
    async with pbxs(1) as (pbx,):
        fleet = Fleet(1.0, None, clock=clock())
        names = [f"pbx-{number}" for number in range(100)]
        begun = asyncio.create_task(fleet.watch({name: settings_for(pbx) for name in names}))
        while not begun.done():
            await asyncio.sleep(0)
            assert list(fleet.pollers) == names
            assert fleet.stale  # the first may be polled already
        await fleet.close()


@in_virtual_time
async def test_of_two_reloads_at_once_the_later_holds_and_nothing_is_left_of_the_other() -> None:
    async with pbxs(3) as started:
        fleet = Fleet(1.0, None, clock=clock())
        await asyncio.gather(fleet.watch(named(started)), fleet.watch(named(started[:2])))
        await until(lambda: not fleet.stale)
        assert list(fleet.pollers) == ["pbx-0", "pbx-1"]
        assert [len(pbx.connections) for pbx in started[:2]] == [1, 1]
        await fleet.close()
        assert len(asyncio.all_tasks()) == 1 + sum(len(pbx._tasks) for pbx in started)


@in_virtual_time
async def test_who_is_gone_is_asked_no_more() -> None:
    async with pbxs(2) as started, fleet_of(named(started)) as fleet:
        await until(lambda: not fleet.stale)
        await fleet.watch(named(started[:1]))
        begin(started[1])
        await asyncio.sleep(5)
        assert not started[1].queries
        assert len(started[1].connections) == 1


@in_virtual_time
async def test_a_new_secret_connects_anew_and_keeps_the_counters() -> None:
    async with pbxs(1) as (pbx,), fleet_of(named([pbx])) as fleet:
        await until(lambda: not fleet.stale)
        session = begin(pbx)
        session.finish_page()
        poller = fleet.pollers["pbx-0"]
        await until(lambda: pages(poller) == 1)
        pbx.secret = "changed"
        await fleet.watch({"pbx-0": settings_for(pbx, secret=SecretStr("changed"))})
        assert fleet.stale == ["pbx-0"]
        await until(lambda: not fleet.stale)
        session.finish_page()
        await until(lambda: pages(fleet.pollers["pbx-0"]) == 2)
        assert fleet.pollers["pbx-0"].status.connects == 2
        assert len(pbx.connections) == 2


@in_virtual_time
async def test_a_second_wrong_secret_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    async with pbxs(1) as (pbx,), fleet_of(named([pbx])) as fleet:
        await until(lambda: not fleet.stale)
        for count, wrong in enumerate(("one", "two"), 1):
            await fleet.watch({"pbx-0": settings_for(pbx, secret=SecretStr(wrong))})
            await until(lambda: len(pbx.failed_logins) == count)  # noqa: B023
            await asyncio.sleep(1)
        assert [fields(line)["target"] for line in caplog.records] == ["pbx-0"] * 2


@in_virtual_time
async def test_each_line_names_its_target_in_a_field_and_not_in_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "exporter")
    async with pbxs(2) as started, fleet_of(named(started)) as fleet:
        await until(lambda: not fleet.stale)
        started[0].begin("receive", "PJSIP/a-00000001")
        await asyncio.sleep(2)  # it is Initialized, and not asked about
        started[1].secret = "changed"
        started[1].drop_connections()
        await until(lambda: fleet.pollers["pbx-1"].status.failures[Failure.LOGIN] == 1)
    about: dict[str, list[str]] = {name: [] for name in fleet.pollers}
    first, *lines = caplog.records
    assert first.getMessage() == "2 targets: 2 added, 0 removed, 0 changed"
    for line in lines:
        about[fields(line)["target"]].append(line.getMessage())
    assert not [words for told in about.values() for words in told if "pbx-" in words]
    assert any("not asked about" in words for words in about["pbx-0"])
    refused = about["pbx-1"][-1]
    assert refused.startswith(f"127.0.0.1:{started[1].port} refuses user")


@in_virtual_time
async def test_who_has_no_name_is_named_by_its_address_and_that_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched(start=False) as (pbx, poller):
        await until(lambda: poller.status.failures[Failure.CONNECT] == 1)
        pbx.secret = "changed"
        pbx.accept_connections()
        await until(lambda: poller.status.failures[Failure.LOGIN] == 1)
    address = f"127.0.0.1:{pbx.port}"
    assert [fields(line)["target"] for line in caplog.records] == [address] * 2
    unreached, refused = (line.getMessage() for line in caplog.records)
    assert unreached.startswith("refused: nothing listens on this port")
    assert refused.startswith(f"{address} refuses user")
    assert refused.count(address) == 1


@in_virtual_time
async def test_of_one_target_the_singular_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    async with pbxs(1) as started, fleet_of(named(started)) as fleet:
        await until(lambda: not fleet.stale)
        assert caplog.messages[0] == "1 target: 1 added, 0 removed, 0 changed"


@in_virtual_time
async def test_closing_ends_also_what_a_reload_under_way_begins() -> None:
    async with pbxs(3) as started:
        fleet = Fleet(1.0, None, clock=clock())
        await fleet.watch(named(started))
        changed = {n: settings_for(pbx, timeout=3.0) for n, pbx in zip("abc", started, strict=True)}
        await asyncio.gather(fleet.watch(changed), fleet.close())
        await fleet.close()
        assert len(asyncio.all_tasks()) == 1 + sum(len(pbx._tasks) for pbx in started)


@in_virtual_time
async def test_a_pbx_that_hangs_is_fresh_no_longer_than_a_poll_may_take() -> None:
    async with pbxs(1) as (pbx,), fleet_of({"a": settings_for(pbx, timeout=30.0)}) as fleet:
        await until(lambda: not fleet.stale)
        pbx.mute = True
        await asyncio.sleep(25)
        assert fleet.pollers["a"].status.failures[Failure.TIMEOUT] == 0
        assert fleet.stale == []
        fleet.pollers["a"].clock = Clock(clock().monotonic, lambda: wall() + 10)
        assert fleet.stale == ["a"]


@in_virtual_time
async def test_another_pbx_under_the_same_name_has_counters_of_its_own() -> None:
    async with pbxs(2) as started, fleet_of({"fax": settings_for(started[0])}) as fleet:
        await until(lambda: not fleet.stale)
        begin(started[0]).finish_page()
        await until(lambda: pages(fleet.pollers["fax"]) == 1)
        await fleet.watch({"fax": settings_for(started[1])})
        await until(lambda: not fleet.stale)
        assert pages(fleet.pollers["fax"]) == 0
        assert fleet.pollers["fax"].ledger.totals.started[Operation.RECEIVE] == 0


def garbage(_: str, answer: bytes) -> bytes:
    return b"\xff\x00" * 1000 + b"\r\n\r\n" + answer[::-1]


@pytest.mark.slow
@in_virtual_time
async def test_who_hangs_floods_or_is_wrong_delays_nobody() -> None:
    async with pbxs(6) as started, fleet_of(named(started)) as fleet:
        await until(lambda: not fleet.stale)
        silent, slow, flooding, wrong, refusing, _ = started
        silent.mute = True
        slow.delay["FAXSessions"] = 4.0
        wrong.rewrite = garbage
        refusing.secret = "changed"
        refusing.drop_connections()
        event = b"Event: Newchannel\r\nChannel: x\r\n\r\n" * 500

        async def flood() -> None:
            while True:
                flooding.inject(event)
                await asyncio.sleep(0.01)

        work = asyncio.create_task(flood())
        before = {name: poller.status.polls for name, poller in fleet.pollers.items()}
        await asyncio.sleep(60)
        work.cancel()
        made = {name: p.status.polls - before[name] for name, p in fleet.pollers.items()}
        assert abs(made["pbx-5"] - 60) <= 1
        assert abs(made["pbx-2"] - 60) <= 1
        assert set(fleet.stale) >= {"pbx-0", "pbx-4"}
        assert not {"pbx-2", "pbx-5"} & set(fleet.stale)


@in_virtual_time
async def test_polls_are_spread_over_the_interval_by_name_and_stay_where_they_are() -> None:
    async with pbxs(1) as (pbx,):
        names = {f"pbx-{number}": settings_for(pbx) for number in range(20)}
        async with fleet_of(names) as fleet:
            await until(lambda: not fleet.stale)

            async def moments() -> dict[str, float]:
                last = {n: p.status.last_success for n, p in fleet.pollers.items()}
                await until(
                    lambda: all(p.status.last_success != last[n] for n, p in fleet.pollers.items())
                )
                return {n: (p.status.last_success or 0) % 1 for n, p in fleet.pollers.items()}

            await moments()
            first, second = await moments(), await moments()
        assert first == pytest.approx(second, abs=0.01)
        tenths = {int(moment * 10) for moment in first.values()}
        assert len(tenths) >= 6


@in_virtual_time
async def test_a_target_is_fresh_only_while_its_polls_succeed() -> None:
    async with pbxs(2) as started, fleet_of(named(started)) as fleet:
        assert fleet.stale == ["pbx-0", "pbx-1"]
        await until(lambda: not fleet.stale)
        started[1].mute = True
        await until(lambda: fleet.stale == ["pbx-1"], 20)
        started[1].mute = False
        await until(lambda: not fleet.stale, 60)


@in_virtual_time
async def test_each_fax_is_told_with_its_target() -> None:
    told: list[tuple[str, int]] = []
    async with (
        pbxs(2) as started,
        fleet_of(named(started), lambda *one: told.append((one[0], one[1].counted_pages))) as fleet,
    ):
        await until(lambda: not fleet.stale)
        for count, pbx in enumerate(started, 1):
            fax = begin(pbx)
            await asyncio.sleep(2)
            for _ in range(count):
                fax.finish_page()
            pbx.end(fax)
        await until(lambda: len(told) == 2)
    assert told == [("pbx-0", 1), ("pbx-1", 2)]


@in_virtual_time
async def test_what_an_exporter_before_was_told_of_a_target_is_of_its_day() -> None:
    now = wall()
    before = {"pbx-1": Earlier([replace(FAX, ended=now)], since=now - 60)}
    async with pbxs(2) as started:
        fleet = Fleet(1.0, None, earlier=before.get, clock=clock())
        await fleet.watch(named(started))
        days = [poller.ledger.today.day(now) for poller in fleet.pollers.values()]
        assert [(day.figures.faxes, day.since) for day in days] == [(0, now), (1, now - 60)]
        await fleet.close()


@in_virtual_time
async def test_what_still_waits_for_its_event_is_told_when_its_target_goes() -> None:
    told: list[str] = []
    async with pbxs(4) as started:
        targets = named(started[:3])
        async with fleet_of(targets, lambda name, fax: told.append(name)) as fleet:
            await until(lambda: not fleet.stale)
            faxes = [begin(pbx) for pbx in started[:3]]
            await asyncio.sleep(2)
            for pbx, fax in zip(started, faxes, strict=False):
                pbx.end(fax, announce=False)
            await asyncio.sleep(2)
            assert not told
            # One is gone, and one has another PBX under its name.
            await fleet.watch({"pbx-0": targets["pbx-0"], "pbx-1": settings_for(started[3])})
            assert sorted(told) == ["pbx-1", "pbx-2"]
            again = targets["pbx-0"].model_copy(update={"timeout": 4.0})
            await fleet.watch({"pbx-0": again})  # it keeps its counters, and waits on
            await until(lambda: not fleet.stale)
            assert sorted(told) == ["pbx-1", "pbx-2"]
    assert sorted(told) == ["pbx-0", "pbx-1", "pbx-2"]


@in_virtual_time
async def test_what_still_waits_is_told_also_if_all_ends_while_targets_go() -> None:
    told: list[str] = []
    async with (
        pbxs(5) as started,
        fleet_of(named(started), lambda name, fax: told.append(name)) as fleet,
    ):
        await until(lambda: not fleet.stale)
        faxes = [begin(pbx) for pbx in started]
        await asyncio.sleep(2)
        for pbx, fax in zip(started, faxes, strict=True):
            pbx.end(fax, announce=False)
        await asyncio.sleep(2)
        watching = asyncio.create_task(fleet.watch({}))
        while fleet.pollers:
            await asyncio.sleep(0)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        assert len(told) < 5
    assert sorted(told) == [f"pbx-{number}" for number in range(5)]


@in_virtual_time
async def test_who_is_changed_is_polled_until_his_own_connection_can_begin() -> None:
    """However many are changed with him: at each moment one of them is without at most."""
    async with pbxs(1) as (pbx,):
        before = {f"pbx-{number}": settings_for(pbx) for number in range(50)}
        async with fleet_of(before) as fleet:
            await until(lambda: not fleet.stale)
            changed = {
                name: settings.model_copy(update={"timeout": 4.0})
                for name, settings in before.items()
            }
            watching = asyncio.create_task(fleet.watch(changed))
            while not watching.done():
                running = sum(task.get_name() in before for task in asyncio.all_tasks())
                assert running >= len(before) - 1
                await asyncio.sleep(0)
            assert {poller.settings.timeout for poller in fleet.pollers.values()} == {4.0}


@in_virtual_time
async def test_another_asterisk_takes_the_place_of_one_only_once_that_is_left() -> None:
    async with pbxs(2) as started, fleet_of({"a": settings_for(started[0])}) as fleet:
        await until(lambda: not fleet.stale)
        begin(started[0]).finish_page()
        await until(lambda: pages(fleet.pollers["a"]) == 1)
        old = fleet.pollers["a"]
        watching = asyncio.create_task(fleet.watch({"a": settings_for(started[1])}))
        while fleet.pollers["a"] is old:
            assert not watching.done()
            await asyncio.sleep(0)
        assert not old.status.connected
        await watching
        await until(lambda: not fleet.stale)
        assert pages(fleet.pollers["a"]) == 0
        assert len(started[1].connections) == 1


@in_virtual_time
async def test_who_is_cancelled_while_he_changes_the_targets_does_not_go_on() -> None:
    async with pbxs(1) as (pbx,), fleet_of({"a": settings_for(pbx)}) as fleet:
        await until(lambda: not fleet.stale)
        change = {f"pbx-{number}": settings_for(pbx) for number in range(50)}
        watching = asyncio.create_task(fleet.watch(change))
        while "a" in fleet.pollers:
            await asyncio.sleep(0)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        assert len(fleet._tasks) < 50
        await fleet.watch(change)  # what was not begun is begun by the next one
        await until(lambda: not fleet.stale)
        assert list(fleet.pollers) == list(change)


@in_virtual_time
async def test_targets_beyond_the_limit_of_open_files_are_not_tried_and_say_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = 8
    monkeypatch.setattr(descriptors, "raise_limit", lambda: limit)
    async with pbxs(6) as started, fleet_of(named(started)) as fleet:
        await until(lambda: len(fleet.stale) == 2)
        assert fleet.stale == ["pbx-4", "pbx-5"]
        for name in fleet.stale:
            poller = fleet.pollers[name]
            assert "too many open files" in (poller.status.outage or "")
            assert not poller.alive
        await asyncio.sleep(100)
        assert [len(pbx.connections) for pbx in started] == [1, 1, 1, 1, 0, 0]
        begin(started[3]).finish_page()
        await until(lambda: pages(fleet.pollers["pbx-3"]) == 1)
        # Another order: who goes keeps what was counted, and who comes is watched.
        turned = dict(reversed(named(started).items()))
        await fleet.watch(turned)
        await until(lambda: fleet.stale == ["pbx-1", "pbx-0"])
        assert [len(pbx.connections) for pbx in started] == [1, 1, 1, 1, 1, 1]
        assert "too many open files" in (fleet.pollers["pbx-1"].status.outage or "")
        assert fleet.pollers["pbx-3"].status.connects == 1
        limit = 12
        await fleet.watch(turned)
        assert fleet.pollers["pbx-1"].status.outage == FIRST_TRY
        await until(lambda: not fleet.stale)
        assert pages(fleet.pollers["pbx-3"]) == 1
