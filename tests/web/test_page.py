"""What the pages say, and what they hide, in every situation; how they are made."""

import asyncio
import copy
import re
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from freezegun import freeze_time

from exporter import __version__
from exporter.fax import REASON_WORDS, Reason
from exporter.ledger import EVENT_LATENESS
from exporter.polling import Clock, Poller, Row, troubles
from exporter.web.causes import CAUSES
from exporter.web.fleet import MAX_ROWS, ROWS, Wanted
from exporter.web.page import MAX_SESSIONS, FleetPage, missing_page, reasons_page, tag
from exporter.web.templating import CONTENT_SECURITY_POLICY, STATIC, root_from
from harness.virtual_time import in_virtual_time, until
from harness.watching import begin, watched
from tests.web.pages import (
    HARMLESS,
    SITUATIONS,
    Html,
    busy,
    ended,
    fleet_of,
    hostile,
    idle,
    lacking,
    layout,
    list_refused,
    login_refused,
    many_targets,
    not_yet_polled,
    page_of,
    rendered,
    resolution,
    target_of,
    three_targets,
    unknown,
    unreachable,
)

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
        assert f"Starting: {troubles.FIRST_TRY}" in text
        assert "What runs now is not known." in text
        assert text.count("Nothing is known of its faxes: it was never reached.") == 2


@in_virtual_time
async def test_an_unreachable_target_says_why_and_keeps_what_ended() -> None:
    async with unreachable() as pollers:
        html = page_of(pollers)
        assert re.search(r"Down since \d\d:\d\d:\d\d [^ ]+: ", html.text)
        assert pollers["fax"].status.trouble in html.text
        assert "What runs now is not known." in html.text
        assert len(html.rows("failed-title")) == 1
        assert not html.by_id("stats")


@in_virtual_time
async def test_a_refused_login_says_so() -> None:
    async with login_refused() as pollers:
        assert re.search(r"Down since .* refuses user .*manager\.conf", page_of(pollers).text)


@in_virtual_time
async def test_what_a_pbx_lacks_is_said_first() -> None:
    async with lacking() as pollers:
        html = page_of(pollers)
        assert html.all("h1")[0].text == "fax"
        assert html.all("span", **{"class": "status warn"})[0].text == "Incomplete"
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
        figures = [one.text for one in html.all("dd")]
        assert figures == ["0", unknown("not known"), "0", "0", "0", *["0"] * 6]
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
    assert re.fullmatch(r"before \d\d:\d\d:\d\d [^ ]+", old["Began"])
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
    assert re.fullmatch(r"\d\d:\d\d:\d\d [^ ]+", bob["Began"])
    assert bob["Last page done"] > bob["Began"]
    assert alice["Last page done"] == unknown("none yet")
    assert (carol["Rate, bit/s"], carol["ECM"]) == ("9600", "on")
    assert carol["Resolution"] == resolution("superfine", 204, 391)
    assert carol["Bad lines, fax"] == uncounted
    assert dave["Resolution"] == resolution("other", 300, 300)
    assert (erin["Transport"], erin["State"]) == ("T.38", "Complete about to end")
    assert (erin["Page"], erin["Resolution"]) == ("1", resolution("fine", 204, 196))
    assert (frank["Operation"], frank["Page"]) == ("V.21 detector", free)
    assert frank["Last page done"] == unknown("has no pages")


@in_virtual_time
async def test_ended_faxes_have_how_they_ended_and_failures_stand_apart() -> None:
    async with ended() as pollers:
        html = page_of(pollers)
        (failed,) = html.rows("failed-title")
        good, gateway = sorted(html.rows("others-title"), key=lambda row: row["Result"])
    assert failed["Result"] == "Failed The call dropped call_dropped"
    assert re.fullmatch(r"Ended \d\d:\d\d:\d\d [^ ]+", failed[""])
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
    times = [one.attributes["datetime"] for one in html.all("time")]
    assert times[0] == "2027-01-01T00:00:03Z"  # as of
    assert times[-1] == "2026-12-31T23:59:58Z"  # the fax that failed


def test_clock_times_are_of_the_exporters_zone_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        text = Html(missing_page(layout(Clock(wall=lambda: 1_800_000_000.0)))).text
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "As of 09:00:00 CET" in text


