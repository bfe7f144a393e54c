"""Labelled rows are the same from every source, with their numbers, and each that cannot be used says why."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from tawasul_nlp.tables.errors import InputChangedError, MissingColumnError, TableError
from tawasul_nlp.tables.labelled import open_labelled

ROWS = {
    "نص": ["انقطاع الكهرباء في مدينة عيسى", "  ", "حفرة في الشارع", None, "شكرا لكم"],
    "الجهة": ["الكهرباء", "الكهرباء", " الأشغال ", "الأشغال", None],
    "رمز": [7.0, 1.0, 2.5, None, 3.0],
}


class Stream:
    """A table of another library, of which nothing is known but that it hands over Arrow data."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def frame(rows):
    import pandas

    return pandas.DataFrame(rows, index=[9, 8, 7, 6, 5])


def parquet(rows, path):
    pq.write_table(pa.table(rows), path)
    return path


def jsonl(rows, path):
    records = pa.table(rows).to_pylist()
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in records), encoding="utf-8")
    return path


SOURCES = {
    "parquet": lambda path: parquet(ROWS, path),
    "jsonl": lambda path: jsonl(ROWS, path),
    "dict": lambda path: ROWS,
    "arrow": lambda path: pa.table(ROWS),
    "batch": lambda path: pa.RecordBatch.from_pydict(ROWS),
    "stream": lambda path: Stream(pa.table(ROWS)),
    "pandas": lambda path: frame(ROWS),
    "datasets": lambda path: Dataset.from_dict(ROWS),
    "streamed dataset": lambda path: Dataset.from_dict(ROWS).to_iterable_dataset(),
}


@pytest.mark.parametrize("form", SOURCES)
def test_every_source_gives_the_same_rows(form, tmp_path):
    source = SOURCES[form](tmp_path / f"cases.{form}")
    found = open_labelled(source, "نص").read(["الجهة", "رمز"])
    assert (found.numbers, found.texts) == ([1, 3, 5], [ROWS["نص"][row] for row in (0, 2, 4)])
    assert found.columns == {"الجهة": ["الكهرباء", "الأشغال", ""], "رمز": ["7", "2.5", "3"]}
    assert found.unusable == [(2, "the text is missing"), (4, "the text is missing")]
    assert (found.sha256 is None) == (form not in ("parquet", "jsonl"))


def test_a_view_of_a_dataset_gives_the_rows_of_the_view():
    found = open_labelled(Dataset.from_dict(ROWS).select([4, 0]), "نص").read(["الجهة"])
    assert found.texts == [ROWS["نص"][4], ROWS["نص"][0]]


def test_rows_come_one_by_one_and_in_order_also_those_that_cannot_be_read(tmp_path):
    path = tmp_path / "broken.csv"
    path.write_text("نص,الجهة\nأ ب,ج\nأ ب,ج,زائد\nأ ب,\n", encoding="utf-8")
    rows = list(open_labelled(path, "نص").rows())
    assert [row.number for row in rows] == [1, 2, 3]
    assert [row.label("الجهة") for row in rows] == ["ج", "", ""]
    assert rows[0].problem == rows[2].problem == "" and "3 fields" in rows[1].problem


def test_a_text_that_is_none_is_told_by_its_type_alone(tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text('{"text": 39001234}\n{"text": "الماي مقطوع"}\n{"text": {"body": "x"}}\n', encoding="utf-8")
    found = open_labelled(path).read()
    expected = "the text is a JSON number, expected a string", "the text is a JSON object, expected a string"
    assert found.unusable == [(1, expected[0]), (3, expected[1])]


def test_fields_of_objects_are_columns_too(tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text('{"complaint": {"body": "الماي مقطوع", "topic": "water"}}\n', encoding="utf-8")
    found = open_labelled(path, "complaint.body").read(["complaint.topic"])
    assert (found.texts, found.columns) == (["الماي مقطوع"], {"complaint.topic": ["water"]})


def test_rows_of_one_group_have_one_number_and_those_without_stand_alone():
    table = {"text": ["أ", "ب", "ج", "د"], "incident": ["i1", "", "i1", None]}
    groups = open_labelled(table).read(["incident"]).groups("incident").tolist()
    assert groups[0] == groups[2] and len(set(groups)) == 3


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (["الماي مقطوع"], "got a list, expected a path, a table"),
        ({"text": [1, 2]}, "column 'text' holds int64, expected text"),
        ({"text": ["أ"], "topic": ["x", "y"]}, "mixed types or of unequal length"),
        ({"text": [None, " "]}, r"no row with a text in column 'text' \(row 1: the text is missing; row 2"),
        (Dataset.from_dict({"text": []}), "the datasets Dataset has no rows"),
    ],
)
def test_what_is_no_table_of_texts_is_refused_with_advice(source, said):
    with pytest.raises(TableError, match=said):
        open_labelled(source).read()


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path):
    path = jsonl({"text": ["أ"], "topics": ["x"]}, tmp_path / "cases.jsonl")
    with pytest.raises(MissingColumnError, match="no column 'topic'; its columns are .*did you mean --label-columns"):
        open_labelled(path).read(["topic"])
    with pytest.raises(MissingColumnError, match="no column 'body'"):
        open_labelled(path, "body")


def test_a_file_that_is_changed_while_it_is_read_is_refused(tmp_path):
    path = jsonl({"text": ["أ", "ب"]}, tmp_path / "cases.jsonl")
    rows = open_labelled(path).rows()
    next(rows)
    path.write_text('{"text": "ج"}\n', encoding="utf-8")
    with pytest.raises(InputChangedError):
        list(rows)
