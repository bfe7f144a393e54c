"""The page in a real browser: filters work, nothing is asked of the network, and no text becomes HTML."""

import datetime as dt
import json
import re

import pytest

from tawasul_nlp.domain import Domain
from tawasul_nlp.report import write_report
from tawasul_nlp.tables.classified import open_classified
from tests.packs import CITIES, KUWAIT
from tests.report.browser import cards, embedded, faults, kpis, opened, phone, rows_shown, select, text_of
from tests.report.tables import TEXT, classified, write
from tests.waiting import wait_until

HOSTILE = [
    "</script><script>window.hacked = 1</script> الشارع مظلم",
    '<img src=x onerror="window.hacked = 2"> الماي مقطوع',
    "{{data}} {{script}} ${window.hacked = 3} `",
    "\u202e نص معكوس \u2066 <b>عريض</b> &lt;i&gt; <!--",
    "' onmouseover='window.hacked = 4' \" \\u003cscript\\u003e",
]


def test_the_page_counts_every_case_and_asks_for_nothing(driver, rows):
    assert cards(driver) == [500, sum(row["needs_review"] for row in rows)]
    assert text_of(driver, "title") == driver.title == "حالات الربع الأول"
    assert driver.get_log("browser") == []
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    asked = "const done = arguments[0]; fetch('data:text/plain,x').then(() => done(true), () => done(false))"
    assert not driver.execute_async_script(asked), "its policy would not let it"


def test_a_page_reads_from_right_to_left_or_in_english_and_without_a_title_tells_its_dates_and_cases(
    show, rows, tmp_path
):
    driver = show(rows)
    first, last = min(row["opened"] for row in rows), max(row["opened"] for row in rows)
    title = f"تقرير حالات المواطنين من {first} إلى {last}، وعددها 500"
    assert f"<title>{title}</title>" in (tmp_path / "r.html").read_text() and driver.title == title
    assert "t.parquet" in text_of(driver, "subtitle")
    root, body = (driver.find_element("tag name", name) for name in ("html", "main"))
    assert (root.get_attribute("dir"), root.get_attribute("lang")) == ("rtl", "ar")
    assert "الحالات حسب الجهة" in body.text
    driver.find_element("id", "language").click()
    assert driver.title == f"500 citizens' cases, {first} to {last}"
    assert (root.get_attribute("dir"), root.get_attribute("lang")) == ("ltr", "en")
    assert "Cases by agency" in body.text and "الحالات حسب الجهة" not in body.text
    driver.find_element("id", "language").click()
    assert root.get_attribute("dir") == "rtl"


def test_filters_narrow_the_counts_to_what_the_table_has_and_the_search_finds_a_text_whatever_its_spelling(
    driver, rows
):
    select(driver, "town", "توبلي")
    assert cards(driver)[0] == 125
    assert set(rows_shown(driver)) <= {row[TEXT] for row in rows if row["town"] == "توبلي"}
    select(driver, "town", "غير محدد")
    assert set(rows_shown(driver)) <= {row[TEXT] for row in rows if row["town"] is None}
    driver.find_element("id", "clear").click()
    select(driver, "governorate", "محافظة المحرق")
    muharraq = [row for row in rows if row["governorate"] == "muharraq"]
    assert cards(driver)[0] == len(muharraq) > 0
    driver.find_element("id", "filter-review").click()
    assert cards(driver)[0] == sum(row["needs_review"] for row in muharraq)
    driver.find_element("id", "clear").click()
    wait_until(lambda: cards(driver)[0] == 500)
    field = driver.find_element("id", "filter-from")
    driver.execute_script("arguments[0].value = '2026-04-07'; arguments[0].dispatchEvent(new Event('change'))", field)
    assert cards(driver)[0] == sum(row["opened"].isoformat() >= "2026-04-07" for row in rows)
    driver.find_element("id", "clear").click()
    for column in ("topic", "town"):
        bar = driver.find_element("css selector", f"#bars-{column} .bar")
        count = int(bar.find_element("css selector", ".count").get_attribute("textContent"))
        driver.execute_script("arguments[0].click()", bar)
        assert cards(driver)[0] == count < 500
        driver.find_element("css selector", "#chips .chip").click()
        assert cards(driver)[0] == 500
    text = next(row[TEXT] for row in rows if "أ" in row[TEXT][:30] and len(row[TEXT]) > 40)
    driver.find_element("id", "filter-search").send_keys(text[:30].replace("أ", "ا"))
    wait_until(lambda: 0 < cards(driver)[0] < 5)
    assert text in rows_shown(driver)


