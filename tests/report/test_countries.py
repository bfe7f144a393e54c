"""The page calls places as the country does whose pack it is made with."""

from typing import Any

import pytest

from tawasul_nlp.domain import Domain
from tests.packs import CITIES, KUWAIT
from tests.report.browser import embedded

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


PLACES = (("السالمية", "10"), ("السالمية", "3"), ("حولي", "3"))


@pytest.fixture
def kuwait(show):
    """The page of a few cases in Kuwait."""
    places = [{"governorate": "hawalli", "area": area, "block": block} for area, block in PLACES]
    places.append({"governorate": "ahmadi", "area": "علي صباح السالم", "block": "2"})
    cases = rows(*places, topic="waste_collection", agency="municipality_hawalli")
    return show(cases, "csv", columns={"domain": Domain.load(KUWAIT)})


def test_headings_and_sentences_name_the_levels_of_the_pack(kuwait, tmp_path):
    assert "مجمع" not in (tmp_path / "r.html").read_text("utf-8")
    names = headings(kuwait)
    assert names["map"] == "الحالات حسب المحافظة والقطعة"
    assert (names["block"], names["town"]) == ("المشكلات المتكررة حسب القطعة", "المشكلات المتكررة حسب المنطقة")
    kuwait.find_element("id", "language").click()
    assert headings(kuwait)["town"] == "Problems that keep coming back in one area"
    assert kuwait.get_log("browser") == []


def test_a_block_that_is_numbered_within_its_town_is_told_with_it_in_both_languages(kuwait):
    def tiles() -> list[str]:
        return [tile.text for tile in kuwait.find_elements("css selector", ".block span")]

    assert tiles() == ["3، السالمية", "10، السالمية", "3، حولي", "2، علي صباح السالم"]
    kuwait.find_element("id", "language").click()
    assert tiles()[:3] == ["3, Salmiya", "10, Salmiya", "3, Hawalli"]
    cut = "return [...document.querySelectorAll('.block')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert kuwait.execute_script(cut) == 0


def test_regions_stand_as_the_pack_lists_them(show):
    places = [{"governorate": region, "area": None, "block": None} for region in ("jahra", "ahmadi", "", "capital")]
    cases = rows(*places, topic="waste_collection", agency="mpw")
    driver = show(cases, "csv", columns={"domain": Domain.load(KUWAIT)})
    regions = [one.get_attribute("data-id") for one in driver.find_elements("css selector", ".region")]
    assert regions == ["capital", "ahmadi", "jahra", "unknown"]
    from_left = "return [...document.querySelectorAll('.region')].slice(0, 3).map(one => one.getBoundingClientRect().x)"
    assert sorted(driver.execute_script(from_left), reverse=True) == driver.execute_script(from_left)
    driver.find_element("id", "language").click()
    assert sorted(driver.execute_script(from_left)) == driver.execute_script(from_left)


def test_a_country_without_blocks_is_not_told_of_them(show, tmp_path):
    places = [{"city": "riyadh", "district": "العليا"}, {"city": "jeddah", "district": "الحمراء"}]
    driver = show(rows(*places, topic="waste", agency="power"), "csv", columns={"domain": Domain.load(CITIES)})
    names = headings(driver)
    assert names["map"] == "الحالات حسب المدينة" and names["town"] == "المشكلات المتكررة حسب الحي"
    assert "block" not in names and embedded(tmp_path / "r.html")["hasBlocks"] is False
    assert "مجمع" not in driver.find_element("tag name", "body").text
