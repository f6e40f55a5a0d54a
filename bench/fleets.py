"""What a fleet needs, from 200 PBXs to 100,000: docs/benchmarks.md's table.

    python -m bench.fleets 200 1000 disk
    python -m bench.fleets 10000

The first takes 4 minutes, the second 10, as its exporters run one after the other. What is measured
is kept in build/fleets.json, and what is missing in the table was not measured yet.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from bench import disk
from bench.fleet import SCRAPE_SECONDS, notes
from bench.turns import in_turn

SESSIONS: Final = 5
SHARDS: Final = {200: 1, 1000: 1, 10_000: 8}
"""By PBXs, those that are measured."""
COMPUTED: Final = 100_000
LIKE: Final = max(SHARDS)
"""That one is computed from this."""
_KEPT: Final = Path("build/fleets.json")
_DAY: Final = 86_400

Turns: TypeAlias = Sequence[Mapping[str, float]]
"""What each exporter took."""


def main() -> None:
    """Measures what is named, and prints the table of all that was measured so far."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    subjects = [*map(str, SHARDS), "disk"]
    parser.add_argument("what", nargs="*", help=", ".join(subjects))
    parser.add_argument("--writes", default="by message", help="how a PBX does: bench/pbx.py")
    given = parser.parse_args()
    if unknown := set(given.what).difference(subjects):
        parser.error(f"cannot be measured: {', '.join(sorted(unknown))}; see --help")
    kept = json.loads(_KEPT.read_text()) if _KEPT.exists() else {}
    for what in given.what:
        if what == "disk":
            (kept[what],) = disk.measure().values()
        else:
            kept[what] = []
            for turn in in_turn(int(what), SESSIONS, SHARDS[int(what)], writes=given.writes):
                kept[what].append(turn)
                for note in notes(f"{what}, shard {turn['shard']:.0f}", turn):
                    print(note, file=sys.stderr)
        _KEPT.parent.mkdir(exist_ok=True)
        _KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    print("\n".join(table({int(n): kept[n] for n in map(str, SHARDS) if n in kept}, _disk(kept))))


def _disk(kept: dict[str, dict[str, float]]) -> float:
    return kept["disk"]["bytes_per_sample"] if "disk" in kept else math.nan


def table(measured: Mapping[int, Turns], bytes_per_sample: float) -> list[str]:
    """The lines of the table; values that are computed are in italics."""
    columns = {pbxs: _Column(pbxs, turns, bytes_per_sample) for pbxs, turns in measured.items()}
    shown = [f"{pbxs:,}" for pbxs in columns]
    fleets = list(columns.values())
    if LIKE in columns:
        shown.append(f"*{COMPUTED:,}*")
        fleets.append(_Column(COMPUTED, columns[LIKE].turns, bytes_per_sample))
    if 1000 in columns:
        for one in fleets:
            one.prometheus = columns[1000]
    lines = [f"| PBXs | {' | '.join(shown)} |", "|---|" + "---:|" * len(shown)]
    for what, value, computed in _ROWS:
        values = [
            f"*{value(one)}*" if computed(one) or one.pbxs == COMPUTED else value(one)
            for one in fleets
        ]
        lines.append(f"| {what} | {' | '.join(values)} |")
    return lines


