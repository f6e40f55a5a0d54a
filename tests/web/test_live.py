"""The page in a browser while things happen: what it replaces, what it leaves, when it asks."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from exporter.web.page import tag
from exporter.web.templating import CONTENT_SECURITY_POLICY, STATIC
from harness.running import Exporter
from tests.pbx.browser import chromium, tab

PHONE = 360
DATE = "Thu, 01 Jan 2026 12:00:20 GMT"
ROW = '<tr role="row" id="{0}"><th><a id="to-{0}" href="#">{0}</a></th><td>{1}</td></tr>'
PAGE = """<!doctype html>
<html lang="en"><head><title>{title}</title>
<link rel="stylesheet" href="./static/page.css">
<link rel="stylesheet" href="./static/tables.css">
<script src="./static/page.js" defer></script></head>
<body data-live=""><header class="top"><div class="now">
<p id="as-of">As of <time datetime="2026-01-01T12:00:10Z">12:00:10 UTC</time></p>
<p id="connection" role="status"></p>
<button id="pause" type="button" aria-pressed="false" hidden>Pause</button></div></header>
<main id="main" tabindex="-1">{notice}<section id="part">
<details id="fold"><summary id="fold-summary">more</summary><p>{folded}</p></details>
<div class="scrolled" id="wide"><table><tbody>{rows}</tbody></table></div>
<p id="since">since <time datetime="2026-01-01T12:00:00Z">12:00:00 UTC</time></p>
</section></main></body></html>"""


def rows(*names: str, value: str = "x" * 400) -> str:
    return "".join(ROW.format(name, value) for name in names)


class Site:
    """A page that the test changes, and what is asked of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.html = ""
        self.answers: list[int] = []
        self.date = DATE
        page.route("**/*", self._answer)

    def set(self, **parts: str) -> None:
        given = {"title": "t", "notice": "", "folded": "in it", "rows": rows("a", "b")} | parts
        self.html = PAGE.format(**given)

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix("http://exporter.test/")
        if path.startswith("static/"):
            body, content_type = STATIC[path.removeprefix("static/")]
            route.fulfill(body=body, content_type=content_type)
            return
        etag = tag(self.html.encode())
        headers = {
            "ETag": etag,
            "Date": self.date,
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        }
        if route.request.headers.get("if-none-match") == etag:
            self.answers.append(304)
            route.fulfill(status=304, headers=headers)
        else:
            self.answers.append(200)
            route.fulfill(body=self.html, content_type="text/html", headers=headers)

    def open(self, **parts: str) -> None:
        self.set(**parts)
        self.page.clock.install(time="2026-01-01T12:00:10Z")
        self.page.goto("http://exporter.test/")

    def change(self, **parts: str) -> None:
        """Has the page take it over."""
        self.set(**parts)
        self.turn()

    def turn(self) -> None:
        """Lets it ask once more, and waits until it has the answer."""
        count = len(self.answers)
        self.page.clock.run_for(2000)
        self._wait(lambda: len(self.answers) > count)
        # Until the answer is shown: only then does it ask again.
        self._wait(lambda: not self.page.evaluate("following"))
        self.page.clock.run_for(1)

    def _wait(self, condition: Callable[[], bool]) -> None:
        """The page's own clock stands still meanwhile."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            self.page.evaluate("0")  # in which what the page asks is answered


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def site(browser: Browser) -> Iterator[Site]:
    with tab(browser) as page:
        yield Site(page)


@pytest.mark.slow
def test_what_is_the_same_stays_the_same_element(site: Site) -> None:
    site.open()
    site.page.evaluate("for (const e of document.querySelectorAll('*')) e.kept = true")
    site.change(rows=rows("new", "a") + ROW.format("b", "other"), title="2 up")
    expect(site.page.locator("#b td")).to_have_text("other")
    expect(site.page).to_have_title("2 up")
    order = site.page.evaluate("Array.from(document.querySelectorAll('tr'), (row) => row.id)")
    assert order == ["new", "a", "b"]
    made = site.page.evaluate(
        "Array.from(document.querySelectorAll('main *')).filter(e => !e.kept)"
    )
    assert len(made) == len(["tr", "th", "a", "td"])
    site.change(rows=rows("b", "a"))
    order = site.page.evaluate("Array.from(document.querySelectorAll('tr'), (row) => row.id)")
    assert order == ["b", "a"]


@pytest.mark.slow
def test_scroll_focus_and_what_is_unfolded_stay(site: Site) -> None:
    site.open()
    site.page.set_viewport_size({"width": PHONE, "height": 700})
    site.page.locator("#fold-summary").click()
    site.page.locator("#fold-summary").focus()
    site.change(folded="something else", rows=rows("new", "a", "b"))
    expect(site.page.locator("#fold p")).to_have_text("something else")
    assert site.page.locator("#fold").get_attribute("open") == ""
    assert site.page.evaluate("document.activeElement.id") == "fold-summary"


@pytest.mark.slow
def test_a_wide_table_stays_where_it_was_scrolled_to(site: Site) -> None:
    wide = "<b>" + "&nbsp;".join(["wide"] * 400) + "</b>"
    site.open(rows=rows("a", value=wide))
    site.page.evaluate("document.getElementById('wide').scrollLeft = 150")
    site.change(rows=rows("new", "a", value=wide))
    expect(site.page.locator("tr")).to_have_count(2)
    assert site.page.evaluate("document.getElementById('wide').scrollLeft") == 150


NAMES = [f"row-{number}" for number in range(100)]


def top(page: Page, name: str) -> float:
    found: float = page.evaluate(
        "(id) => document.getElementById(id).getBoundingClientRect().top", name
    )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["scrolled", "at the heading", "pointing", "focused"])
def test_rows_do_not_shift_under_a_reader(site: Site, reader: str) -> None:
    site.open(rows=rows(*NAMES, value="x"))
    read = "row-5"
    if reader == "scrolled":
        site.page.evaluate("scrollTo({top: 1200, behavior: 'instant'})")
        read = "row-50"
    elif reader == "at the heading":
        site.page.evaluate(
            "(by) => scrollBy({top: by, behavior: 'instant'})", top(site.page, "wide") - 60
        )
        assert top(site.page, "fold") < 48 < top(site.page, "wide")
    elif reader == "pointing":
        site.page.locator("#row-5").hover()
    else:
        site.page.evaluate(
            "document.getElementById('row-5').querySelector('a').focus({preventScroll: true})"
        )
    before = top(site.page, read)
    more = [f"new-{number}" for number in range(5)]
    value = "x"
    notice = '<p class="notice bad" id="failing">It fails.</p>'
    site.change(rows=rows(*more, *NAMES, value=value), notice=notice)
    expect(site.page.locator("#new-0")).to_be_attached()
    assert top(site.page, read) == pytest.approx(before, abs=1)
    # One that is read and goes elsewhere is not run after.
    site.change(rows=rows(read, *more, *[n for n in NAMES if n != read], value=value))
    assert abs(top(site.page, "row-6" if read == "row-5" else "row-51") - before) < 80
    if reader == "focused":
        assert site.page.evaluate("document.activeElement.closest('tr').id") == read


@pytest.mark.slow
def test_what_has_the_focus_out_of_sight_is_not_what_is_read(site: Site) -> None:
    site.open(rows=rows(*NAMES, value="x"))
    site.page.locator("#fold-summary").click()
    site.page.evaluate("document.getElementById('fold').style.height = '300px'")
    site.page.evaluate(
        "(by) => scrollBy({top: by, behavior: 'instant'})", top(site.page, "wide") - 20
    )
    # The head of the page is above that.
    assert top(site.page, "fold-summary") < 0 < top(site.page, "wide") < 48
    before = top(site.page, "row-5")
    more = [f"new-{number}" for number in range(5)]
    site.change(rows=rows(*more, *NAMES, value="x"))
    expect(site.page.locator("#new-0")).to_be_attached()
    assert site.page.evaluate("document.activeElement.id") == "fold-summary"
    assert top(site.page, "row-5") == pytest.approx(before, abs=1)


@pytest.mark.slow
def test_notices_of_the_connection_move_nothing(browser: Browser) -> None:
    with tab(browser, allowed="net::ERR_") as page:
        site = Site(page)
        site.open(rows=rows(*NAMES))
        before = top(page, "part")
        page.unroute_all()
        page.route("**/*", lambda route: route.abort())
        with page.expect_event("requestfailed"):
            page.clock.run_for(2000)
        expect(page.get_by_role("status")).to_have_text(re.compile("^not connected since .*[0-9]"))
        assert top(page, "part") == before
        page.evaluate("scrollTo(0, 10000)")
        expect(page.get_by_role("status")).to_be_in_viewport()


@pytest.mark.slow
def test_what_has_not_changed_is_not_sent_again_and_as_of_goes_on(site: Site) -> None:
    site.open()
    site.turn()
    site.date = "Thu, 01 Jan 2026 12:00:14 GMT"
    site.turn()
    assert site.answers == [200, 200, 304]
    as_of = site.page.locator("#as-of time")
    expect(as_of).to_have_attribute("datetime", "2026-01-01T12:00:14.000Z")
    expect(as_of).to_contain_text("12:00:14")
    site.change(folded="new")
    assert site.answers[-1] == 200
    expect(site.page.locator("#fold p")).to_have_text("new")


@pytest.mark.slow
def test_times_are_of_the_readers_zone_and_count_without_asking(browser: Browser) -> None:
    context = browser.new_context(timezone_id="Asia/Kolkata")
    page = context.new_page()
    site = Site(page)
    site.open()
    since = page.locator("#since time")
    expect(since).to_have_text(re.compile(r"^17:30:00 (GMT\+5:30|IST) 10 s ago$"))
    page.get_by_role("button", name="Pause").click()
    asked = len(site.answers)
    page.clock.run_for(65_000)
    expect(since).to_have_text(re.compile(r" 1 min 15 s ago$"))
    assert len(site.answers) == asked
    page.get_by_role("button", name="Pause").click()
    site.html = site.html.replace("2026-01-01T12:00:00Z", "2026-01-01T11:59:59Z")
    site.turn()
    expect(since).to_have_text(re.compile(r"^17:29:59 (GMT\+5:30|IST) .* ago$"))
    context.close()


@pytest.mark.slow
def test_ago_is_by_the_exporters_clock_however_wrong_the_readers_is(site: Site) -> None:
    site.set()
    site.page.clock.install(time="2026-01-01T09:00:00Z")
    site.page.goto("http://exporter.test/")
    expect(site.page.locator("#since time .ago")).to_have_text("10 s ago")


@pytest.mark.slow
def test_it_is_paused_by_a_button_and_stays_so_on_the_next_page(site: Site) -> None:
    site.open()
    pause = site.page.get_by_role("button", name="Pause")
    expect(pause).to_have_attribute("aria-pressed", "false")
    pause.focus()
    site.page.keyboard.press("Space")
    expect(pause).to_have_attribute("aria-pressed", "true")
    expect(site.page.get_by_role("status")).to_have_text("paused")
    asked = len(site.answers)
    site.page.clock.run_for(20_000)
    site.page.reload()
    expect(pause).to_have_attribute("aria-pressed", "true")
    site.page.clock.run_for(20_000)
    site.page.evaluate("0")
    assert len(site.answers) == asked + len(["the page itself"])
    site.set(folded="new")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "false")
    expect(site.page.locator("#fold p")).to_have_text("new")
    expect(site.page.get_by_role("status")).to_be_empty()


# --- a real exporter ---------------------------------------------------------------------------


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
def test_it_follows_and_leaves_focus_and_folding_where_they_are(
    exporter: Exporter, browser: Browser
) -> None:
    with tab(browser) as page:
        page.goto(f"{exporter.base}/")
        page.locator("details#others summary").click()
        expect(page.locator("details#others")).not_to_have_attribute("open", "")
        page.set_viewport_size({"width": PHONE, "height": 300})
        page.locator("details#others summary").focus()
        wait_for_refresh(page)
        assert page.evaluate("document.activeElement.id") == "others-fold"
        assert page.locator("details#others").get_attribute("open") is None
        assert page.locator("details#failed").get_attribute("open") == ""


@pytest.mark.slow
def test_it_says_since_when_it_is_not_connected_and_recovers(
    exporter: Exporter, browser: Browser
) -> None:
    with tab(browser, allowed="net::ERR_") as page:
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
def test_it_asks_for_nothing_while_nobody_sees_it(exporter: Exporter, browser: Browser) -> None:
    with tab(browser) as page:
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
def test_it_takes_no_text_away_that_somebody_marks_to_copy(
    exporter: Exporter, browser: Browser
) -> None:
    with tab(browser) as page:
        page.clock.install()
        page.goto(f"{exporter.base}/")
        page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
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
    exporter: Exporter, browser: Browser
) -> None:
    with tab(browser, javascript=False) as page:
        page.goto(f"{exporter.base}/")
        expect(page.get_by_role("table", name="Running now").get_by_role("row")).not_to_have_count(
            0
        )
        refresh = page.locator("meta[http-equiv=refresh]")
        expect(refresh).to_have_attribute("content", "10")


@pytest.mark.slow
def test_a_fleet_is_filtered_and_sorted_without_javascript_too(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "exporter.yml"
    target = "{host: 127.0.0.1, port: 1, username: x, secret_env: FLEET_SECRET}"
    names = ("berlin-1", "berlin-2", "paris")
    file.write_text("targets:\n" + "".join(f"  {name}: {target}\n" for name in names))
    with (
        Exporter(f"--config.file={file}", environment={"FLEET_SECRET": "x"}) as fleet,
        tab(browser, javascript=False, allowed="404") as page,
    ):
        fleet.wait_for_line("refused.*paris", 20)
        page.goto(f"{fleet.base}/?rows=all")
        shown = page.locator("tbody th")
        expect(shown).to_have_text(list(names))
        expect(page).to_have_title(re.compile("^0 up, 3 down"))
        page.get_by_label("Name").fill("BERL")
        page.keyboard.press("Enter")
        expect(shown).to_have_text(["berlin-1", "berlin-2"])
        page.get_by_role("link", name="PBX", exact=True).click()
        page.get_by_role("link", name="PBX", exact=True).click()
        expect(shown).to_have_text(["berlin-2", "berlin-1"])
        page.get_by_role("link", name="Failing 0").click()
        expect(page.get_by_text("None is like that.")).to_be_visible()
        assert page.url == f"{fleet.base}/?state=failing&name=BERL&sort=-name"
        page.get_by_role("link", name="All 3 PBXs").click()
        page.get_by_role("link", name="paris").click()
        assert page.url == f"{fleet.base}/targets/paris"
        expect(page.get_by_text("Down, never up: ")).to_be_visible()
        page.goto(f"{fleet.base}/targets/rome")
        page.get_by_role("link", name="All PBXs").click()
        expect(shown).to_have_count(3)