@in_virtual_time
async def test_what_is_personal_stands_there_only_with_details() -> None:
    names = ("alice", "bob", "carol", "erin", "secret-offer", "/var/spool", "+49 30", "+33 1 2")
    found = set()
    for make in (busy, ended):
        async with make() as pollers:
            plain = page_of(pollers).source
            detailed = page_of(pollers, details=True).source
            texts = [page_of(pollers, details=yes).text for yes in (False, True)]
        found |= {name for name in names if name in texts[1]}
        assert [name for name in names if name in texts[0] or name in plain] == []
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
async def test_a_fleet_is_a_line_for_each_the_worst_first_and_each_has_a_page_of_its_own() -> None:
    async with three_targets() as pollers:
        html = page_of(pollers)
        rows = html.rows("summary")
        links = [one.attributes["href"] for one in html.all("a") if one.text in pollers]
        only = target_of(pollers["pbx-0"], "pbx-0", watched=3)
        why = [pollers["pbx-2"].status.trouble, pollers["pbx-1"].hints[0]]
    assert html.all("title")[0].text.startswith("2 up, 1 down")
    assert html.all("h1")[0].text == "2 up, 1 down"
    assert [row[""] for row in rows] == ["pbx-2", "pbx-1", "pbx-0"]
    assert links == ["./targets/pbx-2", "./targets/pbx-1", "./targets/pbx-0"]
    assert (rows[0]["State"], rows[0]["Down since"]) == ("Down", "never up")
    assert rows[0]["Why"].startswith(why[0])
    never = unknown("never up")
    assert (rows[0]["Now"], rows[0]["Today"]) == (unknown("not known"), never)
    assert rows[1]["State"] == "Incomplete"
    assert rows[1]["Why"].startswith(why[1])
    assert (rows[2]["State"], rows[2]["Why"], rows[2]["Now"]) == ("Up", "", "1")
    assert [rows[2][c] for c in ("Today", "Failed", "Well", "Pages")] == ["1", "1", "0 %", "0"]
    (drawn,) = (one.attributes["aria-label"] for one in html.all("svg")[-1:])
    assert drawn == "1 fax in the last 24 hours, 1 failed; 1 in the busiest hour"
    assert [one.text for one in only.all("h1")] == ["pbx-0"]
    assert "All 3 PBXs" in only.text


@in_virtual_time
async def test_of_a_fleet_one_sees_what_one_wants_and_can_go_on_from_there() -> None:
    async with many_targets() as pollers:
        html = fleet_of(pollers, state="unhealthy", name="PBX-2", sort="-name")
    assert [row[""] for row in html.rows("summary")] == ["pbx-24", "pbx-23"]
    links = {one.text: one.attributes["href"] for one in html.all("a")}
    assert links["All 6"] == "?name=PBX-2&sort=-name"
    assert links["Failing 0"] == "?state=failing&name=PBX-2&sort=-name"
    assert links["PBX"] == "?state=unhealthy&name=PBX-2&sort=name"
    assert links["State"] == "?state=unhealthy&name=PBX-2"
    (form,) = html.all("form")
    assert (form.attributes["method"], form.attributes["action"]) == ("get", "./")
    sent = {one.attributes["name"]: one.attributes["value"] for one in html.all("input")}
    assert sent == {"name": "PBX-2", "state": "unhealthy", "sort": "-name"}
    (sorted_by,) = (one for one in html.all("th") if "aria-sort" in one.attributes)
    assert (sorted_by.text, sorted_by.attributes["aria-sort"]) == ("PBX", "descending")


@pytest.mark.parametrize("details", [False, True])
def test_a_table_that_may_be_wider_than_the_window_is_scrolled_by_the_keyboard(
    details: bool,
) -> None:
    html = rendered("busy", details=details)
    (running,) = html.by_id("running-table")
    assert running.attributes["tabindex"] == "0"
    assert running.attributes["aria-labelledby"] == "target running"


@in_virtual_time
async def test_where_none_is_like_that_there_is_a_way_back() -> None:
    async with three_targets() as pollers:
        html = fleet_of(pollers, name="</title><script>")
    assert "None is like that. All 3 PBXs" in html.text
    assert len(html.all("script")) == 1


@in_virtual_time
async def test_of_a_large_fleet_the_worst_are_shown_and_the_rest_is_a_number_and_a_link() -> None:
    async with watched() as (_, poller):
        pollers = {f"pbx-{number:04}": poller for number in range(MAX_ROWS + 5)}
        some = fleet_of(pollers)
        most = fleet_of(pollers, rows="all")
    assert len(some.rows("summary")) == ROWS
    assert "90 of 1005 are shown. Show the first 1000" in some.text
    assert [one.attributes["href"] for one in some.by_id("fleet-all")] == ["?rows=all"]
    assert len(most.rows("summary")) == MAX_ROWS
    assert "1000 of 1005 are shown. Name and state find the others." in most.text


