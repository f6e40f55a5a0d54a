"""Answering what the web process asks holds up no poll."""

import asyncio
import gc
from typing import Any

import pytest

from exporter.fax import Operation
from exporter.history import FaxPage, Query, TooSlow
from exporter.ledger import Ledger
from exporter.link import NoFaxes, NoSuchTarget, Source, answering
from exporter.polling import Fleet, Poller, troubles
from exporter.settings import AmiSettings
from harness.web_side import linked
from tests.history.stored import fax, running


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
        assert state.stale == (("fax", troubles.FIRST_TRY),)
        assert state.config is None


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[answering.Answering]:
    """Those that are made meanwhile."""
    found: list[answering.Answering] = []
    make = answering.Answering.__init__

    def remember(self: answering.Answering, *of: object) -> None:
        make(self, *of)  # type: ignore[arg-type]
        found.append(self)

    monkeypatch.setattr(answering.Answering, "__init__", remember)
    return found


async def test_nothing_is_kept_for_who_looks_once_nobody_does(
    made: list[answering.Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "UNUSED_SECONDS", 0.05)
    fleet = Fleet(1.0, None)
    fleet.pollers = {"fax": poller("fax")}
    async with linked(fleet) as source:
        await source.shown("fax")
        assert len(made[0]._histories) == 1
        async with asyncio.timeout(10):
            while made[0]._histories:
                await asyncio.sleep(0.01)


async def test_nothing_is_kept_of_a_target_that_is_gone_while_somebody_looks_at_others(
    made: list[answering.Answering],
) -> None:
    fleet = Fleet(1.0, None)
    async with linked(fleet) as source:
        for name in ("before", "after"):  # as by a reload
            fleet.pollers = {name: poller(name)}
            await source.shown(name)
        gc.collect()
        assert list(made[0]._histories) == [fleet.pollers["after"]]


async def test_the_faxes_of_the_history_are_told() -> None:
    fleet = Fleet(1.0, None)
    fleet.pollers = {"watched": poller("watched")}
    async with running() as history, linked(fleet, history=history) as source:
        history.take("before", fax(1))
        page = await until_kept(source)
        assert [one.target for one in page.faxes] == ["before"]
        # One that is not watched any more is found, and one that has had no fax yet has none.
        assert len((await source.faxes(Query(target="before")))().faxes) == 1
        assert (await source.faxes(Query(target="watched")))().faxes == []
        with pytest.raises(NoSuchTarget):
            await source.faxes(Query(target="nobody"))


async def until_kept(source: Source) -> FaxPage:
    async with asyncio.timeout(30):
        while not (page := (await source.faxes(Query()))()).kept:
            pass
    return page


async def test_why_the_history_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with linked(Fleet(1.0, None)) as source:
        with pytest.raises(NoFaxes, match="the log says why"):
            await source.faxes(Query())
    async with running() as history, linked(Fleet(1.0, None), history=history) as source:

        async def slow(*_: object) -> None:
            raise TooSlow

        monkeypatch.setattr(history, "find", slow)
        with pytest.raises(NoFaxes, match="ask for less"):
            await source.faxes(Query())


async def test_a_question_that_is_none_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as history, linked(Fleet(1.0, None), history=history) as source:
        wrong: list[Any] = [None, [], {"limit": 10**9}, {"where": "1"}, {"cursor": "x"}]
        for query in wrong:
            with pytest.raises(RuntimeError):
                await source._ask("faxes", query=query)
        assert (await source.faxes(Query()))().kept == 0
    assert "cannot be said" in caplog.text
