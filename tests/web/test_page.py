"""The page, in every situation: what it says, what it hides, and that it fits and is legible."""

import asyncio
import contextlib
import dataclasses
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import timedelta
from html.parser import HTMLParser
from typing import Final, Literal
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from freezegun import freeze_time
from playwright.sync_api import Page, Request, Route, expect

from exporter import __version__
from exporter.fax import Operation, Reason, State, Transport
from exporter.ledger import EVENT_LATENESS, KEPT
from exporter.polling import Clock, Fleet, Poller, Shown, troubles
from exporter.web.page import (
    CONTENT_SECURITY_POLICY,
    MAX_SECTIONS,
    MAX_SESSIONS,
    OPERATIONS,
    REASONS,
    STATES,
    STATIC,
    TRANSPORTS,
    render,
    sections_of,
)
from harness.pbx import FaultyPbx
from harness.running import Exporter
from harness.virtual_time import clock, in_virtual_time, run, until, wall
from harness.watching import SECRET, begin, end_with_texts, settings_for, watched
from tests.pbx.browser import assert_fits, chromium, tab

PHONE: Final = 360
HOSTILE: Final = "<script>alert(1)</script>'\"&\u202e\x1b[2J\u2028"
HARMLESS: Final = "<script>alert(1)</script>'\"&??[2J?"
"""How HOSTILE is to be read."""
VOID: Final = {"meta", "link", "br"}


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


def page_of(
    pollers: Mapping[str, Poller],
    *,
    details: bool = False,
    only: str | None = None,
    telemetry_path: str = "/metrics",
) -> Html:
    shown = {name: poller for name, poller in pollers.items() if only in (None, name)}
    clock = next(iter(pollers.values())).clock if pollers else Clock()
    return Html(
        render(
            sections_of([(n, Shown.of(p)) for n, p in shown.items()], clock, details=details),
            details=details,
            telemetry_path=telemetry_path,
            only=only,
            watched=len(pollers),
        )
    )


# --- situations: each also stands in a browser further down ----------------------------------

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


# --- what it says ----------------------------------------------------------------------------


@in_virtual_time
async def test_without_a_target_it_says_what_to_do() -> None:
    html = page_of({})
    assert "No PBX is watched" in html.text
    assert "--config.file" in html.text


@in_virtual_time
async def test_a_target_not_yet_polled_is_not_up_and_nothing_is_known() -> None:
    async with not_yet_polled() as pollers:
        text = page_of(pollers).text
        assert f"Not up: {troubles.FIRST_TRY}" in text
        assert "What runs now is not known." in text
        assert f"last poll {unknown('never')}" in text


@in_virtual_time
async def test_an_unreachable_target_says_why_and_keeps_what_ended() -> None:
    async with unreachable() as pollers:
        html = page_of(pollers)
        assert f"Not up: {pollers['fax'].status.trouble}" in html.text
        assert "What runs now is not known." in html.text
        assert len(html.rows("failed-title")) == 1
        assert not html.all("dl")


@in_virtual_time
async def test_a_refused_login_says_so() -> None:
    async with login_refused() as pollers:
        assert re.search(r"Not up: .* refuses user .*manager\.conf", page_of(pollers).text)


@in_virtual_time
async def test_what_a_pbx_lacks_is_said_first() -> None:
    async with lacking() as pollers:
        html = page_of(pollers)
        assert "Up, incomplete" in html.text
        notices = [one.text for one in html.all("p") if "notice" in one.attributes.get("class", "")]
        assert notices == [f"Incomplete: {hint}" for hint in pollers["fax"].hints]
        assert any("channelvars" in notice for notice in notices)
        assert html.text.index(notices[-1]) < html.text.index("FAXStats, since it started")
        (row,) = html.rows("others-title")
        assert row["Result"] == "Unknown nobody said how it ended"


@in_virtual_time
async def test_a_refused_list_is_not_shown_as_no_session() -> None:
    async with list_refused() as pollers:
        html = page_of(pollers)
        assert "No session." not in html.text
        assert "the list of sessions is missing" in html.text


