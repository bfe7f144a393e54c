"""The page in a real browser: filters work, nothing is asked of the network, and no text becomes HTML."""

import datetime as dt
import json
import re

import pytest

from tawasul_nlp.report import write_report
from tawasul_nlp.tables.classified import open_classified
from tawasul_nlp.tables.errors import TableError
from tests.report.browser import cards, embedded, opened, phone, rows_shown, select
from tests.report.tables import classified, write
from tests.waiting import wait_until

HOSTILE = [
    "</script><script>window.hacked = 1</script> الشارع مظلم",
    '<img src=x onerror="window.hacked = 2"> الماي مقطوع',
    "{{data}} {{script}} ${window.hacked = 3} `",
    "\u202e نص معكوس \u2066 <b>عريض</b> &lt;i&gt; <!--",
    "' onmouseover='window.hacked = 4' \" \\u003cscript\\u003e",
]


@pytest.fixture(scope="module")
def rows():
    return classified(600)


@pytest.fixture(scope="module")
def page(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(write(folder / "t.parquet", rows), folder / "report.html", title="حالات الربع الأول")
    return folder / "report.html"


@pytest.fixture
def driver(chromium, page):
    return opened(chromium, page)


def test_the_page_counts_every_case_and_has_no_console_errors(driver, rows):
    assert cards(driver) == [600, sum(row["needs_review"] for row in rows)]
    assert driver.find_element("id", "title").text == driver.title == "حالات الربع الأول"
    assert driver.get_log("browser") == []


def test_a_page_without_a_title_is_called_by_its_dates_and_the_number_of_cases(show, rows, tmp_path):
    driver = show(rows)
    first, last = min(row["opened"] for row in rows), max(row["opened"] for row in rows)
    title = f"تقرير حالات المواطنين من {first} إلى {last}، وعددها 600"
    assert f"<title>{title}</title>" in (tmp_path / "r.html").read_text() and driver.title == title
    assert "t.parquet" in driver.find_element("id", "subtitle").text
    driver.find_element("id", "language").click()
    assert driver.title == f"600 citizens' cases, {first} to {last}"


def test_it_reads_from_right_to_left_and_switches_to_english_and_back(driver):
    root = driver.find_element("tag name", "html")
    assert (root.get_attribute("dir"), root.get_attribute("lang")) == ("rtl", "ar")
    assert "الحالات حسب الجهة" in driver.find_element("tag name", "body").text
    driver.find_element("id", "language").click()
    assert (root.get_attribute("dir"), root.get_attribute("lang")) == ("ltr", "en")
    shown = driver.find_element("tag name", "main").text
    assert "Cases by agency" in shown and "الحالات حسب الجهة" not in shown
    driver.find_element("id", "language").click()
    assert root.get_attribute("dir") == "rtl"


def test_filters_narrow_the_counts_to_what_the_table_has(driver, rows):
    select(driver, "governorate", "محافظة المحرق")
    own = [row for row in rows if row["governorate"] == "muharraq"]
    assert cards(driver)[0] == len(own) > 0
    driver.find_element("id", "filter-review").click()
    assert cards(driver)[0] == sum(row["needs_review"] for row in own)
    driver.find_element("id", "clear").click()
    wait_until(lambda: cards(driver)[0] == 600)
    field = driver.find_element("id", "filter-from")
    driver.execute_script("arguments[0].value = '2026-04-07'; arguments[0].dispatchEvent(new Event('change'))", field)
    assert cards(driver)[0] == sum(row["opened"].isoformat() >= "2026-04-07" for row in rows)


def test_a_click_on_a_bar_filters_and_a_click_on_its_chip_ends_it(driver):
    bar = driver.find_element("css selector", "#bars-topic .bar")
    count = int(bar.find_element("css selector", ".count").text)
    bar.click()
    assert cards(driver)[0] == count < 600
    driver.find_element("css selector", "#chips .chip").click()
    assert cards(driver)[0] == 600


def test_search_finds_a_text_whatever_its_spelling(driver, page):
    text = next(text for _, _, text, *_ in embedded(page)["cases"] if "أ" in text and len(text) > 40)
    driver.find_element("id", "filter-search").send_keys(text[:30].replace("أ", "ا"))
    wait_until(lambda: cards(driver)[0] == 1)
    assert rows_shown(driver) == [text]


@pytest.mark.parametrize(
    ("chooser", "dimension"),
    [("#bars-agency .bar", "agency"), (".region > button", "governorate"), (".block", "block")],
)
def test_a_choice_made_with_the_keyboard_leaves_the_focus_where_it_was(driver, chooser, dimension):
    from selenium.webdriver.common.keys import Keys

    driver.execute_script("document.querySelector(arguments[0]).focus()", chooser)
    choice = driver.switch_to.active_element.get_attribute("data-choice")
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    wait_until(lambda: cards(driver)[0] < 600)
    focused = driver.switch_to.active_element
    assert choice.startswith(dimension) and focused.get_attribute("data-choice") == choice
    assert focused.get_attribute("aria-pressed") == "true"
    focused.send_keys(Keys.ENTER)
    wait_until(lambda: cards(driver)[0] == 600)


def test_more_of_a_list_leaves_the_focus_at_its_button(show):
    rows = [{**row, "group_id": at // 2, "group_size": 2} for at, row in enumerate(classified(300))]
    driver = show(rows)
    assert len(driver.find_elements("css selector", "#incidents details")) == 25
    driver.execute_script(
        "document.querySelector('#incidents .more').focus(); document.querySelector('#incidents .more').click()"
    )
    assert driver.switch_to.active_element.get_attribute("data-choice") == "more incidents"
    assert len(driver.find_elements("css selector", "#incidents details")) == 125


def test_a_chart_that_shows_only_its_longest_bars_says_so_and_shows_all_on_request(driver, rows):
    topics = {row["topic"] for row in rows}
    bars = ("css selector", "#bars-topic .bar")
    assert len(driver.find_elements(*bars)) == 12 < len(topics)
    button = driver.find_element("css selector", "#bars-topic .more")
    assert "".join(filter(str.isdecimal, button.text)) == str(len(topics))
    button.click()
    assert len(driver.find_elements(*bars)) == len(topics)
    assert driver.switch_to.active_element.text == "عرض أقل"
    driver.switch_to.active_element.click()
    assert len(driver.find_elements(*bars)) == 12


@pytest.mark.parametrize("language", ["ar", "en"])
@pytest.mark.parametrize("width", [800, 1280])
def test_names_are_whole_on_a_wide_screen_too(chromium, page, language, width):
    driver = opened(chromium, page, width, address=f"#language={language}")
    cut = driver.execute_script(
        "return [...document.querySelectorAll('.bar .name, .region > button')]"
        ".filter(one => one.scrollWidth > one.clientWidth || getComputedStyle(one).textOverflow === 'ellipsis')"
    )
    assert cut == []


@pytest.mark.parametrize("language", ["ar", "en"])
def test_on_a_phone_names_are_whole_and_labels_are_large_enough_to_read(chromium, page, language):
    driver = opened(chromium, page, address=f"#language={language}")
    with phone(driver):
        cut = driver.execute_script(
            "return [...document.querySelectorAll('.bar .name, .region > button')]"
            ".filter(one => one.scrollWidth > one.clientWidth + 1 || one.clientHeight > 60).map(one => one.textContent)"
        )
        assert cut == []
        labels = driver.execute_script(
            "const edge = document.getElementById('weeks').getBoundingClientRect();"
            "return [...document.querySelectorAll('#weeks text')].map(one => one.getBoundingClientRect())"
            ".map(one => [one.height, one.left >= edge.left - 1 && one.right <= edge.right + 1])"
        )
        assert len(labels) > 4 and all(height >= 9 and inside for height, inside in labels)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_overflows_sideways(chromium, page, width):
    # A window cannot be made as narrow as a phone, so the screen is emulated.
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        opened(chromium, page)
        for _ in range(2):
            whole = chromium.execute_script("return document.documentElement.scrollWidth")
            assert whole <= width
            chromium.find_element("id", "language").click()
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_asks_for_nothing_and_its_policy_would_not_let_it(driver):
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    refused = driver.execute_async_script(
        "const done = arguments[0]; fetch('data:text/plain,x').then(() => done(false), () => done(true))"
    )
    assert refused
    driver.get_log("browser")


def test_hostile_texts_stay_texts(show):
    rows = classified(60)
    for at, row in enumerate(rows):
        hostile = HOSTILE[at % len(HOSTILE)]
        row.update({"نص الشكوى": hostile, "case_id": hostile, "needs_review": True, "review_reasons": [hostile]})
        row["group_id"], row["group_size"] = at // 3, 3
        for column in ("topic", "agency", "kind", "governorate", "block"):
            row[column] = hostile
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
    rows = classified(3)
    for row in rows:
        row.update({"نص الشكوى": "رقمي 39001234 وبطاقتي 850101234 والماي مقطوع", "needs_review": True})
        row.update(
            {"landmark": "بيت 39001234", "group_id": 850101234, "other_topics": "39001234", "place": "بيت 39001234"}
        )
    table = write(tmp_path / "t.parquet", rows)
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


def test_a_table_without_groups_and_dates_says_what_is_missing(show):
    ours = ("group_id", "group_size", "group_score", "is_representative", "opened")
    rows = [{name: value for name, value in row.items() if name not in ours} for row in classified(40)]
    driver = show(rows, "jsonl")
    assert "tawasul group" in driver.find_element("id", "incidents").text
    assert all("--date-column" in driver.find_element("id", list_id).text for list_id in ("block", "town", "notes"))
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
    table = write(tmp_path / "t.parquet", [{**rows[at % 2_000], "case_id": str(at)} for at in range(100_000)])
    summary = write_report(table, tmp_path / "r.html")
    assert (summary.rows, summary.bytes < 20_000_000) == (100_000, True)
    driver = opened(chromium, tmp_path / "r.html")
    assert cards(driver)[0] == 100_000
    assert 0 < len(rows_shown(driver)) < 100
    select(driver, "governorate", "محافظة العاصمة")
    assert cards(driver)[0] == 50 * sum(row["governorate"] == "capital" for row in rows)


def test_a_report_is_never_written_over_its_table(tmp_path):
    table = write(tmp_path / "t.parquet", classified(3))
    before = table.read_bytes()
    with pytest.raises(TableError, match="is the input itself"):
        write_report(table, table)
    assert table.read_bytes() == before
