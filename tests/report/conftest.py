"""One browser, and one page of a classified and grouped table, for all tests of the page."""

from types import MappingProxyType

import pytest

from tawasul_nlp.report import write_report
from tawasul_nlp.tables import open_classified
from tests.report.browser import browser, opened
from tests.report.tables import TEXT, classified, write


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


@pytest.fixture(scope="session")
def rows():
    towns, urgencies = ("المحرق", "توبلي", "سترة", None), ("normal", "urgent")
    return [
        {**row, TEXT: f"{row[TEXT]} ({number})", "town": towns[number % 4], "urgency": urgencies[number % 9 == 0]}
        for number, row in enumerate(classified(500))
    ]


@pytest.fixture(scope="session")
def page(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    table = write(folder / "t.parquet", [row | {"sent": "ewa"} for row in rows])
    columns = open_classified(table, routed_column="sent")
    write_report(columns, folder / "r.html", title="حالات الربع الأول", mask=False)
    return folder / "r.html"


@pytest.fixture
def driver(chromium, page):
    return opened(chromium, page)
