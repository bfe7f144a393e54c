"""One browser for all tests of the page."""

from types import MappingProxyType

import pytest

from tawasul_nlp.report import write_report
from tawasul_nlp.tables import open_classified
from tests.report.browser import browser, opened
from tests.report.tables import write


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def show(chromium, tmp_path):
    """Write rows as a table, and open its page ``r.html`` in the browser."""

    def show(rows, suffix="parquet", address="", columns=MappingProxyType({}), **options):
        table = open_classified(write(tmp_path / f"t.{suffix}", rows), **columns)
        write_report(table, tmp_path / "r.html", **options)
        return opened(chromium, tmp_path / "r.html", address=address)

    return show
