"""On a real Ray, with two workers: what one process gives, in the same order."""

import os
import signal
from dataclasses import replace
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pytest

ray = pytest.importorskip("ray")

from tawasul_nlp import DuplicateGrouper, cli  # noqa: E402
from tawasul_nlp.tables import classify_table  # noqa: E402
from tawasul_nlp.tables.added_columns import ADDED_COLUMNS  # noqa: E402
from tawasul_nlp.tables.errors import MissingColumnError, TableError, WorkerDiedError  # noqa: E402
from tawasul_nlp.tables.ray import RayEngine, classify, group  # noqa: E402
from tests.duplicates.many_reports import grouper, many_reports  # noqa: E402
from tests.duplicates.pair_model import write_pair_model  # noqa: E402
from tests.tables import keyword_classifier  # noqa: E402
from tests.tables.run.test_classify import records, write  # noqa: E402
from tests.tables.run.test_resume import CHUNK_ROWS, a_backlog, rows_done, run  # noqa: E402

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


class DiesOnce(keyword_classifier.OftenLate):
    """Is killed when it meets a word for the first time; a file remembers that it did. It is often late, too."""

    def __init__(self, word, memory):
        super().__init__()
        self._word = word
        self._memory = memory

    def predict(self, texts, /):
        if any(self._word in text for text in texts) and not self._memory.exists():
            self._memory.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(texts)


def on_ray(classifier, source, output, **options):
    return classify_table(
        classifier, source, output, text_column="text", chunk_rows=CHUNK_ROWS, engine=RayEngine, **options
    )


def test_a_table_comes_out_byte_for_byte_with_its_rejects_though_a_worker_dies(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 600)
    one = run(source, tmp_path / "one.csv")
    two = on_ray(partial(DiesOnce, " 333", tmp_path / "died"), source, tmp_path / "two.csv")
    assert (tmp_path / "died").exists() and one.rows_rejected > 20
    assert two.output.read_bytes() == one.output.read_bytes()
    assert two.rejects.read_bytes() == one.rejects.read_bytes()
    assert (two.rows_read, two.rows_written, two.counts) == (one.rows_read, one.rows_written, one.counts)


def test_a_worker_that_dies_again_and_again_is_reported_and_the_run_resumes_without_ray(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 400)
    with pytest.raises(WorkerDiedError, match="a Ray worker died 4 times at the same work"):
        on_ray(partial(keyword_classifier.DiesAt, " 333"), source, tmp_path / "out.csv")
    assert 200 < rows_done(tmp_path / "out.csv") < 333
    whole = run(source, tmp_path / "whole.csv")
    assert run(source, tmp_path / "out.csv").output.read_bytes() == whole.output.read_bytes()


def test_errors_of_the_classifier_and_wishes_beyond_the_cluster_come_out_as_they_are(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 100)
    with pytest.raises(MemoryError, match="no memory for 33"):
        on_ray(partial(keyword_classifier.FailsAt, " 33"), source, tmp_path / "out.csv")
    with pytest.raises(TypeError, match="unexpected keyword"):
        on_ray(partial(keyword_classifier.FailsAt, wrong=1), source, tmp_path / "out.csv")
    with pytest.raises(ValueError, match="1 workers need 3 CPUs, but the Ray cluster has 2"):
        RayEngine(keyword_classifier.KeywordClassifier, num_cpus=3)
    with pytest.raises(ValueError, match=r"1 workers need 0\.5 GPUs, but the Ray cluster has 0"):
        RayEngine(keyword_classifier.KeywordClassifier, num_gpus=0.5)


def test_the_command_gives_the_same_bytes_on_ray(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "backlog.csv", records() * 3)
    command = ["classify", "backlog.csv", "-t", "text", "-q"]
    assert cli.main([*command, "-o", "one.csv"]) == 0
    assert cli.main([*command, "-o", "two.csv", "--engine", "ray"]) == 0
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert cli.main([*command, "-o", "three.csv", "--gpus", "1"]) != 0
    assert "--engine ray" in capsys.readouterr().err
    assert cli.main([*command, "-o", "three.csv", "--engine", "ray", "--gpus", "1"]) == 1
    assert "but the Ray cluster has 0" in capsys.readouterr().err


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
    assert all(row[name] is None for row in rows for name in ("group_id", "group_size", "group_score"))


def test_a_dataset_without_the_column_is_refused_at_once():
    dataset = ray.data.from_arrow(pa.table({"نص": ["أ"], "n": [1]}))
    with pytest.raises(MissingColumnError, match="did you mean|its columns are 'نص', 'n'"):
        classify(dataset, "text")
    with pytest.raises(TableError, match="column 'n' holds int64, expected text"):
        group(dataset, "n")
    with pytest.raises(TableError, match="has a column 'x_group_id' already"):
        group(ray.data.from_arrow(pa.table({"نص": ["أ"], "x_group_id": [1]})), "نص", prefix="x_")
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
    alone = found["group_id"].isna()
    assert np.flatnonzero(alone).tolist() == silent and found["is_representative"][alone].isna().all()
    placed = found[~alone]
    assert placed["text"].tolist() == [case.text for case in cases]
    assert (placed["group_id"].to_numpy(int) == local.labels).all()
    assert (placed["is_representative"].to_numpy(bool) == (local.representatives == np.arange(len(cases)))).all()
    np.testing.assert_allclose(placed["group_score"].to_numpy(float), local.scores, atol=1e-4)
    assert (placed["group_size"].to_numpy(int) == np.bincount(local.labels)[local.labels]).all()
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
    assert found["group_id"].tolist() == local.labels.tolist()
    np.testing.assert_allclose(found["group_score"].to_numpy(float), local.scores, atol=1e-4)
