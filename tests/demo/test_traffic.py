"""The faxes of `--demo`: something of everything, nothing missed, and on it goes."""

import asyncio
import contextlib
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from exporter.demo import DROPPED, Completion, DemoPbx, DemoSession, run_traffic
from exporter.demo.traffic import OWN_STATION, Traffic
from harness.ami_client import Client, values
from harness.virtual_time import in_virtual_time, wall

EVERYTHING = ("call", "reporting", "system", "originate")
FAX_OPERATIONS = ("send", "receive")
SEND_A_FAX = {
    "Channel": "Local/recv@fax/n",
    "Application": "SendFAX",
    "Data": "/opt/t/fax/three.tif,z",
    "Async": "true",
}


@contextlib.asynccontextmanager
async def busy(seed: int) -> AsyncIterator[DemoPbx]:
    """A PBX with traffic in virtual time."""
    pbx = DemoPbx(clock=wall, write=EVERYTHING)
    traffic = asyncio.create_task(run_traffic(pbx, rng=random.Random(seed)))
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()
        assert not traffic.done(), "traffic never ends by itself"
        traffic.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await traffic


def is_consistent(pbx: DemoPbx) -> bool:
    """Whether the truth fits what the PBX shows."""
    truth = pbx.truth
    running = Counter(session.operation for session in pbx.sessions.values())
    return truth.started - truth.ended == running and truth.heard <= truth.completions


async def until_second(number: float) -> None:
    """Waits for it, since the loop began."""
    await asyncio.sleep(number - asyncio.get_running_loop().time())


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_a_newcomer_sees_something_of_every_kind_within_15_seconds(seed: int) -> None:
    async with busy(seed) as pbx:
        await until_second(15)

        truth = pbx.truth
        assert set(truth.ended) == {"send", "receive", "gateway", "V.21"}
        assert set(truth.pages) == {"send", "receive", "gateway"}
        assert truth.bad_lines > 0
        assert truth.rejected_pages["receive"] > 0
        assert truth.fallbacks["receive"] > 0
        assert {ending.status for ending in truth.completions} == {"SUCCESS", "FAILED"}
        assert is_consistent(pbx)


@pytest.mark.parametrize("seed", range(3))
@in_virtual_time
async def test_an_hour_of_traffic_is_varied_and_polls_a_second_apart_miss_nothing(
    seed: int,
) -> None:
    polled_lines, polled_rejections = 0, 0
    last: dict[DemoSession, tuple[int, int]] = {}
    shown = set()
    async with busy(seed) as pbx:
        for second in range(3600):
            await until_second(second)
            for session in pbx.sessions.values():
                shown.add((session.operation, session.transport, session.ecm))
                lines, pages = last.get(session, (0, 0))
                grew = session.bad_lines >= lines
                polled_lines += session.bad_lines - lines if grew else session.bad_lines
                polled_rejections += not grew and session.pages == pages
                last[session] = session.bad_lines, session.pages

        truth = pbx.truth
        assert polled_lines == truth.bad_lines > 1000
        assert polled_rejections == truth.rejected_pages["receive"] > 10
        assert len({ending.error for ending in truth.completions}) >= 8
        assert {
            ("receive", "T.38", True),
            ("send", "G.711", False),
            ("gateway", "none", True),
        } <= shown
        assert truth.started.total() > 1000
        assert len(pbx.sessions) < 20
        assert is_consistent(pbx)


@in_virtual_time
async def test_every_completion_reaches_who_listens(caplog: pytest.LogCaptureFixture) -> None:
    async with busy(1) as pbx, await Client.connect(pbx) as client:
        await until_second(300)
        expected = pbx.truth.heard + pbx.truth.never_began

        heard: Counter[str] = Counter()
        for _ in range(expected.total()):
            heard[values(await client.message())["Event"]] += 1

        assert heard == {
            event: sum(n for ending, n in expected.items() if ending.operation == operation)
            for event, operation in (("SendFAX", "send"), ("ReceiveFAX", "receive"))
        }
    assert not caplog.records


