"""The page's lists: what filters and the search reach, what each list says of itself, and why one is empty."""

import datetime as dt

import pytest

from tawasul_nlp.report import page_cases, write_report
from tests.report.browser import cards, embedded, plain, rows_shown, select, text_of
from tests.report.tables import TEXT, classified, write
from tests.waiting import wait_until

ARABIC = "المجاري طافحة أمام البيوت في مجمع 714 من أمس"
ARABIZI = "el majari 6af7a jedam baitna"


def incident(texts, **columns):
    """Return the rows of one incident, a report a day, and of other cases."""
    rows = classified(40)
    for at, row in enumerate(rows):
        row |= {"incident_id": at + 1000, "incident_size": 1, "governorate": None, "block": None, "kind": "complaint"}
    for at, text in enumerate(texts):
        own = {name: values[at] for name, values in columns.items()}
        day = dt.date(2026, 1, 4) + dt.timedelta(days=at)
        alike = {
            "incident_id": 7,
            "incident_size": len(texts),
            "topic": "sewage_overflow",
            "agency": "works",
            "opened": day,
        }
        rows[at] |= {TEXT: text, **alike, **own}
    return rows


def shown(driver, list_id):
    return [one.text for one in driver.find_elements("css selector", f"#{list_id} summary")]


def search(driver, words):
    driver.find_element("id", "filter-search").send_keys(words)
    wait_until(lambda: f"«{words}»" in driver.find_element("id", "chips").text)


def test_an_incident_is_listed_if_any_of_its_reports_matches_and_called_by_its_clearest(show):
    rows = incident(
        [ARABIZI, *["الريحة ما تنطاق"] * 17, ARABIC, "sewage in 714"],
        block=[*[None] * 18, "714", "714"],
        topic_probability=[0.99, *[0.9] * 17, 0.8, 0.99],
        needs_review=[*[False] * 18, True, False],
    )
    driver = show(rows)
    driver.find_element("css selector", "[data-choice^='block']").click()
    assert len(shown(driver, "incidents")) == 1
    assert shown(driver, "incidents")[0].startswith("20") and ARABIC in shown(driver, "incidents")[0]
    driver.find_element("css selector", "#incidents summary").click()
    wait_until(lambda: len(driver.find_elements("css selector", "#incidents .case")) == 12)
    assert "8" in driver.find_element("css selector", "#incidents details > p").text, "those that match are not shown"
    driver.find_element("id", "filter-review").click()
    assert len(shown(driver, "incidents")) == 1
    select(driver, "kind", "شكوى")
    assert len(shown(driver, "incidents")) == 1


def test_the_report_that_makes_an_incident_urgent_comes_first_in_it(show):
    texts = [f"{ARABIC} {number}" for number in range(20)]
    levels = ["normal"] * 20
    levels[17] = "emergency"
    driver = show(incident(texts, urgency=levels))
    summary = driver.find_element("css selector", "#incidents summary")
    summary.click()
    wait_until(lambda: len(driver.find_elements("css selector", "#incidents .case")) == 12)
    first = driver.find_element("css selector", "#incidents .case")
    assert texts[17] in first.text and first.find_elements("css selector", ".badge.emergency")


def test_no_two_reports_of_an_incident_match_a_filter_together_and_its_title_ends_at_a_word(show):
    words = ["المجاري", "طافحة"] * 20
    rows = incident([" ".join(words)] * 2, block=["714", "338"], kind=["complaint", "inquiry"])
    driver = show(rows)
    title = driver.find_element("css selector", "#incidents summary .title").text
    assert title.endswith("…") and len(title) <= 141 and title.removesuffix("…").split()[-1] in words
    driver.find_element("css selector", "[data-choice='block 0']").click()
    assert len(shown(driver, "incidents")) == 1
    select(driver, "kind", "استفسار")
    assert shown(driver, "incidents") == []
    assert "أزل التصفية" in text_of(driver, "incidents")


def test_the_search_covers_every_case_of_a_small_table(show):
    rows = [{**row, "needs_review": False, "incident_id": at} for at, row in enumerate(classified(200))]
    driver = show(rows)
    assert text_of(driver, "search-label") == "بحث في الحالات كلها"
    assert "لا توجد حالة تحتاج إلى مراجعة" in text_of(driver, "waiting")
    search(driver, "C000123")
    assert cards(driver)[0] == 1
    assert rows_shown(driver) == [rows[123][TEXT]]
    driver.find_element("id", "clear").click()
    assert cards(driver)[0] == 200
    assert driver.find_element("id", "filter-search").get_attribute("value") == ""


def test_the_search_finds_all_words_in_any_order_folded_and_in_names(show):
    rows = [{**row, TEXT: "شكوى", "town": "سترة", "topic": "school_facilities"} for row in classified(12)]
    rows[0] |= {TEXT: "المجاري طافحة", "town": "عراد", "topic": "sewage_overflow"}
    driver = show(rows)
    for words, found in {"عراد مجاري": 1, "ستره المدارس": 11, "المدارس سترة": 11, "sitra": 11, "مجاري سترة": 0}.items():
        search(driver, words)
        assert cards(driver)[0] == found, words
        driver.find_element("id", "clear").click()