@in_virtual_time
async def test_an_idle_pbx_has_its_version_and_its_counts() -> None:
    async with idle() as pollers:
        html = page_of(pollers)
        for text in ("Asterisk 22.10.0", "AMI 11.0.0", "No session.", "Completed, incl. failed"):
            assert text in html.text
        assert [one.text for one in html.all("dd")] == ["0"] * 6
        assert html.all("span", **{"class": "status ok"})[0].text == "Up"
        assert "Incomplete" not in html.text


@in_virtual_time
async def test_running_sessions_of_every_kind_have_their_values() -> None:
    free, open_, uncounted = (unknown(f"not {what}") for what in ("known", "agreed", "counted"))
    async with busy() as pollers:
        old, alice, bob, carol, dave, erin, frank = page_of(pollers).rows("running")
    assert old["Operation"] == "Gateway"
    assert (old["Transport"], old["Rate, bit/s"], old["ECM"]) == ("None", "14400", "off")
    assert (old["Page"], old["Resolution"]) == ("1", open_)
    assert old["Running"].startswith("over 1 min ")
    assert alice["State"] == "Initialized ready to begin"
    assert [alice[c] for c in ("Rate, bit/s", "ECM", "Resolution")] == [open_] * 3
    assert alice["Page"] == free
    assert alice["Bad lines, page"] == uncounted
    assert bob[""] == "Session 2"
    assert bob["State"] == "Active in progress"
    assert (bob["Operation"], bob["Transport"], bob["Page"]) == ("Receive", "G.711", "2")
    assert (bob["Bad lines, page"], bob["Bad lines, fax"]) == ("7", "17")
    assert (bob["Rate, bit/s"], bob["ECM"]) == ("14400", "off")
    assert bob["Resolution"] == resolution("standard", 204, 98)
    assert re.fullmatch(r"1 min 1\d s", bob["Running"])
    assert re.fullmatch(r"[2-4] s", bob["Since last page"])
    assert (carol["Rate, bit/s"], carol["ECM"]) == ("9600", "on")
    assert carol["Resolution"] == resolution("superfine", 204, 391)
    assert carol["Bad lines, fax"] == uncounted
    assert dave["Resolution"] == resolution("other", 300, 300)
    assert (erin["Transport"], erin["State"]) == ("T.38", "Complete about to end")
    assert (erin["Page"], erin["Resolution"]) == ("1", resolution("fine", 204, 196))
    assert (frank["Operation"], frank["Page"]) == ("V.21 detector", free)
    assert frank["Since last page"] == unknown("has no pages")


@in_virtual_time
async def test_ended_faxes_have_how_they_ended_and_failures_stand_apart() -> None:
    async with ended() as pollers:
        html = page_of(pollers)
        (failed,) = html.rows("failed-title")
        good, gateway = sorted(html.rows("others-title"), key=lambda row: row["Result"])
    assert failed["Result"] == "Failed The call dropped call_dropped"
    assert re.fullmatch(r"Ended [12] s ago", failed[""])
    assert (failed["Operation"], failed["Pages"]) == ("Receive", "0")
    assert good["Result"] == "Success"
    assert (good["Pages"], good["Bad lines"], good["Rate, bit/s"]) == ("1", "4", "14400")
    assert re.fullmatch(r"1 min 1\d s", good["Duration"])
    assert gateway["Result"].startswith("Unknown")
    assert (gateway["Operation"], gateway["Bad lines"]) == ("Gateway", unknown("not counted"))


