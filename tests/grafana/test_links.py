"""From a row or a line one comes to the dashboard that says more of it, with everything chosen."""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest

from grafana import drill
from tests.grafana.boards import BOARDS, PANELS, Json

BY_UID: Final = {board["uid"]: board for board in BOARDS.values()}


class Link(NamedTuple):
    """One link of a panel; `on` is the column, or the query, whose values have it."""

    board: Json
    panel: Json
    on: str
    url: str

    @property
    def leads_to(self) -> str:
        return self.url.removeprefix("/d/").partition("?")[0]

    @property
    def taken(self) -> dict[str, str]:
        """What is set by the click: a variable, and the column or label it is taken from."""
        found = re.findall(r"&var-(\w+)=\$\{([\w.]+):percentencode\}", self.url)
        return {name: source.rpartition(".")[2] for name, source in found}


def links() -> Iterator[Link]:
    for name, panel in PANELS:
        for override in panel["fieldConfig"]["overrides"]:
            for one in override["properties"]:
                if one["id"] == "links":
                    for link in one["value"]:
                        yield Link(BOARDS[name], panel, override["matcher"]["options"], link["url"])


def variables(board: Json) -> set[str]:
    return {variable["name"] for variable in board["templating"]["list"]}


LINKS: Final = list(links())
EACH: Final = pytest.mark.parametrize(
    "link", LINKS, ids=[f"{link.panel['title']} {i}" for i, link in enumerate(LINKS)]
)


@EACH
def test_a_link_leads_to_a_dashboard_that_can_choose_what_was_clicked(link: Link) -> None:
    assert link.taken
    assert set(link.taken) <= variables(BY_UID[link.leads_to])


@EACH
def test_a_link_keeps_the_period_the_data_source_and_the_filters(link: Link) -> None:
    kept = set(re.findall(r"[?&]\$\{(\w+):queryparam\}", link.url))
    assert "${__url_time_range}" in link.url
    assert {"datasource", "filters"} <= kept
    # A PBX's name alone may be that of another job's too.
    assert {"job", "instance"} <= kept | set(link.taken)
    assert kept <= variables(link.board)
    assert not kept & set(link.taken)


@EACH
def test_what_a_link_takes_is_there(link: Link) -> None:
    if link.panel["type"] == "table":
        titles = link.panel["transformations"][1]["options"]["renameByName"].values()
        assert {link.on, *link.taken.values()} <= set(titles)
        assert "__data.fields." in link.url
    else:
        # test_scale.py has the labels.
        assert link.on in {target["refId"] for target in link.panel["targets"]}
        assert "__field.labels." in link.url


def test_one_comes_from_the_fleet_to_a_pbx_to_a_peer_to_its_reasons() -> None:
    def leads(title: str) -> set[tuple[str, frozenset[str]]]:
        return {
            (link.leads_to, frozenset(link.taken)) for link in LINKS if link.panel["title"] == title
        }

    pbx, peer = frozenset(("job", "instance")), frozenset(("job", "instance", "peer"))
    assert {(drill.LINE_QUALITY, pbx), (drill.PEERS, pbx), (drill.HEALTH, pbx)} <= leads(
        "Which PBX needs attention?"
    )
    assert (drill.PEERS, pbx) in leads("Which line is bad?")
    assert (drill.PEERS, peer) in leads("Which trunk is worst?")
    assert (drill.PEERS, peer) in leads("Which peer is worst?")
    assert (drill.PEERS, peer | {"reason"}) in leads("Which peer for which reason?")
    assert (drill.LINE_QUALITY, frozenset(("operation",))) in leads("What share of faxes fails?")
    assert (drill.LINE_QUALITY, frozenset(("reason",))) in leads("Why did they fail?")


def test_every_graph_by_pbx_or_peer_leads_on() -> None:
    lead = {id(link.panel) for link in LINKS}
    exporters = ("of the exporter", "open files", "scrape")
    for _, panel in PANELS:
        named: Any = [t["legendFormat"] for t in panel["targets"]]
        if panel["type"] == "timeseries" and any("{{instance}}" in legend for legend in named):
            assert id(panel) in lead or any(word in panel["title"] for word in exporters)
