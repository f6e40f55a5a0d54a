"""Gaps between polls, as the PBXs see them, while the file of targets is read again: with nothing
changed in it, one target, half of them, all their secrets, all their hosts.

A third of the file, or as `--config.shard` deals them, are PBXs that answer; at the others nothing
listens.
"""

import json
import socket
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import pbx
from bench.fleet import gaps_of, name_of
from bench.measuring import Numbers, cpu_of, resident
from exporter.settings import Shard, share_of
from harness.running import Exporter

PBXS: Final = 1000
SESSIONS: Final = 1
CALM: Final = 4.0
"""Seconds before a reload and after it that are measured too: with what it leaves to be done."""
WARM_UP: Final = 15.0

Target = dict[str, Any]


@dataclass(frozen=True)
class _File:
    """How many targets are in it, and of how many shards one is watched."""

    targets: int
    shards: int | None

    @property
    def names(self) -> list[str]:
        return [name_of(number) for number in range(self.targets)]

    def alive(self, pbxs: int) -> list[str]:
        """Those that answer."""
        shard = None if self.shards is None else Shard(0, self.shards)
        watched = (n for n in self.names if shard is None or share_of(n, shard.count) == shard)
        return [name for name, _ in zip(watched, range(pbxs), strict=False)]

    def __str__(self) -> str:
        return f"{self.targets} in the file" + ("" if self.shards is None else ", a shard of it")


FILES: Final = (_File(3000, None), _File(10_000, 10))


def _some(count: int, key: str, value: object) -> Callable[[list[Target]], None]:
    def change(targets: list[Target]) -> None:
        for target in targets[:count]:
            target[key] = value

    return change


def _changes(pbxs: int) -> dict[str, Callable[[list[Target]], None]]:
    """Made one after the other, to those that answer."""
    return {
        "nothing changed": _some(0, "", None),
        "1 timeout": _some(1, "timeout", "4s"),
        "half of the users": _some(pbxs // 2, "username", "v"),
        "all secrets": _some(pbxs, "secret_env", "BENCH_SECRET_2"),
        "all hosts": _some(pbxs, "host", "localhost"),
    }


def measure(
    files: tuple[_File, ...] = FILES, pbxs: int = PBXS, sessions: int = SESSIONS
) -> Numbers:
    """Of each file and change the longest gap of any PBX, the 99th percentile, and what the reload
    itself took."""
    numbers: Numbers = {}
    for file in files:
        with ExitStack() as stack:
            address = stack.enter_context(pbx.running(sessions, pbxs=pbxs, writes="by answer"))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            closed = stack.enter_context(socket.socket())
            closed.bind((pbx.HOST, 0))  # and does not listen
            nobody = closed.getsockname()[1]
            targets = {name: _target(pbx.HOST, nobody) for name in file.names}
            alive = file.alive(pbxs)
            for name, place in zip(alive, address.places, strict=False):
                targets[name] = _target(*place)
            path = folder / "exporter.yml"
            _write(path, targets)
            shard = [] if file.shards is None else [f"--config.shard=0/{file.shards}"]
            begun = time.monotonic()
            exporter = stack.enter_context(
                Exporter(
                    f"--config.file={path}",
                    *shard,
                    environment={"BENCH_SECRET": pbx.SECRET, "BENCH_SECRET_2": "another"},
                )
            )
            listening = time.monotonic() - begun
            all_polled = _all_polled(address, len(alive)) - begun
            since = time.monotonic()
            time.sleep(WARM_UP)
            what = f"{len(alive)} PBXs with {sessions} sessions each, {file}"
            gaps = _gaps(address, len(alive), since)
            numbers[f"{what}: start"] = {
                "listening_s": round(listening, 3),
                "all_polled_s": round(all_polled, 3),
                "gap_max_s": round(gaps[-1], 3),
            }
            for change, apply in _changes(len(alive)).items():
                apply([targets[name] for name in alive])
                _write(path, targets)
                numbers[f"{what}: {change}"] = _reloaded(exporter, address, len(alive))
    return numbers


def _target(host: str, port: int) -> Target:
    return {"username": "u", "secret_env": "BENCH_SECRET", "host": host, "port": port}


def _write(path: Path, targets: dict[str, Target]) -> None:
    path.write_text(
        "targets:\n"
        + "".join(f"  {name}: {json.dumps(target)}\n" for name, target in targets.items())
    )


def _all_polled(address: pbx.Address, alive: int) -> float:
    """When the last of those that answer was polled first, or it was given up."""
    first: dict[int, float] = {}
    deadline = time.monotonic() + 60
    while len(first) < alive and time.monotonic() < deadline:
        time.sleep(0.5)
        for number, times in enumerate(address.seen().polls):
            if times:
                first.setdefault(number, times[0])
    return max(first.values())


def _reloaded(exporter: Exporter, address: pbx.Address, alive: int) -> dict[str, float]:
    address.seen()
    since = time.monotonic()
    time.sleep(CALM)
    main, begun = exporter.process.pid, time.monotonic()
    cpu = cpu_of([main])
    ask = urllib.request.Request(f"{exporter.base}/-/reload", method="POST")
    with urllib.request.urlopen(ask, timeout=100):
        took = time.monotonic() - begun
    cpu = cpu_of([main]) - cpu
    time.sleep(CALM)
    gaps = _gaps(address, alive, since)
    return {
        "gap_max_s": round(gaps[-1], 3),
        "gap_p99_s": round(gaps[len(gaps) * 99 // 100], 3),
        "reload_s": round(took, 3),
        "main_cpu_s": round(cpu, 3),
        "main_resident_mib": round(resident([main]), 1),
    }


def _gaps(address: pbx.Address, alive: int, since: float) -> list[float]:
    """Of those that answer, the shortest first; one that is polled no more has one, too."""
    polls, until = address.seen().polls[:alive], time.monotonic()
    return sorted(gap for times in polls for gap in gaps_of(times, since, until))