@pytest.mark.parametrize("hours_from_utc", [0, 9, -2.5])
@in_virtual_time
async def test_times_are_utc_wherever_the_exporter_runs(hours_from_utc: float) -> None:
    with freeze_time(
        "2026-12-31T23:59:58Z", tz_offset=timedelta(hours=hours_from_utc), real_asyncio=True
    ) as wall_clock:
        async with watched(wall_clock=time.time) as (pbx, poller):
            fax = begin(pbx)
            await until(lambda: poller.ledger.running != [])
            pbx.drop(fax)
            await until(lambda: list(poller.ledger.history.failed) != [])
            (failed,) = poller.ledger.history.failed
            await asyncio.sleep(failed.ended_at + 5 - poller.clock.monotonic())
            wall_clock.tick(5)
            html = page_of({"fax": poller})
    polled, ended = (one.attributes["datetime"] for one in html.all("time"))
    assert (polled, ended) == ("2026-12-31T23:59:58Z", "2026-12-31T23:59:58Z")


@in_virtual_time
async def test_what_is_personal_stands_there_only_with_details() -> None:
    names = ("alice", "bob", "carol", "erin", "secret-offer", "/var/spool", "+49 30", "+33 1 2")
    found = set()
    for make in (busy, ended):
        async with make() as pollers:
            plain = page_of(pollers).source
            detailed = page_of(pollers, details=True).source
        found |= {name for name in names if name in detailed}
        assert [name for name in names if name in plain] == []
        assert ("--web.show-details" in plain, "--web.show-details" in detailed) == (True, False)
    assert found == set(names)


@in_virtual_time
async def test_what_strangers_write_stays_text() -> None:
    async with hostile() as pollers:
        html = page_of(pollers, details=True)
        running = html.rows("running")
        (row,) = html.rows("others-title")
    assert len(html.all("script")) == 1
    assert running[0]["Channel and file"] == f"{HARMLESS} {HARMLESS}"
    assert row["Station ids"].startswith(f"here {HARMLESS}")
    assert row["Channel and file"].count(HARMLESS) == 2
    assert "Asterisk 22<script>" in html.text
    for raw in ("\u202e", "\u2067", "\x1b", "\u2028"):
        assert raw not in html.source


@in_virtual_time
async def test_of_three_targets_the_troubled_stand_first_each_with_a_section() -> None:
    async with three_targets() as pollers:
        html = page_of(pollers)
        rows = html.rows("overview")
        links = [one.attributes["href"] for one in html.all("a") if one.text in pollers]
        for link in links:
            assert html.all("section", id=unquote(link.removeprefix("#")))
        only = page_of(pollers, only="pbx-0")
    names = ["pbx-2", "pbx-1", "pbx-0"]
    assert [row[""] for row in rows] == names
    assert [one.text for one in html.all("h2")] == ["3 PBXs", *names]
    assert rows[0]["Status"].startswith("Not up")
    assert (rows[0]["Sessions now"], rows[0]["Last poll"]) == (
        unknown("not known"),
        unknown("never"),
    )
    assert rows[1]["Status"] == "Up, incomplete"
    assert (rows[2]["Status"], rows[2]["Asterisk"], rows[2]["Sessions now"]) == (
        "Up",
        "22.10.0",
        "1",
    )
    assert rows[2]["Failed of the last"] == "1 of 1"
    assert [one.text for one in only.all("h2")] == ["pbx-0"]
    assert "All 3 PBXs" in only.text


@in_virtual_time
async def test_of_more_targets_than_sections_each_has_a_page_of_its_own() -> None:
    async with many_targets() as pollers:
        assert len(pollers) > MAX_SECTIONS
        html = page_of(pollers)
        assert len(html.rows("overview")) == 25
        assert [one.text for one in html.all("h2")] == ["25 PBXs"]
        links = [one.attributes["href"] for one in html.all("a", id="to-pbx-7")]
        assert links == ["?target=pbx-7"]
        only = page_of(pollers, only="pbx-7")
        assert [one.text for one in only.all("h2")] == ["pbx-7"]
        assert len(only.rows("running")) == 1


