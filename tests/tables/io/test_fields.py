"""The text of a case may stand in several columns, or in a field of the objects in one."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tawasul_nlp.tables import classify_table
from tawasul_nlp.tables.errors import MissingColumnError
from tests.table_files import read, write
from tests.tables.keyword_classifier import Listens
from tests.tables.run.test_classify import ENDINGS, rejects_of, run

NESTED = [
    {"id": 1, "complaint": {"body": "المجاري طافحة في مجمع 714", "by": {"phone": "39001234"}}},
    {"id": 2, "complaint": {"body": "الماي مقطوع من أمس عندنا"}},
    {"id": 3, "complaint": {"by": {"phone": "39005678"}}},
    {"id": 4},
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_texts_of_several_columns_are_joined_in_the_order_in_which_they_are_named(tmp_path, ending):
    rows = [{"body": "عندنا من أسبوع في مجمع 714", "subject": "طفح مجاري"}, {"body": "زبالة", "subject": None}]
    source = write(tmp_path / f"backlog{ending}", rows)
    model = Listens()
    report = classify_table(model, source, tmp_path / "out.jsonl", text_column=["subject", "body"])
    assert model.heard == ["طفح مجاري\nعندنا من أسبوع في مجمع 714", "زبالة"]
    answers = [(row["topic"], row["block"]) for row in read(report.output)]
    assert answers == [("sewage_overflow", "714"), ("waste_collection", None)]
    assert report.notes == ("the text of a case is that of the columns 'subject', 'body' together, in this order",)


def test_a_row_is_rejected_for_the_column_of_its_text_that_holds_none(tmp_path):
    source = write(tmp_path / "backlog.jsonl", [{"subject": "ماي", "body": 7}, {"subject": "ماي", "body": "مقطوع"}])
    report = run(source, tmp_path / "out.csv", text_column=["subject", "body"])
    (reject,) = rejects_of(report)
    assert (reject["row"], reject["reason"]) == (1, "column 'body' holds a JSON number, expected text")
    assert report.rows_read == report.rows_written + report.rows_rejected == 2
    with pytest.raises(MissingColumnError, match="the table has no column 'bodi'.*did you mean --text-column 'body'"):
        run(source, tmp_path / "out.csv", text_column=["subject", "bodi"])


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_field_of_objects_is_read_by_its_path(tmp_path, ending):
    report = run(write(tmp_path / f"backlog{ending}", NESTED), tmp_path / "out.csv", text_column="complaint.body")
    topics = ["sewage_overflow", "water_outage_pressure", "out_of_scope", "out_of_scope"]
    assert [row["topic"] for row in read(report.output)] == topics
    assert report.rows_rejected == 0


def test_a_field_that_only_a_late_row_has_is_known_and_one_that_none_has_is_told(tmp_path):
    rows = [{"a": {"id": n}} for n in range(500)] + [{"a": {"text": "مجاري"}}]
    source = write(tmp_path / "backlog.jsonl", rows)
    named = write(tmp_path / "named.jsonl", [{"a.b": "ماي", "a": {"b": "مجاري"}}])  # the column goes before the path
    assert read(run(named, tmp_path / "out.jsonl", text_column="a.b").output)[0]["topic"] == "water_outage_pressure"
    assert read(run(source, tmp_path / "out.jsonl", text_column="a.text").output)[-1]["topic"] == "sewage_overflow"
    with pytest.raises(MissingColumnError, match=r"no column 'a\.txt'; its columns are 'a'; name one"):
        run(source, tmp_path / "out.jsonl", text_column="a.txt")


def test_the_column_that_holds_a_masked_field_is_masked_with_all_its_fields(tmp_path):
    source = write(tmp_path / "backlog.jsonl", NESTED)
    report = run(source, tmp_path / "out.jsonl", text_column="complaint.body", mask_columns=["complaint.body"])
    assert read(report.output)[0]["complaint"]["by"] == {"phone": "[هاتف]"}


def test_a_field_of_a_struct_that_is_no_text_is_rejected_row_by_row(tmp_path):
    rows = pa.array([{"body": 7}, {"body": None}])
    pq.write_table(pa.table({"complaint": rows}), tmp_path / "backlog.parquet")
    report = run(tmp_path / "backlog.parquet", tmp_path / "out.csv", text_column="complaint.body")
    assert (report.rows_written, report.rows_rejected) == (1, 1)
