"""When Asterisk started is told to the second in whatever zone, or not at all."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from exporter.ami import Connection, connect
from exporter.fax import CoreStatus
from exporter.polling import Clock, Poller, Status
from exporter.polling.start_time import StartTime
from harness.exposition import scrape
from harness.pbx import FaultyPbx
from harness.virtual_time import EPOCH, in_virtual_time, until
from harness.watching import SECRET, settings_for, watched

NAME: Final = "asterisk_start_timestamp_seconds"
SHOWN: Final = "%Y-%m-%d %H:%M:%S"
ZONES: Final = {
    "Etc/UTC": 2021,
    "Asia/Kolkata": 2021,
    "America/New_York": 2021,
    "Europe/Berlin": 2021,
    "Europe/Dublin": 2021,
    "America/St_Johns": 2021,
    "Australia/Lord_Howe": 2021,  # half an hour
    "Africa/Casablanca": 2021,
    "Pacific/Kiritimati": 2021,  # 14 hours ahead
    "Etc/GMT+12": 2021,  # 12 hours behind
    "Pacific/Apia": 2011,  # left out a day at the end of that year
}
"""And from which year on the next four are looked at."""
LATER: Final = 2_000_000_000.0
"""A time at which all of these starts are long ago."""


async def start_time(connection: Connection, said: str, wall: float) -> int | None:
    start = StartTime(Status(), Clock(wall=lambda: wall))
    return (await start.connected(connection, CoreStatus(said, said, None), 5)).start


def logged_in(poller: Poller, times: int) -> bool:
    return poller.status.connects == times and poller.status.up


def shown(instant: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(instant, zone).strftime(SHOWN)


def changes(zone: ZoneInfo, year: int) -> Iterator[int]:
    """The times at which the clock of a zone is set, in four years."""
    first = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    offsets = {
        at: datetime.fromtimestamp(at, zone).utcoffset()
        for at in range(first, first + 4 * 365 * 86400, 900)
    }
    return (at for at, offset in offsets.items() if offset != offsets.get(at - 900, offset))


@pytest.mark.parametrize("name", ZONES)
async def test_a_start_is_told_exactly_around_each_change_of_the_clock(name: str) -> None:
    zone = ZoneInfo(name)
    moments = [1_700_000_000, 1_790_000_000]
    for change in changes(zone, ZONES[name]):
        moments += [change + by for by in (-90000, -7200, -3600, -1, 0, 1799, 3600, 7200, 90000)]
    twice = 0
    pbx = FaultyPbx(secret=SECRET, zone=zone)
    await pbx.start()
    connection = await connect(settings_for(pbx), lambda event: None)
    try:
        for moment in moments:
            said = shown(moment, zone)
            others = [moment + by for by in range(-7200, 7201, 900) if by]
            ambiguous = any(shown(at, zone) == said for at in others)
            twice += ambiguous
            start = await start_time(connection, said, LATER)
            assert start == (None if ambiguous else moment), said
    finally:
        connection.close()
        await pbx.stop()
    assert bool(twice) is (len(moments) > 2)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "2026-11-26",
        "2026-11-26 25:00:00",
        "2026-02-30 12:00:00",
        "0000-00-00 00:00:00",
        "garbage",
        "2026-11-26 11:13:24 " + "9" * 1000,
        "9999-12-31 23:59:59",
        "2200-01-01 00:00:00",
        "2027-01-15 08:06:00",  # a minute too far ahead of the wall clock
        "1970-01-01 00:00:20",
        "0001-01-01 00:00:00",
    ],
)
@in_virtual_time
async def test_what_cannot_be_a_start_is_none(said: str) -> None:
    async with watched(zone=ZoneInfo("Etc/UTC")) as (pbx, _):
        connection = await connect(settings_for(pbx), lambda event: None)
        assert await start_time(connection, said, EPOCH) is None
        connection.close()


@in_virtual_time
async def test_a_clock_that_is_a_little_ahead_is_believed() -> None:
    async with watched(zone=ZoneInfo("Etc/UTC")) as (pbx, _):
        connection = await connect(settings_for(pbx), lambda event: None)
        assert await start_time(connection, "2027-01-15 08:05:00", EPOCH) == EPOCH + 300
        connection.close()


@pytest.mark.parametrize(
    "value",
    ["", "garbage", "2026-11-26", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "1" * 100_000],
)
@in_virtual_time
async def test_whatever_strftime_says_polls_go_on_and_nothing_is_told(value: str) -> None:
    async with watched(start=False) as (pbx, poller):
        pbx.rewrite = lambda action, answer: (
            answer.partition(b"Value: ")[0] + f"Value: {value}\r\n\r\n".encode()
            if action == "Getvar"
            else answer
        )
        pbx.accept_connections()
        await until(lambda: poller.status.up)
        assert not scrape(poller).has(NAME)


@pytest.mark.parametrize("lack", ["the module", "the class", "an answer"])
@in_virtual_time
async def test_without_strftime_polls_go_on_and_nothing_is_told_or_said(
    lack: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(start=False) as (pbx, poller):
        caplog.clear()
        if lack == "the module":
            pbx.func_strings = False
        elif lack == "the class":
            pbx.write = frozenset({"system"})
        else:
            pbx.rewrite = lambda action, answer: b"" if action == "Getvar" else answer
        pbx.accept_connections()
        await until(lambda: poller.status.polls >= 5)
        assert poller.status.connected
        assert poller.status.connects == 1
        assert not scrape(poller).has(NAME)
        assert "Getvar" not in caplog.text
        assert poller.status.up is (lack != "the class")


@in_virtual_time
async def test_where_strftime_is_never_answered_it_is_asked_once_for_each_connection() -> None:
    async with watched(start=False) as (pbx, poller):
        asked = 0

        def swallow(action: str, answer: bytes) -> bytes:
            nonlocal asked
            asked += action == "Getvar"
            return b"" if action == "Getvar" else answer

        pbx.rewrite = swallow
        pbx.accept_connections()
        await asyncio.sleep(300)
        assert (poller.status.connects, asked) == (1, 1)
        pbx.drop_connections()
        await until(partial(logged_in, poller, 2))
        assert asked == 2


@in_virtual_time
async def test_a_module_that_is_loaded_late_is_asked_again_and_less_and_less() -> None:
    async with watched(start=False) as (pbx, poller):
        pbx.func_strings = False
        asked = 0

        def count(action: str, answer: bytes) -> bytes:
            nonlocal asked
            asked += action == "Getvar"
            return answer

        pbx.rewrite = count
        pbx.accept_connections()
        await asyncio.sleep(20)
        assert 4 <= asked <= 6
        await asyncio.sleep(300)
        assert asked <= 10
        pbx.func_strings = True
        await until(lambda: poller.status.asterisk_start is not None)
        assert scrape(poller).value(NAME) == EPOCH
        until_then = asked
        await asyncio.sleep(300)
        assert asked == until_then
        assert poller.status.connects == 1


@pytest.mark.parametrize("name", ["Asia/Kolkata", "America/New_York"])
@in_virtual_time
async def test_a_start_stays_the_same_over_connections_until_asterisk_is_restarted(
    name: str,
) -> None:
    async with watched(zone=ZoneInfo(name)) as (pbx, poller):
        for connects in (2, 3, 4):
            now = scrape(poller)
            assert now.value(NAME) == pbx.started == EPOCH
            assert now.value("asterisk_restarts_total") == 0
            pbx.drop_connections()
            await until(partial(logged_in, poller, connects))
        pbx.restart()
        await until(lambda: not poller.status.up)
        assert not scrape(poller).has(NAME)
        await until(lambda: poller.status.up)
        now = scrape(poller)
        assert now.value(NAME) == int(pbx.started) > EPOCH
        assert now.value("asterisk_restarts_total") == 1


@in_virtual_time
async def test_another_time_zone_is_no_restart() -> None:
    async with watched(zone=ZoneInfo("Etc/UTC")) as (pbx, poller):
        pbx.zone = ZoneInfo("Asia/Kolkata")
        pbx.drop_connections()
        await until(partial(logged_in, poller, 2))
        now = scrape(poller)
        assert now.value(NAME) == EPOCH
        assert now.value("asterisk_restarts_total") == 0