@in_virtual_time
async def test_failed_of_the_last_counts_those_that_ended_last() -> None:
    async with watched() as (pbx, poller):
        pbx.drop(begin(pbx, channel="failed/failed-1"))
        for number in range(KEPT - 2):
            await asyncio.sleep(2)
            pbx.end(begin(pbx, channel=f"good/good-{number:x}"))
        pbx.drop(begin(pbx, channel="failed/failed-2"))
        await asyncio.sleep(2)
        two = {"a": poller, "b": poller}
        assert page_of(two).rows("overview")[0]["Failed of the last"] == f"2 of {KEPT}"
        pbx.end(begin(pbx, channel="good/good-99"))
        await asyncio.sleep(2)
        assert page_of(two).rows("overview")[0]["Failed of the last"] == f"1 of {KEPT}"


@in_virtual_time
async def test_of_very_many_sessions_the_rest_is_a_number_and_a_link() -> None:
    async with watched() as (pbx, poller):
        for number in range(MAX_SESSIONS + 5):
            pbx.begin("V.21", f"PJSIP/x-{number:x}")
        await asyncio.sleep(3)
        html = page_of({"127.0.0.1:5038": poller})
        assert len(html.rows("running")) == MAX_SESSIONS
        assert "and 5 more" in html.text
        (link,) = (one for one in html.all("a") if one.text == "all as JSON")
        assert link.attributes["href"] == "./api/v1/sessions?target=127.0.0.1%3A5038"


def test_every_word_of_asterisk_has_one_for_people() -> None:
    assert set(OPERATIONS) == set(Operation)
    assert set(STATES) == set(State)
    assert set(TRANSPORTS) == set(Transport)
    assert set(REASONS) == set(Reason)


def test_metrics_health_and_version_are_linked_beside_it_wherever_a_proxy_puts_it() -> None:
    html = page_of({}, telemetry_path="/other/metrics")
    links = {one.text: one.attributes["href"] for one in html.all("a")}
    assert links["Metrics"] == "./other/metrics"
    assert (links["Health"], links["Readiness"]) == ("./-/healthy", "./-/ready")
    assert links["Targets (JSON)"] == "./api/v1/targets"
    assert f"asterisk-fax-exporter {__version__}" in html.text


# --- how it is made --------------------------------------------------------------------------


def rendered(name: str, *, details: bool) -> Html:
    async def work() -> Html:
        async with SITUATIONS[name]() as pollers:
            return page_of(pollers, details=details)

    return run(work())


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("name", list(SITUATIONS))
def test_tables_keep_their_meaning_as_cards(name: str, details: bool) -> None:
    html = rendered(name, details=details)
    roles = {
        "table": {"table"},
        "thead": {"rowgroup"},
        "tbody": {"rowgroup"},
        "tr": {"row"},
        "th": {"columnheader", "rowheader"},
        "td": {"cell"},
    }
    named: set[str] = set()
    columns: list[str] = []
    at = 0
    for element in html.elements:
        if element.tag in roles:
            assert element.attributes.get("role") in roles[element.tag]
        if element.tag == "th":
            assert element.attributes["scope"] in ("col", "row")
        match element.attributes.get("role"):
            case "table":
                columns = []
                labels = element.attributes["aria-labelledby"].split()
                name = " ".join(one.text for label in labels for one in html.by_id(label))
                assert name
                assert name not in named
                named.add(name)
            case "columnheader":
                columns.append(element.text)
            case "rowheader":
                at = 0
            case "cell":
                at += 1
                assert element.attributes["data-label"] == columns[at]
    ids = [one.attributes["id"] for one in html.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    assert len(html.all("h1")) == 1
    for one in html.all("time"):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", one.attributes["datetime"])
        assert one.text.endswith(" ago")


@pytest.mark.parametrize("name", list(SITUATIONS))
def test_it_needs_only_its_own_files_and_no_script_or_style_within(name: str) -> None:
    html = rendered(name, details=True)
    for element in html.elements:
        assert element.tag not in ("style", "iframe", "img", "form", "base")
        assert not [a for a in element.attributes if a == "style" or a.startswith("on")]
        for attribute in ("src", "href"):
            url = element.attributes.get(attribute, ".")
            assert url.startswith((".", "#", "?"))
            if url.startswith("./static/"):
                assert url.removeprefix("./static/") in STATIC
    (script,) = html.all("script")
    assert script.text == ""


def test_no_file_of_it_knows_an_address_outside() -> None:
    for name, (content, _) in STATIC.items():
        text = content.decode("ascii").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^ *// .*$", "", text, flags=re.M), name
        assert "@import" not in text
        assert "url(" not in text


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_unsafe() -> None:
    directives = dict(
        directive.strip().split(" ", 1) for directive in CONTENT_SECURITY_POLICY.split(";")
    )
    assert directives["default-src"] == "'none'"
    assert set(directives.values()) == {"'none'", "'self'"}
    for directive in ("base-uri", "form-action", "frame-ancestors"):
        assert directives[directive] == "'none'"


# --- how it looks ----------------------------------------------------------------------------

CSS: Final = STATIC["page.css"][0].decode()


def palettes() -> Iterator[tuple[str, dict[str, str]]]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, flags=re.S)
    of_light = dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", light))
    yield "light", of_light
    yield "dark", of_light | dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", dark))


