"""The dashboards of one PBX and of two hundred, of clusters, and of pairs of exporters, as a real
Prometheus answers them."""

import time
from collections.abc import Iterator
from typing import Final

import pytest

from harness.exposition import published
from harness.rules import recorded
from tests.grafana.boards import PANELS
from tests.grafana.prometheus import HOUR, Grafana, World, holding, written
from tests.grafana.test_links import LINKS
from tests.grafana.worlds import WORST, alerts, pbx, peer

pytestmark = pytest.mark.slow

SCRAPE: Final = 120
END: Final = int(time.time()) // HOUR * HOUR - 3 * HOUR
START: Final = END - HOUR - 10 * SCRAPE
LINES: Final = 20
"""As many as one can tell apart in a graph."""
OF_EXPORTERS: Final = {
    "When was each PBX reached?",
    "Which part worked when?",
    "Polls per minute, by PBX",
    "How long does a poll take, by PBX?",
    "How old is the last successful poll, by PBX?",
    "How late do polls of the exporter begin?",
    "How busy is the loop of the exporter?",
    "Did each exporter keep up?",
    "Web process ended",
    "CPU of the exporter",
    "Memory of the exporter",
    "Share of the open files allowed",
    "How long does a scrape take?",
    "Which exporter runs where, and since when?",
    "Scrapes that fail",
}
"""Panels that are about exporters, and so show both of a pair."""


def fleet(job: str, pbxs: int, peers: int, more: str = "") -> World:
    """PBXs with peers; the higher their number, the worse."""
    for n in range(1, pbxs + 1):
        labels = f'job="{job}", instance="pbx{n}"{more}'
        yield from pbx(labels, START, bad=n + WORST - pbxs)
        for m in range(1, peers + 1) if n <= 10 else ():
            yield from peer(f'{labels}, peer="trunk{m}"', bad=m)


def world() -> World:
    """Each job one site."""
    yield from fleet("fleet", 200, 10)
    yield from alerts('job="fleet", instance="pbx1"')
    for job in ("single", "pair"):
        for replica in (', replica="a"', ', replica="b"') if job == "pair" else ("",):
            yield from fleet(job, 3, 3, replica)
        yield from alerts(f'job="{job}", instance="pbx1"')
    for namespace in ("prod", "staging"):
        yield from fleet("clusters", 1, 1, f', namespace="{namespace}"')
    for threshold in recorded():
        if threshold.startswith("global:"):
            yield f'{threshold}{{rules="asterisk-fax"}}', lambda i: 1.0


@pytest.fixture(scope="module")
def grafana(promtool: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grafana]:
    lines = written(world(), START, END, SCRAPE)
    with holding(lines, promtool, tmp_path_factory.mktemp("scale")) as prometheus:
        yield Grafana(prometheus, "fleet", END, HOUR, SCRAPE)


def of(grafana: Grafana, job: str) -> Grafana:
    return Grafana(grafana.prometheus, job, grafana.end, grafana.period, grafana.scrape)


def test_the_world_has_all_that_is_published() -> None:
    assert published() <= {series.partition("{")[0] for series, _ in world()}


@pytest.mark.parametrize("job", ["fleet", "single"])
def test_every_panel_has_something_to_show(grafana: Grafana, job: str) -> None:
    empty = [panel["title"] for _, panel in PANELS if not of(grafana, job).shows(panel)]
    assert empty == []


def test_no_graph_of_200_pbxs_has_more_lines_than_one_can_tell_apart(grafana: Grafana) -> None:
    lines = {
        f"{board}: {panel['title']}": len(grafana.shows(panel))
        for board, panel in PANELS
        if panel["type"] != "table"
    }
    assert {title: many for title, many in lines.items() if many > LINES} == {}
    # Those that have a line for each PBX do show many.
    assert max(lines.values()) >= 10


def test_tables_of_200_pbxs_have_pages_and_the_worst_first(grafana: Grafana) -> None:
    for _, panel in PANELS:
        if panel["type"] == "table":
            assert panel["options"]["enablePagination"], panel["title"]
            titles = {t["legendFormat"] for t in panel["targets"]}
            titles |= set(panel["transformations"][1]["options"]["renameByName"].values())
            first = panel["options"]["sortBy"][0]["displayName"]
            assert first in titles, panel["title"]


def test_the_worst_trunks_of_a_fleet_are_on_the_overview(grafana: Grafana) -> None:
    (panel,) = (p for _, p in PANELS if p["title"] == "Which trunk is worst?")
    shown = {dict(answer.labels)["peer"] for answer in grafana.shows(panel)}
    # Each of ten PBXs has a trunk10, than which none is worse.
    assert shown == {"trunk10"}


def test_every_line_that_leads_on_has_the_labels_by_which_it_does(grafana: Grafana) -> None:
    for link in LINKS:
        if link.panel["type"] != "table":
            for answer in grafana.shows(link.panel):
                if link.panel["targets"][answer.target]["refId"] == link.on:
                    labels = {"job", *dict(answer.labels)}
                    assert set(link.taken.values()) <= labels, link.panel["title"]


def test_a_pair_of_exporters_shows_what_one_would(grafana: Grafana) -> None:
    for board, panel in PANELS:
        if panel["title"] in OF_EXPORTERS:
            continue
        pair, single = (of(grafana, job).shows(panel) for job in ("pair", "single"))
        assert sorted(map(repr, pair)) == sorted(map(repr, single)), (board, panel["title"])


def test_of_a_pair_both_exporters_are_shown_where_it_is_about_them(grafana: Grafana) -> None:
    for _, panel in PANELS:
        if panel["title"] in OF_EXPORTERS and panel["type"] != "stat":
            replicas = {dict(a.labels).get("replica") for a in of(grafana, "pair").shows(panel)}
            assert replicas == {"a", "b"}, panel["title"]


def test_what_a_site_keeps_apart_by_labels_of_its_own_stays_apart(grafana: Grafana) -> None:
    apart = 0
    for _, panel in PANELS:
        for answer in of(grafana, "clusters").shows(panel):
            labels = dict(answer.labels)
            if "instance" in labels:
                apart += 1
                assert labels.get("namespace") in ("prod", "staging"), panel["title"]
    assert apart > 100
