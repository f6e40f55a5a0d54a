"""Answering what the web process asks holds up no poll."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from exporter.fax import Operation
from exporter.history import FaxPage, Query, TooSlow
from exporter.ledger import Ledger
from exporter.link import Known, NoFaxes, NoSuchTarget, Source, answering, read_pieces
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


@pytest.mark.parametrize("what", ["targets", "sessions", "rows"])
async def test_a_large_fleet_is_told_of_one_by_one(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answering.PIECE_SECONDS <= 0.005
    assert answering.LONGEST_PIECE <= 0.02
    monkeypatch.setattr(answering, "PIECE_SECONDS", 0.0)  # else it depends on the machine
    monkeypatch.setattr(answering, "LONGEST_PIECE", 0.0)
    fleet = Fleet(1.0, None)
    fleet.pollers = {f"fax-{number}": poller(f"fax-{number}") for number in range(500)}
    async with linked(fleet) as source:
        asks: dict[str, Callable[[], Coroutine[None, None, object]]] = {
            "targets": lambda: source.targets(Known()),
            "sessions": source.sessions,
            "rows": source.rows,
        }
        task: asyncio.Task[object] = asyncio.create_task(asks[what]())
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


async def test_names_are_sent_only_if_they_are_others() -> None:
    fleet = Fleet(1.0, None)
    fleet.pollers = {"fax": poller("fax")}
    async with linked(fleet) as source:
        for what in ("fleet", "names"):
            number, names, *_ = await source._ask(what, names=0)
            assert names == ("fax",)
            assert (await source._ask(what, names=number))[1] is None
        fleet.pollers = {"other": poller("other")}
        assert (await source._ask("names", names=number))[1] == ("other",)
        assert (await source.fleet()).names == ("other",)


async def test_of_a_fleet_in_which_nothing_has_changed_nothing_is_sent() -> None:
    fleet = Fleet(1.0, None)
    fleet.pollers = {name: poller(name) for name in ("a", "b")}
    async with linked(fleet) as source:
        known = Known()
        news, pieces = await source.targets(known)
        assert [name for name, _ in read_pieces(pieces)] == ["a", "b"]
        known.take(news)
        assert (await source.targets(known))[1] == []
        fleet.pollers["b"].status.trouble = "refused"
        _, pieces = await source.targets(known)
        assert [(name, shown.status.trouble) for name, shown in read_pieces(pieces)] == [
            ("b", "refused")
        ]


def test_a_piece_is_as_long_as_the_last_pause_within_bounds() -> None:
    answers = answering.Answering(Fleet(1.0, None), None)
    assert answers._piece == answering.PIECE_SECONDS
    answers._paused = 0.007
    assert answers._piece == 0.007
    answers._paused = 5.0
    assert answers._piece == answering.LONGEST_PIECE


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
