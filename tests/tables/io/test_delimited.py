"""Delimited text is read as the csv module reads it, and broken rows cost only themselves."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tawasul_nlp.tables.io import csv as ours
from tawasul_nlp.tables.io.csv import DELIMITERS, join_fields, read_records, split_fields
from tawasul_nlp.tables.io.formats import open_reader


def lines_of(text):
    return list(io.StringIO(text, newline=""))


def by_csv_module(text, delimiter):
    """What the standard library reads, without its blank rows; None where it finds the text malformed."""
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row]
    except csv.Error:
        return None


CELLS = st.text(st.sampled_from('ابتگ a1,;"|\t\n\r'), max_size=8)


@given(table=st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=6), delimiter=st.sampled_from(DELIMITERS))
def test_what_the_csv_module_writes_is_read_back(table, delimiter):
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter).writerows(table)
    records = list(read_records(lines_of(written.getvalue()), delimiter))
    assert [record.fields for record in records] == table
    assert "".join(record.raw for record in records) == written.getvalue()


@given(table=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6), delimiter=st.sampled_from(DELIMITERS))
def test_what_we_write_both_we_and_the_csv_module_read_back(table, delimiter):
    written = "".join(join_fields(row, delimiter) for row in table)
    assert [record.fields for record in read_records(lines_of(written), delimiter)] == table
    assert by_csv_module(written, delimiter) == table


@given(text=st.text(st.sampled_from('ا,"\n\r'), max_size=30))
@example('ا,"\r"\n')
@example('"ا\n\n"\r\n\r\nا')
def test_any_text_that_the_csv_module_accepts_is_read_as_it_reads_it(text):
    expected = by_csv_module(text, ",")
    records = list(read_records(lines_of(text), ","))
    if expected is not None:
        assert [record.fields for record in records] == expected
    else:
        assert any(record.problem for record in records)


@given(text=st.text(st.sampled_from('ا,"\n'), max_size=40))
def test_no_line_is_lost_or_read_twice_however_broken_the_text_is(text):
    records = list(read_records(lines_of(text), ","))
    without_blanks = [line for line in lines_of(text) if line.strip("\n")]
    kept = [line for record in records for line in lines_of(record.raw) if line.strip("\n")]
    assert kept == without_blanks


def one_by_one(text, most_lines):
    """What the rules give when each record is looked for from its own first line, whatever was looked at before."""
    lines, found = lines_of(text), []
    while lines:
        fields, count = None, 0
        try:
            while fields is None and count < min(len(lines), most_lines):
                count += 1
                fields = split_fields("".join(lines[:count]), ",")
        except ValueError:
            pass
        count = count if fields is not None else 1
        if lines[0].strip("\r\n"):
            found.append(("".join(lines[:count]), fields))
        del lines[:count]
    return found


@given(text=st.text(st.sampled_from('ا,"\n\r'), max_size=60))
@example('"\n"\nا,"\nا"\n"ا"ا\n')
@example('ا,"\n' * 5 + '"ا"ا\n' + 'ا,"\n' * 4)
def test_lines_behind_an_open_quote_are_read_as_if_no_one_had_looked_at_them(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tawasul_nlp.tables.io.csv.MAX_RECORD_LINES", 4)
        records = list(read_records(lines_of(text), ","))
    assert [(record.raw, record.fields) for record in records] == one_by_one(text, 4)


@pytest.mark.parametrize("line", ['x","\n', '"' + 'x","' * 500 + "\n"])
@pytest.mark.parametrize("end", ["", '"x"x\n'])
def test_quotes_that_stay_open_from_line_to_line_do_not_slow_the_reading_down(line, end):
    records = list(read_records([*[line] * 5_000, end], ","))  # took minutes when each line looked at those behind it
    assert len(records) == 5_001 and sum(record.problem is not None for record in records) >= 5_000


def test_a_long_quoted_text_is_one_row_and_a_cell_of_a_million_characters_is_read():
    text = "سطر من الشكوى\n" * (ours.MAX_RECORD_LINES - 1)
    assert [r.fields for r in read_records(lines_of(f'7,"{text}"\n'), ",")] == [["7", text]]
    assert split_fields("ا" * 1_000_000 + ",ب", ",") == ["ا" * 1_000_000, "ب"]


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_recognised_in_spite_of_commas_in_the_texts(delimiter):
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter)
    writer.writerows([["رقم", "النص", "القناة"]] + [[n, "وين البلدية؟ زبالة, وصخ; ريحة", "تطبيق"] for n in range(20)])
    assert ours.sniff_delimiter(lines_of(written.getvalue())) == delimiter


def test_a_file_of_one_column_is_not_cut_at_its_commas_and_a_named_column_decides():
    lines = lines_of("text\nالماي مقطوع, من أمس, في مجمع 714\nالشارع مظلم\nحفرة, كبيرة\n")
    assert all(len(record.fields) == 1 for record in read_records(lines, ours.sniff_delimiter(lines)))
    assert ours.sniff_delimiter(lines_of("id,a;text\n1,2;الماي مقطوع\n"), "text") == ";"


@given(cells=st.lists(st.text(st.sampled_from('اب,"\n'), max_size=4)), trailing=st.sampled_from(["", "\n", "\r\n\n"]))
def test_a_blank_line_of_a_single_column_is_an_empty_cell_except_at_the_end(cells, trailing):
    written = "".join(join_fields([cell], ";") if cell else "\n" for cell in cells)
    while cells and not cells[-1]:
        cells = cells[:-1]
    records = list(read_records(lines_of(written + trailing), ";", blank_is_record=True))
    assert [record.fields for record in records] == [[cell] for cell in cells]


@pytest.mark.parametrize("first", ["sep=;\n", "SEP=; \r\n"])
def test_a_first_line_that_names_the_delimiter_for_excel_is_no_header(tmp_path, first):
    path = tmp_path / "backlog.csv"
    path.write_text(f"{first}id;text\n1;الماي مقطوع, من أمس\n", encoding="utf-8-sig", newline="")
    reader = open_reader(path)
    assert reader.columns == ("id", "text")
    (chunk,) = reader.chunks()
    assert list(chunk.records()) == [{"id": "1", "text": "الماي مقطوع, من أمس"}]