def luminance(colour: str) -> float:
    """As WCAG 2 defines it, of #rrggbb."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(("scheme", "palette"), list(palettes()))
def test_every_text_is_legible_on_every_surface(scheme: str, palette: dict[str, str]) -> None:
    texts = [name for name in palette if name.startswith("--text")]
    surfaces = [name for name in palette if name.startswith("--surface")]
    assert (len(texts), len(surfaces)) == (6, 4)
    for surface in surfaces:
        for text in texts:
            ratio = contrast(palette[text], palette[surface])
            assert ratio >= 4.5, f"{scheme}: {text} on {surface}: {ratio:.2f}"
        assert contrast(palette["--line-strong"], palette[surface]) >= 3


def test_no_colour_is_used_but_those_of_the_palette() -> None:
    rules = re.sub(r":root \{.*?\}|/\*.*?\*/", "", CSS, flags=re.S)
    for name, value in re.findall(r"^ +([a-z-]+): (.*);$", rules, flags=re.M):
        assert "#" not in value, value
        assert "rgb" not in value, value
        if name == "color":
            assert value.startswith("var(--text"), value
        if name == "background":
            assert value.startswith("var(--surface"), value
        assert name != "opacity", "it would take contrast away"


# --- in a browser ----------------------------------------------------------------------------


def shown_on(page: Page) -> Callable[[Html], None]:
    """Loads what was rendered, with the policy and the files that go with it."""
    html = Html("")

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix("http://exporter.test/fax/")
        if path.startswith("static/"):
            body, content_type = STATIC[path.removeprefix("static/")]
            route.fulfill(body=body, content_type=content_type)
        else:
            headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
            route.fulfill(body=html.source, content_type="text/html", headers=headers)

    def show(rendered: Html) -> None:
        nonlocal html
        html = rendered
        page.goto("http://exporter.test/fax/")

    page.route("**/*", answer)
    return show


@pytest.mark.slow
@pytest.mark.parametrize("details", [False, True])
def test_it_fits_a_phone_a_tablet_and_a_desk_and_axe_finds_no_fault(details: bool) -> None:
    pages = {name: rendered(name, details=details) for name in SITUATIONS}
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    with chromium() as browser, tab(browser) as page:
        show = shown_on(page)
        for scheme, (name, html) in itertools.product(schemes, pages.items()):
            page.emulate_media(color_scheme=scheme)
            show(html)
            assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none"
            for width in (PHONE, 768, 1280):
                assert_fits(page, width)
            for width in (PHONE, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                found = Axe().run(page)
                assert found.violations_count == 0, (
                    f"{name}, {scheme}, {width}:\n{found.generate_report()}"
                )


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with Exporter("--demo") as started:
        started.wait_until(lambda now: now.sum("negotiated_sessions") > 0, 60, "a fax runs")
        yield started


def polled(page: Page) -> str:
    return page.locator("time").first.get_attribute("datetime") or ""


def wait_for_refresh(page: Page) -> None:
    expect(page.locator("time").first).not_to_have_attribute("datetime", polled(page))


@pytest.mark.slow
def test_it_follows_and_leaves_focus_folding_and_scroll_where_they_are(exporter: Exporter) -> None:
    with chromium() as browser, tab(browser) as page:
        page.goto(f"{exporter.base}/")
        page.locator("details[id$=others] summary").click()
        expect(page.locator("details[id$=others]")).not_to_have_attribute("open", "")
        page.set_viewport_size({"width": PHONE, "height": 300})
        page.locator("details[id$=others] summary").focus()
        page.evaluate("scrollTo({top: 250, behavior: 'instant'})")
        wait_for_refresh(page)
        assert page.evaluate("scrollY") == 250
        assert page.evaluate("document.activeElement.id") == "pbx-demo-others-fold"
        assert page.locator("details[id$=others]").get_attribute("open") is None
        assert page.locator("details[id$=failed]").get_attribute("open") == ""


@pytest.mark.slow
def test_it_says_since_when_it_is_not_connected_and_recovers(exporter: Exporter) -> None:
    with chromium() as browser, tab(browser, allowed="net::ERR_") as page:
        page.goto(f"{exporter.base}/")
        said = page.get_by_role("status")
        expect(said).to_be_empty()
        page.route("**/*", lambda route: route.abort())
        expect(said).to_have_text(re.compile("^not connected since .*[0-9]"))
        since = said.text_content()
        before = polled(page)
        page.wait_for_event("requestfailed")
        assert said.text_content() == since
        assert polled(page) == before
        page.unroute_all()
        expect(said).to_be_empty()
        wait_for_refresh(page)


def asked_from_now_on(page: Page) -> list[str]:
    """What the page asks for; not its icon, for which the browser asks when it likes."""
    asked: list[str] = []

    def on_request(request: Request) -> None:
        if not request.url.endswith("/static/icon.svg"):
            asked.append(request.url)

    page.on("request", on_request)
    return asked


@pytest.mark.slow
def test_it_asks_for_nothing_while_nobody_sees_it(exporter: Exporter) -> None:
    with chromium() as browser, tab(browser) as page:
        page.clock.install()
        page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => window.away})")
        page.goto(f"{exporter.base}/")
        page.evaluate("window.away = true")
        asked = asked_from_now_on(page)
        page.clock.run_for(60_000)
        page.evaluate("0")  # what was asked before it is known by now
        assert asked == []
        with page.expect_request(f"{exporter.base}/"):
            page.evaluate(
                "window.away = false; document.dispatchEvent(new Event('visibilitychange'))"
            )


@pytest.mark.slow
def test_it_takes_no_text_away_that_somebody_marks_to_copy(exporter: Exporter) -> None:
    with chromium() as browser, tab(browser) as page:
        page.clock.install()
        page.goto(f"{exporter.base}/")
        page.evaluate("getSelection().selectAllChildren(document.querySelector('h2'))")
        asked = asked_from_now_on(page)
        page.clock.run_for(60_000)
        page.evaluate("0")  # what was asked before it is known by now
        assert asked == []
        expect(page.get_by_role("status")).to_have_text("stands still while text is marked")
        with page.expect_request(f"{exporter.base}/"):
            page.evaluate("getSelection().empty()")
            page.clock.run_for(60_000)


@pytest.mark.slow
def test_without_javascript_it_shows_the_same_and_asks_the_browser_to_load_it_again(
    exporter: Exporter,
) -> None:
    with chromium() as browser, tab(browser, javascript=False) as page:
        page.goto(f"{exporter.base}/")
        expect(page.get_by_role("table", name="Running now").get_by_role("row")).not_to_have_count(
            0
        )
        refresh = page.locator("meta[http-equiv=refresh]")
        expect(refresh).to_have_attribute("content", "10")
