"""Since when a PBX is down stands still for as long as it is."""

import asyncio

from harness.exposition import scrape
from harness.virtual_time import EPOCH, in_virtual_time, until
from harness.watching import watched

NAME = "down_since_timestamp_seconds"


@in_virtual_time
async def test_a_pbx_that_never_answered_is_down_since_it_is_watched() -> None:
    async with watched(start=False) as (_, poller):
        for _ in range(3):
            await asyncio.sleep(100)
            assert scrape(poller).value(NAME) == EPOCH


@in_virtual_time
async def test_an_outage_begins_with_the_end_of_the_last_successful_poll() -> None:
    async with watched() as (pbx, poller):
        assert not scrape(poller).has(NAME)
        pbx.refuse_connections()
        pbx.drop_connections()
        await until(lambda: not poller.status.up)
        last = scrape(poller).value("last_poll_timestamp_seconds")
        assert last > EPOCH
        for _ in range(3):
            assert scrape(poller).value(NAME) == last
            await asyncio.sleep(100)
        pbx.accept_connections()
        await until(lambda: poller.status.up)
        assert not scrape(poller).has(NAME)


@in_virtual_time
async def test_polls_that_fail_over_a_connection_are_an_outage_too() -> None:
    async with watched() as (pbx, poller):
        pbx.write = frozenset()
        pbx.drop_connections()
        await until(lambda: not poller.status.up)
        last = poller.status.last_success
        await until(lambda: poller.status.connected and poller.status.answered)
        await asyncio.sleep(100)
        assert scrape(poller).value(NAME) == last
