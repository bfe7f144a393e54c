"""The incidents of an index as a table."""

import csv
import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.duplicates import Case
from tawasul_nlp.prediction import Quote
from tawasul_nlp.tables import WriteOptions
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.write import INCIDENT_COLUMNS, export_incidents
from tests.duplicates.test_index import HOLE, POWER, POWER_COPY
from tests.robustness.index_reference import opened


@pytest.fixture
def index(tmp_path):
    with opened(tmp_path / "index") as found:
        found.add(
            [
                Case(POWER, id="p-1", created_at="2026-03-01"),
                Case(POWER_COPY, id="p-2", created_at="2026-03-02"),
                Case("=" + HOLE + " جوالي 39001234", id="h-1"),
            ]
        )
        yield found


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_incidents_become_a_table_with_the_largest_first(index, tmp_path, suffix):
    power = index.assignment("p-1").incident_id
    index.close_incident(power)
    output = tmp_path / f"incidents.{suffix}"
    assert export_incidents(index, output) == 2
    if suffix == "parquet":
        table = pq.read_table(output)
        assert table.column("size").type == "int64"
        rows = [{name: "" if value is None else str(value) for name, value in row.items()} for row in table.to_pylist()]
    else:
        with output.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    assert [list(row) for row in rows] == [list(INCIDENT_COLUMNS)] * 2
    first, second = rows
    assert (first["incident"], first["size"], first["state"]) == (str(power), "2", "closed")
    assert (first["first_day"], first["last_day"], first["growth"]) == ("2026-03-01", "2026-03-02", "0")
    assert (first["topic"], first["agency"], first["urgency"]) == ("power_outage", "ewa", "urgent")
    assert first["places"] == "مجمع 1203، مدينة حمد" and first["agency_name_ar"]
    assert first["title"] == index.text(index.incident(power).representative)
    assert second["title"].startswith("=" if suffix == "parquet" else "'="), "a formula in CSV is escaped"


def test_an_incident_is_as_urgent_as_its_most_urgent_report_and_has_its_words(index, tmp_path):
    danger = "سلك كهرباء مكشوف وفيه شرار عند باب الروضة والأطفال يلعبون جنبه، جوالي 39001234"
    index.add([Case(danger, id="p-3")])
    kept = index.assignment("p-1").incident_id
    index.merge([kept, index.assignment("p-3").incident_id])
    incident = index.incident(kept)
    assert (incident.urgency, incident.most_urgent, incident.representative) == ("emergency", "p-3", "p-1")
    assert index.incident(index.assignment("h-1").incident_id).urgency != "emergency"
    export_incidents(index, tmp_path / "incidents.jsonl", mask=True)
    rows = [json.loads(line) for line in (tmp_path / "incidents.jsonl").read_text(encoding="utf-8").splitlines()]
    (pressing,) = (row for row in rows if row["urgency"] == "emergency")
    assert (pressing["incident"], pressing["most_urgent"]) == (kept, "p-3")
    assert pressing["urgency_words"] and all(part in danger for part in pressing["urgency_words"].split(" … "))


def test_urgent_words_are_masked_before_they_are_cut(index, tmp_path, monkeypatch):
    danger = "حريق في البيت والنار وصلت الشقة اتصلوا على 3900 1234 بسرعة والاطفال محبوسين"
    index.add([Case(danger, id="f-1")])
    end = danger.index("1234") + 4
    read = index.grouper.classifier.predict(danger)
    half_of_the_number = replace(read.urgency, reasons=(Quote("حريق", 0, 4), Quote("1234", end - 4, end)))
    told = replace(read, urgency=half_of_the_number)
    monkeypatch.setattr(ComplaintClassifier, "predict", lambda _, texts: [told] * len(texts))
    for mask, words in ((False, "حريق … 1234"), (True, "حريق … ****")):
        export_incidents(index, tmp_path / "incidents.jsonl", mask=mask)
        rows = [json.loads(line) for line in (tmp_path / "incidents.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [row["urgency_words"] for row in rows if row["most_urgent"] == "f-1"] == [words]


def test_titles_are_masked_if_wanted_and_small_incidents_left_out(index, tmp_path):
    assert export_incidents(index, tmp_path / "all.csv", mask=True) == 2
    assert "39001234" not in (tmp_path / "all.csv").read_text(encoding="utf-8")
    assert export_incidents(index, tmp_path / "large.jsonl", min_size=2) == 1
    assert export_incidents(index, tmp_path / "none.parquet", min_size=3) == 0
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0
    with pytest.raises(TableError, match="does not tell the output's format"):
        export_incidents(index, tmp_path / "incidents")
    assert export_incidents(index, tmp_path / "incidents", write=WriteOptions(format="csv")) == 2
