"""One more shard, and one less, step by step as docs/fleet.md says: real exporters, a real
Prometheus, and what its counters say in the end against what the PBXs did."""

import contextlib
import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from exporter.settings import HASHMOD, RENDEZVOUS, ShardBy, share_of
from harness.monitoring import Prometheus
from harness.readme import block
from harness.running import Exporter
from tests.deploy.pbxs import BAD_LINES, SECRET, Pbxs, Truth, pbxs
from tests.deploy.test_prometheus import unused_port

pytestmark = pytest.mark.slow

HEADING: Final = "## Several exporters, each with a share"
HEADING_OF_ONE: Final = "## Several PBXs"
COUNT: Final = 10
SECONDS: Final = 60
HOSTS: Final = ["127.0.0.20", "127.0.0.21", "127.0.0.22"]
COUNTERS: Final = {
    "faxes": "asterisk_fax_finished_total",
    "pages": "asterisk_fax_pages_received_total",
    "bad_lines": "asterisk_fax_bad_lines_total",
}


class Shards:
    """Exporters that share the PBXs, their files, and a Prometheus that finds those."""

    def __init__(
        self, directory: Path, pbxs: Pbxs, *, by: ShardBy = RENDEZVOUS, interval: str = "1s"
    ) -> None:
        self.pbxs = pbxs
        self._by = by
        self.prometheus: Prometheus
        self._directory = directory
        self._interval = interval
        self._port = unused_port(*HOSTS)
        self._running: dict[int, Exporter] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def file(self, index: int, share: str | None, *, of_none: bool = False) -> None:
        """Gives an exporter its file; `share`: None if nothing of shares is in it, `of_none`: with
        a share of no targets."""
        content: dict[str, object] = {} if share is None else {"shard": share, "shard_by": self._by}
        content["targets"] = {} if of_none else self.pbxs.targets()
        (self._directory / f"exporter-{index}.yml").write_text(json.dumps(content))

    def start(self, index: int) -> None:
        """Starts an exporter with its file."""
        self._running[index] = self._stack.enter_context(
            Exporter(
                f"--config.file={self._directory / f'exporter-{index}.yml'}",
                f"--web.listen-address={HOSTS[index]}:{self._port}",
                "--poll.interval=100ms",
                environment={"ANY": SECRET},
            )
        )

    def stop(self, index: int) -> None:
        """Ends an exporter."""
        self._running.pop(index).stop()

    def reload(self, index: int) -> None:
        """Has it read its file; returns once it has."""
        with urllib.request.urlopen(f"{self._base(index)}/-/reload", b"", timeout=20) as answer:
            assert answer.read() == b"reloaded\n"

    def listed(self, index: int) -> set[str]:
        """What it says that it watches."""
        with urllib.request.urlopen(f"{self._base(index)}/sd", timeout=20) as answer:
            return {name for one in json.load(answer) for name in one["targets"]}

    def _base(self, index: int) -> str:
        return f"http://{HOSTS[index]}:{self._port}"

    def _job(self, indices: list[int]) -> str:
        job = block("scrape_configs:", after=HEADING, document="docs/fleet.md")
        line = '      - {{url: "{}/sd", refresh_interval: {}}}\n'
        found = [line.format(f"http://exporter-{index}:10329", "15s") for index in (0, 1)]
        assert "".join(found) in job
        ours = "".join(line.format(self._base(index), self._interval) for index in indices)
        job = job.replace("".join(found), ours)
        return self._often(job)

    def _job_of_one(self) -> str:
        """That of one exporter, which has all."""
        job = block("scrape_configs:", after=HEADING_OF_ONE, document="docs/fleet.md")
        job = job.partition("\n\n")[0].replace("exporter.example:10329", f"{HOSTS[0]}:{self._port}")
        url = f"- url: {self._base(0)}/sd\n"
        assert url in job
        return self._often(job.replace(url, f"{url}        refresh_interval: {self._interval}\n"))

    def _often(self, job: str) -> str:
        return f"global: {{scrape_interval: {self._interval}, scrape_timeout: 1s}}\n{job}"

    def discover_one(self) -> None:
        """Has a Prometheus, which starts, ask the first one alone, as where there are no others."""
        self.prometheus = self._stack.enter_context(
            Prometheus(self._job_of_one(), self._directory / "prometheus")
        )

    def discover(self, *indices: int) -> None:
        """Has Prometheus ask these for targets; the first time it starts."""
        folder = self._directory / "prometheus"
        if folder.exists():
            (folder / "prometheus.yml").write_text(self._job(list(indices)))
            self.prometheus.reload()
        else:
            self.prometheus = self._stack.enter_context(
                Prometheus(self._job(list(indices)), folder)
            )

    def wait_until_each_is_asked_for_its_own(self, *indices: int) -> None:
        """Until Prometheus scrapes each PBX from who watches it, and from nobody else, twice."""
        expected = {
            f"{self._base(index)}/probe?target={name}"
            for index in indices
            for name in self.listed(index)
        }
        assert len(expected) == COUNT
        up = (
            'count_over_time(up{job="asterisk-fax"}[5s]) > 1 and on (instance) asterisk_fax_up == 1'
        )
        self.prometheus.wait_until(
            lambda p: (
                {one["scrapeUrl"] for one in p.targets() if one["health"] == "up"} == expected
                and len(p.targets()) == COUNT
                and len(p.query(up)) == COUNT
            ),
            SECONDS,
            "each PBX is scraped from who watches it",
        )

    def counted(self, counter: str) -> Counter[str]:
        """By PBX, by how much a counter went up, as `increase` sees it but to the letter: a value
        below the one before is all new."""
        made: Counter[str] = Counter()
        for series in self.prometheus.samples(f'{counter}{{job="asterisk-fax"}}', "10m"):
            values = [value for _, value in series.points]
            grown = sum(b - a if b >= a else b for a, b in pairwise([0.0, *values]))
            made[series.labels["instance"]] += int(grown)
        return made

    def resets(self) -> Counter[str]:
        """By PBX, how often its counters began again."""
        made: Counter[str] = Counter()
        for series in self.prometheus.samples(
            'asterisk_fax_polls_total{job="asterisk-fax"}', "10m"
        ):
            values = [value for _, value in series.points]
            made[series.labels["instance"]] += sum(b < a for a, b in pairwise(values))
        return made

    def wait_until_counted(self, truth: dict[str, Truth]) -> None:
        """Until Prometheus says what the PBXs did, to the last bad line."""
        self.prometheus.wait_until(
            lambda _: all(
                self.counted(counter) == {name: getattr(one, field) for name, one in truth.items()}
                for field, counter in COUNTERS.items()
            ),
            SECONDS,
            f"{truth}, and counted were {[self.counted(one) for one in COUNTERS.values()]}",
        )


