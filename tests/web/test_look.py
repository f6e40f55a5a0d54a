"""How the pages look: legible in every scheme, on every width and on paper, by WCAG and by axe."""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from exporter.polling import Clock
from exporter.web.page import missing_page, reasons_page
from exporter.web.templating import CONTENT_SECURITY_POLICY, STATIC
from harness.virtual_time import run
from tests.history.stored import fax
from tests.pbx.browser import assert_fits, chromium, tab
from tests.web.pages import SITUATIONS, Html, fleet_of, layout, rendered, target_of
from tests.web.test_faxes import page_of as fax_page
from tests.web.test_faxes import shown as found_faxes

PHONE: Final = 360

CSS: Final = "".join(STATIC[name][0].decode() for name in STATIC if name.endswith(".css"))


def palettes() -> Iterator[tuple[str, dict[str, str]]]:
    light, dark, paper = re.findall(r":root \{(.*?)\}", CSS, flags=re.S)
    of_light = dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", light))
    yield "light", of_light
    for name, other in (("dark", dark), ("paper", paper)):
        yield name, of_light | dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", other))


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


def every_page(*, details: bool) -> Iterator[tuple[str, Html]]:
    for name in SITUATIONS:
        yield name, rendered(name, details=details)

    async def others() -> list[tuple[str, Html]]:
        async with SITUATIONS["three_targets"]() as pollers:
            return [
                ("filtered", fleet_of(pollers, details=details, name="pbx", state="unhealthy")),
                ("none is like that", fleet_of(pollers, details=details, name="no")),
                ("one of three", target_of(pollers["pbx-2"], "pbx-2", details=details, watched=3)),
            ]

    yield from run(others())
    yield (
        "faxes",
        Html(found_faxes(fax_page(fax(), fax(reason=None, succeeded=True)), details=details)),
    )
    hostile = fax(peer="x" * 900, unique_id="y" * 900, file="z" * 900, status_text="w " * 400)
    yield "long faxes", Html(found_faxes(fax_page(hostile, cursor="c"), details=details))
    yield (
        "no fax",
        Html(found_faxes(None, details=details, status=400, wrong="since: takes a time")),
    )
    yield "missing", Html(missing_page(layout(Clock(), details=details)))
    yield "reasons", Html(reasons_page(layout(Clock(), details=details, live=False)))


@pytest.mark.slow
@pytest.mark.parametrize("details", [False, True])
def test_it_fits_a_phone_a_tablet_and_a_desk_and_axe_finds_no_fault(details: bool) -> None:
    pages = dict(every_page(details=details))
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    with chromium() as browser, tab(browser) as page:
        show = shown_on(page)
        for scheme, (name, html) in itertools.product(schemes, pages.items()):
            page.emulate_media(color_scheme=scheme)
            show(html)
            assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none"
            # What is unfolded fits as well.
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            for width in (PHONE, 768, 1280):
                assert_fits(page, width)
            # What dark changes is the palette alone, which is held above.
            for width in (PHONE, 1280) if scheme == "light" else (1280,):
                page.set_viewport_size({"width": width, "height": 900})
                found = Axe().run(page)
                assert found.violations_count == 0, (
                    f"{name}, {scheme}, {width}:\n{found.generate_report()}"
                )


@pytest.mark.slow
def test_three_hundred_that_are_down_take_a_few_screens() -> None:
    async def work() -> Html:
        async with SITUATIONS["unreachable"]() as pollers:
            (poller,) = pollers.values()
            return fleet_of({f"pbx-{number:03}": poller for number in range(300)})

    html = run(work())
    with chromium() as browser, tab(browser) as page:
        show = shown_on(page)
        for width, screen, screens in ((1280, 900, 3), (PHONE, 780, 10)):
            page.set_viewport_size({"width": width, "height": screen})
            show(html)
            high = page.evaluate("document.scrollingElement.scrollHeight")
            assert high < screens * screen, width
            # A line for each, however much there is to say.
            row = page.locator("tbody tr").first.bounding_box()
            assert row
            assert row["height"] < (30 if width == 1280 else 85)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ended", "three_targets"])
@pytest.mark.parametrize("javascript", [True, False])
def test_on_paper_it_is_black_on_white_with_everything_and_nothing_to_press(
    name: str, javascript: bool
) -> None:
    html = rendered(name, details=True)
    with (
        chromium() as browser,
        tab(browser, scheme="dark", javascript=javascript, width=700) as page,
    ):
        shown_on(page)(html)
        page.emulate_media(media="print")
        if javascript:
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
        for pressed in page.locator("nav, button, form, .skip, .facts a, .ago").all():
            expect(pressed).to_be_hidden()
        for said in page.locator("main h1, main h2, main td:not(.why), details > p, time").all():
            expect(said).to_be_visible()
        for text in page.locator("strong, th, .status, time, code, a").all():
            if text.is_visible():
                expect(text).to_have_css("color", re.compile(r"rgb\((0, 0, 0|51, 51, 51)\)"))
        expect(page.locator("html")).to_have_css("background-color", "rgb(255, 255, 255)")
        if javascript:
            page.evaluate("dispatchEvent(new Event('afterprint'))")
            expect(page.locator("details[id^=why], #hours").first).not_to_have_attribute("open", "")


@pytest.mark.slow
def test_on_paper_the_words_of_a_list_of_faxes_are_whole() -> None:
    html = Html(found_faxes(fax_page(fax(), fax()), details=True))
    with chromium() as browser, tab(browser, width=700) as page:
        shown_on(page)(html)
        page.emulate_media(media="print")
        assert_fits(page, 700)
        line = "(e) => e.offsetHeight < 2 * parseFloat(getComputedStyle(e).lineHeight)"
        for label in ("PBX", "Operation", "Transport", "Pages", "Rate, bit/s"):
            cell = page.locator(f'tbody tr:first-child [data-label="{label}"] > div')
            assert cell.evaluate(line), label
        sizes = page.evaluate(
            "Array.from(document.querySelectorAll('#faxes-table :is(td, th, .under)'),"
            " (e) => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 7
