"""The pages in every situation, rendered without a server, and read like a browser does."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from html.parser import HTMLParser
from typing import Any, Final

from exporter.ledger import EVENT_LATENESS
from exporter.polling import Clock, Fleet, Poller, Row, Shown
from exporter.web.fleet import Wanted
from exporter.web.page import fleet_page, target_page
from exporter.web.templating import Layout
from exporter.web.views import session_views, target_view
from harness.pbx import FaultyPbx
from harness.virtual_time import clock, run, until, wall
from harness.watching import SECRET, begin, end_with_texts, settings_for, watched

HOSTILE: Final = "<script>alert(1)</script>'\"&\u202e\x1b[2J\u2028"
HARMLESS: Final = "<script>alert(1)</script>'\"&??[2J?"
"""How HOSTILE is to be read."""
VOID: Final = {"meta", "link", "br", "wbr", "input"}


@dataclasses.dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    texts: list[str] = dataclasses.field(default_factory=list)

    @property
    def text(self) -> str:
        """Of it and all in it, with single spaces."""
        return " ".join("".join(self.texts).split())


def unknown(meaning: str) -> str:
    """How a missing value is shown: a dash, with words for screen readers."""
    return f"\N{EN DASH}{meaning}"


def resolution(name: str, x: int, y: int) -> str:
    """How one reads, in dots per inch."""
    return f"{name} {x} \N{MULTIPLICATION SIGN} {y} dpi"


class Html(HTMLParser):
    """What a page has, if every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), attrs
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)

    @property
    def text(self) -> str:
        return self.all("body")[0].text

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag and attributes.items() <= element.attributes.items()
        ]

    def by_id(self, name: str) -> list[Element]:
        return [one for one in self.elements if one.attributes.get("id") == name]

    def rows(self, table: str) -> list[dict[str, str]]:
        """Of the table with a name that ends so: text by column; the row's own header is ''."""
        rows: list[dict[str, str]] = []
        inside = False
        for element in self.elements:
            if element.tag == "table":
                inside = element.attributes["aria-labelledby"].endswith(table)
            elif inside and element.tag == "tr":
                rows.append({})
            elif inside and element.tag == "td":
                rows[-1][element.attributes["data-label"]] = element.text
            elif inside and element.attributes.get("role") == "rowheader":
                rows[-1][""] = element.text
        return rows[1:]


def layout(of: Clock, *, details: bool = False, **other: Any) -> Layout:
    given = {"root": "./", "telemetry_path": "/metrics", "here": "pbxs"}
    return Layout(**(given | {"details": details, "as_of": of.wall()} | other))


def target_of(
    poller: Poller, name: str = "fax", *, details: bool = False, watched: int = 1
) -> Html:
    """The page of this PBX."""
    shown = Shown.of(poller)
    return Html(
        target_page(
            target_view(name, shown, poller.clock, details=details),
            session_views(name, shown, poller.clock, details=details),
            layout(poller.clock, details=details),
            watched=watched,
        )
    )


def fleet_of(pollers: Mapping[str, Poller], *, details: bool = False, **query: str) -> Html:
    """The page of these, as the query wants it."""
    of = next(iter(pollers.values())).clock if pollers else Clock()
    rows = [Row.of(name, poller) for name, poller in pollers.items()]
    return Html(fleet_page(rows, Wanted.of(query), layout(of, details=details)))


def page_of(pollers: Mapping[str, Poller], *, details: bool = False) -> Html:
    """What `/` shows of these."""
    if len(pollers) != 1:
        return fleet_of(pollers, details=details)
    ((name, poller),) = pollers.items()
    return target_of(poller, name, details=details)


def rendered(name: str, *, details: bool) -> Html:
    """What `/` shows in this situation."""

    async def work() -> Html:
        async with SITUATIONS[name]() as pollers:
            return page_of(pollers, details=details)

    return run(work())


# --- situations: each also stands in a browser, in test_look.py ------------------------------

Pollers = dict[str, Poller]
Situation = Callable[[], contextlib.AbstractAsyncContextManager[Pollers]]
SITUATIONS: dict[str, Situation] = {}


def situation(make: Callable[[], AsyncIterator[Pollers]]) -> Situation:
    SITUATIONS[make.__name__] = contextlib.asynccontextmanager(make)
    return SITUATIONS[make.__name__]


@situation
async def no_target() -> AsyncIterator[Pollers]:
    yield {}


@situation
async def not_yet_polled() -> AsyncIterator[Pollers]:
    async with watched(start=False) as (_, poller):
        yield {"fax": poller}


@situation
async def unreachable() -> AsyncIterator[Pollers]:
    async with watched() as (pbx, poller):
        pbx.drop(begin(pbx))
        await asyncio.sleep(2)
        pbx.refuse_connections()
        pbx.drop_connections()
        await until(lambda: "refused: nothing listens" in poller.status.trouble)
        yield {"fax": poller}


