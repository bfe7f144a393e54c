"""The table of cases in a real browser: order, one case and its corrections, the download, and a view's address."""

import datetime as dt

import pytest

from tawasul_nlp.report import write_report
from tawasul_nlp.tables.io.cells import escaped
from tests.report.browser import cards, downloaded, kpis, opened, phone, rows_shown, select, text_of
from tests.report.tables import TEXT, classified, write
from tests.waiting import wait_until


def scroll(driver, share):
    driver.execute_script(
        "const place = document.getElementById('scroller');"
        "place.scrollTop = arguments[0] * place.scrollHeight; place.dispatchEvent(new Event('scroll'))",
        share,
    )


def test_the_newest_cases_come_first_only_those_in_sight_are_drawn_and_a_heading_sorts_either_way(driver, rows):
    newest = [row[TEXT] for row in sorted(rows, key=lambda row: row["opened"], reverse=True)]
    drawn = rows_shown(driver)
    assert drawn == newest[: len(drawn)] and 5 < len(drawn) < 60
    scroll(driver, 1)
    wait_until(lambda: rows_shown(driver)[-1] == newest[-1])
    assert len(rows_shown(driver)) < 60
    assert driver.find_element("id", "cases").get_attribute("aria-rowcount") == "501"
    last = driver.find_element("css selector", "#cases tbody tr:nth-last-child(2)")
    assert last.get_attribute("aria-rowindex") == "501"
    certainty = {row[TEXT]: min(row["topic_probability"], row["agency_probability"]) for row in rows}
    heading = ("css selector", "#cases th.c-percent")
    for direction, extreme in (("descending", max), ("ascending", min)):
        driver.find_element(*heading).find_element("tag name", "button").click()
        assert driver.find_element(*heading).get_attribute("aria-sort") == direction
        assert abs(certainty[rows_shown(driver)[0]] - extreme(certainty.values())) <= 0.01


@pytest.mark.parametrize("address", ["#sort=place", "#sort=place.down"])
def test_cases_without_a_place_come_last_in_either_direction(chromium, page, rows, address):
    driver = opened(chromium, page, address)
    placeless = {row[TEXT] for row in rows if not (row["governorate"] or row["town"] or row["block"])}
    assert placeless and not placeless & set(rows_shown(driver))
    scroll(driver, 1)
    wait_until(lambda: set(rows_shown(driver)[-5:]) <= placeless)


def test_on_a_phone_two_lists_sort_in_place_of_the_headings(driver, rows):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    assert not driver.find_element("id", "sort").is_displayed()
    sure = {row[TEXT]: round(100 * min(row["topic_probability"], row["agency_probability"])) for row in rows}
    with phone(driver):
        columns, directions = (driver.find_element("id", name) for name in ("sort", "direction"))
        assert not driver.find_element("css selector", "#cases th.c-percent").is_displayed()
        assert [columns.accessible_name, directions.accessible_name] == ["ترتيب حسب:", "اتجاه الترتيب"]
        Select(columns).select_by_visible_text("اليقين")
        assert abs(sure[rows_shown(driver)[0]] - max(sure.values())) <= 1
        Select(directions).select_by_visible_text("تصاعدي")
        assert abs(sure[rows_shown(driver)[0]] - min(sure.values())) <= 1
        line = driver.find_element("css selector", "#cases .open .line").text
        assert line.startswith("اليقين: ") and "%" in line
        columns.send_keys(Keys.ARROW_UP)
        assert driver.switch_to.active_element == columns
        assert "sort=place" in driver.current_url, "the column before, by the keyboard"
        driver.find_element("id", "language").click()
        assert [columns.accessible_name, directions.accessible_name] == ["Sort by:", "Direction"]


