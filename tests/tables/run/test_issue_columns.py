"""A table gets the urgency and the issues of each case, of a model that finds them."""

import json

import openpyxl
import pytest

from tawasul_nlp.tables import classify_table
from tawasul_nlp.tables.added_columns import classification_columns
from tawasul_nlp.tables.classified import open_classified
from tawasul_nlp.tables.errors import TableError
from tests.table_files import read, write
from tests.tables.keyword_classifier import TOPICS, SeveralIssues

CASES = ["المجاري طافحة والماي مقطوع والزبالة متراكمة", "الماي مقطوع وحريق في البيت", "شكرا", ""]
OTHERS = [["water_outage_pressure", "waste_collection"], [], [], []]
NEW = ["urgency", "urgency_probability", "urgency_alternatives", "issues", "other_topics", "other_agencies"]


def classified(tmp_path, ending, texts=CASES):
    source = write(tmp_path / "backlog.csv", [{"text": text} for text in texts])
    return classify_table(SeveralIssues(), source, tmp_path / f"out{ending}", text_column="text").output


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_issues_are_lists_in_jsonl_and_parquet(tmp_path, ending):
    output = classified(tmp_path, ending)
    columns = open_classified(output)
    assert columns.text == ("text",) and {name: columns.added[name] for name in NEW} == {name: name for name in NEW}
    rows = read(output)
    assert [name for name in rows[0] if name in NEW] == NEW
    assert [row["other_topics"] for row in rows] == OTHERS
    assert rows[0]["other_agencies"] == ["ewa", "municipality"]
    first, second, third = rows[0]["issues"]
    assert first == {"topic": "sewage_overflow", "agency": "works", "probability": 0.7, "start": 2, "end": 7}
    assert [CASES[0][issue["start"] : issue["end"]] for issue in (second, third)] == ["ماي", "زبالة"]
    assert [(row["urgency"], row["urgency_probability"]) for row in rows[:2]] == [("normal", 0.2), ("emergency", 0.8)]
    assert rows[1]["review_reasons"] == ["emergency"]


def test_issues_are_json_in_csv_and_excel(tmp_path):
    rows = read(classified(tmp_path, ".csv"))
    sheet = openpyxl.load_workbook(classified(tmp_path, ".xlsx")).active
    header, *cells = ([cell.value for cell in row] for row in sheet.iter_rows())
    for row, values in zip(rows, cells, strict=True):
        excel = dict(zip(header, values, strict=True))
        assert row["other_topics"] == (excel["other_topics"] or "")
        assert json.loads(row["issues"] or "[]") == json.loads(excel["issues"] or "[]")
    assert [issue["topic"] for issue in json.loads(rows[0]["issues"])] == ["sewage_overflow", *OTHERS[0]]
    assert rows[0]["other_agencies"] == "ewa; municipality"


def test_an_agency_that_has_the_main_issue_is_not_another_one(tmp_path, monkeypatch):
    monkeypatch.setitem(TOPICS, "انارة", ("street_lighting_fault", "الإنارة", "ewa", "الهيئة", "EWA"))
    (row,) = read(classified(tmp_path, ".jsonl", ["الماي مقطوع وانارة الشارع مطفية"]))
    assert (row["other_topics"], row["other_agencies"]) == (["street_lighting_fault"], [])


def test_a_model_without_them_adds_no_such_columns():
    assert not {"urgency", "issues", "other_topics", "other_agencies"} & set(classification_columns())
    assert list(classification_columns(["agency"], issues=True))[3:6] == ["issues", "other_topics", "other_agencies"]
    with pytest.raises(
        TableError, match="the model's task 'issues' would add a column 'issues', which is there already"
    ):
        classification_columns(["agency", "issues"], issues=True)
