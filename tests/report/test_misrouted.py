"""The cases that went to another agency than the one that the model names."""

from tawasul_nlp.cli import main
from tawasul_nlp.report import write_report
from tawasul_nlp.tables.classified import open_classified
from tests.report.browser import cards, embedded, opened, unpacked
from tests.report.tables import classified, write


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
    write_report(open_classified(table, routed_column="routed_to"), tmp_path / "r.html")
    assert unpacked(tmp_path / "r.html", "misrouted") == [int(elsewhere) for _, _, elsewhere in CASES]


def test_a_table_is_not_asked_where_cases_went_unless_a_column_is_named(tmp_path):
    write_report(write(tmp_path / "t.parquet", routed(("works", "ewa"))), tmp_path / "r.html")
    assert not {"routed", "misrouted"} & set(embedded(tmp_path / "r.html")["columns"])


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
