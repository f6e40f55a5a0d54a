"""A real browser that looks at the page: Debian's Chromium, without a screen."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

WAIT_SECONDS = 20
"""Longer than anything takes that is not waited for with a time of its own."""

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Without one the test is skipped; it fails where FAX_TEST_REQUIRE has `browser`.

    Not for async tests: playwright runs a loop of its own in this thread while it is there.
    """
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        missing = "no browser: apt-get install --no-install-recommends chromium"
        required = os.environ.get("FAX_TEST_REQUIRE", "").split(",")
        assert "browser" not in required, missing
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def tab(
    browser: Browser,
    *,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
    javascript: bool = True,
    allowed: str | None = None,
) -> Iterator[Page]:
    """A page to load; at its end nothing may have been said on its console, and no script failed.

    `width` is in CSS pixels. `allowed`: a console message with this in it is no fault.
    """
    said: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=javascript,
    )
    try:
        page = context.new_page()
        page.set_default_timeout(1000 * WAIT_SECONDS)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
    finally:
        context.close()
    faults = [text for text in said if allowed is None or allowed not in text]
    assert not faults, f"on the console: {faults}"


def assert_fits(page: Page, width: int) -> None:
    """Nothing stands out of a window of this width, CSS pixels."""
    before = page.viewport_size
    assert before is not None
    page.set_viewport_size({"width": width, "height": before["height"]})
    try:
        needed = page.evaluate("document.scrollingElement.scrollWidth")
        assert needed <= width, f"it is {needed} wide, the window {width}"
    finally:
        page.set_viewport_size(before)
