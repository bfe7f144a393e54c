"""What the report reads from a table and its page holds: no row is lost, and each is what it says."""

import datetime as dt
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tawasul_nlp.report import page_cases, write_report
from tawasul_nlp.report import tally as tally_module
from tawasul_nlp.report.tally import UNKNOWN, Tally
from tawasul_nlp.tables.classified import open_classified
from tawasul_nlp.tables.errors import TableError
from tests.report.browser import embedded
from tests.report.tables import TEXT, classified, write


def counted(path):
    tally = Tally(open_classified(path))
    for chunk in tally.table.reader.chunks():
        tally.add(chunk)
    return tally


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_every_format_gives_the_same_counts_of_columns_that_are_told_by_what_they_hold(tmp_path, suffix):
    rows = classified(200)
    tally = counted(write(tmp_path / f"t.{suffix}", rows))
    table = tally.table
    assert (table.text, table.id, table.date, table.grouped) == ((TEXT,), "case_id", "opened", True)
    assert tally.rows == 200
    assert sum(tally.reviews) == sum(row["needs_review"] for row in rows)
    assert tally.names_of("topic") == [row["topic"] for row in rows]
    assert tally.names_of("block") == [row["block"] for row in rows]
    assert tally.incident_count == len({row["incident_id"] for row in rows})
    assert tally.incident_sizes.max() == max(row["incident_size"] for row in rows)
    assert (tally.first, tally.last) == (min(r["opened"] for r in rows), max(r["opened"] for r in rows))


@pytest.mark.parametrize("yes", ["true", "True", "TRUE", "1"])
def test_what_other_programs_write_for_yes_whole_numbers_and_gaps_is_understood(tmp_path, yes):
    rows = [{**row, "needs_review": yes if row["needs_review"] else "False"} for row in classified(50)]
    for row in rows:
        row["block"] = None if row["block"] is None else f"{row['block']}.0"
    rows[0] |= {"topic_probability": math.nan, "agency_probability": math.inf, "incident_size": math.nan}
    tally = counted(write(tmp_path / "t.csv", rows))
    assert sum(tally.reviews) == sum(row["needs_review"] == yes for row in rows) > 0
    assert set(tally.codes["block"].names) == {"321", "213", "740", "929"}
    assert all(0 <= certainty <= 1 for certainty in tally.certainties)


def test_a_column_that_is_not_what_it_is_called_fills_neither_memory_nor_page(tmp_path, monkeypatch):
    monkeypatch.setattr(tally_module, "MOST_NAMES", 20)
    rows = [
        {**row, "agency": f"{at} {'جهة' * 1_000}", "review_reasons": [f"سبب {at}" for at in range(500)]}
        for at, row in enumerate(classified(50))
    ]
    table = write(tmp_path / "t.parquet", rows)
    tally = counted(table)
    names = tally.codes["agency"].names
    assert (len(names), names[-1], max(map(len, names)), len(tally.values["agency"])) == (21, "…", 101, 50)
    write_report(table, tmp_path / "r.html")
    assert {len(case[3]) for case in embedded(tmp_path / "r.html")["cases"]} == {20}


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("empty", ["0001-01-01", "1900-01-01", "1970-01-01", "9999-12-31"])
def test_a_day_from_1990_to_a_year_ahead_is_taken_at_its_word_and_an_empty_one_counts_as_unread(
    tmp_path, suffix, empty
):
    rows, days = classified(30), (dt.date(1990, 1, 1), dt.date.today() + dt.timedelta(days=300))
    rows[0]["opened"], rows[1]["opened"] = days
    rows[7]["opened"] = dt.date.fromisoformat(empty)
    tally = counted(write(tmp_path / f"t.{suffix}", rows))
    assert (tally.rows, tally.dates_unread, tally.first, tally.last) == (30, 1, *days)
    assert list(tally.days) == [UNKNOWN if row is rows[7] else row["opened"].toordinal() for row in rows]


