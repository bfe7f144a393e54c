"""A real headless Chromium for the tests of pages."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import HANG

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# Without these, Chromium asks hosts of its maker at every start.
_QUIET = ("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update")
_STARTS = 10


def require_browser() -> None:
    """Skip without Chromium, unless the environment says that it must be there, as CI does."""
    if CHROMIUM is None or DRIVER is None:
        message = "needs Debian's packages chromium and chromium-driver"
        if os.environ.get("TAWASUL_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)


@contextlib.contextmanager
def browser(folder: Any) -> Iterator[Any]:
    """Open a browser that keeps its profile in ``folder`` and records its console."""
    from selenium import webdriver

    require_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", *_QUIET, f"--user-data-dir={folder}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = _started(options)
    driver.set_page_load_timeout(HANG)
    driver.set_script_timeout(HANG)
    try:
        yield driver
    finally:
        driver.quit()


def _started(options: Any) -> Any:
    """Start a browser; on a busy machine it may not answer within the half minute that selenium gives it."""
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException

    for _ in range(_STARTS - 1):
        with contextlib.suppress(WebDriverException):
            return webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    return webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))


def opened(driver: Any, path: Path, width: int = 1280) -> Any:
    """Open a page with an empty console."""
    driver.set_window_size(width, 900)
    driver.get(path.as_uri())
    driver.get_log("browser")
    driver.refresh()
    return driver


def cards(driver: Any) -> list[int]:
    """Return how many cases the page counts, and how many of them are for review."""
    # In one step: the page may draw its cards anew between two.
    texts = driver.execute_script("return [...document.querySelectorAll('.card b')].map(card => card.textContent)")
    return [int(text.replace(",", "")) for text in texts[:2]]


@contextlib.contextmanager
def phone(driver: Any) -> Iterator[None]:
    """Let the page that is open be seen on a phone."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.refresh()
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def select(driver: Any, name: str, label: str) -> None:
    """Choose a filter's value by what the page calls it."""
    from selenium.webdriver.support.select import Select

    Select(driver.find_element("id", f"filter-{name}")).select_by_visible_text(label)


def embedded(path: Path) -> Any:
    """Return the data in a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])
