"""Dates are read as people write them, and what comes first in 3/5/2026 is decided once for a column."""

from datetime import UTC, date, datetime

import pytest

from tawasul_nlp import ReadOptions
from tawasul_nlp.cli import main
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.dates import day_comes_first, is_day_first, read_date
from tests.table_files import read, write

MAY = datetime(2026, 5, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "cell",
    [
        "2026-05-03",
        "2026/5/3",
        "3/5/2026",
        "3/5/26",
        "03.05.26",
        "٣/٥/٢٠٢٦",
        "3-5-2026",
        "3 مايو 2026",
        "٣ أيار، ٢٠٢٦",
        "3 May 2026",
        "3-May-26",
        "May 3, 2026",
        46145,
        46145.0,
        "46145",
        date(2026, 5, 3),
    ],
)
def test_a_day_is_read_in_every_form(cell):
    assert read_date(cell) == MAY


@pytest.mark.parametrize(
    ("cell", "hour", "minute"),
    [
        ("3/5/2026 8:05", 8, 5),
        ("03/05/2026 2:22 PM", 14, 22),
        ("03/05/2026, 12:10 am", 0, 10),
        ("٣/٥/٢٠٢٦ ٢:٢٢ م", 14, 22),
        ("3 مايو 2026 12:00 ص", 0, 0),
        ("2026/05/03 08:05:09", 8, 5),
        (46145.5, 12, 0),
    ],
)
def test_a_time_may_follow(cell, hour, minute):
    found = read_date(cell)
    assert found is not None and (found.date(), found.hour, found.minute) == (MAY.date(), hour, minute)


@pytest.mark.parametrize(
    "cell",
    [
        "أمس",
        "2026-13-01",
        "31/02/2026",
        "1/1/1899",
        "3/5/2026 13:00 PM",
        "3 ماي 2026",
        "17001234",
        "123",
        1.5,
        True,
        17,
    ],
)
def test_what_is_no_date_is_told(cell):
    with pytest.raises(ValueError, match="no time of the years 1900 to 2200, expected a date"):
        read_date(cell)


def test_the_rows_that_tell_decide_for_the_column():
    assert day_comes_first(["3/5/2026", "25/5/2026", "", None, 46145]) is True
    assert day_comes_first(["5/3/2026 8:00", "5/25/26"]) is False
    assert day_comes_first(["2026-05-03", "5/5/2026"]) is True  # nothing depends on it
    assert day_comes_first(["3/5/2026", "4/6/2026"]) is None
    assert read_date("5/3/2026", day_first=False) == MAY
    with pytest.raises(TableError, match="the column 'opened' has dates such as 3/5/2026.*--date-order"):
        is_day_first(["3/5/2026"], "opened", None)
    assert is_day_first(["3/5/2026"], "opened", "month-first") is False
    with pytest.raises(ValueError, match="date_order is 'dayfirst', expected one of day-first, month-first"):
        ReadOptions(date_order="dayfirst")


def grouped(tmp_path, last, *options):
    """Group two reports of one text, and a case whose date tells what comes first; return the exit code and rows."""
    text = "الكهرباء مقطوعة عن مجمع 1203 في مدينة حمد من العصر"
    rows = [{"opened": day, "text": text} for day in ("3/5/2026", "3/12/2026")] + [{"opened": last, "text": "شكرا لكم"}]
    source, target = write(tmp_path / "in.csv", rows), tmp_path / "out.csv"
    code = main(["group", str(source), "-t", "text", "--date-column", "opened", "-o", str(target), "-q", *options])
    return code, read(target) if target.exists() else []


@pytest.mark.parametrize(
    ("last", "options", "are_one"),
    [("5/25/2026", (), True), ("25/5/2026", (), False), ("4/6/2026", ("--date-order", "month-first"), True)],
)
def test_cases_are_grouped_by_days_as_their_column_has_them(tmp_path, last, options, are_one):
    code, rows = grouped(tmp_path, last, *options)
    assert code == 0 and (rows[0]["incident_id"] == rows[1]["incident_id"]) == are_one


def test_a_column_that_does_not_tell_is_asked_for(tmp_path, capsys):
    assert grouped(tmp_path, "4/6/2026") == (1, [])
    assert "say --date-order day-first or --date-order month-first" in " ".join(capsys.readouterr().err.split())
