"""The page about two periods in a real browser: both languages, no script, nothing that a table smuggles in."""

import json
from importlib.resources import files
from string import Formatter

import pytest

from tawasul_nlp.evaluation.periods import drift
from tawasul_nlp.tables.labelled import open_labelled
from tests.report.browser import browser, faults
from tests.report.tables import classified

EVIL = '</td><img src=x onerror="document.title=1"><script>document.title = 1</script>'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    added = {"urgency": "normal", "urgency_probability": 1, "channel": "web", "channel_probability": 1}
    rows = [row | added for row in classified(400)]
    before, now = ({name: [row[name] for row in side] for name in rows[0]} for side in (rows[:200], rows[200:]))
    now["channel"] = [EVIL] * 200
    now["urgency"] = ["urgent"] * 120 + ["emergency"] * 80
    result = drift(*(open_labelled(table, "نص الشكوى") for table in (before, now)))
    path = tmp_path_factory.mktemp("drift") / "drift.html"
    result.to_html(path)
    return path


@pytest.fixture(scope="module")
def driver(tmp_path_factory, page):
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_both_languages_have_the_same_words_with_the_same_values():
    words = json.loads(files("tawasul_nlp.evaluation").joinpath("drift_words.json").read_text(encoding="utf-8"))
    arabic, english = words["ar"], words["en"]
    assert arabic.keys() == english.keys() and arabic["dimensions"].keys() == english["dimensions"].keys()
    for key in arabic.keys() - {"dimensions"}:
        values = [{name for _, name, _, _ in Formatter().parse(side[key]) if name} for side in (arabic, english)]
        assert values[0] == values[1], key


def test_the_page_has_no_script_and_asks_nothing_of_a_network(page):
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text and "http-equiv" in text and "default-src &#x27;none&#x27;" in text
    assert "http://" not in text and "https://" not in text and " style=" not in text


def test_it_opens_in_arabic_and_changes_to_english_as_a_whole(driver, page):
    driver.get("about:blank")
    driver.get_log("browser")
    driver.get(page.as_uri())
    shown = driver.find_element("tag name", "body").text
    assert "ما الذي تغيّر بين فترتين" in shown and "What changed" not in shown
    driver.find_element("id", "english").click()
    shown = driver.find_element("tag name", "body").text
    assert "What changed between two periods" in shown and "الخلاصة" not in shown
    assert "Urgency" in shown and "Urgent" in shown
    assert driver.get_log("browser") == []
    # What a table smuggles in is shown as text.
    assert EVIL in shown and driver.title == "ما الذي تغيّر بين فترتين"
    assert not driver.find_elements("css selector", "img, script")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["arabic", "english"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_has_no_serious_fault(driver, page, language, width):
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get(page.as_uri())
    driver.find_element("id", language).click()
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert faults(driver) == []
