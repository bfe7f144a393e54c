"""A real headless Chromium for the tests of pages."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
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
