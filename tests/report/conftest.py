"""One browser for all tests of the page."""

import pytest

from tests.report.browser import browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver
