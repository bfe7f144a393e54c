"""The page calls places as the country does whose pack it is made with."""

from pathlib import Path
from typing import Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.report import write_report
from tawasul_nlp.tables.classified import open_classified
from tests.packs import CITIES, KUWAIT
from tests.report.browser import embedded, opened
from tests.report.tables import write

TEXT = "الحاوية متروسة من يومين والريحة طالعة لين الدور الرابع"


def rows(*places: dict[str, Any], **labels: str) -> list[dict[str, Any]]:
    """Return a classified case of each place."""
    case = {"text": TEXT, "kind": "complaint", "needs_review": False, "review_reasons": [], **labels}
    return [{**case, "topic_probability": 0.9, "agency_probability": 0.9, **place} for place in places]


def headings(driver: Any) -> dict[str, str]:
    """Return the visible headings of sections by their ids."""
    return {
        section.get_attribute("id").removeprefix("section-"): section.find_element("tag name", "h2").text
        for section in driver.find_elements("css selector", "main section.panel")
        if section.is_displayed()
    }


def kuwaits(folder: Path) -> Path:
    places = [("hawalli", "السالمية", "10"), ("hawalli", "السالمية", "3"), ("hawalli", "حولي", "3")]
    found = [dict(zip(("governorate", "area", "block"), place, strict=True)) for place in places]
    found.append({"governorate": "ahmadi", "area": "علي صباح السالم", "block": "2"})
    table = write(folder / "t.csv", rows(*found, topic="waste_collection", agency="municipality_hawalli"))
    write_report(open_classified(table, domain=Domain.load(KUWAIT)), folder / "r.html")
    return folder / "r.html"


def test_headings_and_sentences_name_the_levels_of_the_pack(chromium, tmp_path):
    page = kuwaits(tmp_path)
    assert "مجمع" not in page.read_text("utf-8")
    driver = opened(chromium, page)
    found = headings(driver)
    assert found["map"] == "الحالات حسب المحافظة والقطعة"
    assert (found["block"], found["town"]) == ("المشكلات المتكررة حسب القطعة", "المشكلات المتكررة حسب المنطقة")
    driver.find_element("id", "language").click()
    assert headings(driver)["town"] == "Problems that keep coming back in one area"
    assert driver.get_log("browser") == []


def test_a_block_that_is_numbered_within_its_town_is_told_with_it_in_both_languages(chromium, tmp_path):
    driver = opened(chromium, kuwaits(tmp_path))

    def tiles() -> list[str]:
        return [tile.text for tile in driver.find_elements("css selector", ".block span")]

    assert tiles() == ["3، السالمية", "10، السالمية", "3، حولي", "2، علي صباح السالم"]
    driver.find_element("id", "language").click()
    assert tiles()[:3] == ["3, Salmiya", "10, Salmiya", "3, Hawalli"]
    cut = "return [...document.querySelectorAll('.block')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert driver.execute_script(cut) == 0


def test_regions_stand_as_the_pack_lists_them(chromium, tmp_path):
    places = [{"governorate": region, "area": None, "block": None} for region in ("jahra", "ahmadi", "", "capital")]
    table = write(tmp_path / "t.csv", rows(*places, topic="waste_collection", agency="mpw"))
    write_report(open_classified(table, domain=Domain.load(KUWAIT)), tmp_path / "r.html")
    driver = opened(chromium, tmp_path / "r.html")
    regions = [one.get_attribute("data-id") for one in driver.find_elements("css selector", ".region")]
    assert regions == ["capital", "ahmadi", "jahra", "unknown"]
    from_left = "return [...document.querySelectorAll('.region')].slice(0, 3).map(one => one.getBoundingClientRect().x)"
    assert sorted(driver.execute_script(from_left), reverse=True) == driver.execute_script(from_left)
    driver.find_element("id", "language").click()
    assert sorted(driver.execute_script(from_left)) == driver.execute_script(from_left)


def test_a_country_without_blocks_is_not_told_of_them(chromium, tmp_path):
    places = [{"city": "riyadh", "district": "العليا"}, {"city": "jeddah", "district": "الحمراء"}]
    table = write(tmp_path / "t.csv", rows(*places, topic="waste", agency="power"))
    write_report(open_classified(table, domain=Domain.load(CITIES)), tmp_path / "r.html")
    driver = opened(chromium, tmp_path / "r.html")
    found = headings(driver)
    assert found["map"] == "الحالات حسب المدينة" and found["town"] == "المشكلات المتكررة حسب الحي"
    assert "block" not in found and embedded(tmp_path / "r.html")["hasBlocks"] is False
    assert "مجمع" not in driver.find_element("tag name", "body").text
