"""The page in a real browser, while faxes go through a real Asterisk."""

import os
import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.pbx.asterisk import Asterisk
from tests.pbx.browser import assert_fits, chromium, tab
from tests.pbx.conftest import Start

FAX_MS = 120_000
"""No fax of these tests takes as long, on a busy machine either; milliseconds."""
PHONE = 360
STATION = "<script>x</script>"
"""As long as T.30 lets one be: the other end hears it over the line, as from any stranger."""


def table(page: Page, name: str) -> Locator:
    return page.get_by_role("table", name=name)


def row(page: Page, name: str, *texts: str) -> Locator:
    found = table(page, name).get_by_role("row")
    for text in texts:
        found = found.filter(has_text=text)
    return found


def receiving_channel(asterisk: Asterisk) -> str:
    """Of the one fax that is being received."""
    sessions = asterisk.driver.sessions()
    (channel,) = (one.get("Channel") for one in sessions if one.get("Operation") == "receive")
    return channel


def test_a_fax_is_followed_from_its_start_to_its_end(watch: Start, three_pages: Path) -> None:
    with Asterisk("sid") as asterisk, chromium() as browser:
        details = watch(asterisk, "--web.show-details")
        plain = watch(asterisk)
        with tab(browser) as page, tab(browser) as public:
            page.goto(f"{details.base}/")
            public.goto(f"{plain.base}/")
            expect(page.get_by_text("No session.")).to_be_visible()
            assert_fits(page, PHONE)

            asterisk.send_fax(three_pages, variables={"FAXOPT(localstationid)": STATION})
            receive = row(page, "Running now", "Receive")
            send = row(page, "Running now", "Send")
            for number in ("1", "2", "3"):
                cell = receive.locator('[data-label="Page"]')
                expect(cell).to_have_text(number, timeout=FAX_MS)
                assert_fits(page, PHONE)
            expect(receive).to_contain_text("14400")
            expect(receive).to_contain_text("standard")
            expect(send).to_contain_text(f"{three_pages.name}")

            ended = row(page, "Ended last without failing", "Success")
            expect(ended).to_have_count(2, timeout=FAX_MS)
            for one in ended.all():
                expect(one.locator('[data-label="Pages"]')).to_have_text("3")
                # As text: said by the sender of itself, and by the receiver as it heard it.
                expect(one).to_contain_text(STATION)
            expect(page.get_by_text("No session.")).to_be_visible()
            assert page.evaluate("document.scripts.length") == 1
            assert_fits(page, PHONE)
            # The times are those of the browser's clock, and count.
            expect(ended.first.locator("time .ago")).to_have_text(
                re.compile(r"^\d+ (s|min .*) ago$")
            )
            today = page.get_by_role("figure").get_by_role("img")
            expect(today).to_have_attribute(
                "aria-label", re.compile("^2 faxes in the last 24 hours, 0 failed")
            )

            asterisk.send_fax(three_pages)
            agreed = row(public, "Running now", "Receive", "standard")
            expect(agreed).to_have_count(1, timeout=FAX_MS)
            dropped = receiving_channel(asterisk)
            with asterisk.noise():
                asterisk.send_fax(three_pages, extension="recv-ecm", ecm=True)
                asterisk.send_fax(three_pages)
                active = row(public, "Running now", "Active")
                expect(active).to_have_count(6, timeout=FAX_MS)
                asterisk.hangup(dropped)
                failed = row(public, "Failed last", "call_dropped")
                expect(failed).to_have_count(2, timeout=FAX_MS)
                damaged = row(public, "Running now", "Receive").filter(
                    has=public.locator('[data-label="Bad lines, fax"] strong')
                )
                expect(damaged).to_have_count(1, timeout=FAX_MS)
            expect(row(page, "Failed last", "The call dropped")).to_have_count(2)
            expect(page.locator("#today-failures")).to_contain_text("The call dropped")
            assert_fits(page, PHONE)
            assert_fits(public, PHONE)
            text = public.content()
            for personal in ("script>x", "Local/", ".tif"):
                assert personal not in text
            save_screenshots(public)
            with public.expect_navigation():
                row(public, "Failed last", "call_dropped").first.get_by_role("link").click()
            expect(public.locator(":target")).to_contain_text("The call dropped")
            public.go_back()
            expect(row(public, "Ended last without failing", "Success")).to_have_count(
                6, timeout=FAX_MS
            )
            expect(row(public, "Failed last", "call_dropped")).to_have_count(2)
        assert asterisk.alive


def save_screenshots(page: Page) -> None:
    """Where FAX_EXPORTER_SCREENSHOT says, and of a phone beside it."""
    name = os.environ.get("FAX_EXPORTER_SCREENSHOT")
    if name:
        path = Path(name)
        page.screenshot(path=path, full_page=True)
        page.set_viewport_size({"width": PHONE, "height": 780})
        page.screenshot(path=path.with_stem(f"{path.stem}-phone"))
        page.set_viewport_size({"width": 1280, "height": 900})
