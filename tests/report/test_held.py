"""Which cases the page of a large table holds with their texts."""

import datetime as dt

import pytest

from tawasul_nlp.report import page_cases, write_report
from tests.report.browser import embedded
from tests.report.tables import classified, write

NEWEST = range(280, 300)


def held(rows, folder):
    """Return the numbers of the rows whose texts the page holds, and the page's data."""
    write_report(write(folder / "t.parquet", rows), folder / "r.html", mask=False)
    data = embedded(folder / "r.html")
    return {row for row, *_ in data["cases"]}, data


def urgent(rows):
    """Emergencies come before urgent cases, and newer ones before older."""
    for number, row in enumerate(rows[:60]):
        row["urgency"] = "urgent" if number >= 15 else "emergency"
    return {*range(15), *range(55, 60)}


def uncertain(rows):
    """The least certain cases for review come first."""
    for number, row in enumerate(rows[:100]):
        row |= {"needs_review": True, "topic_probability": 0.1 + number / 1000, "agency_probability": 0.9}
    return set(range(20))


def reported(rows):
    """Twelve reports of each of the largest incidents are held, and the clearest."""
    for number, row in enumerate(rows[:40]):
        row |= {"group_id": 1_000 + number % 2, "group_size": 20, "topic_probability": 0.5, "agency_probability": 0.5}
        row |= {"نص الشكوى": "الشارع مظلم", "governorate": "capital"}
    for row in rows[40:43]:
        row |= {"group_id": 1_002, "group_size": 3}
    rows[39] |= {"topic_probability": 0.9, "agency_probability": 0.9}
    return {*range(24), 39}


@pytest.mark.parametrize("change", [lambda rows: set(), urgent, uncertain, reported])
def test_of_a_large_table_the_newest_are_held_and_those_that_matter_most(tmp_path, monkeypatch, change):
    monkeypatch.setattr(page_cases, "MOST_CASES", 100)
    monkeypatch.setattr(page_cases, "OF_A_KIND", 20)
    monkeypatch.setattr(page_cases, "INCIDENTS", 2)
    rows = classified(300)  # of different days, sure, not urgent, and incidents of their own
    for number, row in enumerate(rows):
        row |= {"opened": dt.date(2025, 1, 1) + dt.timedelta(days=number), "group_id": number, "group_size": 1}
        row |= {"needs_review": False, "urgency": "normal", "block": None, "topic": f"t{number}"}
    expected = change(rows)
    numbers, data = held(rows, tmp_path)
    assert numbers == {*NEWEST, *expected}
    if change is reported:
        assert [clearest for _, clearest in data["incidents"]] == [0, 39] and data["repeated"] == 3


def test_a_table_of_up_to_twenty_thousand_rows_is_held_whole(tmp_path):
    rows = classified(150)
    numbers, data = held(rows, tmp_path)
    assert numbers == set(range(150)) and page_cases.MOST_CASES == 20_000
    assert [case[2] for case in data["cases"]] == [row["نص الشكوى"] for row in rows]
