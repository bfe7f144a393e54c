"""The first screen: figures with their change, what is dangerous, what grew, who waits, and what went elsewhere."""

import datetime as dt
import random

import pytest
from scipy.stats import binomtest, false_discovery_control

from tawasul_nlp.cli import main
from tawasul_nlp.report import write_report
from tawasul_nlp.tables.classified import open_classified
from tests.report.browser import cards, downloaded, embedded, kpis, opened, plain, rows_shown, select, text_of, unpacked
from tests.report.tables import TEXT, classified, write
from tests.table_files import read

LAST = dt.date(2026, 6, 30)


def ago(days):
    return LAST - dt.timedelta(days=days)


def backlog(now, before, **columns):
    """Return cases of 40 topics, one an agency of its own: so many in the last 28 days, and in the 28 before them."""
    rng = random.Random(0)
    rows = classified(sum(now) + sum(before) + 1)
    days = [(topic, ago(rng.randrange(28))) for topic, count in enumerate(now) for _ in range(count)]
    days += [(topic, ago(rng.randrange(28, 56))) for topic, count in enumerate(before) for _ in range(count)]
    days.append((0, ago(80)))
    for at, (row, (topic, day)) in enumerate(zip(rows, days, strict=True)):
        row |= {
            "topic": f"t{topic:02}",
            "agency": "ewa",
            "opened": day,
            "incident_id": at,
            "incident_size": 1,
            **columns,
        }
    rows[0]["opened"] = LAST
    return rows


def growth(driver):
    """Return the lines of what grew: from how many to how many, the name, and facts."""
    return [plain(item.text).split("\n") for item in driver.find_elements("css selector", "#growth .item")]


def test_what_grew_beyond_chance_comes_first_with_the_chance_that_scipy_gives(show):
    now, before = [18, 12, 5, 9, 3], [4, 10, 2, 9, 8]
    driver = show(backlog(now, before), address="#language=en")
    p_values = [binomtest(n, n + b, alternative="greater").pvalue for n, b in zip(now, before, strict=True)]
    # The one agency is compared as well.
    p_values.append(binomtest(sum(now), sum(now) + sum(before), alternative="greater").pvalue)
    adjusted = false_discovery_control(p_values)
    assert adjusted[0] < 0.05 < min(adjusted[1:])
    ((change, topic, facts),) = growth(driver)
    assert (change, topic) == ("4 → 18", "t00")
    assert float(facts.rpartition(" ")[2]) == float(f"{adjusted[0]:.2g}")


def test_reports_of_one_incident_chance_and_less_than_two_periods_are_no_growth(show, tmp_path):
    rows = backlog([30, 10], [6, 10])
    for row in rows[:30]:
        row |= {"incident_id": 0, "incident_size": 30}
    assert "Nothing grew" in text_of(show(rows, address="#language=en"), "growth")
    driver = show(backlog([5, 10], [4, 10]), address="#language=en")
    assert "by more than chance" in text_of(driver, "growth")
    assert ["4 → 5", "t00", "Topic"] in growth(driver)
    rows = classified(50)
    for at, row in enumerate(rows):
        row["opened"] = ago(at % 20)
    driver = show(rows, address="#language=en")
    assert "less than 56 days" in text_of(driver, "growth")
    assert driver.find_elements("css selector", ".card .change") == []
    driver = opened(driver, tmp_path / "r.html", address="#language=en&days=7")
    assert "less than" not in text_of(driver, "growth")


def test_figures_tell_their_change_and_what_grew_leads_to_its_cases_of_those_that_pass_the_filters(show):
    rows = backlog([30, 10, 12], [6, 10, 10])
    for row in rows[:30]:
        row["agency"] = "works"
    driver = show(rows, address="#language=en")
    change = plain(driver.find_element("css selector", "[data-kpi=cases] .change").text)
    assert change == "52 in the period, 26 before (+100%)"
    assert kpis(driver)["cases"] == 79
    names = [line[1] for line in growth(driver)]
    driver.find_elements("css selector", "#growth .item")[names.index("t00")].click()
    assert cards(driver)[0] == 30 + 6 + 1 and "topic=t00" in driver.current_url
    driver.find_element("id", "clear").click()
    select(driver, "agency", "Electricity and Water Authority")
    assert "t00" not in [line[1] for line in growth(driver)]