def test_a_case_opens_whole_and_leads_to_the_reports_of_its_incident(chromium, page, rows):
    driver = opened(chromium, page, "#sort=reports.down")
    largest = max(rows, key=lambda row: row["incident_size"])
    reports = {row[TEXT] for row in rows if row["incident_id"] == largest["incident_id"]}
    driver.execute_script("document.querySelector('#cases .open').click()")
    dialog = driver.find_element("id", "case")
    assert dialog.find_element("css selector", ".text").text in reports
    dialog.find_element("css selector", ".buttons button").click()
    assert not dialog.is_displayed()
    assert cards(driver)[0] == len(reports) == largest["incident_size"]
    assert len(rows_shown(driver)) > 1 and set(rows_shown(driver)) <= reports
    assert kpis(driver)["incidents"] == 1


def test_a_case_tells_its_further_matters_and_where_it_is(show):
    rows = classified(2)
    rows[0] |= {"town": "المحرق", "quarter": "فريق البنعلي", "landmark": "مدرسة الهداية", "road": "طريق 33"}
    rows[0] |= {"other_topics": "road_damage; street_lighting_fault", "opened": dt.date(2026, 6, 1)}
    rows[1] |= {"quarter": "فريق الحياك", "opened": dt.date(2026, 5, 1)}
    driver = show(rows, "jsonl", address="#language=en")
    dialog = driver.find_element("id", "case")
    driver.execute_script("document.querySelectorAll('#cases .open')[0].click()")
    matters = "Also about: Potholes and damaged road، Street light fault"
    assert all(part in dialog.text for part in ("Muharraq", "فريق البنعلي، مدرسة الهداية، طريق 33", matters))
    driver.execute_script("document.querySelector('#case .buttons button:last-child').click()")
    driver.execute_script("document.querySelectorAll('#cases .open')[1].click()")
    assert dialog.text.count("فريق الحياك") == 1


def open_case(driver, case_id):
    driver.execute_script(
        "const row = [...document.querySelectorAll('#cases tr')].find(one => one.textContent.includes(arguments[0]));"
        "row.querySelector('.open').click(); document.querySelector('#case details').open = true",
        case_id,
    )


def field(driver, label):
    labels = driver.find_elements("css selector", "#case .correct label")
    return next(one for one in labels if one.text.startswith(label)).find_element("css selector", "select, input")


def correct(driver, label, value):
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
    driver.execute_script(script, field(driver, label), value)


def close_case(driver):
    driver.find_element("css selector", "#case .buttons button:last-child").click()