def test_the_page_of_a_larger_table_says_which_cases_the_search_does_not_reach(show, tmp_path, monkeypatch):
    for name, most in {"MOST_CASES": 199, "OF_A_KIND": 30, "INCIDENTS": 3}.items():
        monkeypatch.setattr(page_cases, name, most)
    rows = classified(200)
    driver = show(rows, address="#language=en")
    listed = len(embedded(tmp_path / "r.html")["cases"])
    assert listed < 200
    search(driver, "C000")
    assert cards(driver)[0] == listed
    assert all(f"{listed} of 200 cases" in text_of(driver, place) for place in ("search-label", "cases-note", "notes"))
    assert "neither searched nor downloaded" in text_of(driver, "cases-note")


def test_a_list_that_holds_a_part_says_so_when_none_of_that_matches(show, monkeypatch):
    monkeypatch.setattr(page_cases, "MOST_CASES", 10)
    monkeypatch.setattr(page_cases, "INCIDENTS", 1)
    rows = incident([ARABIC] * 8, block=["714"] * 8)
    for row in rows[20:22]:
        row |= {"block": "338", "incident_id": 1, "incident_size": 2}
    driver = show(rows)
    driver.find_element("css selector", "[data-choice='block 1']").click()
    assert "1 من 2" in text_of(driver, "incidents")
    monkeypatch.setattr(page_cases, "MOST_CASES", 100)
    driver = show(rows)
    driver.find_element("css selector", "[data-choice='block 1']").click()
    assert [one[0] for one in shown(driver, "incidents")] == ["2"]


def recurring(count=4, **columns):
    """Return cases of one topic that came a week apart at one place, and as many of other topics elsewhere."""
    rows = classified(2 * count)
    for at, row in enumerate(rows):
        row |= {"incident_id": at, "incident_size": 1, "governorate": None, "block": None}
        row |= {"opened": dt.date(2026, 1, 4) + dt.timedelta(weeks=at % count), "topic": f"t{at}"}
        if at < count:
            row |= {"topic": "water_leak", **columns}
        else:
            row |= dict.fromkeys(columns, f"مكان {at}")
    return rows


@pytest.mark.parametrize(
    ("column", "arabic", "english"),
    [("place", "خلف الدكان", "خلف الدكان"), ("tawasul_town", "توبلي", "Tubli")],
)
def test_what_keeps_coming_back_in_a_town_is_told_whichever_column_names_it(show, column, arabic, english):
    driver = show(recurring(**{column: arabic}), "csv")
    assert len(shown(driver, "town")) == 1 and arabic in shown(driver, "town")[0]
    assert "لا شيء يتكرر" in text_of(driver, "block")
    driver.find_element("id", "language").click()
    assert english in shown(driver, "town")[0]
    select(driver, "topic", "t5")
    assert shown(driver, "town") == []


def test_a_very_small_chance_is_told_in_words_that_read_alike_from_either_side(show):
    driver = show(recurring(count=90, town="توبلي"), "csv")
    assert "الاحتمال أقل من 0.0001" in plain(shown(driver, "town")[0])
    driver.find_element("id", "language").click()
    assert "chance below" in shown(driver, "town")[0] and "<" not in shown(driver, "town")[0]


def test_a_town_comes_before_the_columns_of_the_tables_own(tmp_path):
    rows = [row | {"town": (None, "المحرق")[at % 2], "place": "قرب السوق"} for at, row in enumerate(recurring(count=6))]
    write_report(write(tmp_path / "t.jsonl", rows), tmp_path / "r.html")
    assert [name[0] for name in embedded(tmp_path / "r.html")["names"]["town"]] == ["قرب السوق", "المحرق"]


def test_an_empty_list_says_why_and_what_to_do(show):
    alone = [{**row, "incident_id": at, "incident_size": 1} for at, row in enumerate(classified(30))]
    placeless = [{name: row[name] for name in row if name not in ("governorate", "block")} for row in alone]
    driver = show(placeless, address="#language=en")
    assert not any(driver.find_element("id", id).is_displayed() for id in ("section-map", "filter-governorate"))
    assert "grouping found no two reports" in text_of(driver, "incidents")
    assert "no column block, which tawasul classify adds" in text_of(driver, "block")
    assert "no column town, which tawasul classify adds" in text_of(driver, "town")
    driver = show(alone, address="#language=en")
    placed = sum(row["block"] is not None for row in alone)
    assert f"known of {placed} of 30 incidents" in text_of(driver, "block")


def test_print_says_how_much_of_each_list_it_holds(show):
    rows = classified(600)
    driver = show(rows, address="#language=en")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        topics = len({row["topic"] for row in rows})
        driver.execute_script("dispatchEvent(new Event('beforeprint'))")
        assert "Shown here: 100 of 600." in text_of(driver, "section-cases")
        assert len(rows_shown(driver)) == 100
        assert f"Shown here: 12 of {topics}." in text_of(driver, "section-topic")
        assert not any(button.is_displayed() for button in driver.find_elements("css selector", ".more"))
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(rows_shown(driver)) < 100