def test_what_is_dangerous_now_is_each_incident_once_emergencies_first_the_surest_and_newest_first(show):
    rows = backlog([20], [20])
    for at, row in enumerate(rows):
        row |= {"urgency": "normal", "urgency_probability": 0.9, "opened": ago(at)}
    rows[1] |= {"urgency": "emergency", "urgency_probability": 0.2, TEXT: "المظلة بلا مقعد"}
    rows[3] |= {"urgency": "urgent", TEXT: "العمود طايح على السيارة"}
    rows[9] |= {"urgency": "emergency", TEXT: "ريحة غاز قوية في البناية"}
    rows[5] |= {"urgency": "emergency", TEXT: "سلك مكشوف عند المدرسة"}
    rows[6] |= {"urgency": "urgent", "incident_id": 5, "incident_size": 2}
    rows[35] |= {"urgency": "emergency", TEXT: "حريق قديم"}
    rows[5]["incident_size"] = 2
    driver = show(rows, address="#language=en")
    items = driver.find_elements("css selector", "#urgent .item")
    texts = [item.find_element("css selector", ".text").text for item in items]
    assert texts == [rows[row][TEXT] for row in (5, 9, 1, 3)]
    assert "2 reports" in plain(items[0].text)
    items[0].click()
    assert driver.find_element("id", "case").is_displayed()
    assert "سلك مكشوف" in driver.find_element("css selector", "#case .text").text
    assert (kpis(driver)["emergency"], kpis(driver)["urgent"]) == (4, 2)
    driver.find_element("css selector", "#case .buttons button:last-child").click()
    select(driver, "urgency", "urgent")
    assert (kpis(driver)["cases"], kpis(driver)["emergency"], kpis(driver)["urgent"]) == (2, 0, 2)


def test_all_of_what_is_dangerous_is_that_list_in_its_order_and_a_report_without_a_date_is_in_it(show):
    rows = backlog([20], [20])
    for at, row in enumerate(rows):
        row |= {"urgency": "normal", "urgency_probability": 0.9, "opened": ago(at)}
    probabilities = [0.95, 0.9, 0.4, 0.8, 0.7, 0.6, 0.99]
    for at, probability in enumerate(probabilities):
        row = rows[3 * at]
        row |= {"urgency": "emergency", "urgency_probability": probability, TEXT: f"خطر {at}", "incident_id": 3 * at}
    rows[0]["opened"] = None
    rows[40]["opened"] = LAST
    rows[18]["opened"] = ago(27)
    driver = show(rows, address="#language=en")
    assert text_of(driver, "urgent-note").endswith("1 of them have no date that can be read.")
    assert "7 emergencies (about 2 of them false alarms)" in text_of(driver, "urgent-note")
    first = driver.find_elements("css selector", "#urgent .item")
    assert "undated" in first[0].text and first[0].find_elements("css selector", ".badge:not(.doubtful)")
    shown = [item.find_element("css selector", ".text").text for item in first]
    driver.find_element("css selector", "#urgent .more").click()
    texts = rows_shown(driver)
    assert texts == [f"خطر {at}" for at in (0, 1, 3, 4, 6, 5, 2)]
    assert shown == texts[:5]
    assert [row["text"] for row in downloaded(driver, "download")] == texts
    assert len(driver.find_elements("css selector", "#cases .c-urgency .doubtful")) == 1
    driver.find_element("id", "clear").click()
    assert cards(driver)[0] == len(rows) and "list" not in driver.current_url


@pytest.mark.parametrize(
    ("click", "said"),
    [
        ("notUrgent", {"correct_urgency": "normal", "checked": "", "handled": ""}),
        ("falseAlarm", {"correct_urgency": "normal", "checked": "yes", "handled": ""}),
        ("handled", {"correct_urgency": "", "checked": "", "handled": "yes"}),
    ],
)
def test_one_click_settles_an_urgent_case_and_its_urgency_comes_back_to_the_table(show, tmp_path, capsys, click, said):
    rows = backlog([20], [20])
    for at, row in enumerate(rows):
        row |= {"urgency": "normal", "urgency_probability": 0.9, "kind_probability": 0.9, "opened": ago(at)}
    for at in (2, 4):
        rows[at] |= {"urgency": "emergency", TEXT: f"خطر {at}"}
    rows[5] |= {"urgency": "urgent", "incident_id": 2, TEXT: "البلاغ نفسه"}
    driver = show(rows, "csv")
    driver.find_elements("css selector", "#urgent .item")[0].click()
    driver.find_element("css selector", f"[data-settle={click}]").click()
    left = [text.text for text in driver.find_elements("css selector", "#urgent .text")]
    assert left == (["خطر 4"] if click == "handled" else ["خطر 4", "البلاغ نفسه"])
    (row,) = downloaded(driver, "corrections")
    assert {name: row[name] for name in said} == said and row["row"] == "3"
    written = tmp_path / "corrections.csv"
    written.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n", encoding="utf-8")
    arguments = ["corrections", "apply", str(written), "--to", str(tmp_path / "t.csv"), "-o", str(tmp_path / "c.csv")]
    assert main([*arguments, "-q"]) == 0, capsys.readouterr().err
    urgency = [row["urgency"] for row in read(tmp_path / "c.csv")]
    assert urgency[2] == ("emergency" if click == "handled" else "normal") and urgency[4] == "emergency"


