"""The page for people who cannot see it, or use no mouse: axe finds no serious fault."""

from importlib.resources import files

import pytest

from tawasul_nlp.report import write_report
from tawasul_nlp.tables.classified import open_classified
from tests.report.browser import opened, phone
from tests.report.tables import classified, write

AXE = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
_RUN = "const done = arguments[arguments.length - 1]; axe.run().then(done, fault => done({ failed: String(fault) }))"


def faults(driver):
    """Return the serious faults: rule, and the elements at fault."""
    driver.execute_script(AXE)
    found = driver.execute_async_script(_RUN)
    assert "failed" not in found
    assert len(found["passes"]) > 20
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rows = classified(300)
    for number, row in enumerate(rows):
        row |= {"town": ("سترة", "توبلي", None)[number % 3], "sent": "ewa"}
        row["urgency"] = ("normal", "urgent", "emergency")[number % 3]
    folder = tmp_path_factory.mktemp("report")
    write_report(open_classified(write(folder / "t.parquet", rows), routed_column="sent"), folder / "r.html")
    return folder / "r.html"


@pytest.mark.slow
@pytest.mark.parametrize("language", ["ar", "en"])
def test_the_page_has_no_serious_fault(chromium, page, language):
    driver = opened(chromium, page, address=f"#language={language}&review=1")
    driver.find_element("id", "more-filters").click()
    driver.execute_script("document.querySelectorAll('#incidents details').forEach(one => { one.open = true })")
    assert faults(driver) == []


@pytest.mark.parametrize("language", ["ar", "en"])
def test_nor_has_an_open_case_or_the_page_on_a_phone(chromium, page, language):
    driver = opened(chromium, page, address=f"#language={language}")
    with phone(driver):
        assert faults(driver) == []
    driver.execute_script("document.querySelector('#cases .open').click()")
    assert faults(driver) == []