@contextlib.contextmanager
def running(directory: Path, count: int, by: ShardBy = RENDEZVOUS) -> Iterator[Shards]:
    """So many exporters that share ten PBXs; each has had a fax, and Prometheus knows it."""
    with pbxs(COUNT) as fleet, Shards(directory, fleet, by=by) as shards:
        for index in range(count):
            shards.file(index, f"{index}/{count}" if count > 1 else None)
            shards.start(index)
        if count > 1:
            shards.discover(*range(count))
        else:
            shards.discover_one()
        shards.wait_until_each_is_asked_for_its_own(*range(count))
        shards.wait_until_counted(fleet.do("fax"))
        yield shards


def dealt(count: int, by: ShardBy = RENDEZVOUS) -> dict[str, int]:
    names = [f"fax-{number:02}" for number in range(COUNT)]
    return {name: share_of(name, count, by).index for name in names}


def one_more(shards: Shards, last: int = 2) -> None:
    """The steps of docs/fleet.md, by their numbers there."""
    count, every = last + 1, range(last + 1)
    shards.file(last, f"{last}/{count}", of_none=True)  # 1
    shards.start(last)
    shards.discover(*every)  # 2
    for index in every:  # 3
        shards.file(index, f"{index}/{count}")
    for index in every:  # 4
        shards.reload(index)
    shards.wait_until_each_is_asked_for_its_own(*every)


def one_beside_the_only_one(shards: Shards) -> None:
    """The same, where one had all until now and a job of its own."""
    one_more(shards, 1)


def one_less(shards: Shards) -> None:
    """The steps of docs/fleet.md, by their numbers there."""
    shards.file(2, "2/3", of_none=True)  # 1
    for index in range(2):
        shards.file(index, f"{index}/2")
    for index in (2, 0, 1):  # 2
        shards.reload(index)
    shards.discover(0, 1)  # 3
    shards.stop(2)  # 4
    shards.wait_until_each_is_asked_for_its_own(0, 1)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [(2, 3, one_more), (3, 2, one_less), (1, 2, one_beside_the_only_one)],
    ids=["more", "less", "one more than one"],
)
def test_what_happens_before_and_after_is_counted_once_and_who_stays_is_not_disturbed(
    tmp_path: Path, before: int, after: int, change: Callable[[Shards], None]
) -> None:
    moved = {name for name, index in dealt(before).items() if dealt(after)[name] != index}
    assert 0 < len(moved) < COUNT
    with running(tmp_path, before) as shards:
        # A fax is under way meanwhile: its first page is over, and Prometheus knows of that.
        half = shards.pbxs.do("begin_fax")
        shards.wait_until_counted(half)
        change(shards)
        assert {n: i for i in range(after) for n in shards.listed(i)} == dealt(after)
        done = shards.pbxs.do("end_fax")
        shards.wait_until_counted(done)
        done = shards.pbxs.do("fax")
        shards.wait_until_counted(done)
        assert all(one.faxes == 3 and one.bad_lines == 6 * BAD_LINES for one in done.values())
        # Those that stay keep their connection and their counters, those that move begin once anew.
        assert {name for name, one in done.items() if one.logins == 2} == moved
        assert {one.logins for one in done.values()} == {1, 2}
        assert {one.at_once for one in done.values()} == {1}
        assert +shards.resets() == dict.fromkeys(moved, 1)


def test_by_hashmod_all_let_go_before_any_takes_and_nothing_is_counted_twice(
    tmp_path: Path,
) -> None:
    with running(tmp_path, 2, HASHMOD) as shards:
        shards.wait_until_counted(shards.pbxs.do("begin_fax"))
        shards.file(2, "2/3", of_none=True)
        shards.start(2)
        shards.discover(0, 1, 2)
        for index in range(2):
            shards.file(index, f"{index}/2", of_none=True)
            shards.reload(index)
        for index in range(3):
            shards.file(index, f"{index}/3")
            shards.reload(index)
        shards.wait_until_each_is_asked_for_its_own(0, 1, 2)
        assert {n: i for i in range(3) for n in shards.listed(i)} == dealt(3, HASHMOD)
        shards.pbxs.do("end_fax")
        done = shards.pbxs.do("fax")
        shards.wait_until_counted(done)
        assert {one.at_once for one in done.values()} == {1}
        assert shards.resets() == dict.fromkeys(done, 1)
