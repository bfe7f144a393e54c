"""Which cases the page of a large table holds with their texts."""

import datetime as dt

import pytest

from tawasul_nlp.report import page_cases as held_module
from tawasul_nlp.report import write_report
from tests.report.browser import embedded
from tests.report.tables import classified, write


@pytest.fixture
def few(monkeypatch):
    """A page of at most a hundred cases, twenty of a kind."""
    monkeypatch.setattr(held_module, "MOST_CASES", 100)
    monkeypatch.setattr(held_module, "OF_A_KIND", 20)
    monkeypatch.setattr(held_module, "INCIDENTS", 2)


def apart(count=300):
    """Return cases of different days that are sure, not urgent, and incidents of their own."""
    rows = classified(count)
    for at, row in enumerate(rows):
        row |= {"opened": dt.date(2025, 1, 1) + dt.timedelta(days=at), "group_id": at, "group_size": 1}
        row |= {"needs_review": False, "urgency": "normal", "block": None, "topic": f"t{at}"}
    return rows


def held(rows, folder):
    """Return the numbers of the rows whose texts the page holds, and the page's data."""
    write_report(write(folder / "t.parquet", rows), folder / "r.html", mask=False)
    data = embedded(folder / "r.html")
    return {row for row, *_ in data["cases"]}, data


def test_a_table_of_up_to_twenty_thousand_rows_is_held_whole(tmp_path):
    rows = classified(150)
    found, data = held(rows, tmp_path)
    assert found == set(range(150))
    assert [case[2] for case in data["cases"]] == [row["نص الشكوى"] for row in rows]
    assert held_module.MOST_CASES == 20_000


def test_of_a_larger_one_the_newest_are_held(few, tmp_path):
    found, _ = held(apart(), tmp_path)
    assert found == set(range(280, 300))


def test_emergencies_are_held_before_urgent_cases_and_newer_ones_before_older(few, tmp_path):
    rows = apart()
    for at in range(60):
        rows[at]["urgency"] = "urgent" if at >= 15 else "emergency"
    found, _ = held(rows, tmp_path)
    assert found == {*range(280, 300), *range(15), *range(55, 60)}


def test_the_least_certain_cases_for_review_are_held(few, tmp_path):
    rows = apart()
    for at in range(100):
        rows[at] |= {"needs_review": True, "topic_probability": 0.1 + at / 1000, "agency_probability": 0.9}
    found, _ = held(rows, tmp_path)
    assert found == {*range(280, 300), *range(20)}


def test_reports_of_the_largest_incidents_are_held_with_the_clearest(few, tmp_path):
    rows = apart()
    for at in range(40):
        rows[at] |= {"group_id": 1_000 + at % 2, "group_size": 20, "topic_probability": 0.5, "agency_probability": 0.5}
        rows[at] |= {"نص الشكوى": "الشارع مظلم", "governorate": "capital"}
    for at in range(40, 43):
        rows[at] |= {"group_id": 1_002, "group_size": 3}
    rows[39] |= {"topic_probability": 0.9, "agency_probability": 0.9}
    found, data = held(rows, tmp_path)
    assert found == {*range(280, 300), *range(24), 39}
    assert [clearest for _, clearest in data["incidents"]] == [0, 39]
    assert data["repeated"] == 3