@in_virtual_time
async def test_today_stands_there_in_numbers_by_reason_by_trunk_and_as_a_picture() -> None:
    async with watched(peer_limit=10) as (pbx, poller):
        for number in range(3):
            pbx.drop(begin(pbx, channel=f"PJSIP/berlin-{number:08x}"))
        good = begin(pbx, channel="PJSIP/paris-00000009")
        good.add_bad_lines(4)
        await asyncio.sleep(2)
        good.finish_page(last=True)
        await asyncio.sleep(2)
        pbx.end(good)
        await asyncio.sleep(EVENT_LATENESS + 3)
        html = target_of(poller)
    assert [one.text for one in html.all("dd")][:5] == ["4", "25 %", "3", "1", "4"]
    (failures,) = html.by_id("today-failures")
    assert failures.text == "Failed: 3 \N{MULTIPLICATION SIGN} The call dropped"
    assert "./reasons#call_dropped" in [one.attributes["href"] for one in html.all("a")]
    berlin, paris = html.rows("peers")
    assert (berlin[""], berlin["Failed"], berlin["Ended well"]) == ("PJSIP/berlin", "3", "0 %")
    assert (paris[""], paris["Failed"], paris["Bad lines"]) == ("PJSIP/paris", "0", "4")
    (picture,) = html.all("svg", role="img")
    assert picture.attributes["aria-label"].startswith("4 faxes in the last 24 hours, 3 failed")
    assert len(html.rows("hours-title")) == 24
    assert html.rows("hours-title")[0]["Faxes"] == "4"


@in_virtual_time
async def test_a_pbx_whose_faxes_fail_says_so_and_stands_before_one_that_is_down() -> None:
    async with watched() as (pbx, poller), watched(start=False) as (_, down):
        for number in range(4):
            pbx.drop(begin(pbx, channel=f"a/a-{number:x}"))
        await asyncio.sleep(2)
        await until(lambda: bool(down.status.trouble))
        alone = target_of(poller)
        html = fleet_of({"down": down, "failing": poller})
    assert "Failing: all of the last 4 faxes failed; most often: The call dropped" in alone.text
    assert [row[""] for row in html.rows("summary")] == ["failing", "down"]
    assert html.all("h1")[0].text == "1 up (1 failing), 1 down"


def two_of(poller: Poller) -> Html:
    return fleet_of({"a": poller, "b": poller})


@in_virtual_time
async def test_nothing_on_a_page_changes_by_itself_but_the_time_it_is_of() -> None:
    async with busy() as pollers:
        (poller,) = pollers.values()
        for make in (target_of, lambda poller: fleet_of({"a": poller, "b": poller})):
            before = make(poller)
            await asyncio.sleep(0.3)  # no poll is in between
            after = make(poller)
            times = [page.by_id("as-of")[0].text for page in (before, after)]
            tags = {tag(page.source.encode()) for page in (before, after)}
            assert len(tags) == 1, times
            assert tag(before.source.replace("</main>", "more</main>").encode()) not in tags


@in_virtual_time
async def test_lines_of_a_fleet_are_made_again_once_something_changed() -> None:
    async with watched() as (pbx, poller):
        page, of = FleetPage(), layout(poller.clock)

        def shown(*names: str) -> str:
            # As if it came from the other process: nothing of it changes any more.
            rows = [copy.deepcopy(Row.of(name, poller)) for name in names]
            html = Html(page.render(rows, Wanted(), layout(poller.clock)))
            assert [row[""] for row in html.rows("summary")] == list(names)
            return html.rows("summary")[0]["Today"]

        assert shown("a", "b") == "0"
        pbx.drop(begin(pbx))
        await asyncio.sleep(2)
        assert shown("a", "b") == "1"
        kept = page.render([Row.of("a", poller)], Wanted(), of)
        assert 'href="./targets/a"' in kept
        elsewhere = page.render([Row.of("a", poller)], Wanted(), replace(of, root="../"))
        assert 'href="../targets/a"' in elsewhere
        assert shown("b") == "1"
        assert list(page._lines) == ["b"]


