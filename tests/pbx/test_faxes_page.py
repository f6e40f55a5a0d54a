"""The page of the faxes that are over, in a real browser, with those of a real Asterisk: found by
its form, with and without scripts, on a phone, in the dark and on paper, and after a restart."""

import re
import urllib.request
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from harness.running import Exporter
from tests.pbx.asterisk import Asterisk
from tests.pbx.browser import assert_fits, chromium, tab
from tests.pbx.conftest import Start

PHONE = 360
STATION = "<script>x</script>"


def rows(page: Page) -> Locator:
    return page.get_by_role("table").locator("tbody tr")


def search(page: Page) -> None:
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/faxes?*")


def assert_no_fault(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def watching(asterisk: Asterisk, *flags: str) -> Exporter:
    return Exporter.watching(
        asterisk.host, asterisk.ami_port, asterisk.username, asterisk.secret, *flags
    )


def test_faxes_are_found_again_by_who_failed_and_by_call(
    watch: Start, one_page: Path, tmp_path: Path
) -> None:
    history = f"--history.file={tmp_path / 'faxes.db'}"
    missing = one_page.with_name("missing.tif")
    missing.write_bytes(b"no TIFF")
    with Asterisk("sid") as asterisk, chromium() as browser:
        exporter = watch(asterisk, history, "--web.show-details")
        asterisk.send_fax(one_page, variables={"FAXOPT(localstationid)": STATION})
        exporter.wait_until(lambda now: now.sum("finished_total") == 2, 60, "both ends are over")
        asterisk.send_fax(missing)
        exporter.wait_until(lambda now: now.sum("failures_total") >= 1, 60, "one failed")
        with tab(browser, javascript=False) as page:
            page.goto(f"{exporter.base}/faxes")
            page.wait_for_timeout(0)
            while rows(page).count() < 3:
                page.reload()
            page.get_by_label("Result").select_option("success")
            page.get_by_label("Operation").select_option("receive")
            search(page)
            expect(rows(page)).to_have_count(1)
            expect(rows(page)).to_contain_text(STATION)  # as text, said by the sender of itself
            uniqueid = rows(page).locator('[data-label="Uniqueid"] bdi').first.inner_text()
            assert re.fullmatch(r"[\w.-]+", uniqueid)

            page.get_by_role("link", name="All faxes").click()
            page.get_by_label("Uniqueid or Linkedid").fill(uniqueid)
            search(page)
            expect(rows(page)).to_have_count(1)

            page.goto(f"{exporter.base}/faxes?limit=1")
            seen = {rows(page).inner_text()}
            while (older := page.get_by_role("link", name="Older")).count():
                older.click()
                seen.add(rows(page).inner_text())
            assert len(seen) >= 3

            page.goto(f"{exporter.base}/faxes")
            page.get_by_role("link", name="Failed in the last 24 h").click()
            failed = rows(page).filter(has_text="Failed").first
            reason = failed.locator('[data-label="Result"] a')
            address = reason.get_attribute("href") or ""
            reason.click()
            expect(page.locator(f"#{address.partition('#')[2]}")).to_be_visible()
            page.go_back()
            rows(page).locator('[data-label="PBX"] a').first.click()
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert "/targets/" in page.url
        with tab(browser) as page:
            for address in ("/faxes", "/faxes?result=failed", "/faxes?peer=nobody"):
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme, media="screen")
                    page.goto(exporter.base + address)
                    for width in (PHONE, 768, 1280):
                        assert_fits(page, width)
                    assert_no_fault(page)
            page.goto(f"{exporter.base}/faxes?result=failed")
            page.emulate_media(media="print")
            page.set_viewport_size({"width": 700, "height": 900})
            expect(page.get_by_role("button", name="Search")).to_be_hidden()
            expect(page.get_by_label("Peer")).to_be_hidden()
            expect(page.get_by_text("Asked for: result failed")).to_be_visible()
            assert_fits(page, 700)
            assert page.evaluate("document.scripts.length") == 1
        exporter.stop()

        with watching(asterisk, history) as again, tab(browser) as page:
            page.goto(f"{again.base}/faxes?uniqueid={uniqueid}")
            expect(rows(page)).to_have_count(1)
            with urllib.request.urlopen(f"{again.base}/api/v1/faxes", timeout=10) as answer:
                text = answer.read().decode() + page.content()
            for personal in ("script>x", ".tif", "Local/recv@"):
                assert personal not in text
        assert asterisk.alive
