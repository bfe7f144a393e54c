"""A workbook that is written holds what other outputs hold, as texts and numbers and never as formulas."""

import json

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tawasul_nlp.tables import WriteOptions
from tawasul_nlp.tables.added_columns import classification_columns
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io import excel_writer
from tests.table_files import read, write
from tests.tables.run.test_classify import ENDINGS, TOPICS, records, rejects_of, run
from tests.tables.run.test_outputs import FORMULAS


def sheet(path):
    """The rows of a workbook as openpyxl reads them."""
    book = openpyxl.load_workbook(path)
    return [[cell.value for cell in row] for row in book.active.iter_rows()]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_workbook_holds_all_rows_and_columns(tmp_path, ending):
    source = write(tmp_path / f"backlog{ending}", records())
    report = run(source, tmp_path / "out.xlsx", chunk_rows=2, write=WriteOptions(arabic=False))
    header, *rows = sheet(report.output)
    assert header == ["رقم", "text", "القناة", *classification_columns()]
    assert [row[:3] for row in rows] == [[value or None for value in record.values()] for record in records()]
    assert [row[header.index("topic")] for row in rows] == TOPICS
    first = dict(zip(header, rows[0], strict=True))
    assert (first["topic_probability"], first["needs_review"], first["block"]) == (0.875, False, "714")
    assert first["topic_alternatives"] == "road_damage=0.125"


def test_numbers_that_excel_keeps_are_numbers_and_what_it_would_change_is_text(tmp_path):
    row = {"text": "ماي", "n": 7, "id": 123456789012345678, "cpr": "010101234", "f": 1.5, "yes": True, "list": [1]}
    report = run(write(tmp_path / "backlog.jsonl", [row]), tmp_path / "out.xlsx")
    values = dict(zip(*sheet(report.output), strict=True))
    assert [values[name] for name in row] == ["ماي", 7, "123456789012345678", "010101234", 1.5, True, "[1]"]


def test_no_cell_is_a_formula(tmp_path):
    source = write(tmp_path / "backlog.jsonl", [{"=id": cell, "text": "ماي"} for cell in FORMULAS])
    report = run(source, tmp_path / "out.xlsx")
    cells = [cell for row in openpyxl.load_workbook(report.output).active.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s", "n", "b"} and report.notes == ()
    assert [row[0] for row in sheet(report.output)] == ["=id", *FORMULAS]
    assert [
        row["=id"] for row in read(run(report.output, tmp_path / "again.jsonl", write=WriteOptions(prefix="a_")).output)
    ] == FORMULAS


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_any_text_comes_back_as_it_was(tmp_path, texts):
    source = tmp_path / "backlog.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    report = run(source, tmp_path / "out.xlsx")
    again = read(run(report.output, tmp_path / "again.jsonl", write=WriteOptions(prefix="a_")).output)
    assert [row["text"] for row in again] == texts


def test_a_row_with_a_text_that_no_cell_holds_is_rejected_and_the_longest_that_one_does_is_not(tmp_path):
    # Excel counts a character beyond the basic plane as two.
    texts = ["ا" * 32_767, "ا" * 32_768, "😡" * 16_383, "😡" * 16_384]
    report = run(write(tmp_path / "backlog.jsonl", [{"text": text} for text in texts]), tmp_path / "out.xlsx")
    assert (report.rows_read, report.rows_written, report.rows_rejected) == (4, 2, 2)
    assert [reject["row"] for reject in rejects_of(report)] == [2, 4]
    assert "longer than the 32,767 characters that a cell of Excel holds" in rejects_of(report)[0]["reason"]
    assert [row[0] for row in sheet(report.output)[1:]] == [texts[0], texts[2]]


def test_a_text_that_becomes_too_long_by_its_masks_is_rejected_and_its_raw_row_is_masked(tmp_path):
    text = "بطاقة 850101234 " * 2_000
    source = write(tmp_path / "backlog.jsonl", [{"text": text, "n": "39001234"}, {"text": "ماي", "n": ""}])
    report = run(source, tmp_path / "out.xlsx", mask_columns=["text"])
    assert len(text) < 32_767 and [reject["row"] for reject in rejects_of(report)] == [1]
    assert "850101234" not in rejects_of(report)[0]["raw"] and "39001234" not in rejects_of(report)[0]["raw"]
    assert len(sheet(report.output)) == 2


def test_more_rows_than_a_sheet_has_are_an_error_that_says_what_to_write_instead(tmp_path, monkeypatch):
    source = write(tmp_path / "backlog.csv", records())
    monkeypatch.setattr(excel_writer, "MAX_ROWS", 5)
    with pytest.raises(TableError, match=r"more than the 4 rows that a sheet of Excel holds.*write a \.csv"):
        run(source, tmp_path / "out.xlsx", chunk_rows=2)
    monkeypatch.setattr(excel_writer, "MAX_ROWS", 6)
    assert run(source, tmp_path / "out.xlsx", chunk_rows=2, restart=True).rows_written == 5
    monkeypatch.setattr(excel_writer, "MAX_COLUMNS", 10)
    with pytest.raises(TableError, match=r"columns, and a sheet of Excel has 10; write a \.csv"):
        run(source, tmp_path / "other.xlsx")
