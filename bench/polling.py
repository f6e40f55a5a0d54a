"""One whole poll: by the exporter, by panoramisk alone, and by the floor (floor.py).

The exporter's ends with updated totals, which are compared with the truth of the PBX. panoramisk
only has to receive the answers.
"""

import asyncio
import logging
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import trustme
from panoramisk.manager import Manager
from pydantic import SecretStr

from bench import pbx
from bench.floor import Floor
from bench.measuring import RUNS, Cost, Numbers
from exporter.ami import connect
from exporter.ledger import Ledger
from exporter.loop import GATHERED, gathering_loop
from exporter.polling import Poller
from exporter.settings import AmiSettings

SIZES: Final = (10, 100, 1000, 5000)
TLS_SIZES: Final = (60, 200, 1000)
WARM_UP: Final = 3
POLLS: Final = 3 * RUNS
"""Of the floor and of the exporter; more than RUNS, as answers differ from poll to poll."""
_SILENT: Final = logging.getLogger("bench.panoramisk")
_SILENT.setLevel(logging.CRITICAL + 1)


def measure(sizes: tuple[int, ...] = SIZES) -> Numbers:
    """By number of sessions, and by how the PBX writes."""
    numbers: Numbers = {}
    for sessions in sizes:
        for writes in pbx.WRITES:
            for name, pause in (("floor", 0.0), ("floor with pauses", GATHERED)):
                with pbx.running(sessions, writes=writes) as address:
                    floor = _floor(address.ports[0], sessions, pause)
                numbers[f"{sessions} sessions, written {writes}: {name}"] = floor
            with pbx.running(sessions, writes=writes) as address:
                ours = _run(_exporter(address.ports[0], sessions))
            numbers[f"{sessions} sessions, written {writes}: exporter"] = ours
            for name, poll in (("pipelined", _pipelined), ("awaited", _awaited)):
                with pbx.running(sessions, writes=writes) as address:
                    theirs = asyncio.run(_panoramisk(address.ports[0], sessions, poll))
                numbers[f"{sessions} sessions, written {writes}: panoramisk {name}"] = theirs
    return numbers


def _floor(port: int, sessions: int, pause: float) -> dict[str, float]:
    floor, cost = Floor(port, sessions, pause=pause), Cost()
    for run in range(WARM_UP + POLLS):
        with cost.measured():
            came = floor.poll()
        if run < WARM_UP:
            cost.forget()
    floor.close()
    return cost.median() | {"bytes": came}


def tls(sizes: tuple[int, ...] = TLS_SIZES) -> Numbers:
    """The exporter's poll over TLS, and the same without."""
    ca = trustme.CA()
    numbers: Numbers = {}
    with ca.cert_pem.tempfile() as trusted, tempfile.TemporaryDirectory() as directory:
        certificate = Path(directory) / "pbx.pem"
        ca.issue_cert(pbx.HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
        for sessions in sizes:
            with pbx.running(sessions) as address:
                plain = _run(_exporter(address.ports[0], sessions))
            given = {"tls": True, "tls_ca_file": Path(trusted)}
            with pbx.running(sessions, certificate=certificate) as address:
                ciphered = _run(_exporter(address.ports[0], sessions, **given))
            numbers[f"{sessions} sessions, plain TCP"] = plain
            numbers[f"{sessions} sessions, TLS"] = ciphered
            numbers[f"{sessions} sessions, TLS / plain TCP"] = {
                unit.removesuffix("_ms"): round(ciphered[unit] / plain[unit], 2)
                for unit in ("cpu_ms", "wall_ms")
            }
    return numbers


def _run(polling: Coroutine[Any, Any, dict[str, float]]) -> dict[str, float]:
    """In the loop that the exporter has."""
    with asyncio.Runner(loop_factory=gathering_loop) as runner:
        return runner.run(polling)


async def _exporter(port: int, sessions: int, **given: Any) -> dict[str, float]:
    settings = AmiSettings(port=port, username="u", secret=SecretStr(pbx.SECRET), **given)
    poller = Poller(settings, 1.0, Ledger())
    connection = await connect(poller.settings, lambda _: None)
    cost = Cost()
    for run in range(WARM_UP + POLLS):
        with cost.measured():
            await poller.poll(connection)
        if run < WARM_UP:
            cost.forget()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    await poller.poll(connection)
    allocated = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    connection.close()
    totals = poller.ledger.totals
    counted = totals.pages.total(), totals.bad_lines.total()
    true = pbx.truth(WARM_UP + POLLS + 1, sessions)
    assert counted == true, f"counted {counted}, true is {true}"
    assert not poller.status.failures.total()
    return cost.median() | {"peak_kib": round(allocated / 1024, 1)}


async def _panoramisk(
    port: int, sessions: int, poll: Callable[[Manager, int], Awaitable[None]]
) -> dict[str, float]:
    manager = Manager(host="127.0.0.1", port=port, ping_delay=10**6, log=_SILENT)
    heard: list[Any] = []
    manager.register_event("FAXSession", lambda _, event: heard.append(event))
    await manager.connect()
    await asyncio.sleep(0)  # for its callback, which takes the protocol
    cost = Cost()
    for run in range(1 + RUNS):
        heard.clear()
        with cost.measured():
            await poll(manager, sessions)
            while len(heard) < sessions:
                await asyncio.sleep(0)
        if run < 1:
            cost.forget()
    assert {int(event["SessionNumber"]) for event in heard} == set(range(sessions))
    manager.protocol.transport.abort()
    return cost.median()


def _ask(manager: Manager, number: int) -> "asyncio.Future[Any]":
    # as_list=False, or it waits for ever: FAXSession has no event that says it is complete.
    action = {"Action": "FAXSession", "SessionNumber": str(number)}
    future: asyncio.Future[Any] = manager.send_action(action, as_list=False)
    return future


async def _awaited(manager: Manager, sessions: int) -> None:
    """As its documentation shows."""
    await manager.send_action({"Action": "FAXSessions"})
    for number in range(sessions):
        await _ask(manager, number)


async def _pipelined(manager: Manager, sessions: int) -> None:
    await manager.send_action({"Action": "FAXSessions"})
    await asyncio.gather(*[_ask(manager, number) for number in range(sessions)])
