"""What the generator publishes of a PBX is what the exporter publishes of it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from exporter.polling import Poller
from harness.exposition import scrape
from harness.pbx import FaultyPbx
from harness.traffic import Fax, Pbx
from harness.traffic_metrics import series
from harness.virtual_time import in_virtual_time, until
from harness.watching import watched

Series = tuple[str, frozenset[tuple[str, str]]]
TARGET = {"job": "asterisk-fax", "instance": "fax-berlin"}
HELD = 200
"""Longer than a new series of a peer stands at 0, seconds."""


def generated(pbx: Pbx, steps: int) -> dict[Series, float]:
    """What is there at the last of the scrapes, a minute apart, without the target's labels."""
    found = {}
    for one in series([pbx], 60, steps):
        name, _, inside = one["series"][:-1].partition("{")
        labels = dict(pair.split("=", 1) for pair in inside.split(","))
        labels = {key: value.strip('"') for key, value in labels.items()}
        value = list(expanded(one["values"]))[-1]
        if value is not None and name != "up":
            own = frozenset(item for item in labels.items() if item[0] not in TARGET)
            found[name, own] = value
    return found


def expanded(values: str) -> Iterator[float | None]:
    """As promtool reads them."""
    for word in values.split():
        first, _, times = word.partition("x")
        if first == "_":
            yield from [None] * int(times or 1)
        elif first == "stale":
            yield None
        else:
            start, _, slope = first.partition("+")
            for number in range(int(times or 0) + 1):
                yield float(start) + number * float(slope or 0)


def published(poller: Poller) -> dict[Series, float]:
    """What the exporter has now."""
    return dict(scrape(poller, peer_label=True).samples)


def without_values_of_labels(found: dict[Series, float]) -> set[Series]:
    """The series, without versions, which nobody compares, and without the exporter's own."""
    return {
        (name, frozenset() if name.endswith("_info") else labels)
        for name, labels in found
        if not name.startswith("asterisk_fax_exporter_")
    }


async def live_through(pbx: FaultyPbx, poller: Poller, fax: Fax) -> None:
    """The demo PBX has this fax, page by page, as the exporter sees it."""
    totals = poller.ledger.totals
    ended = totals.ended.total()
    session = pbx.begin(fax.operation, f"{fax.peer}-0000000{ended}")
    session.negotiate()
    for number in range(fax.pages):
        before = totals.pages.total()
        if fax.bad_lines:
            session.add_bad_lines(fax.bad_lines // fax.pages)
        await asyncio.sleep(2)
        last = number == fax.pages - 1
        session.finish_page(last=last)
        if not last:
            await until(partial(_more, totals.pages, before))
    if fax.reason:
        pbx.end(session, status="FAILED", error="HANGUP")
    else:
        pbx.end(session)
    await until(partial(_more, totals.ended, ended))


def _more(counts: Counter[Any], than: int) -> bool:
    return counts.total() > than


@in_virtual_time
async def test_an_idle_pbx_has_the_series_that_the_exporter_publishes() -> None:
    async with watched(peer_limit=10) as (_, poller):
        real = published(poller)
    simulated = generated(Pbx([], peer_label=True), 3)
    assert without_values_of_labels(simulated) == without_values_of_labels(real)


@in_virtual_time
async def test_faxes_are_counted_by_the_same_series_as_the_exporter_counts_them_by() -> None:
    faxes = [
        Fax(60, pages=3, bad_lines=6, ecm=False, transport="g711"),
        Fax(60, "send", peer="PJSIP/a", pages=2, transport="g711", reason="call_dropped"),
        Fax(60, "send", peer="PJSIP/a", pages=1, transport="g711"),
    ]
    async with watched(peer_limit=10) as (pbx, poller):
        for fax in faxes:
            await live_through(pbx, poller, fax)
        await asyncio.sleep(HELD)
        real = published(poller)
    simulated = generated(Pbx(faxes, peer_label=True), 10)
    assert without_values_of_labels(simulated) == without_values_of_labels(real)
    differ = {
        key: (simulated[key], real[key])
        for key in simulated
        if key[0].endswith(("_total", "_count")) and key in real and simulated[key] != real[key]
    }
    # What depends on how long a poll or a page took, which is not the same.
    counted = {key for key in differ if "poll" not in key[0] and "duration" not in key[0]}
    assert {key: differ[key] for key in counted} == {}
