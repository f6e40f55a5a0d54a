"""Five faxes in a day are five on the dashboards: no fraction of one in a minute, and none lost
between two bars. As a real Prometheus answers, at any interval of scrapes."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.grafana.boards import PANELS
from tests.grafana.prometheus import DAY, HOUR, Grafana, Values, World, holding, written

pytestmark = pytest.mark.slow

MIDNIGHT: Final = int(time.time()) // DAY * DAY - DAY
END: Final = MIDNIGHT + 16 * HOUR + 20 * 60
"""Somebody looks at the dashboard then."""
FIRST: Final = END - DAY + 7
"""The first scrape; none is at a full hour, as none of a real Prometheus' is."""


@dataclass(frozen=True)
class Fax:
    """When it ended, seconds after midnight."""

    at: int
    pages: int
    failed: bool = False


FAXES: Final = (
    Fax(8 * HOUR + 600, 2),
    # Two in one hour, and two beside a full hour, where one bar ends and the next begins: what
    # comes between their last scrape and their first.
    Fax(9 * HOUR + 900, 1),
    Fax(9 * HOUR + 1700, 0, failed=True),
    Fax(11 * HOUR - 1, 4),
    # In the hour that still lasts.
    Fax(16 * HOUR + 7, 1),
)
RESTART: Final = 10 * HOUR
"""The exporter began anew then, with counters at 0."""


def counted(faxes: list[int], scrape: int) -> Values:
    """How many there are at each sample, by when each of them came."""

    def at(i: int) -> float:
        now = FIRST + i * scrape - MIDNIGHT
        return sum(1.0 for fax in faxes if (RESTART if now >= RESTART else -DAY) <= fax <= now)

    return at


def practice(scrape: int) -> World:
    labels = f'job="every {scrape} s", instance="practice"'
    of_fax, page = (
        f'{labels}, operation="receive"',
        f'{labels}, operation="receive", state="Active"',
    )
    well = [fax.at for fax in FAXES if not fax.failed]
    failed = [fax.at for fax in FAXES if fax.failed]
    pages = [fax.at for fax in FAXES for _ in range(fax.pages)]
    counters = {
        f'finished_total{{{of_fax}, transport="t38"}}': well + failed,
        f'succeeded_total{{{of_fax}, transport="t38"}}': well,
        f'failures_total{{{of_fax}, reason="timeout"}}': failed,
        f"pages_received_total{{{page}}}": pages,
        f'pages_transmitted_total{{{labels}, operation="send", state="Active"}}': [],
        f'pages_relayed_total{{{labels}, operation="gateway", state="Active"}}': [],
        f"results_unknown_total{{{of_fax}}}": [],
    }
    for series, faxes in counters.items():
        yield f"asterisk_fax_{series}", counted(faxes, scrape)


SCRAPES: Final = (15, 60, 120)


@pytest.fixture(scope="module", params=SCRAPES, ids=lambda scrape: f"every {scrape} s")
def grafana(
    request: pytest.FixtureRequest, promtool: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Grafana]:
    scrape = request.param
    lines = written(practice(scrape), FIRST, END, scrape)
    with holding(lines, promtool, tmp_path_factory.mktemp("practice")) as prometheus:
        yield Grafana(prometheus, f"every {scrape} s", END, DAY, scrape)


def shown(grafana: Grafana, title: str, board: str = "fax-overview.json") -> list[Counter[float]]:
    """The values of each query of a panel by when they are, without those that are 0."""
    (panel,) = (p for name, p in PANELS if (name, p["title"]) == (board, title))
    found: list[Counter[float]] = [Counter() for _ in panel["targets"]]
    for answer in grafana.shows(panel):
        found[answer.target].update({at: v for at, v in answer.values.items() if v})
    return found


def in_hours(grafana: Grafana, *faxes: Fax) -> Counter[float]:
    """How many were first scraped in each hour: Prometheus knows of none before."""
    scraped = (grafana.scrape * -((FIRST - MIDNIGHT - fax.at) // grafana.scrape) for fax in faxes)
    return Counter(float((FIRST + after) // HOUR * HOUR) for after in scraped)


def test_the_figures_are_whole(grafana: Grafana) -> None:
    assert [found.total() for found in shown(grafana, "In this period")] == [5, 1, 8]


def test_each_fax_is_in_the_bar_of_its_hour(grafana: Grafana) -> None:
    ended, theirs, failed, unknown = shown(grafana, "How many faxes, and how did they end?")
    assert ended == in_hours(grafana, *(fax for fax in FAXES if not fax.failed))
    assert failed == in_hours(grafana, *(fax for fax in FAXES if fax.failed))
    assert not theirs
    assert not unknown


def test_each_page_is_in_the_bar_of_its_hour(grafana: Grafana) -> None:
    _, received, _ = shown(grafana, "Pages")
    assert received == in_hours(grafana, *(fax for fax in FAXES for _ in range(fax.pages)))


def test_the_bar_of_today_has_what_came_until_now(grafana: Grafana) -> None:
    well, failed, _ = shown(grafana, "Faxes of each day, the last two weeks")
    assert (well, failed) == ({MIDNIGHT: 4}, {MIDNIGHT: 1})


def test_the_reason_is_counted_once(grafana: Grafana) -> None:
    every, by_reason = shown(grafana, "Why did faxes fail in this period?")
    assert (every.total(), by_reason.total()) == (1, 1)