def test_a_table_without_urgency_shows_what_is_most_reported_and_says_what_would_tell_it(show):
    rows = backlog([20], [20])
    for at, row in enumerate(rows):
        row |= {"opened": ago(at), "incident_id": at // 4 if at in range(8) else 100 + at, "incident_size": 1}
    rows[9]["incident_id"] = 1
    for at in range(30, 40):
        rows[at]["incident_id"] = 3  # long ago
    driver = show(rows, address="#language=en")
    items = driver.find_elements("css selector", "#urgent .item")
    assert [item.find_element("css selector", ".figure").text for item in items] == ["5", "4"]
    assert items[0].find_element("css selector", ".text").text.startswith(rows[4][TEXT][:20])
    assert not driver.find_element("id", "filter-urgency").is_displayed()
    assert "no column urgency" in text_of(driver, "notes")


def test_the_agency_with_most_cases_for_review_comes_first_and_leads_to_them(show):
    rows = classified(60)
    for at, row in enumerate(rows):
        row |= {"agency": ("ewa", "works", "traffic")[at % 3], "needs_review": at % 3 == 1 or at == 0}
        row["opened"] = ago(at)
    driver = show(rows, address="#language=en")
    items = driver.find_elements("css selector", "#waiting .item")
    assert [item.text.split("\n")[0] for item in items] == ["20", "1"]
    assert ago(58).isoformat() in plain(items[0].text)
    items[0].click()
    assert cards(driver) == [20, 20]
    assert "agency=works" in driver.current_url and "review=1" in driver.current_url


# -- cases that went to another agency than the one that the model names -------------------------------------------


def routed(*pairs):
    """Return a case for each pair of a routing and the model's answer."""
    rows = classified(len(pairs))
    return [{**row, "routed_to": to, "agency": answer} for row, (to, answer) in zip(rows, pairs, strict=True)]


CASES = [  # where it went, the model's answer, and whether that is elsewhere
    ("هيئة الكهرباء والماء", "ewa", False),
    ("ewa", "ewa", False),
    ("كهرباء وماء: هيئة الكهرباء والماء", "works", False),
    ("وزارة الأشغال", "ewa", True),
    ("works", "ewa", True),
    ("قسم ٣", "ewa", False),
    ("وزارة الأشغال وهيئة الكهرباء والماء", "traffic", False),
    ("بلدية المحرق", "municipality", False),
    ("وزارة الأشغال", "municipality", True),
    ("وزارة الأشغال", "none", False),
    ("وزارة الداخلية", "traffic", False),
    (None, "ewa", False),
    ("وزارة الأشغال", None, False),
]


def test_a_routing_is_told_by_id_or_name_and_a_group_holds_its_members(tmp_path):
    table = write(tmp_path / "t.parquet", routed(*((to, answer) for to, answer, _ in CASES)))
    write_report(open_classified(table, routed_column=""), tmp_path / "unasked.html")
    assert not {"routed", "misrouted"} & set(embedded(tmp_path / "unasked.html")["columns"])
    write_report(open_classified(table, routed_column="routed_to"), tmp_path / "r.html")
    assert unpacked(tmp_path / "r.html", "misrouted") == [int(elsewhere) for _, _, elsewhere in CASES]


def test_the_pairs_that_the_model_is_sure_of_come_first_and_lead_to_their_cases(chromium, tmp_path):
    rows = routed(*[("works", "ewa")] * 3, *[("ewa", "works")] * 2, *[("ewa", "ewa")] * 4)
    for at, row in enumerate(rows):
        row["needs_review"] = at < 2
    table = write(tmp_path / "t.csv", rows)
    assert main(["report", str(table), "-o", str(tmp_path / "r.html"), "--routed-column", "routed_to", "-q"]) == 0
    driver = opened(chromium, tmp_path / "r.html")
    pairs = driver.find_elements("css selector", "#misrouted .item")
    assert [pair.find_element("css selector", ".figure").text for pair in pairs] == ["2", "3"]
    pairs[0].click()
    assert cards(driver) == [2, 0]
    assert "misrouted=1" in driver.current_url
    driver.find_element("id", "clear").click()
    driver.find_element("id", "filter-misrouted").click()
    assert cards(driver) == [5, 2]
