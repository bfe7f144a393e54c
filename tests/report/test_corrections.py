"""What an officer corrects in the page leaves it as a file for ``tawasul corrections apply``."""

import csv
import io

import pytest

from tawasul_nlp.report import write_report
from tests.report.browser import downloaded, opened, plain
from tests.report.tables import classified, write


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rows = classified(40)
    for at, row in enumerate(rows):
        row |= {"group_id": 500 + at // 2, "group_size": 2, "topic": "water_leak", "agency": "ewa"}
    folder = tmp_path_factory.mktemp("report")
    table = write(folder / "t.jsonl", rows)
    # A row that cannot be read has a number, but no case.
    lines = table.read_text("utf-8").splitlines(keepends=True)
    table.write_text("".join([lines[0], "{\n", *lines[1:]]), encoding="utf-8")
    write_report(table, folder / "r.html")
    return folder / "r.html"


def open_case(driver, case_id):
    driver.execute_script(
        "const row = [...document.querySelectorAll('#cases tr')].find(one => one.textContent.includes(arguments[0]));"
        "row.querySelector('.open').click(); document.querySelector('#case details').open = true",
        case_id,
    )
    return driver.find_element("id", "case")


def field(dialog, label):
    labels = dialog.find_elements("css selector", ".correct label")
    found = next(one for one in labels if one.text.startswith(label))
    return found.find_element("css selector", "select, input")


def set_to(driver, element, value):
    driver.execute_script(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))", element, value
    )


def test_only_what_is_corrected_is_saved_by_row_and_id(chromium, page):
    driver = opened(chromium, page, address="#language=en&search=C00000")
    assert not driver.find_element("id", "corrections").is_displayed()
    dialog = open_case(driver, "C000003")
    set_to(driver, field(dialog, "Topic"), "sewage_overflow")
    set_to(driver, field(dialog, "Agency"), "works")
    field(dialog, "Not of this incident").click()
    dialog.find_element("css selector", ".buttons button:last-child").click()
    dialog = open_case(driver, "C000006")
    set_to(driver, field(dialog, "The same incident"), "502")
    field(dialog, "What is not corrected is right").click()
    dialog.find_element("css selector", ".buttons button:last-child").click()
    dialog = open_case(driver, "C000007")
    set_to(driver, field(dialog, "Topic"), "road_damage")
    set_to(driver, field(dialog, "Topic"), "")
    dialog.find_element("css selector", ".buttons button:last-child").click()
    assert "(2)" in plain(driver.find_element("id", "corrections").text)
    rows = list(csv.DictReader(io.StringIO(downloaded(driver, "corrections"), newline="")))
    tasks = {"correct_agency": "works", "correct_topic": "sewage_overflow"}
    assert [{name: value for name, value in row.items() if value} for row in rows] == [
        {"row": "5", "id": "C000003", **tasks, "correct_incident": "new"},
        {"row": "8", "id": "C000006", "merge_with": "502", "checked": "yes"},
    ]
    assert "correct_kind" in rows[0]


def test_a_case_that_is_opened_again_shows_what_was_corrected(chromium, page):
    driver = opened(chromium, page, address="#language=en")
    set_to(driver, field(open_case(driver, "C000003"), "Kind"), "praise")
    driver.find_element("css selector", "#case .buttons button:last-child").click()
    driver.find_element("id", "language").click()
    assert field(open_case(driver, "C000003"), "النوع").get_attribute("value") == "praise"


def test_a_label_that_no_case_has_can_be_chosen(chromium, page):
    driver = opened(chromium, page, address="#language=en")
    topics = field(open_case(driver, "C000003"), "Topic").find_elements("tag name", "option")
    assert len(topics) == 1 + 104
    assert len({option.get_attribute("value") for option in topics}) == len(topics)
