"""One browser for all tests of the page."""

import pytest

from tawasul_nlp.report import write_report
from tests.report.browser import browser, opened
from tests.report.tables import write


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def show(chromium, tmp_path):
    """Write rows as a table, and open its page ``r.html`` in the browser."""

    def show(rows, suffix="parquet", address="", **options):
        write_report(write(tmp_path / f"t.{suffix}", rows), tmp_path / "r.html", **options)
        return opened(chromium, tmp_path / "r.html", address=address)

    return show
