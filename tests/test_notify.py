"""What systemd is told, through a real socket."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from exporter.notify import STATUS_PERIOD, Notifier, any_alive, status_line
from exporter.polling import FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE, Fleet
from harness.running import Exporter
from harness.systemd import Manager
from harness.virtual_time import clock, in_virtual_time, until, work
from harness.watching import settings_for, watched

WATCHDOG = 60.0
"""Seconds."""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


@contextlib.asynccontextmanager
async def followed(fleet: Fleet, manager: Manager, **more: str) -> AsyncIterator[Manager]:
    """A notifier that follows the fleet."""
    notifier = Notifier(manager.environment | more)
    loop = asyncio.get_running_loop()
    loop.add_reader(manager.socket, manager.read)
    task = asyncio.create_task(notifier.follow(fleet))
    try:
        yield manager
    finally:
        loop.remove_reader(manager.socket)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def watchdog() -> dict[str, str]:
    return {"WATCHDOG_USEC": f"{WATCHDOG * 1e6:.0f}", "WATCHDOG_PID": str(os.getpid())}


def fed(manager: Manager) -> int:
    return manager.heard().count("WATCHDOG=1")


async def keeps_feeding(fleet: Fleet, manager: Manager, times: int) -> None:
    """At no second of so many watchdog times is it given up."""
    for _ in range(times):
        for _ in range(int(WATCHDOG)):
            await asyncio.sleep(1)
            assert any_alive(fleet)
        assert fed(manager) > 1


def test_each_state_is_told_as_sd_notify_has_it(manager: Manager) -> None:
    notifier = Notifier(manager.environment)
    notifier.ready()
    before = time.monotonic_ns() // 1000
    with notifier.reloading():
        reloading = manager.heard()
    notifier.stopping()
    assert manager.heard() == ["READY=1", "STOPPING=1"]
    assert reloading[0] == "READY=1"
    state, _, usec = reloading[1].partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(usec) <= time.monotonic_ns() // 1000


def test_a_reload_that_fails_is_over_all_the_same(manager: Manager) -> None:
    with pytest.raises(ValueError, match="wrong"), Notifier(manager.environment).reloading():
        raise ValueError("wrong")
    assert manager.heard()[-1] == "READY=1"


def test_an_abstract_socket_is_taken_too() -> None:
    manager = Manager(f"\0asterisk-fax-exporter-test-{os.getpid()}")
    Notifier(manager.environment).ready()
    assert manager.heard() == ["READY=1"]
    manager.socket.close()


def test_without_a_service_manager_nothing_is_told_or_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notifier = Notifier({})
    notifier.ready()
    assert notifier.watchdog is None
    assert not caplog.records


def test_a_service_manager_that_is_gone_harms_nothing_and_is_said_once(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    manager.socket.close()
    notifier = Notifier(manager.environment)
    notifier.ready()
    notifier.stopping()
    assert len(caplog.records) == 1
    assert "Connection refused" in caplog.text


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert Notifier(environment).watchdog == seconds


@in_virtual_time
async def test_a_service_manager_that_reads_nothing_stops_nothing(manager: Manager) -> None:
    task = asyncio.create_task(Notifier(manager.environment | watchdog()).follow(Fleet(1.0, None)))
    await asyncio.sleep(20 * STATUS_PERIOD)  # the socket is full now
    assert not task.done()
    assert 0 < fed(manager) < 20
    await asyncio.sleep(2 * STATUS_PERIOD)
    assert fed(manager) == 2
    task.cancel()


@in_virtual_time
async def test_the_status_names_who_is_not_reached(manager: Manager) -> None:
    async with watched() as (pbx, _):
        fleet = Fleet(1.0, None, clock=clock())
        nobody = settings_for(pbx, port=1)
        async with followed(fleet, manager):
            await until(lambda: "STATUS=0 targets" in manager.heard())
            await fleet.watch({"fax-berlin": settings_for(pbx), "fax-paris": nobody})
            await until(lambda: "STATUS=2 targets, 1 not reached: fax-paris" in manager.heard())
            await fleet.watch({"fax-berlin": settings_for(pbx)})
            await until(lambda: "STATUS=1 target, all reached" in manager.heard())
            await asyncio.sleep(10 * STATUS_PERIOD)
            assert manager.heard() == []
        await fleet.close()


@in_virtual_time
async def test_a_long_list_of_those_not_reached_is_cut() -> None:
    async with watched() as (pbx, _):
        fleet = Fleet(1.0, None, clock=clock())
        await fleet.watch({f"fax-{n}": settings_for(pbx, port=1) for n in range(7)})
        assert status_line(fleet) == (
            "7 targets, 7 not reached: fax-0, fax-1, fax-2, fax-3, fax-4 and 2 more"
        )
        await fleet.close()


@in_virtual_time
async def test_the_watchdog_is_fed_while_polls_succeed(manager: Manager) -> None:
    async with watched() as (pbx, _):
        fleet = Fleet(30.0, None, clock=clock())
        await fleet.watch({"fax": settings_for(pbx)})
        async with followed(fleet, manager, **watchdog()):
            await keeps_feeding(fleet, manager, 10)
        await fleet.close()


@in_virtual_time
async def test_the_watchdog_is_fed_twice_in_its_time_however_short(manager: Manager) -> None:
    async with followed(Fleet(1.0, None), manager, WATCHDOG_USEC="1000000"):
        await asyncio.sleep(10.1)
        assert fed(manager) == 20


@pytest.mark.parametrize("fault", ["refuse", "mute", "wrong secret", "no_res_fax"])
def test_the_watchdog_is_fed_while_failures_are_known(manager: Manager, fault: str) -> None:
    @in_virtual_time
    async def scenario() -> None:
        async with watched() as (pbx, _):
            fleet = Fleet(1.0, None, clock=clock())
            settings = settings_for(pbx)
            if fault == "refuse":
                pbx.refuse_connections()
                pbx.drop_connections()
            elif fault == "mute":
                pbx.mute = True
            elif fault == "wrong secret":
                pbx.secret = "another"
            else:
                pbx.unload_res_fax()
            await fleet.watch({"fax": settings})
            async with followed(fleet, manager, **watchdog()):
                await keeps_feeding(fleet, manager, 20)
            assert fleet.stale == ["fax"]
            await fleet.close()

    scenario()


@pytest.mark.parametrize("step", ["connect", "poll", "pause"])
def test_the_watchdog_is_not_fed_once_a_poller_hangs(
    manager: Manager, step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    over = False

    async def hang(*_: object) -> None:
        # A defect that no deadline ends.
        while not over:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
        raise asyncio.CancelledError

    @in_virtual_time
    async def scenario() -> None:
        nonlocal over
        async with watched() as (pbx, _):
            fleet = Fleet(1.0, None, clock=clock())
            await fleet.watch({"fax": settings_for(pbx)})
            poller = fleet.pollers["fax"]
            await until(lambda: poller.status.up)
            try:
                async with followed(fleet, manager, **watchdog()):
                    if step == "pause":
                        fleet._tasks["fax"].cancel()  # it is gone, however that came
                    elif step == "poll":
                        monkeypatch.setattr(poller, "poll", hang)
                    else:
                        monkeypatch.setattr("exporter.polling.poller.connect", hang)
                        pbx.drop_connections()
                    await asyncio.sleep(3 * poller.settings.timeout + FIRST_PAUSE + STATUS_PERIOD)
                    fed(manager)
                    await asyncio.sleep(WATCHDOG)
                    assert fed(manager) == 0
                assert not any_alive(fleet)
                assert "the watchdog is not fed" in caplog.text
            finally:
                over = True
                await fleet.close()

    scenario()


@in_virtual_time
async def test_a_process_that_was_stopped_feeds_the_watchdog_at_once(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched() as (pbx, _):
        fleet = Fleet(1.0, None, clock=clock())
        await fleet.watch({"fax": settings_for(pbx)})
        async with followed(fleet, manager, **watchdog()):
            for _ in range(5):
                await asyncio.sleep(STATUS_PERIOD - 0.01)
                manager.heard()
                work(100)  # and then what feeds is due before any poller
                await asyncio.sleep(0.01)
                assert fed(manager)
        assert "the watchdog is not fed" not in caplog.text
        await fleet.close()


@in_virtual_time
async def test_one_poller_that_goes_on_feeds_the_watchdog(manager: Manager) -> None:
    async with watched() as (pbx, _):
        fleet = Fleet(1.0, None, clock=clock())
        await fleet.watch({"fax": settings_for(pbx), "gone": settings_for(pbx)})
        fleet._tasks["gone"].cancel()
        async with followed(fleet, manager, **watchdog()):
            await asyncio.sleep(max(WATCHDOG, LONGEST_PAUSE, REFUSED_PAUSE))
            assert not fleet.pollers["gone"].alive
            assert fed(manager) > 1
        await fleet.close()


@pytest.mark.slow
def test_the_running_exporter_tells_its_life(manager: Manager, tmp_path: Path) -> None:
    config = tmp_path / "exporter.yml"
    config.write_text("targets: {}\n")
    environment = manager.environment | {"WATCHDOG_USEC": "1000000"}
    with Exporter(f"--config.file={config}", environment=environment) as exporter:
        manager.wait_for("READY=1")
        manager.wait_for("STATUS=0 targets")
        manager.wait_for("WATCHDOG=1")
        config.write_text(
            "targets: {fax: {host: 127.0.0.1, port: 1, username: u, secret_env: PATH}}\n"
        )
        exporter.process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING=1\nMONOTONIC_USEC=")
        manager.wait_for("READY=1")
        manager.wait_for("STATUS=1 target, 1 not reached: fax")
        assert exporter.stop() == 0
        manager.wait_for("STOPPING=1")