class _Column:
    """One fleet."""

    def __init__(self, pbxs: int, turns: Turns, bytes_per_sample: float) -> None:
        self.pbxs = pbxs
        self.turns = turns
        self.bytes_per_sample = bytes_per_sample
        self.prometheus = self
        """That from which the memory of a larger one is computed."""

    @property
    def factor(self) -> float:
        """How many times what was measured it is."""
        return self.pbxs / sum(turn["watched"] for turn in self.turns)

    def sum(self, name: str) -> float:
        """Of all exporters."""
        return sum(turn[name] for turn in self.turns) * self.factor

    def most(self, name: str) -> float:
        """Of one exporter."""
        return max(turn[name] for turn in self.turns)

    def mean(self, name: str) -> float:
        """Of exporters, however many PBXs each has."""
        return sum(turn[name] for turn in self.turns) / len(self.turns)

    @property
    def exporters(self) -> float:
        """How many there are."""
        return len(self.turns) * self.factor

    @property
    def series(self) -> float:
        """In Prometheus."""
        return self.mean("series_per_pbx") * self.pbxs

    @property
    def prometheus_mib(self) -> float:
        """Measured, or as much a series as where it was."""
        if self.pbxs <= self.prometheus.pbxs:
            return self.sum("prometheus_mib")
        return self.prometheus.sum("prometheus_mib") / self.prometheus.series * self.series


def _is_larger(one: _Column) -> bool:
    return one.pbxs > 1000


def _always(_: _Column) -> bool:
    return True


def _never(_: _Column) -> bool:
    return False


def _mib(mib: float) -> str:
    return f"{mib:,.0f} MiB" if mib < 2048 else f"{mib / 1024:,.1f} GiB"


_ROWS: Final[Sequence[tuple[str, Callable[[_Column], str], Callable[[_Column], bool]]]] = (
    ("exporters", lambda of: f"{of.exporters:.0f}", _never),
    ("PBXs of one, at most", lambda of: f"{of.most('watched'):,.0f}", _never),
    ("cores of one, at most", lambda of: f"{of.most('cores'):.2f}", _never),
    (
        "of that, polls and answers",
        lambda of: f"{of.most('main_cores'):.2f} + {of.most('web_cores'):.2f}",
        _never,
    ),
    ("cores in all", lambda of: f"{of.sum('cores'):.1f}", _never),
    ("memory of one, at most", lambda of: _mib(of.most("resident_mib")), _never),
    ("memory in all", lambda of: _mib(of.sum("resident_mib")), _never),
    (
        "gaps between polls, p99 and longest",
        lambda of: f"{of.most('gap_p99_s'):.2f} and {of.most('gap_max_s'):.2f} s",
        _never,
    ),
    (
        "bad lines missed",
        lambda of: f"{of.sum('bad_lines_lost'):.0f} of {of.sum('bad_lines'):,.0f}",
        _never,
    ),
    ("logins, which is connections to PBXs", lambda of: f"{of.pbxs:,}", _never),
    (
        "open files of one, its two processes",
        lambda of: f"{of.most('main_files'):,.0f} + {of.most('web_files'):,.0f}",
        _never,
    ),
    (
        "with all PBXs, both ways",
        lambda of: f"{_size(of.mean('ami_bytes_per_s') * of.pbxs)}/s",
        _never,
    ),
    (
        "with Prometheus, compressed",
        lambda of: f"{_size(of.mean('scrape_bytes') * of.pbxs / SCRAPE_SECONDS)}/s",
        _never,
    ),
    ("file of targets", lambda of: _size(of.most("config_bytes") * of.pbxs), _never),
    ("series in Prometheus", lambda of: f"{of.series:,.0f}", _never),
    ("samples a second", lambda of: f"{of.series / SCRAPE_SECONDS:,.0f}", _always),
    ("cores of Prometheus", lambda of: f"{of.sum('prometheus_cores'):.2f}", _never),
    ("memory of Prometheus", lambda of: _mib(of.prometheus_mib), _is_larger),
    (
        "disk of Prometheus, a day",
        lambda of: _size(of.series / SCRAPE_SECONDS * _DAY * of.bytes_per_sample),
        _always,
    ),
)


def _size(size: float) -> str:
    if math.isnan(size):
        return "not measured"
    for unit, factor in (("kB", 1e3), ("MB", 1e6)):
        if size < factor * 1000:
            return f"{size / factor:,.1f} {unit}"
    return f"{size / 1e9:,.1f} GB"


if __name__ == "__main__":
    main()
