"""On a real Ray, with two workers: what one process gives, in the same order."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

ray = pytest.importorskip("ray")

from tawasul_nlp import DuplicateGrouper  # noqa: E402
from tawasul_nlp.tables import classify_table  # noqa: E402
from tawasul_nlp.tables.added_columns import ADDED_COLUMNS  # noqa: E402
from tawasul_nlp.tables.errors import MissingColumnError, TableError  # noqa: E402
from tawasul_nlp.tables.ray import classify, group  # noqa: E402
from tests.duplicates.many_reports import grouper, many_reports  # noqa: E402
from tests.duplicates.pair_model import write_pair_model  # noqa: E402
from tests.tables import keyword_classifier  # noqa: E402
from tests.tables.run.test_resume import a_backlog, run  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=128 << 20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def test_a_dataset_gets_the_urgency_and_the_issues_of_each_case(tmp_path):
    source = a_backlog(tmp_path / "backlog.parquet", 60)
    table = classify_table(
        keyword_classifier.SeveralIssues(), source, tmp_path / "one.parquet", text_column="text"
    ).output
    wanted = pa.parquet.read_table(table)
    found = classify(ray.data.read_parquet(str(source)), "text", classifier=keyword_classifier.SeveralIssues)
    assert {"issues", "other_topics", "urgency"} < set(wanted.column_names)
    assert pa.Table.from_pylist(found.take_all()).cast(wanted.schema).equals(wanted)


@pytest.mark.smoke
def test_a_dataset_is_classified_in_order_as_its_table_is(tmp_path):
    source = a_backlog(tmp_path / "backlog.parquet", 700)
    wanted = pa.parquet.read_table(run(source, tmp_path / "one.parquet").output)
    found = classify(ray.data.read_parquet(str(source)), "text", classifier=keyword_classifier.OftenLate, batch_size=40)
    assert pa.Table.from_pylist(found.take_all()).cast(wanted.schema).equals(wanted)


def test_rows_of_a_dataset_that_cannot_be_read_are_kept_for_review():
    texts = pa.array([b"\xd9\x85\xd8\xac\xd8\xa7\xd8\xb1\xd9\x8a", b"\xff\xfe", None], pa.binary()).view(pa.string())
    dataset = ray.data.from_arrow(pa.table({"text": texts, "agency": ["أ", "ب", "ج"]}))
    rows = classify(dataset, "text", classifier=keyword_classifier.KeywordClassifier).select_columns(
        ["agency", "tawasul_topic", "tawasul_needs_review", "tawasul_review_reasons"]
    )
    assert [tuple(row.values()) for row in rows.take_all()] == [
        ("أ", "sewage_overflow", False, []),
        ("ب", None, True, ["unreadable_text"]),
        ("ج", "out_of_scope", True, ["out_of_scope", "low_confidence"]),
    ]
    assert classify(dataset, "text", classifier=keyword_classifier.Foreign, prefix="x_").columns()[2] == "x_urgency"


def test_rows_without_a_text_belong_to_no_group_though_there_are_no_others():
    dataset = ray.data.from_arrow(pa.table({"text": pa.array([None, "  "], pa.string())}))
    rows = group(dataset, "text", grouper=grouper()).take_all()
    assert [row["text"] for row in rows] == [None, "  "]
    assert all(row[name] is None for row in rows for name in ("incident_id", "incident_size", "incident_score"))


def test_a_dataset_without_the_column_is_refused_at_once():
    dataset = ray.data.from_arrow(pa.table({"نص": ["أ"], "n": [1]}))
    with pytest.raises(MissingColumnError, match="did you mean|its columns are 'نص', 'n'"):
        classify(dataset, "text")
    with pytest.raises(TableError, match="column 'n' holds int64, expected text"):
        group(dataset, "n")
    with pytest.raises(TableError, match="has a column 'x_incident_id' already"):
        group(ray.data.from_arrow(pa.table({"نص": ["أ"], "x_incident_id": [1]})), "نص", prefix="x_")
    with pytest.raises(ValueError, match="5 workers need 5 CPUs"):
        classify(dataset, "نص", workers=5)


def test_groups_of_a_dataset_are_those_of_the_local_grouper():
    cases = list(many_reports())
    for at in range(0, 60, 5):  # these are read by the model, on either side
        cases[at] = replace(cases[at], embedding=None)
    days = [f"2026-03-{at % 28 + 1:02}" for at in range(len(cases))]
    told = [replace(case, created_at=datetime.fromisoformat(day)) for case, day in zip(cases, days, strict=True)]
    local = grouper().group(told)
    assert local.summary()["largest_group"] >= 10 and local.summary()["groups"] > 100

    silent = [0, 700, len(cases) + 2]  # rows without a text, which belong to no group
    rows = [
        {"text": case.text, "day": day, "vector": None if case.embedding is None else case.embedding.tolist()}
        for case, day in zip(cases, days, strict=True)
    ]
    for at in silent:
        rows.insert(at, {"text": None, "day": None, "vector": None})
    schema = pa.schema([("text", pa.string()), ("day", pa.string()), ("vector", pa.list_(pa.float32()))])
    tables = [pa.Table.from_pylist(rows[start : start + 900], schema) for start in range(0, len(rows), 900)]
    found = group(
        ray.data.from_arrow(tables), "text", date_column="day", embedding_column="vector", grouper=grouper()
    ).to_pandas()
    assert found["text"].tolist()[1:5] == [case.text for case in cases[:4]]
    alone = found["incident_id"].isna()
    assert np.flatnonzero(alone).tolist() == silent and found["is_representative"][alone].isna().all()
    placed = found[~alone]
    assert placed["text"].tolist() == [case.text for case in cases]
    assert (placed["incident_id"].to_numpy(int) == local.labels).all()
    assert (placed["is_representative"].to_numpy(bool) == (local.representatives == np.arange(len(cases)))).all()
    np.testing.assert_allclose(placed["incident_score"].to_numpy(float), local.scores, atol=1e-4)
    assert (placed["incident_size"].to_numpy(int) == np.bincount(local.labels)[local.labels]).all()
    assert set(ADDED_COLUMNS).isdisjoint(found.columns)


def test_pairs_of_a_dataset_are_verified_as_those_of_the_local_grouper(tmp_path):
    verifying = DuplicateGrouper.from_pretrained(write_pair_model(tmp_path / "model"), threads=1)
    cases = many_reports()[:100]
    local = verifying.group(cases)
    assert local.summary()["pairs_read"] > 50
    assert (local.labels != grouper().group(cases).labels).any()
    rows = [{"text": case.text, "vector": case.embedding.tolist()} for case in cases]
    tables = [pa.Table.from_pylist(rows[start : start + 40]) for start in range(0, len(rows), 40)]
    found = group(ray.data.from_arrow(tables), "text", embedding_column="vector", grouper=verifying).to_pandas()
    assert found["incident_id"].tolist() == local.labels.tolist()
    np.testing.assert_allclose(found["incident_score"].to_numpy(float), local.scores, atol=1e-4)
