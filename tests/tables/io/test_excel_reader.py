"""Workbooks are read as they show, and what only looks like one is refused before it is unpacked."""

import datetime as dt
import random
import re
import zipfile

import openpyxl
import pytest
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from tawasul_nlp.tables import ReadOptions
from tawasul_nlp.tables.errors import MissingColumnError, TableError
from tawasul_nlp.tables.io import excel_reader
from tawasul_nlp.tables.io.formats import open_reader
from tests.table_files import read
from tests.tables.run.test_classify import rejects_of, run

SEWAGE = "المجاري طافحة عندنا في مجمع 714"
SHEET = "xl/worksheets/sheet1.xml"


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


def rewritten(path, source, change):
    """Write a workbook again with its parts changed by name and content; return its path."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, change(part, old.read(part).decode()))
    return path


def with_sheet(path, change):
    """Write a workbook whose first sheet is changed; return its path."""
    whole = workbook(path.with_suffix(".whole"), [["text"], [SEWAGE]])
    return rewritten(path, whole, lambda part, content: change(content) if part == SHEET else content)


def with_rows(path, rows):
    """Write a workbook with rows as they stand in its XML."""
    return with_sheet(path, lambda whole: whole.replace("</sheetData>", f"{rows}</sheetData>"))


def test_cells_come_out_as_they_show(tmp_path):
    rows = [
        ["رقم", "cpr", "فتح", "وقت", "مبلغ", "نعم", "مدة", "text"],
        [1, 10101234, dt.date(2026, 3, 1), dt.datetime(2026, 3, 1, 8, 30), 12.5, True, 1.5, SEWAGE],
        [2.0, 850101234, None, dt.time(8, 30), 1e20, False, None, "=1+1"],
    ]
    formats = [("B2", "000000000"), ("B3", "000000000"), ("G2", "[h]:mm:ss")]
    source = workbook(tmp_path / "backlog.xlsx", rows, formats=formats)
    report = run(source, tmp_path / "out.csv")
    assert report.output.read_bytes().startswith(b"\xef\xbb\xbf")
    first, second = read(report.output)
    shown = ["1", "010101234", "2026-03-01", "2026-03-01 08:30:00", "12.5", "true", "36:00:00"]
    assert [first[name] for name in rows[0][:7]] == shown
    assert [second[name] for name in rows[0][:7]] == ["2", "850101234", "", "08:30:00", "1e+20", "false", ""]
    assert (first["text"], first["topic"], first["block"]) == (SEWAGE, "sewage_overflow", "714")
    assert second["text"] == ""  # a formula that no program has computed has no value
    assert report.notes[0] == "read is the sheet 'الشكاوى'; others are 'أخرى'"


@pytest.mark.parametrize("number", ["1e300", "-800000", "2958466"])
def test_a_number_that_is_no_day_ends_no_run_though_its_cell_is_one_of_dates(tmp_path, number):
    source = workbook(tmp_path / "dates.xlsx", [["text", "فتح"], [SEWAGE, 12345]], formats=[("B2", "dd/mm/yyyy")])
    path = rewritten(tmp_path / "beyond.xlsx", source, lambda _, content: content.replace(">12345<", f">{number}<"))
    assert [row["فتح"] for row in read(run(path, tmp_path / "out.jsonl").output)] == ["#VALUE!"]


def test_an_error_does_not_quote_what_a_cell_holds(tmp_path):
    path = with_rows(tmp_path / "false.xlsx", '<row><c t="n"><v>رقمي 39001234</v></c></row>')
    with pytest.raises(TableError, match="is damaged: a cell's value is not of its type") as refused:
        run(path, tmp_path / "out.csv")
    assert "39001234" not in str(refused.value)


def test_texts_errors_and_escapes_of_a_sheet_come_out_as_excel_shows_them(tmp_path):
    cells = [
        (
            "inlineStr",
            "<is><t>سطر_x000D_</t><phoneticPr fontId='1'/><r><t>آخر</t></r><rPh sb='0' eb='1'><t>قراءة</t></rPh></is>",
            "سطر\rآخر",
        ),
        ("inlineStr", "<is><t>_x005F_x0041_ _xD83D__xDE21_ _xD83D_</t></is>", "_x0041_ 😡 \ufffd"),
        ("str", "<f>A1&amp;B1</f><v>الماي مقطوع_x0021_</v>", "الماي مقطوع!"),
        ("e", "<f>1/0</f><v>#DIV/0!</v>", "#DIV/0!"),
        ("b", "<v>1</v>", "true"),
        ("d", "<v>2026-03-01T08:30:00</v>", "2026-03-01 08:30:00"),
        ("n", "<v>0.30000000000000004</v>", "0.3"),
        ("n", "<v>123456789012345678</v>", "123456789012345678"),
    ]
    rows = "".join(f'<row><c t="{kind}">{content}</c></row>' for kind, content, _ in cells)
    report = run(with_rows(tmp_path / "cells.xlsx", rows), tmp_path / "out.jsonl")
    assert [row["text"] for row in read(report.output)][1:] == [shown for *_, shown in cells]


def test_a_sheet_that_people_do_not_see_is_read_only_by_its_name(tmp_path):
    book = openpyxl.Workbook()
    book.active.title, book.active.sheet_state = "رموز", "hidden"
    book.active.append(["text"])
    shown = book.create_sheet("الشكاوى")
    shown.append(["text"])
    shown.append([SEWAGE])
    book.save(tmp_path / "hidden.xlsx")
    report = run(tmp_path / "hidden.xlsx", tmp_path / "out.jsonl")
    assert read(report.output)[0]["text"] == SEWAGE and report.notes[0].startswith("read is the sheet 'الشكاوى'")
    assert run(tmp_path / "hidden.xlsx", tmp_path / "out.jsonl", read=ReadOptions(sheet="رموز")).rows_read == 0


def test_a_sheet_is_chosen_by_name_and_a_wrong_one_is_told(tmp_path):
    source = workbook(tmp_path / "backlog.xlsx", [["text"], [SEWAGE]])
    (row,) = read(run(source, tmp_path / "out.jsonl", read=ReadOptions(sheet="أخرى")).output)
    assert row["topic"] == "water_outage_pressure"
    with pytest.raises(TableError, match=r"no sheet 'ورقة1'; its sheets are 'الشكاوى', 'أخرى'"):
        run(source, tmp_path / "out.jsonl", read=ReadOptions(sheet="ورقة1"))


def test_empty_rows_are_no_rows_and_cells_beyond_the_header_are_not_lost(tmp_path):
    rows = [[], ["id", "text", None, None], [1, SEWAGE], [], [2, "ماي", None, "زائد"], [3, "زبالة"], [None, None]]
    source = workbook(tmp_path / "backlog.xlsx", rows)
    report = run(source, tmp_path / "out.jsonl", chunk_rows=1)
    assert [row["id"] for row in read(report.output)] == ["1", "3"]
    (reject,) = rejects_of(report)
    assert (reject["row"], reject["line"]) == (2, 5) and "زائد" in reject["raw"]


def test_a_cell_far_to_the_right_does_not_fill_the_rejects_nor_a_text_in_many_cells_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("tawasul_nlp.tables.io.excel_reader.MAX_RECORD_CHARS", 1_000)
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
    assert far[0]["reason"] == "has 16384 fields where the header has 2"
    assert len(far) == 58 and {reject["raw"] for reject in far} == {'["", "", "بعيد"]'}
    assert (long["line"], long["raw"]) == (60, None) and "longer than 1,000 characters" in long["reason"]


@pytest.mark.parametrize("size", ["", '<dimension ref="A1:B2"/>'], ids=["no size stated", "a size stated"])
def test_a_row_of_very_many_cells_is_refused_before_it_is_held(tmp_path, size):
    head = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{size}<sheetData>'
    cells = '<row><c t="inlineStr"><is><t>text</t></is></c></row><row>' + "<c/>" * (excel_reader.MAX_ROW_TAGS * 5 // 4)
    path = with_sheet(tmp_path / "wide.xlsx", lambda _: f"{head}{cells}</row></sheetData></worksheet>")
    reader = open_reader(path)
    assert reader.columns == ("text",)
    with pytest.raises(TableError, match="a row has more than the 200,000 tags that any row of cases has"):
        list(reader.chunks())


def test_a_row_with_a_text_in_each_of_a_sheets_columns_is_read(tmp_path):
    rows = [["text", *(f"c{n}" for n in range(16_300))], [f"ماي {n}" for n in range(16_301)]]
    report = run(workbook(tmp_path / "wide.xlsx", rows), tmp_path / "out.jsonl")
    assert read(report.output)[0]["c16299"] == "ماي 16300"


def test_progress_is_known_in_a_sheet_that_does_not_state_its_size(tmp_path):
    rows = [[f"{SEWAGE} {random.Random(n).getrandbits(256)}"] for n in range(2_000)]
    reader = open_reader(run(workbook(tmp_path / "backlog.xlsx", [["text"], *rows]), tmp_path / "ours.xlsx").output)
    shares = [reader.fraction_read() for _ in reader.chunks(100)]
    assert shares == sorted(shares) and 0 < shares[0] < shares[-1] <= 1 and reader.fraction_read() == 1


def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    source = workbook(tmp_path / "bomb.xlsx", [["text"], [SEWAGE]])
    with zipfile.ZipFile(source, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet9.xml", b"0" * 30_000_000)
    with pytest.raises(TableError, match=r"would unpack to 30,.*times its packed size"):
        open_reader(source)


@pytest.mark.parametrize(("part", "held"), [("styles", "8,388,608"), ("sharedStrings", "536,870,912")])
def test_a_part_that_is_held_in_memory_may_not_be_larger_than_that(tmp_path, monkeypatch, part, held):
    monkeypatch.setattr(excel_reader, "MAX_RATIO", 1e9)
    path = workbook(tmp_path / "held.xlsx", [["text"], [SEWAGE]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(f"xl/{part}2.xml", "w") as out:
        for _ in range(int(held.replace(",", "")) // (1 << 22) + 1):
            out.write(b"0" * (1 << 22))
    with pytest.raises(TableError, match=f"has a part 'xl/{part.lower()}2.xml' of .*, and {held} can be held"):
        open_reader(path)


def test_twenty_thousand_cases_pass_with_their_texts_in_the_cells_or_in_a_table_of_strings(tmp_path):
    texts = [f"{SEWAGE} طريق {n} بيت {n % 97}" for n in range(20_000)]
    cells = workbook(tmp_path / "cells.xlsx", [["id", "text"], *enumerate(texts)])
    strings = []

    def share(part, content):
        if part == SHEET:
            strings.extend(re.findall(r"<is>(<t>.*?</t>)</is>", content))
            numbers = iter(range(len(strings)))
            return re.sub(r'"inlineStr"><is>.*?</is>', lambda _: f'"s"><v>{next(numbers)}</v>', content)
        override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SHARED_STRINGS}"/></Types>'
        return content.replace("</Types>", override)

    shared = rewritten(tmp_path / "shared.xlsx", cells, share)
    with zipfile.ZipFile(shared, "a", zipfile.ZIP_DEFLATED) as archive:
        table = "".join(f"<si>{text}</si>" for text in strings)
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{SHEET_MAIN_NS}">{table}</sst>')
    for path in (cells, shared):
        rows = [row for chunk in open_reader(path).chunks() for row in chunk.rows]
        assert [row["text"] for row in rows] == texts and rows[-1]["id"] == "19999"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ('<row r="3"/><row r="2"><c><v>1</v></c></row>', "row 2 comes after row 3"),
        ('<row><c r="C3"><v>1</v></c><c r="B3"><v>2</v></c></row>', "the cell in column 2 comes after column 3"),
    ],
)
def test_rows_and_cells_in_a_wrong_order_are_not_lost_unseen(tmp_path, rows, problem):
    with pytest.raises(TableError, match=problem):
        list(open_reader(with_rows(tmp_path / "order.xlsx", rows)).chunks())


def test_a_workbook_of_the_strict_kind_is_refused_with_advice_and_not_read_as_empty(tmp_path):
    def strict(part, content):
        content = content.replace(
            "schemas.openxmlformats.org/spreadsheetml/2006/main", "purl.oclc.org/ooxml/spreadsheetml/main"
        )
        return content.replace("schemas.openxmlformats.org/officeDocument/2006", "purl.oclc.org/ooxml/officeDocument")

    whole = workbook(tmp_path / "whole.xlsx", [["text"], [SEWAGE]])
    with pytest.raises(TableError, match="saved as 'Strict Open XML Spreadsheet', save it as 'Excel Workbook'"):
        open_reader(rewritten(tmp_path / "strict.xlsx", whole, strict))


ENTITIES = """<?xml version="1.0"?><!DOCTYPE worksheet [<!ENTITY a "ماي"><!ENTITY b "&a;&a;&a;&a;">]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
<row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>
<row r="2"><c r="A2" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>"""
FAR_ROW = ENTITIES.partition("]>")[2].replace('<row r="2">', '<row r="999999999999">').replace("&b;", "ماي")
CUT_OFF = FAR_ROW[:120]


@pytest.mark.parametrize(
    ("sheet", "message"),
    [(ENTITIES, "is damaged: .*Entities"), (FAR_ROW, "1,048,576 rows"), (CUT_OFF, "unclosed token")],
)
def test_a_sheet_that_attacks_its_reader_gives_our_error(tmp_path, sheet, message):
    with_sheet(tmp_path / "evil.xlsx", lambda _: sheet)
    with pytest.raises(TableError, match=message) as refused:
        run(tmp_path / "evil.xlsx", tmp_path / "out.csv")
    assert "\n" not in str(refused.value)


def test_a_sheet_whose_packed_bytes_are_damaged_gives_our_error(tmp_path):
    source = workbook(tmp_path / "backlog.xlsx", [["text"], *[[f"{SEWAGE} {n}"] for n in range(500)]])
    with zipfile.ZipFile(source) as archive:
        part = archive.getinfo(SHEET)
    whole = source.read_bytes()
    raw = bytearray(whole)
    middle = part.header_offset + part.compress_size // 2
    raw[middle : middle + 40] = b"\xff" * 40
    source.write_bytes(raw)
    with pytest.raises(TableError, match="is damaged"):
        run(source, tmp_path / "out.csv")
    raw = bytearray(whole)
    raw[raw.rindex(b"PK\x01\x02") + 6] = 99  # a later version of archives is needed to unpack the last part
    source.write_bytes(raw)
    with pytest.raises(TableError, match="zip archive"):
        open_reader(source)


TITLED = [["شكاوى شهر مارس 2026"], [], ["id", "القناة", "text"], [1, "تطبيق", SEWAGE], [2, "هاتف", "ماي"]]


def test_a_title_above_the_header_is_reported_with_the_option_that_leaves_it_out(tmp_path):
    source = workbook(tmp_path / "backlog.xlsx", TITLED)
    with pytest.raises(MissingColumnError, match="if this is a title above the header, .*--header-row N"):
        run(source, tmp_path / "out.csv")
    report = run(source, tmp_path / "out.csv", read=ReadOptions(header_row=3), chunk_rows=1)
    assert [row["topic"] for row in read(report.output)] == ["sewage_overflow", "water_outage_pressure"]
    assert list(read(report.output)[0])[:3] == ["id", "القناة", "text"] and report.rows_rejected == 0
    with pytest.raises(TableError, match="is empty from row 9 on"):
        run(source, tmp_path / "out.csv", read=ReadOptions(header_row=9))
    plain = workbook(tmp_path / "plain.xlsx", TITLED[2:])
    with pytest.raises(MissingColumnError) as refused:
        run(plain, tmp_path / "out.csv", text_column="txt")
    assert "did you mean --text-column 'text'" in str(refused.value) and "--header-row" not in str(refused.value)