@in_virtual_time
async def test_both_ends_say_who_they_are_once_they_have_heard_each_other() -> None:
    async with busy(1) as pbx, await Client.connect(pbx) as client:
        await until_second(300)
        told: dict[str, set[tuple[str, str]]] = {"callers": set(), "heard": set(), "unheard": set()}
        for _ in range((pbx.truth.heard + pbx.truth.never_began).total()):
            event = values(await client.message())
            stations = event["LocalStationID"], event["RemoteStationID"]
            trained = "x" in event["Resolution"] and event["Resolution"] != "0x0"
            told["heard" if trained else "unheard"].add(stations)
            if event["CallerIDNum"] != "<unknown>":
                told["callers"].add((event["Event"], event["RemoteStationID"].replace(" ", "")))
                assert event["RemoteStationID"] in ("", *(told_by(event["CallerIDNum"], stations)))
    assert len(told["heard"]) > 20
    assert all(local == OWN_STATION and remote for local, remote in told["heard"])
    assert {remote for _, remote in told["unheard"]} == {""}
    assert {event for event, _ in told["callers"]} == {"ReceiveFAX"}


def told_by(caller: str, stations: tuple[str, str]) -> list[str]:
    """The stations that have this number."""
    return [station for station in stations if station.replace(" ", "") == caller]


@in_virtual_time
async def test_an_originate_over_ami_sends_a_fax_to_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with busy(1) as pbx, await Client.connect(pbx) as client:
        queued = await client.ask("Originate", **SEND_A_FAX)

        assert values(queued)["Message"] == "Originate successfully queued"
        await until_second(0.5)
        send, receive = pbx.sessions.values()
        assert (send.channel, receive.channel) == (
            "Local/recv@fax-00000000;1",
            "Local/recv@fax-00000000;2",
        )
        assert send.files == ("/opt/t/fax/three.tif",)
        await until_second(20)
        assert (send.pages_transferred, receive.pages_transferred) == (1, 1)
        assert receive.completion == Completion("receive", "audio", "SUCCESS", "")
        assert send.completion == Completion("send", "audio", "SUCCESS", "HANGUP")
    assert not caplog.records


@in_virtual_time
async def test_an_originated_fax_can_be_hung_up(caplog: pytest.LogCaptureFixture) -> None:
    async with busy(1) as pbx, await Client.connect(pbx) as client:
        await client.ask("Originate", **SEND_A_FAX)
        await until_second(0.5)

        await client.ask("Hangup", Channel="Local/recv@fax-00000000;2")

        await until_second(20)
        dropped = [ending for ending in pbx.truth.completions if ending.error == DROPPED]
        assert {ending.operation for ending in dropped} == set(FAX_OPERATIONS)
    gc.collect()  # asyncio tells of a task's error when it forgets the task
    assert not caplog.records


@in_virtual_time
async def test_a_gateway_call_that_is_hung_up_early_leaves_nothing_behind() -> None:
    pbx = DemoPbx()
    call = asyncio.get_running_loop().create_task(
        Traffic(pbx, random.Random(1)).gateway("PJSIP/trunk-paris", pages=1)
    )
    await until_second(1)

    pbx.hang_up("PJSIP/trunk-paris-00000000")

    await until_second(10)
    assert call.done()
    assert pbx.truth.ended == {"V.21": 2}
    assert pbx.sessions == {}


def hang_up_all(pbx: DemoPbx) -> None:
    for session in list(pbx.sessions.values()):
        pbx.hang_up(session.channel)


DISASTERS: dict[str, Callable[[DemoPbx], None]] = {
    "restart": DemoPbx.restart,
    "reload": DemoPbx.reload_res_fax,
    "crash": DemoPbx.crash,
    "hang up": hang_up_all,
}


@pytest.mark.parametrize("disaster", DISASTERS.values(), ids=DISASTERS)
@in_virtual_time
async def test_traffic_goes_on_after_a_disaster(
    disaster: Callable[[DemoPbx], None], caplog: pytest.LogCaptureFixture
) -> None:
    async with busy(2) as pbx:
        for minute in range(1, 60):
            await until_second(60 * minute)
            before = set(pbx.sessions.values())

            disaster(pbx)

            assert pbx.sessions == {}
            assert all(session.gone for session in before)
            assert is_consistent(pbx)
            if pbx.crashed:
                await until_second(60 * minute + 10)
                assert pbx.sessions == {}
                pbx.restart()
        await until_second(60 * 60)
        assert pbx.sessions
        assert is_consistent(pbx)
    assert not caplog.records