@situation
async def login_refused() -> AsyncIterator[Pollers]:
    async with watched() as (pbx, poller):
        pbx.secret = "changed"
        pbx.drop_connections()
        await until(lambda: "refuses" in poller.status.trouble)
        yield {"fax": poller}


@situation
async def lacking() -> AsyncIterator[Pollers]:
    async with watched(write=["call"], channelvars=False) as (pbx, poller):
        pbx.end(begin(pbx))
        await asyncio.sleep(2)
        yield {"fax": poller}


@situation
async def list_refused() -> AsyncIterator[Pollers]:
    async with watched(write=["reporting"]) as (pbx, poller):
        begin(pbx)
        await asyncio.sleep(2)
        yield {"fax": poller}


@situation
async def idle() -> AsyncIterator[Pollers]:
    async with watched() as (_, poller):
        yield {"fax": poller}


@situation
async def busy() -> AsyncIterator[Pollers]:
    async with watched(start=False) as (pbx, poller):
        begin(pbx, "gateway", "PJSIP/old-1")
        pbx.accept_connections()
        await until(lambda: poller.status.up)
        pbx.begin("send", "PJSIP/alice-2", files=["/tmp/secret-offer.tif"])
        receive = begin(pbx, "receive", "PJSIP/bob-3")
        receive.add_bad_lines(10)
        superfine = begin(pbx, "send", "PJSIP/carol-4")
        superfine.negotiate(rate=9600, ecm=True, resolution=(8031, 15400))
        odd = begin(pbx, "send", "PJSIP/dave-5")
        odd.negotiate(resolution=(11811, 11811))
        t38 = pbx.begin("receive", "PJSIP/erin-6")
        t38.switch_to_t38()
        t38.negotiate(resolution=(8031, 7700))
        pbx.begin("V.21", "PJSIP/frank-7")
        await asyncio.sleep(70)
        receive.finish_page()
        receive.add_bad_lines(7)
        t38.finish_page(last=True)
        t38.state = "Complete"
        await asyncio.sleep(3)
        yield {"fax": poller}


@situation
async def ended() -> AsyncIterator[Pollers]:
    async with watched() as (pbx, poller):
        good = begin(pbx, channel="PJSIP/alice-1")
        bad = begin(pbx, channel="PJSIP/bob-2")
        good.add_bad_lines(4)
        gateway = begin(pbx, "gateway", "PJSIP/carol-3")
        await asyncio.sleep(70)
        good.finish_page(last=True)
        await asyncio.sleep(2)
        end_with_texts(pbx, good, local="+49 30 1", remote="+33 1 2", file="/var/spool/in.tif")
        pbx.end(gateway)
        await asyncio.sleep(EVENT_LATENESS + 3)
        pbx.drop(bad)
        await asyncio.sleep(2)
        yield {"fax": poller}


@situation
async def hostile() -> AsyncIterator[Pollers]:
    async with watched(version=f"22{HOSTILE}", ami_version="5") as (pbx, poller):
        late = pbx.begin("receive", HOSTILE, files=[HOSTILE])
        late.negotiate()
        done = begin(pbx, channel=HOSTILE)
        await asyncio.sleep(2)
        end_with_texts(
            pbx, done, local=HOSTILE, remote="\u2067" + "M" * 2000, file=HOSTILE + "x" * 2000
        )
        begin(pbx, channel="PJSIP/" + "m" * 1000)
        await asyncio.sleep(2)
        yield {"fax": poller}


@contextlib.asynccontextmanager
async def targets(count: int) -> AsyncIterator[Pollers]:
    """The last cannot be reached, the one before lacks something, each has a fax."""
    started = [FaultyPbx(secret=SECRET, clock=wall) for _ in range(count)]
    fleet = Fleet(1.0, None, clock=clock())
    try:
        for pbx in started:
            await pbx.start()
        if count > 1:
            started[-1].refuse_connections()
            started[-2].write = frozenset({"call"})
        await fleet.watch({f"pbx-{n}": settings_for(pbx) for n, pbx in enumerate(started)})
        await until(lambda: len(fleet.stale) == (count > 1))
        await asyncio.sleep(EVENT_LATENESS)
        for pbx in started[: max(1, count - 1)]:
            pbx.drop(begin(pbx, channel="a/a-1"))
            begin(pbx, channel="b/b-2")
        await asyncio.sleep(2)
        yield fleet.pollers
    finally:
        await fleet.close()
        for pbx in started:
            await pbx.stop()


@situation
async def three_targets() -> AsyncIterator[Pollers]:
    async with targets(3) as pollers:
        yield pollers


@situation
async def many_targets() -> AsyncIterator[Pollers]:
    async with targets(25) as pollers:
        yield pollers
