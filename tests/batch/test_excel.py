"""Workbooks are read as they show, and what only looks like one is refused before it is unpacked."""

import datetime as dt
import zipfile

import openpyxl
import pytest

from tawasul_nlp.batch import MissingColumnError, TableError, classify_table, open_reader
from tests.batch.keyword_classifier import KeywordClassifier
from tests.batch.test_run import read, rejects_of, run

SEWAGE = "المجاري طافحة عندنا في مجمع 714"


def workbook(path, rows, title="الشكاوى", formats=()):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for cell, shown_as in formats:
        sheet[cell].number_format = shown_as
    other = book.create_sheet("أخرى")
    other.append(["text"])
    other.append(["الماي مقطوع"])
    book.save(path)
    return path


def test_cells_come_out_as_they_show(tmp_path):
    rows = [
        ["رقم", "cpr", "فتح", "وقت", "مبلغ", "نعم", "text"],
        [1, 10101234, dt.date(2026, 3, 1), dt.datetime(2026, 3, 1, 8, 30), 12.5, True, SEWAGE],
        [2.0, 850101234, None, dt.time(8, 30), 1e20, False, "=1+1"],
    ]
    source = workbook(tmp_path / "backlog.xlsx", rows, formats=[("B2", "000000000"), ("B3", "000000000")])
    report = run(source, tmp_path / "out.csv")
    assert report.output.read_bytes().startswith(b"\xef\xbb\xbf")
    first, second = read(report.output)
    assert [first[name] for name in rows[0][:6]] == [
        "1",
        "010101234",
        "2026-03-01",
        "2026-03-01 08:30:00",
        "12.5",
        "true",
    ]
    assert [second[name] for name in rows[0][:6]] == ["2", "850101234", "", "08:30:00", "1e+20", "false"]
    assert (first["text"], first["topic"], first["block"]) == (SEWAGE, "sewage_overflow", "714")
    assert second["text"] == ""  # a formula that no program has computed has no value
    assert report.notes[0] == "read is the first sheet, 'الشكاوى'; others are 'أخرى'"


def test_a_sheet_is_chosen_by_name_and_a_wrong_one_is_told(tmp_path):
    source = workbook(tmp_path / "backlog.xlsx", [["text"], [SEWAGE]])
    assert read(run(source, tmp_path / "out.jsonl", sheet="أخرى").output)[0]["topic"] == "water_outage_pressure"
    with pytest.raises(TableError, match=r"no sheet 'ورقة1'; its sheets are 'الشكاوى', 'أخرى'"):
        run(source, tmp_path / "out.jsonl", sheet="ورقة1")
    with pytest.raises(MissingColumnError, match="did you mean --text-column 'text'"):
        run(source, tmp_path / "out.jsonl", text_column="txt")


def test_empty_rows_are_no_rows_and_cells_beyond_the_header_are_not_lost(tmp_path):
    rows = [[], ["id", "text", None, None], [1, SEWAGE], [], [2, "ماي", None, "زائد"], [3, "زبالة"], [None, None]]
    source = workbook(tmp_path / "backlog.xlsx", rows)
    report = run(source, tmp_path / "out.jsonl", chunk_rows=1)
    assert [row["id"] for row in read(report.output)] == ["1", "3"]
    (reject,) = rejects_of(report)
    assert (reject["row"], reject["line"]) == (2, 5) and "زائد" in reject["raw"]
    reader = open_reader(source)
    chunks = list(reader.chunks(1))
    assert list(reader.chunks(1, chunks[0].end)) == chunks[1:]


def test_a_cell_far_to_the_right_does_not_fill_the_rejects_nor_a_text_in_many_cells_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("tawasul_nlp.batch.excel.MAX_RECORD_CHARS", 1_000)
    book = openpyxl.Workbook()
    book.active.append(["text", "note"])
    for row in range(2, 60):
        book.active.cell(row, 16_384, "بعيد")
    book.active.append(["ا" * 300] * 4)
    book.active.append([SEWAGE])
    book.save(tmp_path / "far.xlsx")
    report = run(tmp_path / "far.xlsx", tmp_path / "out.jsonl")
    *far, long = rejects_of(report)
    assert [row["text"] for row in read(report.output)] == [SEWAGE]
    assert far[0]["reason"] == "has 16384 cells where the header has 2"
    assert len(far) == 58 and {reject["raw"] for reject in far} == {'["", "", "بعيد"]'}
    assert (long["line"], long["raw"]) == (60, None) and "longer than 1,000 characters" in long["reason"]


def test_a_workbook_is_known_by_its_content(tmp_path):
    source = workbook(tmp_path / "backlog.xlsx", [["text"], [SEWAGE]])
    source = source.rename(tmp_path / "stdin")
    assert read(classify_table(KeywordClassifier(), source, tmp_path / "out.jsonl", text_column="text").output)


def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    source = workbook(tmp_path / "bomb.xlsx", [["text"], [SEWAGE]])
    with zipfile.ZipFile(source, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet9.xml", b"0" * 30_000_000)
    with pytest.raises(TableError, match=r"would unpack to 30,.*times its packed size"):
        open_reader(source)


ENTITIES = """<?xml version="1.0"?><!DOCTYPE worksheet [<!ENTITY a "ماي"><!ENTITY b "&a;&a;&a;&a;">]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
<row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>
<row r="2"><c r="A2" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>"""
FAR_ROW = (
    ENTITIES.partition("?>")[2]
    .partition("]>")[2]
    .replace('<row r="2">', '<row r="999999999999">')
    .replace("&b;", "ماي")
)
CUT_OFF = FAR_ROW[:120]


@pytest.mark.parametrize(
    ("sheet", "message"), [(ENTITIES, "could not read"), (FAR_ROW, "1,048,576 rows"), (CUT_OFF, "unclosed token")]
)
def test_a_sheet_that_attacks_its_reader_gives_our_error(tmp_path, sheet, message):
    whole = workbook(tmp_path / "whole.xlsx", [["text"], [SEWAGE]])
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "evil.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, sheet if name == "xl/worksheets/sheet1.xml" else old.read(name))
    with pytest.raises(TableError, match=message) as refused:
        run(tmp_path / "evil.xlsx", tmp_path / "out.csv")
    assert "\n" not in str(refused.value)


def test_a_sheet_whose_packed_bytes_are_damaged_gives_our_error(tmp_path):
    source = workbook(tmp_path / "backlog.xlsx", [["text"], *[[f"{SEWAGE} {n}"] for n in range(500)]])
    with zipfile.ZipFile(source) as archive:
        part = archive.getinfo("xl/worksheets/sheet1.xml")
    raw = bytearray(source.read_bytes())
    middle = part.header_offset + part.compress_size // 2
    raw[middle : middle + 40] = b"\xff" * 40
    source.write_bytes(raw)
    with pytest.raises(TableError, match="is damaged"):
        run(source, tmp_path / "out.csv")


@pytest.mark.parametrize("content", [b"PK\x03\x04 and no more", b"id,text\n"])
def test_a_file_that_is_only_named_as_a_workbook_is_refused(tmp_path, content):
    (tmp_path / "false.xlsx").write_bytes(content)
    with pytest.raises(TableError, match="zip archive or a damaged|does not begin as one"):
        open_reader(tmp_path / "false.xlsx")
