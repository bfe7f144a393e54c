"""A real headless Chromium for the tests of pages."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.waiting import HANG, wait_until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# Without these, Chromium asks hosts of its maker at every start.
_QUIET = ("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update")
_STARTS = 10


@contextlib.contextmanager
def browser(folder: Any) -> Iterator[Any]:
    """Open a browser that keeps its profile in ``folder`` and records its console.

    Skip without Chromium, unless the environment says that it must be there, as CI does.
    """
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException

    if CHROMIUM is None or DRIVER is None:
        message = "needs Debian's packages chromium and chromium-driver"
        if os.environ.get("TAWASUL_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", *_QUIET, f"--user-data-dir={folder}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for _ in range(_STARTS - 1):  # on a busy machine it may not answer within the half minute that selenium gives it
        with contextlib.suppress(WebDriverException):
            driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
            break
    else:
        driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    driver.set_page_load_timeout(HANG)
    driver.set_script_timeout(HANG)
    try:
        yield driver
    finally:
        driver.quit()


def opened(driver: Any, path: Path, address: str = "") -> Any:
    """Open a page with an empty console, at an address within it such as ``#agency=ewa``."""
    driver.set_window_size(1280, 900)
    driver.get("about:blank")  # from the same page, a browser would only follow the address
    driver.get_log("browser")
    driver.get(path.as_uri() + address)
    drawn(driver)
    return driver


def drawn(driver: Any) -> None:
    """Wait until the page has unpacked its data and drawn itself."""
    wait_until(lambda: driver.execute_script("return document.documentElement.dataset.ready === 'true'"))


def text_of(driver: Any, id: str) -> str:
    """Return what an element says, without the marks that keep values together in a line of Arabic."""
    return plain(driver.find_element("id", id).text)


def kpis(driver: Any) -> dict[str, int]:
    """Return the figures of the first screen."""
    # In one step: the page may draw its cards anew between two.
    texts = driver.execute_script(
        "return [...document.querySelectorAll('.card')]"
        ".map(card => [card.dataset.kpi, card.querySelector('b').textContent])"
    )
    return {name: int(text.replace(",", "")) for name, text in texts}


def cards(driver: Any) -> list[int]:
    """Return how many cases the page counts, and how many of them are for review."""
    figures = kpis(driver)
    return [figures["cases"], figures["review"]]


@contextlib.contextmanager
def phone(driver: Any, width: int = 390) -> Iterator[None]:
    """Let the page that is open be seen on a phone; a window cannot be made as narrow."""
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.refresh()
    drawn(driver)
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def plain(text: str) -> str:
    """Return a text without the marks that keep values together in a line of Arabic."""
    return text.translate(dict.fromkeys((0x2060, 0x2066, 0x2069)))


def rows_shown(driver: Any) -> list[str]:
    """Return the texts of the rows of the table of cases that are drawn."""
    script = "return [...document.querySelectorAll('#cases .open .text')].map(text => text.textContent)"
    return list(driver.execute_script(script))


def downloaded(driver: Any, button: str) -> list[dict[str, str]]:
    """Return the rows of the CSV file that the page gives the browser to save."""
    text: str = driver.execute_async_script(
        "const [button, done] = arguments, give = URL.createObjectURL;"
        "URL.createObjectURL = file => { file.text().then(done); return give.call(URL, file); };"
        "document.getElementById(button).click()",
        button,
    )
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def select(driver: Any, name: str, label: str) -> None:
    """Choose a filter's value by what the page calls it."""
    from selenium.webdriver.support.select import Select

    if not driver.find_element("id", f"filter-{name}").is_displayed():
        driver.find_element("id", "more-filters").click()
    Select(driver.find_element("id", f"filter-{name}")).select_by_visible_text(label)


def embedded(path: Path) -> Any:
    """Return the data in a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])


def unpacked(path: Path, column: str) -> list[int]:
    """Return the numbers of a column in a page."""
    kind, data = embedded(path)["columns"][column]
    return [int(value) for value in np.frombuffer(zlib.decompress(base64.b64decode(data)), f"<{kind}")]


def faults(driver: Any) -> list[tuple[str, list[str]]]:
    """Return the serious faults that axe sees for people who cannot see, or use no mouse: rule, and the elements."""
    driver.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    result = driver.execute_async_script(
        "const done = arguments[0]; axe.run().then(done, fault => done({ failed: String(fault) }))"
    )
    assert "failed" not in result
    assert len(result["passes"]) > 20
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in result["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