@in_virtual_time
async def test_the_hours_of_a_line_go_on_though_nothing_happens() -> None:
    async with watched() as (pbx, poller):
        pbx.drop(begin(pbx))
        await asyncio.sleep(2)
        page, row = FleetPage(), copy.deepcopy(Row.of("fax", poller))

        def drawn(hours: int) -> str:
            of = layout(poller.clock, as_of=poller.clock.wall() + 3600 * hours)
            path: str = re.findall(r'class="faxes" d="M(\d+) ', page.render([row], Wanted(), of))[0]
            return path

        assert [drawn(0), drawn(0), drawn(1)] == ["138", "138", "132"]


@in_virtual_time
async def test_of_a_fleet_a_line_may_be_made_while_others_are_forgotten() -> None:
    """Two threads render pages; this is what the one does while the other has got half way."""

    class Name(str):
        def __hash__(self) -> int:
            if forgetting:
                page._lines.setdefault("meanwhile", page._lines["a"])
            return super().__hash__()

    forgetting = False
    async with watched() as (_, poller):
        page, of = FleetPage(), layout(poller.clock)
        rows = [Row.of(name, poller) for name in (Name("b"), "a")]
        page.render(rows, Wanted(), of)
        forgetting = True
        page.render(rows[1:], Wanted(), of)
        assert "a" in page._lines


@in_virtual_time
async def test_rows_have_ids_that_stay_with_them() -> None:
    async with watched() as (pbx, poller):
        ids: list[set[str]] = []
        for number in range(3):
            pbx.drop(begin(pbx, channel=f"a/a-{number:x}"))
            pbx.drop(begin(pbx, channel=f"b/b-{number:x}"))
            await asyncio.sleep(2)
            rows = target_of(poller).all("tr")
            ids.append({row.attributes["id"] for row in rows if "id" in row.attributes})
    assert ids[0] < ids[1] < ids[2]


def test_names_of_files_are_broken_between_their_parts_only() -> None:
    html = rendered("ended", details=True)
    assert '/var/<wbr>spool/<wbr>in<span class="whole">.tif</span>' in html.source


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
        assert "./faxes?target=127.0.0.1%3A5038" in [
            one.attributes["href"] for one in html.all("a")
        ]
        assert "./probe?target=127.0.0.1%3A5038" in [
            one.attributes["href"] for one in html.all("a")
        ]


def test_what_is_not_there_has_a_page_with_a_way_back_and_no_name() -> None:
    html = Html(missing_page(layout(Clock(), root="../")))
    assert "No such PBX" in html.text
    assert [one.attributes["href"] for one in html.by_id("all")] == ["../"]


def test_each_reason_has_its_paragraph() -> None:
    html = Html(reasons_page(layout(Clock(), as_of=None, live=False)))
    for reason in Reason:
        (paragraph,) = html.by_id(reason.value)
        assert REASON_WORDS[reason] in paragraph.text
        assert CAUSES[reason].replace("`", "") in paragraph.text
    assert "As of" not in html.text


def test_metrics_health_and_version_are_linked_beside_it_wherever_a_proxy_puts_it() -> None:
    for path, root in (("/", "./"), ("/targets/a", "../"), ("/targets/a/b", "../../")):
        assert root_from(path) == root
        of = layout(Clock(), root=root, telemetry_path="/other/metrics")
        html = Html(missing_page(of))
        links = {one.text: one.attributes["href"] for one in html.all("a")}
        assert links["Metrics"] == f"{root}other/metrics"
        assert (links["Health"], links["Readiness"]) == (f"{root}-/healthy", f"{root}-/ready")
        assert links["Targets (JSON)"] == f"{root}api/v1/targets"
        assert (links["PBXs"], links["Faxes"]) == (root, f"{root}faxes")
    assert f"asterisk-fax-exporter {__version__}" in html.text


# --- how it is made --------------------------------------------------------------------------


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
        assert re.fullmatch(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d [^ ]+", one.text)


@pytest.mark.parametrize("name", list(SITUATIONS))
def test_it_needs_only_its_own_files_and_no_script_or_style_within(name: str) -> None:
    html = rendered(name, details=True)
    for element in html.elements:
        assert element.tag not in ("style", "iframe", "img", "base")
        assert not [a for a in element.attributes if a == "style" or a.startswith("on")]
        for attribute in ("src", "href", "action"):
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
    assert directives["form-action"] == "'self'"  # the filter of a fleet
    for directive in ("base-uri", "frame-ancestors"):
        assert directives[directive] == "'none'"