@pytest.mark.parametrize(
    ("chooser", "dimension"),
    [("#bars-agency .bar", "agency"), (".region > button", "governorate"), (".block", "block")],
)
def test_a_choice_made_with_the_keyboard_leaves_the_focus_where_it_was(driver, chooser, dimension):
    from selenium.webdriver.common.keys import Keys

    driver.execute_script("document.querySelector(arguments[0]).focus()", chooser)
    choice = driver.switch_to.active_element.get_attribute("data-choice")
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    wait_until(lambda: cards(driver)[0] < 500)
    focused = driver.switch_to.active_element
    assert choice.startswith(dimension) and focused.get_attribute("data-choice") == choice
    assert focused.get_attribute("aria-pressed") == "true"
    focused.send_keys(Keys.ENTER)
    wait_until(lambda: cards(driver)[0] == 500)


def test_a_long_list_shows_its_first_says_so_and_shows_more_on_request(show):
    rows = [{**row, "incident_id": number // 2, "incident_size": 2} for number, row in enumerate(classified(300))]
    driver = show(rows)
    topics = {row["topic"] for row in rows}

    def listed(items):
        return len(driver.find_elements("css selector", items))

    assert listed("#bars-topic .bar") == 12 < len(topics)
    button = driver.find_element("css selector", "#bars-topic .more")
    assert "".join(filter(str.isdecimal, button.text)) == str(len(topics))
    button.click()
    assert listed("#bars-topic .bar") == len(topics)
    assert driver.switch_to.active_element.text == "عرض أقل"
    driver.switch_to.active_element.click()
    assert (listed("#bars-topic .bar"), listed("#incidents details")) == (12, 25)
    driver.execute_script("const more = document.querySelector('#incidents .more'); more.focus(); more.click()")
    assert driver.switch_to.active_element.get_attribute("data-choice") == "more incidents"
    assert listed("#incidents details") == 125


@pytest.mark.parametrize("language", ["ar", "en"])
@pytest.mark.parametrize("width", [360, 768, 800, 1280])
def test_on_a_screen_of_any_width_nothing_overflows_and_names_are_whole(chromium, page, language, width):
    driver = opened(chromium, page, f"#language={language}")
    with phone(driver, width):
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        cut = driver.execute_script(
            "return [...document.querySelectorAll('.bar .name, .region > button')]"
            ".filter(one => one.scrollWidth > one.clientWidth + 1 || innerWidth < 700 && one.clientHeight > 60"
            " || getComputedStyle(one).textOverflow === 'ellipsis')"
        )
        assert cut == []
        labels = driver.execute_script(
            "const edge = document.getElementById('weeks').getBoundingClientRect();"
            "return [...document.querySelectorAll('#weeks text')].map(one => one.getBoundingClientRect())"
            ".map(one => [one.height, one.left >= edge.left - 1 && one.right <= edge.right + 1])"
        )
        assert len(labels) > 4 and all(height >= 9 and inside for height, inside in labels)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["ar", "en"])
def test_axe_finds_no_serious_fault_in_the_page(chromium, page, language):
    driver = opened(chromium, page, f"#language={language}&review=1")
    driver.find_element("id", "more-filters").click()
    driver.execute_script("document.querySelectorAll('#incidents details').forEach(one => { one.open = true })")
    assert faults(driver) == []


@pytest.mark.parametrize("language", ["ar", "en"])
def test_nor_in_an_open_case_or_on_a_phone(chromium, page, language):
    driver = opened(chromium, page, f"#language={language}")
    with phone(driver):
        assert faults(driver) == []
    driver.execute_script("document.querySelector('#cases .open').click()")
    assert faults(driver) == []


def test_hostile_texts_stay_texts(show):
    rows = classified(60)
    for number, row in enumerate(rows):
        hostile = HOSTILE[number % len(HOSTILE)]
        row |= dict.fromkeys((TEXT, "case_id", "topic", "agency", "kind", "governorate", "block"), hostile)
        row |= {"needs_review": True, "review_reasons": [hostile], "incident_id": number // 3, "incident_size": 3}
    driver = show(rows, title=HOSTILE[0] + HOSTILE[2])
    for group in driver.find_elements("css selector", "#incidents summary")[:3]:
        group.click()
    driver.execute_script("document.querySelector('#cases .open').click()")
    assert driver.find_element("id", "case").is_displayed()
    driver.find_element("css selector", "#case .buttons button:last-child").click()
    driver.find_element("id", "language").click()
    assert driver.execute_script("return typeof window.hacked") == "undefined"
    assert driver.get_log("browser") == []
    assert driver.find_elements("css selector", "main img, main script, main b b") == []
    assert {HOSTILE[0], HOSTILE[1]} <= set(rows_shown(driver))


def test_personal_data_are_masked_unless_asked_for(tmp_path):
    place = "بيت 39001234"
    personal = {TEXT: "رقمي 39001234 وبطاقتي 850101234 والماي مقطوع", "landmark": place, "place": place}
    personal |= {"needs_review": True, "incident_id": 850101234, "other_topics": "39001234"}
    table = write(tmp_path / "t.parquet", [row | personal for row in classified(3)])
    write_report(table, tmp_path / "masked.html")
    assert not re.search("39001234|850101234", (tmp_path / "masked.html").read_text())
    write_report(table, tmp_path / "open.html", mask=False)
    assert "39001234" in (tmp_path / "open.html").read_text()
    assert "لم تُحجب" in json.dumps(embedded(tmp_path / "open.html")["words"], ensure_ascii=False)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("ids", "on_page"),
    [
        (["870412356", "٣٩٠٠١٢٣٤", "C-17"], ["[رقم شخصي] (1)", "[هاتف] (2)", "C-17"]),
        ([870412356, 36600142, 17], ["[رقم شخصي] (1)", "[هاتف] (2)", "17"]),
        ([870412356.0, None, 17.5], ["[رقم شخصي] (1)", "", "17.5"]),
        (["870412356.0", "", "17.0"], ["[رقم شخصي] (1)", "", "17.0"]),
        (["870412356", "C" * 2_000, "C-17"], ["[رقم شخصي] (1)", "(2)", "C-17"]),  # and an endless one is cut
    ],
)
def test_an_id_that_is_a_personal_number_is_masked_and_its_row_told(tmp_path, ids, on_page, suffix):
    rows = [{**row, "case_id": id, "needs_review": True} for row, id in zip(classified(3), ids, strict=True)]
    table = write(tmp_path / f"t.{suffix}", rows)
    write_report(open_classified(table, id_column="case_id"), tmp_path / "masked.html")
    assert sorted(case[1] for case in embedded(tmp_path / "masked.html")["cases"]) == sorted(on_page)
    assert not re.search("870412356|39001234|٣٩٠٠١٢٣٤|36600142", (tmp_path / "masked.html").read_text())
    write_report(open_classified(table, id_column="case_id"), tmp_path / "open.html", mask=False)
    assert str(ids[0]).removesuffix(".0") in (tmp_path / "open.html").read_text()
    assert max(len(case[1]) for case in embedded(tmp_path / "open.html")["cases"]) <= 85


def test_a_table_without_groups_and_dates_says_what_is_missing_and_has_its_cases(show):
    ours = ("incident_id", "incident_size", "incident_score", "is_representative", "opened")
    rows = [{name: value for name, value in row.items() if name not in ours} for row in classified(9)]
    driver = show(rows, "jsonl")
    assert rows_shown(driver) == [row[TEXT] for row in rows]
    assert "incidents" not in kpis(driver) and "tawasul group" in text_of(driver, "incidents")
    assert all("--date-column" in text_of(driver, name) for name in ("block", "town", "notes"))
    assert not driver.find_element("id", "section-weeks").is_displayed()
    assert driver.get_log("browser") == []


def test_a_single_old_date_does_not_push_the_last_weeks_off_the_chart(show):
    rows = classified(60)
    rows[5]["opened"] = dt.date(1990, 1, 7)
    driver = show(rows)
    tips = driver.execute_script("return [...document.querySelectorAll('#weeks title')].map(tip => tip.textContent)")
    weeks = dict(tip.split(": ") for tip in tips)
    assert len(weeks) == 1500
    last = max(row["opened"] for row in rows)
    sunday = last - dt.timedelta(days=(last.weekday() + 1) % 7)
    assert max(weeks) == sunday.isoformat()
    assert sum(map(int, weeks.values())) == 59
    assert driver.get_log("browser") == []


@pytest.mark.slow
def test_a_hundred_thousand_rows_give_a_page_that_still_answers(chromium, tmp_path):
    rows = classified(2_000)
    many = [{**rows[number % 2_000], "case_id": str(number)} for number in range(100_000)]
    table = write(tmp_path / "t.parquet", many)
    summary = write_report(table, tmp_path / "r.html")
    assert (summary.rows, summary.bytes < 20_000_000) == (100_000, True)
    driver = opened(chromium, tmp_path / "r.html")
    assert cards(driver)[0] == 100_000
    assert 0 < len(rows_shown(driver)) < 100
    select(driver, "governorate", "محافظة العاصمة")
    assert cards(driver)[0] == 50 * sum(row["governorate"] == "capital" for row in rows)


# -- another country -----------------------------------------------------------------------------------------------


def in_pack(show, pack, places, **labels):
    """Show a classified case of each place, and return the page and the visible headings of its sections."""
    case = {"text": "الحاوية متروسة من يومين", "kind": "complaint", "needs_review": False, "review_reasons": []}
    case |= {"topic_probability": 0.9, "agency_probability": 0.9, **labels}
    driver = show([case | place for place in places], "csv", columns={"domain": Domain.load(pack)})
    return driver, headings(driver)


def headings(driver):
    return {
        section.get_attribute("id").removeprefix("section-"): section.find_element("tag name", "h2").text
        for section in driver.find_elements("css selector", "main section.panel")
        if section.is_displayed()
    }


def test_headings_regions_and_blocks_are_those_of_the_pack_in_both_languages(show, tmp_path):
    areas = [("السالمية", "10"), ("السالمية", "3"), ("حولي", "3")]
    places = [{"governorate": "hawalli", "area": area, "block": block} for area, block in areas]
    places.append({"governorate": "ahmadi", "area": "علي صباح السالم", "block": "2"})
    places += [{"governorate": region, "area": None, "block": None} for region in ("jahra", "", "capital")]
    driver, names = in_pack(show, KUWAIT, places, topic="waste_collection", agency="municipality_hawalli")

    def tiles():
        return [tile.text for tile in driver.find_elements("css selector", ".block span")]

    assert "مجمع" not in (tmp_path / "r.html").read_text("utf-8")
    assert names["map"] == "الحالات حسب المحافظة والقطعة"
    assert (names["block"], names["town"]) == ("المشكلات المتكررة حسب القطعة", "المشكلات المتكررة حسب المنطقة")
    assert tiles() == ["3، السالمية", "10، السالمية", "3، حولي", "2، علي صباح السالم"]
    regions = [one.get_attribute("data-id") for one in driver.find_elements("css selector", ".region")]
    assert regions == ["capital", "hawalli", "ahmadi", "jahra", "unknown"]
    from_left = "return [...document.querySelectorAll('.region')].slice(0, 3).map(one => one.getBoundingClientRect().x)"
    assert sorted(driver.execute_script(from_left), reverse=True) == driver.execute_script(from_left)
    driver.find_element("id", "language").click()
    assert sorted(driver.execute_script(from_left)) == driver.execute_script(from_left)
    assert headings(driver)["town"] == "Problems that keep coming back in one area"
    assert tiles()[:3] == ["3, Salmiya", "10, Salmiya", "3, Hawalli"]
    cut = "return [...document.querySelectorAll('.block')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert driver.execute_script(cut) == 0 and driver.get_log("browser") == []


def test_a_country_without_blocks_is_not_told_of_them(show, tmp_path):
    places = [{"city": "riyadh", "district": "العليا"}, {"city": "jeddah", "district": "الحمراء"}]
    driver, names = in_pack(show, CITIES, places, topic="waste", agency="power")
    assert names["map"] == "الحالات حسب المدينة" and names["town"] == "المشكلات المتكررة حسب الحي"
    assert "block" not in names and embedded(tmp_path / "r.html")["hasBlocks"] is False
    assert "مجمع" not in driver.find_element("tag name", "body").text
