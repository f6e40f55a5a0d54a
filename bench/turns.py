"""A fleet that is more than a machine holds: its exporters, with a share each, one after the other.

All have the same file of all the PBXs, which are all there; only one exporter runs at a time, so
that what it takes is what it would take on a machine of its own.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench import pbx
from bench.fleet import WARM_UP, targets_file, watching

SECONDS: Final = 15.0


def in_turn(
    pbxs: int,
    sessions: int,
    shards: int,
    *,
    only: Iterable[int] | None = None,
    seconds: float = SECONDS,
    warm_up: float = WARM_UP,
    scraped: bool = True,
    writes: str = "by answer",
) -> Iterator[dict[str, float]]:
    """What each exporter took, and what it missed of what happened at its PBXs: the numbers of
    `Watch.measured` and `Watch.compared`, `shard`, `start_s` until it served, the `connections`
    that its PBXs saw, which are more than PBXs if it had to connect again, and `config_bytes`, of
    the file for each target.

    `only`: the shards that are run; None: all. `scraped`: by a real Prometheus.

    Raises AssertionError if a PBX is watched by none of them or by two, or is asked by one that is
    not to watch it; and if more is counted than happened.
    """
    watched: dict[int, int] = {}
    with (
        pbx.running(sessions, pbxs=pbxs, writes=writes, by_time=True) as address,
        tempfile.TemporaryDirectory() as directory,
    ):
        folder = Path(directory)
        file = targets_file(address, folder)
        turns = range(shards) if only is None else list(only)
        for shard in turns:
            address.resume()
            with ExitStack() as stack:
                begun = time.monotonic()
                watch = stack.enter_context(
                    watching(address, folder, f"--config.shard={shard}/{shards}", file=file)
                )
                started = time.monotonic() - begun
                if scraped:
                    stack.enter_context(watch.scraped())
                time.sleep(warm_up)
                numbers = watch.measured(seconds)
                share = watch.share()
                numbers |= watch.compared()
                connections = address.seen().connections
            asked = [number for number, times in enumerate(connections) if times]
            assert asked == sorted(share), f"shard {shard} asks others than it says"
            numbers |= {
                "connections": sum(connections),
                "config_bytes": round(file.stat().st_size / pbxs, 1),
            }
            for number in share:
                other = watched.setdefault(number, shard)
                assert other == shard, f"PBX {number} is of shard {shard} and of {other}"
            yield {"shard": shard, "start_s": round(started, 2)} | numbers
        if only is None:
            assert len(watched) == pbxs, f"only {len(watched)} of {pbxs} PBXs are watched"