def test_only_what_is_corrected_is_saved_by_row_and_id_and_shown_when_the_case_is_opened_again(chromium, tmp_path):
    rows = classified(40)
    for number, row in enumerate(rows):
        row |= {"incident_id": 500 + number // 2, "incident_size": 2, "topic": "water_leak", "agency": "ewa"}
    table = write(tmp_path / "t.jsonl", rows)
    # A row that cannot be read has a number, but no case.
    table.write_text("{\n" + table.read_text("utf-8"), encoding="utf-8")
    write_report(table, tmp_path / "r.html")
    driver = opened(chromium, tmp_path / "r.html", "#language=en&search=C00000")
    assert not driver.find_element("id", "corrections").is_displayed()
    open_case(driver, "C000003")
    topics = {option.get_attribute("value") for option in field(driver, "Topic").find_elements("tag name", "option")}
    assert len(topics) == 1 + 104, "also those that no case has"
    correct(driver, "Topic", "sewage_overflow")
    correct(driver, "Agency", "works")
    field(driver, "Not of this incident").click()
    close_case(driver)
    open_case(driver, "C000006")
    correct(driver, "The same incident", "502")
    field(driver, "What is not corrected is right").click()
    close_case(driver)
    open_case(driver, "C000007")
    correct(driver, "Topic", "road_damage")
    correct(driver, "Topic", "")
    close_case(driver)
    assert "(2)" in text_of(driver, "corrections")
    saved = downloaded(driver, "corrections")
    tasks = {"correct_agency": "works", "correct_topic": "sewage_overflow"}
    assert [{name: value for name, value in row.items() if value} for row in saved] == [
        {"row": "5", "id": "C000003", **tasks, "correct_incident": "new"},
        {"row": "8", "id": "C000006", "merge_with": "502", "checked": "yes"},
    ]
    assert "correct_kind" in saved[0]
    driver.find_element("id", "language").click()
    open_case(driver, "C000003")
    assert field(driver, "الموضوع").get_attribute("value") == "sewage_overflow"


def test_the_download_is_the_selection_whole_and_runs_nothing_in_a_spreadsheet(show):
    rows = classified(200)
    rows[0][TEXT] = '=HYPERLINK("x"), سطر\nو"اقتباس"'
    rows[1][TEXT] = "شارع;@SUM(1)"
    rows[2] |= {"case_id": "-17", TEXT: "+973 3900 1234"}
    for number, row in enumerate(rows):
        row["agency"] = "ewa" if number < 100 else "works"
    driver = show(rows, address="#agency=ewa", mask=False)
    downloads = {row["id"]: row for row in downloaded(driver, "download")}
    assert len(downloads) == 100 and {row["agency"] for row in downloads.values()} == {"ewa"}
    for row in rows[:100]:
        download = downloads[row["case_id"]]
        expected = [escaped(row[TEXT]), row["topic"], row["block"] or "", row["opened"].isoformat()]
        assert [download[name] for name in ("text", "topic", "block", "date")] == expected
        assert (download["needs_review"] == "true") == row["needs_review"]


def test_a_view_has_an_address_that_opens_it_again_and_a_step_back_undoes_a_choice(driver, page):
    driver.execute_script("document.querySelector('#bars-agency .bar').click()")
    select(driver, "town", "المحرق")
    driver.find_element("id", "filter-review").click()
    driver.find_element("id", "language").click()
    driver.find_element("css selector", "#cases th.c-percent button").click()
    figures, texts = cards(driver), rows_shown(driver)
    address = "#" + driver.current_url.partition("#")[2]
    assert "agency=" in address and "review=1" in address and "language=en" in address
    other = opened(driver, page, address)
    assert (cards(other), rows_shown(other)) == (figures, texts)
    assert other.find_element("tag name", "html").get_attribute("lang") == "en"
    assert other.find_element("id", "filter-review").is_selected()
    driver = opened(driver, page)
    select(driver, "town", "المحرق")
    driver.find_element("id", "filter-review").click()
    both = cards(driver)[0]
    driver.back()
    wait_until(lambda: cards(driver)[0] == 125 > both)
    driver.back()
    wait_until(lambda: cards(driver)[0] == 500)


@pytest.mark.parametrize(
    "address",
    ["#agency=nobody&town=&from=soon&days=3&sort=size.up&order=constructor&incident=9e9", "#%E0%A4%A&&==", "#x"],
)
def test_an_address_that_says_nothing_of_this_page_shows_all(chromium, page, address):
    driver = opened(chromium, page, address)
    assert cards(driver)[0] == 500
    assert driver.find_element("id", "sort").get_attribute("value") == "day"
    assert driver.get_log("browser") == []


def test_scrolling_leaves_the_focus_on_a_row_that_stays_in_sight(driver):
    driver.execute_script("document.querySelectorAll('#cases .open')[6].focus()")
    focused = driver.switch_to.active_element.text
    scroll(driver, 0.002)
    wait_until(lambda: driver.execute_script("return document.getElementById('scroller').scrollTop") > 0)
    assert driver.switch_to.active_element.text == focused


def test_a_click_on_a_week_selects_its_days_and_time_runs_as_the_page_is_read(driver, rows):
    driver.execute_script(
        "document.querySelectorAll('#weeks .hit')[3].dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    first = dt.date.fromisoformat(driver.find_element("id", "filter-from").get_attribute("value"))
    assert first.weekday() == 6  # a Sunday
    days = {first + dt.timedelta(days) for days in range(7)}
    assert cards(driver)[0] == sum(row["opened"] in days for row in rows) > 0
    driver.find_element("id", "clear").click()
    labels = (
        "return [...document.querySelectorAll('#weeks .week text')]"
        ".map(one => [one.textContent, one.getBoundingClientRect().x])"
    )
    arabic = [day for day, x in sorted(driver.execute_script(labels), key=lambda label: -label[1])]
    driver.find_element("id", "language").click()
    english = [day for day, x in sorted(driver.execute_script(labels), key=lambda label: label[1])]
    assert arabic == sorted(arabic) == english
