"""Asking the main process: over a real socket pair, with pollers that the test holds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from exporter.fax import Operation
from exporter.ledger import Ledger
from exporter.link import Answering, NoSuchTarget, Source
from exporter.link import source as source_module
from exporter.polling import Fleet, Poller, troubles
from exporter.settings import AmiSettings, SettingsError
from harness.web_side import linked
from tests.ledger.test_today import FAILED, FAX


def poller(name: str = "fax") -> Poller:
    settings = AmiSettings.model_validate({"username": "u", "secret": "s"})
    return Poller(settings, 1.0, Ledger(), name=name)


@contextlib.asynccontextmanager
async def asking(*names: str) -> AsyncIterator[tuple[Fleet, Source]]:
    fleet = Fleet(1.0, None)
    fleet.pollers = {name: poller(name) for name in names}
    async with linked(fleet) as source:
        yield fleet, source


async def test_the_counts_are_those_of_now_each_time() -> None:
    async with asking("fax") as (fleet, source):
        totals = fleet.pollers["fax"].ledger.totals
        versions = set()
        for expected in (1, 2, 3):
            totals.started[Operation.SEND] += 1
            counts = await source.counts("fax")
            assert counts.read().totals.started[Operation.SEND] == expected
            versions.add(counts.version)
        assert len(versions) == 3
        assert not source._asking
        assert not source._answers
        assert (await source.counts("fax")).version in versions


async def test_rows_tell_of_all_in_their_order_and_have_another_version_once_one_is_another() -> (
    None
):
    async with asking("b", "a") as (fleet, source):
        before = await source.rows()
        assert [row.name for row in before.read()] == ["b", "a"]
        assert (await source.rows()).version == before.version
        fleet.pollers["a"].status.trouble = "refused"
        after = await source.rows()
        assert after.version != before.version
        assert [row.why for row in after.read()] == [troubles.FIRST_TRY, "refused"]


async def test_the_faxes_that_ended_are_those_of_now() -> None:
    async with asking("fax") as (fleet, source):
        history = fleet.pollers["fax"].ledger.history
        for number in range(3):
            history.add(replace(FAX, channel=f"good-{number}"))
            history.add(replace(FAILED, channel=f"bad-{number}"))
            shown = (await source.shown("fax")).read()
            assert shown.others[0].channel == f"good-{number}"
            assert shown.failed[0].channel == f"bad-{number}"
            assert len(shown.failed) == number + 1


async def test_rows_are_whole_when_another_web_process_asks() -> None:
    fleet = Fleet(1.0, None)
    fleet.pollers = {name: poller(name) for name in ("a", "b")}
    answering = Answering(fleet, None)
    for _ in range(2):
        async with linked(fleet, answering=answering) as source:
            assert [row.name for row in (await source.rows()).read()] == ["a", "b"]


async def test_what_many_look_at_in_one_second_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = Fleet(1.0, None)
    fleet.pollers = {"fax": poller()}
    async with linked(fleet, lasts=3600) as source:
        first = await asyncio.gather(*(source.rows() for _ in range(50)))
        shown = await source.shown("fax")
        fleet.pollers["fax"].status.trouble = "refused"
        assert await source.rows() is first[0]
        assert (await source.shown("fax")).version == shown.version
        assert dict((await source.fleet()).stale) == {"fax": "refused"}  # /-/ready is of now


async def test_a_target_that_is_another_pbx_now_begins_anew() -> None:
    async with asking("fax") as (fleet, source):
        fleet.pollers["fax"].ledger.peers.open(Operation.SEND, "PJSIP/before", 0.0)
        old = await source.counts("fax")
        fleet.pollers = {"fax": poller()}
        new = await source.counts("fax")
        assert ("PJSIP/before" in str(old.read().peers)) is True
        assert ("PJSIP/before" in str(new.read().peers)) is False
        assert old.version != new.version


async def test_a_name_that_nobody_has_reaches_no_poller_and_leaves_nothing() -> None:
    async with asking("fax") as (fleet, source):
        for number in range(100):
            with pytest.raises(NoSuchTarget):
                await source.counts(f"nobody-{number}")
            with pytest.raises(NoSuchTarget):
                await source.shown(f"nobody-{number}")
        assert source._targets == {}
        fleet.pollers = {}
        with pytest.raises(NoSuchTarget):
            await source.counts("fax")


async def test_what_many_want_at_once_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    take = Answering.take

    async def counted(self: Answering, ask: dict[str, object], writer: object) -> None:
        asked.append(ask["what"])
        await take(self, ask, writer)  # type: ignore[arg-type]

    monkeypatch.setattr(Answering, "take", counted)
    async with asking("fax") as (_, source):
        answers = await asyncio.gather(*(source.counts("fax") for _ in range(500)))
        assert len({answer.version for answer in answers}) == 1
        assert asked.count("counts") <= 2
        await asyncio.gather(*(source.shown("fax") for _ in range(500)))
        assert asked.count("shown") <= 2
        await asyncio.gather(*(source.rows() for _ in range(500)))
        assert asked.count("rows") <= 2


async def test_keys_of_targets_that_nobody_asks_for_are_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_module, "MAX_IDLE", 10)
    names = [f"fax-{number}" for number in range(50)]
    async with asking(*names) as (_, source):
        for name in names:
            assert (await source.counts(name)).read().totals.started[Operation.SEND] == 0
        assert len(source._targets) == 10
        assert len(source._columns) == 10


async def test_a_reload_says_how_it_went() -> None:
    wrong = [SettingsError("no such file"), None]

    async def reload() -> None:
        if (error := wrong.pop(0)) is not None:
            raise error

    async with asking() as (_, source):
        assert await source.reload() == (False, "")
    async with linked(Fleet(1.0, None), reload=reload) as source:
        assert await source.reload() == (True, "no such file")
        assert await source.reload() == (True, "")


async def test_a_defect_of_the_main_process_is_an_error_here_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def reload() -> None:
        raise ZeroDivisionError("a defect")

    async with linked(Fleet(1.0, None), reload=reload) as source:
        with pytest.raises(RuntimeError):
            await source.reload()
        assert "a defect" in caplog.text
        assert (await source.fleet()).names == ()


async def test_of_a_target_that_is_no_more_nothing_is_kept() -> None:
    async with asking("fax") as (fleet, source):
        for number in range(20):
            fleet.pollers = {f"fax-{number}": poller()}
            await source.counts(f"fax-{number}")
            await source.shown(f"fax-{number}")
        assert list(source._columns) == ["fax-19"]
        assert set(source._targets) == {("counts", "fax-19"), ("shown", "fax-19")}


async def test_whether_there_is_such_a_target_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking("fax") as (fleet, source):
        monkeypatch.delattr(Answering, "_fleet_state")  # which looks at each of them
        for name in ("nobody", "x" * 100_000):
            with pytest.raises(NoSuchTarget):
                await source.counts(name)
        fleet.pollers["new"] = poller("new")
        assert (await source.shown("new")).read().status.up is False
