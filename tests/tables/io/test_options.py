"""Options are checked when they are made, each by itself; whether they fit a file is told when it is opened."""

import dataclasses

import pytest

from tawasul_nlp.tables import ReadOptions, TableError, WriteOptions
from tawasul_nlp.tables.io.formats import open_reader


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"format": "xls"}, "format is 'xls', expected one of csv, jsonl, parquet, xlsx"),
        ({"encoding": "arabic-1999"}, "unknown encoding 'arabic-1999'; expected a name such as utf-8"),
        ({"delimiter": "::"}, "delimiter is '::', expected one character"),
        ({"delimiter": ""}, "delimiter is '', expected one character"),
        ({"header_row": 0}, "header_row is 0, expected a whole number, at least 1"),
        ({"header_row": 1.5}, "header_row is 1.5, expected a whole number, at least 1"),
        ({"header_row": True}, "header_row is True, expected a whole number, at least 1"),
    ],
)
def test_a_table_cannot_be_read_in_a_way_that_there_is_not(options, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        ReadOptions(**options)


def test_a_table_cannot_be_written_in_a_format_that_there_is_not():
    with pytest.raises(ValueError, match="^format is 'doc', expected one of csv, jsonl, parquet, xlsx$"):
        WriteOptions(format="doc")


@pytest.mark.parametrize("options", [ReadOptions(), WriteOptions()])
def test_options_are_values(options):
    assert options == type(options)() and hash(options) == hash(type(options)())
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.format = "csv"
    with pytest.raises(TypeError, match="positional"):
        type(options)("csv")


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("backlog.csv", {"sheet": "2026"}, "is a CSV file, which has no sheet '2026'; leave --sheet out"),
        ("backlog.jsonl", {"header_row": 2}, "is a JSONL file, which has no header row; leave --header-row out"),
        ("backlog.csv", {"format": "parquet"}, "is not a Parquet file that can be read"),
        ("backlog.csv", {"header_row": 300}, "no header line in its first lines from line 300 on"),
    ],
)
def test_what_does_not_fit_a_file_is_reported_when_it_is_opened(tmp_path, name, options, told):
    path = tmp_path / name
    path.write_text('{"text": "الماي مقطوع"}\n', encoding="utf-8")
    with pytest.raises(TableError, match=told):
        open_reader(path, ReadOptions(**options))
