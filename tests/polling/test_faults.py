"""What goes wrong around the exporter, and that it goes on: network, names, clocks, logs, files."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.ami import reach
from exporter.fax import Operation, State, Transport
from exporter.ledger import EVENT_LATENESS, Ledger
from exporter.polling import Clock, Failure, Poller
from exporter.settings import AmiSettings
from harness.exposition import Scrape
from harness.pbx import FaultyPbx
from harness.running import Exporter
from harness.virtual_time import clock, in_virtual_time, until, wall
from harness.watching import SECRET, begin, settings_for, watched

RECEIVE = Operation.RECEIVE


# --- the network ----------------------------------------------------------------------------


@in_virtual_time
async def test_a_connection_reset_in_mid_message_costs_nothing_that_was_counted() -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        fax.add_bad_lines(4)
        await asyncio.sleep(2)
        pbx.inject(b"Event: ReceiveFAX\r\nChannel: Local/re")
        pbx.drop_connections()
        await until(lambda: poller.status.connects == 2)
        fax.finish_page(last=True)
        await asyncio.sleep(2)
        pbx.end(fax)
        await asyncio.sleep(2)
        totals = poller.ledger.totals
        assert sum(totals.bad_lines.values()) == 4
        assert totals.pages[RECEIVE, State.ACTIVE] == 1
        assert totals.finished[RECEIVE, Transport.G711] == 1


@in_virtual_time
async def test_a_fax_is_exact_over_a_half_open_connection() -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        fax.add_bad_lines(4)
        await asyncio.sleep(2)
        pbx.mute = True  # packets vanish: nothing is refused, nothing answered
        await until(lambda: poller.status.failures[Failure.LOST] == 1)
        pbx.mute = False
        fax.add_bad_lines(3)
        await until(lambda: poller.status.up)
        await asyncio.sleep(2)
        fax.finish_page(last=True)
        await asyncio.sleep(2)
        assert sum(poller.ledger.totals.bad_lines.values()) == 7
        assert poller.ledger.totals.pages[RECEIVE, State.ACTIVE] == 1
        assert poller.ledger.totals.started[RECEIVE] == 1


@in_virtual_time
async def test_answers_10_s_late_are_used_when_they_come_and_no_event_is_lost() -> None:
    async with watched() as (pbx, poller):
        fax = begin(pbx)
        await asyncio.sleep(2)
        pbx.delay = dict.fromkeys(("FAXSessions", "FAXSession", "FAXStats"), 10.0)
        await asyncio.sleep(20)
        fax.add_bad_lines(5)
        fax.finish_page(last=True)
        await asyncio.sleep(20)
        pbx.end(fax)
        await asyncio.sleep(60)
        assert not poller.status.up
        pbx.delay = {}
        await until(lambda: poller.status.up)
        await asyncio.sleep(3 * EVENT_LATENESS)
        totals = poller.ledger.totals
        assert totals.pages[RECEIVE, State.COMPLETE] == 1  # the event told
        assert totals.finished[RECEIVE, Transport.G711] == 1
        assert poller.ledger.unobserved.total == 0
        assert poller.status.connects == 1


@in_virtual_time
async def test_the_last_answer_of_a_poll_never_comes_and_the_next_poll_works() -> None:
    async with watched() as (pbx, poller):
        pbx.rewrite = lambda action, answer: b"" if action == "FAXStats" else answer
        await until(lambda: not poller.status.up)
        pbx.rewrite = None
        await until(lambda: poller.status.up, 7)
        assert poller.status.connects == 1


@in_virtual_time
async def test_events_between_the_messages_of_an_answer_belong_to_no_answer() -> None:
    async with watched() as (pbx, poller):
        fax, other = begin(pbx), begin(pbx, channel="PJSIP/a-00000002")
        other.finish_page(last=True)
        await asyncio.sleep(2)
        pbx.end(other, announce=False)
        event = (
            b"Event: ReceiveFAX\r\nPrivilege: call,all\r\nChannel: PJSIP/a-00000002\r\n"
            b"ChanVariable: FAXSTATUS=SUCCESS\r\nChanVariable: FAXMODE=audio\r\n"
            b"PagesTransferred: 1\r\n\r\n"
        )
        sent: list[str] = []

        def interleave(action: str, answer: bytes) -> bytes:
            if action != "FAXSession" or sent:
                return answer
            sent.append(action)
            return answer.replace(
                b"\r\n\r\nEvent: FAXSession\r\n", b"\r\n\r\n" + event + (b"Event: FAXSession\r\n")
            )

        pbx.rewrite = interleave
        fax.finish_page()
        await asyncio.sleep(3)
        totals = poller.ledger.totals
        assert sent
        assert totals.finished[RECEIVE, Transport.G711] == 1
        assert totals.pages[RECEIVE, State.ACTIVE] == 2
        assert sum(poller.status.failures.values()) == 0


@in_virtual_time
async def test_a_name_that_does_not_resolve_is_tried_again_until_it_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start()
    known = False

    async def resolve(host: str, port: int) -> list[Any]:
        assert host == "pbx.example"
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(reach, "look_up", resolve)
    poller = Poller(settings_for(pbx, host="pbx.example"), 1, Ledger(), clock=clock())
    task = asyncio.create_task(poller.run())
    await asyncio.sleep(300)
    assert poller.status.failures[Failure.CONNECT] > 5
    assert caplog.text.count("Name or service not known") == 1
    known = True
    await until(lambda: poller.status.up, 61)
    known = False  # a connection that stands needs no name
    await asyncio.sleep(30)
    assert poller.status.up
    task.cancel()
    await pbx.stop()


@in_virtual_time
async def test_a_pbx_on_ipv6_is_watched() -> None:
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start(host="::1")
    poller = Poller(settings_for(pbx, host="::1"), 1, Ledger(), clock=clock())
    task = asyncio.create_task(poller.run())
    await until(lambda: poller.status.up)
    task.cancel()
    await pbx.stop()


# --- the clock ------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
@in_virtual_time
async def test_a_jump_of_the_clock_changes_no_duration_and_moves_timestamps_with_it(
    jump: float,
) -> None:
    offset = 0.0
    pbx = FaultyPbx(secret=SECRET, clock=wall)
    await pbx.start()
    poller = Poller(
        settings_for(pbx),
        1,
        Ledger(),
        clock=Clock(monotonic=clock().monotonic, wall=lambda: wall() + offset),
    )
    task = asyncio.create_task(poller.run())
    await until(lambda: poller.status.up)
    await asyncio.sleep(EVENT_LATENESS)
    fax = begin(pbx)
    await asyncio.sleep(5)
    began = poller.ledger.gauges.oldest_start[RECEIVE]
    offset = jump
    await asyncio.sleep(5)
    assert poller.ledger.gauges.oldest_start[RECEIVE] == pytest.approx(began + jump)
    fax.finish_page(last=True)
    await asyncio.sleep(2)
    pbx.end(fax)
    await asyncio.sleep(3)
    totals = poller.ledger.totals
    assert 9 <= totals.page_seconds[RECEIVE].sum <= 12
    assert 11 <= totals.session_seconds[RECEIVE].sum <= 14
    assert poller.status.last_success == pytest.approx(wall() + jump, abs=1.5)
    task.cancel()
    await pbx.stop()


def test_outside_of_tests_durations_are_of_the_monotonic_clock() -> None:
    assert Clock().monotonic is time.monotonic


# --- its own process ------------------------------------------------------------------------


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def scrape(port: int) -> Scrape:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return Scrape(answer.read().decode())


def is_up(port: int) -> bool:
    with contextlib.suppress(OSError):
        return scrape(port).value("up") == 1
    return False


def wait_for(port: int) -> None:
    """Nothing can be awaited where nothing is logged, so this one thing is tried again."""
    deadline = time.monotonic() + 30
    while not is_up(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextlib.contextmanager
def demo_with(port: int, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "exporter", "--demo", "--log.level=debug"]
    # As its users run it: what is not yet written is written at the end.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL,
        env=environment,
        **how,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_full_disk_under_the_log_stops_nothing(free_port: int) -> None:
    with (
        open("/dev/full", "wb") as full,
        demo_with(free_port, stdout=full, stderr=full) as process,
    ):
        wait_for(free_port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.slow
def test_a_log_that_nobody_reads_any_more_stops_nothing(free_port: int) -> None:
    with demo_with(free_port, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stderr.close()
        wait_for(free_port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.slow
def test_closed_output_stops_nothing(free_port: int) -> None:
    with demo_with(free_port, preexec_fn=lambda: os.closerange(1, 3)) as process:
        wait_for(free_port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.slow
def test_used_up_file_descriptors_are_survived() -> None:
    with Exporter("--demo") as exporter:
        exporter.wait_until(lambda now: now.value("up") == 1, 20)
        pid, port = exporter.web_process, int(exporter.url.split(":")[2].split("/")[0])
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 5, used + 5))
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            exporter.wait_for_line("clients wait, .*: Too many open files; raise it: Limit", 20)
        now = exporter.wait_until(lambda now: now.value("up") == 1, 30)
        assert now.value("connects_total") == 1
        assert exporter.log.count("clients wait") == 1
        assert "system resource" not in exporter.log
        assert exporter.stop() == 0


@pytest.mark.slow
def test_a_pbx_that_comes_later_is_found(free_port: int) -> None:
    with Exporter.watching("127.0.0.1", free_port, "x", "y") as exporter:
        now = exporter.wait_until(
            lambda now: now.value("poll_failures_total", reason="connect") > 0, 20
        )
        assert now.value("up") == 0

        async def be_there() -> None:
            pbx = FaultyPbx(username="x", secret="y")
            await pbx.start(port=free_port)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(
                None, exporter.wait_until, lambda now: now.value("up") == 1, 60, "up"
            )
            await pbx.stop()

        asyncio.run(be_there())


def test_the_secret_of_a_target_is_in_no_repr() -> None:
    settings = AmiSettings(username="x", secret=SecretStr(SECRET))
    assert SECRET not in repr(settings)
    assert SECRET not in str(Poller(settings, 1, Ledger()).__dict__)
