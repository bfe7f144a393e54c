"""Make pictures of the report's page, as an officer's screen shows it, with the browser that the tests use.

``make demo``, then ``python -m examples.make_picture build/demo/report.html docs/images/report.png``; with ``--phone``
as on a phone, with ``--english`` in English, with ``--whole`` the whole page and not only its top. Needs Chromium with
its driver, and selenium (``.[dev]``).
"""

from __future__ import annotations

import argparse
import base64
import tempfile
from pathlib import Path

from tests.report.browser import browser, drawn

DESKTOP, PHONE = (1280, 960), (390, 844)


def picture(page: Path, *, phone: bool = False, english: bool = False, whole: bool = False) -> bytes:
    """Return the page as a PNG."""
    width, height = PHONE if phone else DESKTOP
    with tempfile.TemporaryDirectory() as profile, browser(profile) as driver:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        driver.get(page.absolute().as_uri())
        drawn(driver)
        if english:
            driver.find_element("id", "language").click()
        if whole:
            height = driver.execute_script("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": whole, "clip": clip})
        return base64.b64decode(taken["data"])


def main() -> None:
    """Make one picture from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="what tawasul report wrote")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    for option in ("phone", "english", "whole"):
        parser.add_argument(f"--{option}", action="store_true")
    arguments = parser.parse_args()
    taken = picture(arguments.page, phone=arguments.phone, english=arguments.english, whole=arguments.whole)
    arguments.picture.write_bytes(taken)
    print(f"{arguments.picture}: {len(taken) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
