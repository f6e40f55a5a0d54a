"""Answering what the web process asks holds up no poll."""

import asyncio

import pytest

from exporter.fax import Operation
from exporter.ledger import Ledger
from exporter.link import answering
from exporter.polling import Fleet, Poller
from exporter.settings import AmiSettings
from harness.web_side import linked


def poller(name: str, peers: int = 0) -> Poller:
    settings = AmiSettings.model_validate({"username": "u", "secret": "s"})
    ledger = Ledger(peers or None)
    for peer in range(peers):
        ledger.peers.open(Operation.RECEIVE, f"PJSIP/trunk-{peer}", 0.0)
    return Poller(settings, 1.0, ledger, name=name)


async def turns_while(work: "asyncio.Task[object]") -> int:
    turns = 0
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    return turns


@pytest.mark.parametrize("what", ["shown", "rows"])
async def test_a_large_fleet_is_told_of_one_by_one(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answering.PIECE_SECONDS <= 0.005
    monkeypatch.setattr(answering, "PIECE_SECONDS", 0.0)  # else it depends on the machine
    fleet = Fleet(1.0, None)
    fleet.pollers = {f"fax-{number}": poller(f"fax-{number}") for number in range(500)}
    async with linked(fleet) as source:
        asked = source.rows() if what == "rows" else source.shown(None)
        task: asyncio.Task[object] = asyncio.create_task(asked)
        assert await turns_while(task) > 500


async def test_many_peers_are_told_of_in_pieces() -> None:
    fleet = Fleet(1.0, None)
    fleet.pollers = {"fax": poller("fax", peers=20_000)}
    async with linked(fleet) as source:
        task: asyncio.Task[object] = asyncio.create_task(source.counts("fax"))
        assert await turns_while(task) > 40
        counts = (await source.counts("fax")).read()
        assert len(counts.peers.finished) == 20_000


async def test_the_state_of_the_fleet_names_who_is_not_fresh_and_why() -> None:
    fleet = Fleet(1.0, None)
    fleet.pollers = {"fax": poller("fax")}
    async with linked(fleet) as source:
        state = await source.fleet()
        assert state.names == ("fax",)
        assert state.stale == (("fax", "not yet polled"),)
        assert state.config is None
