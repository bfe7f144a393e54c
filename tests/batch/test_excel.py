"""Workbooks are read as they show, and what only looks like one is refused before it is unpacked."""

import datetime as dt
import subprocess
import sys
import zipfile

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from tawasul_nlp.batch import MissingColumnError, TableError, classify_table, open_reader
from tawasul_nlp.batch.workbook_cells import shown_number
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


def with_part(path, name, change):
    """Write a workbook of which one part is changed; return its path."""
    whole = workbook(path.with_suffix(".whole"), [["text"], [SEWAGE]])
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            content = old.read(part).decode()
            new.writestr(part, change(content) if part == name else content)
    return path


def with_rows(path, rows):
    """Write a workbook with rows as they stand in its XML."""
    return with_part(
        path, "xl/worksheets/sheet1.xml", lambda whole: whole.replace("</sheetData>", f"{rows}</sheetData>")
    )


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
    assert report.notes[0] == "read is the sheet 'الشكاوى'; others are 'أخرى'"


CODES = [*BUILTIN_FORMATS.values(), "[$-2000401]dd/mm/yyyy;@", "yyyy\\-mm\\-dd", '0.00 "days"', "[Red]0", "[mm]:ss"]


@given(st.sampled_from(CODES), st.floats(0, 2_957_003), st.sampled_from([WINDOWS_EPOCH, MAC_EPOCH]))
def test_dates_are_known_by_their_format_and_shown_as_openpyxl_reads_them(code, number, epoch):
    shown = shown_number(repr(number), code, epoch)
    if is_timedelta_format(code):
        hours, minutes, seconds = map(int, shown.split(":"))
        assert hours * 3600 + minutes * 60 + seconds == pytest.approx(number * 86_400, abs=0.6)
    elif is_date_format(code):
        read = from_excel(number, epoch)
        midnight = isinstance(read, dt.datetime) and read.time() == dt.time()
        assert shown == str(read.date() if midnight else read)
    else:
        assert float(shown) == pytest.approx(number, rel=1e-14)


@pytest.mark.parametrize(
    ("number", "shown"), [("1e300", "1e+300"), ("-5.0", "-5"), ("2958466", "2958466"), ("بلا", "بلا")]
)
def test_a_number_that_is_no_day_shows_as_it_is_though_its_cell_is_one_of_dates(number, shown):
    assert shown_number(number, "dd/mm/yyyy", WINDOWS_EPOCH) == shown


def test_texts_errors_and_escapes_of_a_sheet_come_out_as_excel_shows_them(tmp_path):
    cells = [
        ("inlineStr", "<is><t>سطر_x000D_</t><phoneticPr/><r><t>آخر</t></r><rPh><t>قراءة</t></rPh></is>", "سطر\rآخر"),
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
    assert run(tmp_path / "hidden.xlsx", tmp_path / "out.jsonl", sheet="رموز").rows_read == 0


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
    for module in ("excel", "workbook"):
        monkeypatch.setattr(f"tawasul_nlp.batch.{module}.MAX_RECORD_CHARS", 1_000)
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


PEAK = """
import resource, sys
from tawasul_nlp.batch import TableError, excel, open_reader
excel.MAX_RATIO = 1e9
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(sum(len(chunk.numbers) + len(chunk.rejects) for chunk in open_reader(sys.argv[1]).chunks()), "rows")
except TableError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
SHEET = ("xl/worksheets/sheet1.xml", "</sheetData>")
STRINGS, STYLES = ("xl/sharedStrings.xml", "</sst>"), ("xl/styles.xml", "</cellXfs>")
BOOK = ("xl/workbook.xml", "</sheets>")
BOMBS = {  # before which end of a part stands how often what, between what, and what the reader says
    "cells of a row": (*SHEET, 3_000_000, "<c><v>1</v></c>", ("<row>", "</row>"), "more than 16,384 cells"),
    "columns": (*SHEET, 300_000, '<row><c r="XFD3"><v>1</v></c></row>', ("", ""), "300001 rows"),
    "attributes": (*SHEET, 1, " ".join(f'a{n}=""' for n in range(200_000)), ("<row ", "/>"), "a tag of more than"),
    "depth": (*SHEET, 3_000_000, "<a>", ("<row>", "</row>"), "nested more than 64 deep"),
    "a cell": (*SHEET, 20_000_000, "اب", ("<row><c t='inlineStr'><is><t>", "</t></is></c></row>"), "2 rows"),
    "strings": (*STRINGS, 2_000_000, "<si><t>نص</t></si>", ("", ""), "1 rows"),
    "a string": (*STRINGS, 20_000_000, "اب", ("<si><t>", "</t></si>"), "1 rows"),
    "styles": (*STYLES, 2_000_000, "<xf/>", ("", ""), "1 rows"),
    "sheets": (*BOOK, 500_000, '<sheet name="أخرى" sheetId="9" r:id="rId1"/>', ("", ""), "1 rows"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such count of memory there")
@pytest.mark.parametrize(("part", "end", "times", "piece", "around", "said"), BOMBS.values(), ids=BOMBS)
def test_memory_does_not_grow_with_what_a_small_workbook_holds(tmp_path, part, end, times, piece, around, said):
    path = with_part(tmp_path / "bomb.xlsx", part, lambda whole: whole.replace(end, (piece * times).join(around) + end))
    command = [sys.executable, "-c", PEAK, str(path)]
    answer, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said in answer and int(peak) < 60


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
    ("sheet", "message"), [(ENTITIES, "document type"), (FAR_ROW, "1,048,576 rows"), (CUT_OFF, "unclosed token")]
)
def test_a_sheet_that_attacks_its_reader_gives_our_error(tmp_path, sheet, message):
    with_part(tmp_path / "evil.xlsx", "xl/worksheets/sheet1.xml", lambda whole: sheet)
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