def test_a_moment_beyond_the_years_that_python_knows_counts_as_unread(tmp_path):
    rows = classified(30)
    table = pa.Table.from_pylist([{name: row[name] for name in row if name != "opened"} for row in rows])
    days = pa.array([9_000_000_000_000, *(1_772_323_200 + 86_400 * at for at in range(29))], pa.timestamp("s"))
    pq.write_table(table.append_column("opened", days), tmp_path / "t.parquet")
    tally = counted(tmp_path / "t.parquet")
    assert (tally.rows, tally.dates_unread, tally.first) == (30, 1, dt.date(2026, 3, 1))


def test_prefixed_columns_win_over_the_tables_own(tmp_path):
    rows = [{f"tawasul_{k}" if k in ("agency", "kind") else k: v for k, v in row.items()} for row in classified(5)]
    with pytest.raises(TableError, match="no column kind, agency"):
        write_report(write(tmp_path / "half.parquet", rows), tmp_path / "r.html")
    ours = ("kind", "topic", "agency", "topic_probability", "agency_probability", "needs_review")
    rows = [{**row, **{f"tawasul_{name}": row[name] for name in ours}, "agency": "قسم ٣"} for row in classified(5)]
    added = open_classified(write(tmp_path / "whole.parquet", rows)).added
    assert (added["agency"], added["incident_id"]) == ("tawasul_agency", "incident_id")
    rows = [row | {"tawasul_incident_id": row["incident_id"], "tawasul_incident_size": 1} for row in rows]
    added = open_classified(write(tmp_path / "both.parquet", rows)).added
    assert (added["incident_id"], added["incident_size"]) == ("tawasul_incident_id", "tawasul_incident_size")


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([{"text": "الماي مقطوع"}], {}, "not classified: it has no column needs_review; run tawasul classify"),
        ([{"text": "الماي", "needs_review": True}], {}, "no column topic_probability, or of another task; run"),
        (classified(3), {"date_column": "date"}, "no column 'date'; its columns are 'case_id'"),
        (classified(3), {"routed_column": "sent"}, "no column 'sent'.*--routed-column"),
        (classified(3), {"text_column": [TEXT, "subject"]}, "no column 'subject'.*--text-column"),
    ],
)
def test_a_table_that_is_not_classified_or_lacks_a_column_is_refused_with_advice(tmp_path, rows, columns, message):
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    with pytest.raises(TableError, match=message):
        open_classified(tmp_path / "t.parquet", **columns)


# -- which cases the page of a large table holds with their texts ----------------------------------------------------


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
        row |= {
            "incident_id": 1_000 + number % 2,
            "incident_size": 20,
            "topic_probability": 0.5,
            "agency_probability": 0.5,
        }
        row |= {TEXT: "الشارع مظلم", "governorate": "capital"}
    for row in rows[40:43]:
        row |= {"incident_id": 1_002, "incident_size": 3}
    rows[39] |= {"topic_probability": 0.9, "agency_probability": 0.9}
    return {*range(24), 39}


@pytest.mark.parametrize("change", [lambda rows: set(), urgent, uncertain, reported])
def test_of_a_large_table_the_newest_are_held_and_those_that_matter_most(tmp_path, monkeypatch, change):
    for name, most in {"MOST_CASES": 100, "OF_A_KIND": 20, "INCIDENTS": 2}.items():
        monkeypatch.setattr(page_cases, name, most)
    rows = classified(300)  # of different days, sure, not urgent, and incidents of their own
    for number, row in enumerate(rows):
        row |= {"opened": dt.date(2025, 1, 1) + dt.timedelta(days=number), "incident_id": number, "incident_size": 1}
        row |= {"needs_review": False, "urgency": "normal", "block": None, "topic": f"t{number}"}
    expected = change(rows)
    numbers, data = held(rows, tmp_path)
    assert numbers == {*range(280, 300), *expected}, "the newest, and those"
    if change is reported:
        assert [clearest for _, clearest in data["incidents"]] == [0, 39] and data["repeated"] == 3


def test_a_table_of_up_to_twenty_thousand_rows_is_held_whole(tmp_path):
    rows = classified(150)
    assert page_cases.MOST_CASES == 20_000
    assert [case[2] for case in held(rows, tmp_path)[1]["cases"]] == [row[TEXT] for row in rows]
