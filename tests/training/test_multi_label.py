"""A column whose cells hold several labels becomes a task that answers with a set of labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from tawasul_nlp.model.label_sets import split_labels
from tawasul_nlp.training import LabelledData, TrainConfig, update
from tawasul_nlp.training.backbone import one_vs_rest_probe
from tawasul_nlp.training.dataset import digest, is_labelled, read_data, truth_of
from tawasul_nlp.training.losses import binary_loss
from tawasul_nlp.training.ngram_fitting import one_vs_rest_svms
from tawasul_nlp.training.rows import RowEncoder
from tawasul_nlp.training.splitting import fold_numbers, split
from tawasul_nlp.training.tables import read_table
from tests.training.conftest import settings, whole_table, write_csv

pytestmark = pytest.mark.slow


def test_the_same_table_as_lists_in_memory_is_the_same_data(run, table, tiny_bert, tmp_path):
    lists = [{**row, "وسوم": list(split_labels(row["وسوم"])) if row["وسوم"] else None} for row in table]
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lists), encoding="utf-8")
    columns: dict[str, Any] = {"label_columns": {"dept": "الجهة", "style": "style"}, "duplicates": "identical"}
    for source in (path, pa.Table.from_pylist(lists)):
        data = LabelledData(source, "نص", multi_label_columns={"tags": "وسوم"}, **columns)
        read = read_data(data, run.config, tmp_path / "cache")
        assert digest(read.train, read.labels) == json.loads((run.folder / "run.json").read_text())["texts"]["train"]


def test_rows_without_labels_are_not_measured_and_rows_without_any_of_them_are(run):
    cells = ["طرق|مياه", "", "|", " مياه |مياه| ", "nan"] + ["طرق", "مياه"] * 3
    rows = [{"text": f"نص عن شيء {number * 'ا'}", "tags": cell} for number, cell in enumerate(cells)]
    read = read_table(pa.Table.from_pylist(rows), LabelledData(None, multi_label_columns=["tags"]), "rows")
    assert read["label.tags"][:5] == ["طرق|مياه", "", "|", "مياه", "nan"]
    assert read["problem"][:4] == ["", "every label is missing", "", ""]
    truth = truth_of(read.select(range(4)), {"tags": ("طرق", "مياه")}, ["tags"])
    assert truth["tags"].tolist() == [[1, 1], [-1, -1], [0, 0], [0, 1]]
    assert is_labelled(truth["tags"]).tolist() == [True, False, True, True]


def test_checks_look_at_labels_and_not_at_sets(tmp_path):
    cells = ["طرق|مياه|كل", "طرق|كل", "none|كل", "مياه|كل", "مياه|طرق|كل", "طرق|كل"]
    rows = [{"text": f"حفرة في شارع رقم {number}", "tags": cell} for number, cell in enumerate(cells)]
    held_out = [{"text": "حفرة في مكان آخر", "tags": "طرق|كل"}, {"text": "لا شيء من هذا", "tags": "طرق|جديد"}]
    data, validation = write_csv(tmp_path / "cases.csv", rows), write_csv(tmp_path / "more.csv", held_out)
    labelled = LabelledData(data, multi_label_columns=["tags"], validation=validation, duplicates="identical")
    found = read_data(labelled, TrainConfig(), tmp_path / "cache")
    counts = dict(zip(found.labels["tags"], found.counts["tags"].tolist(), strict=True))
    assert counts == {"طرق": 4, "مياه": 3, "كل": 6, "none": 1}
    assert found.multi_label == ("tags",) and found.labelled == {"tags": 6}
    messages = {finding.kind: finding.message for finding in found.findings}
    assert "'none'" in messages["no label?"] and messages["no label?"].endswith("without any of the labels, write |")
    assert "'كل' in 6 rows of training, which is every row" in messages["label of every row"]
    assert "'جديد' is in 1 row of validation" in messages["unknown label"] and len(found.validation) == 1
    assert "several labels?" not in messages and "few labels a row" not in messages
    (unknown,) = (finding for finding in found.findings if finding.kind == "unknown label")
    assert unknown.rows == ((str(validation), 2),)
    assert set(found.validation["file"]) == {str(validation)}


def test_a_column_with_one_label_a_row_is_asked_about(tmp_path):
    rows = [{"text": f"حفرة في شارع رقم {number}", "tags": "طرق" if number % 2 else "مياه"} for number in range(40)]
    source = write_csv(tmp_path / "a.csv", rows)
    data = LabelledData(source, multi_label_columns=["tags"], duplicates="identical")
    read = read_data(data, TrainConfig(), tmp_path)
    assert any(finding.kind == "few labels a row" and not finding.fatal for finding in read.findings)
    encoder = RowEncoder(tokenizer=None, data=read, config=TrainConfig(), training=True)
    cells = {"طرق|مياه": [1, 1], "مياه": [0, 1], "|": [0, 0], "": [-1, -1]}
    for cell, target in cells.items():
        assert encoder.targets({"label.tags": cell})["tags"].tolist() == target


def test_a_split_leaves_every_label_a_training_row_and_spreads_rare_ones():
    rng = np.random.default_rng(0)
    cells = ["عام|نادر" if row % 20 == 0 else "عام|وحيد" if row == 7 else "عام" for row in range(400)]
    groups = rng.permutation(400)
    table = whole_table({"tags": cells}, groups, multi_label=["tags"])
    held_out = split(table, 0.2, 1)
    rare = np.array(["نادر" in cell for cell in cells])
    assert not held_out[7] and 2 <= (rare & held_out).sum() <= 6
    number = fold_numbers(table, 5, 1)
    assert np.bincount(number[rare], minlength=5).tolist() == [4] * 5


def test_names_of_tasks_that_route_and_names_given_twice_are_refused():
    for labels, several, message in (
        ([], ["topic"], "a multi-label task cannot be named 'topic'"),
        (["tags"], ["tags"], "the label columns name 'tags' twice"),
        ([], [], "there is no label column"),
    ):
        data = LabelledData(None, label_columns=labels, multi_label_columns=several)
        with pytest.raises(ValueError, match=message):
            data.tasks  # noqa: B018


def test_the_loss_is_binary_cross_entropy_over_rows_whose_labels_are_known():
    torch.manual_seed(0)
    logits = torch.randn(5, 3, dtype=torch.float64)
    target = torch.tensor([[1, 0, 1], [0, 0, 0], [-1, -1, -1], [1, 1, 1], [0, 1, 0]], dtype=torch.float64)
    known = target[:, 0] >= 0
    p = torch.sigmoid(logits[known])
    each = -(target[known] * p.log() + (1 - target[known]) * (1 - p).log())
    assert torch.isclose(binary_loss(logits, target, 0.0, None), each.sum() / 4)
    weights = torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64)
    weighed = -(weights * target[known] * p.log() + (1 - target[known]) * (1 - p).log())
    assert torch.isclose(binary_loss(logits, target, 0.0, weights), weighed.sum() / 4)
    assert binary_loss(logits, -torch.ones_like(target), 0.1, None) == 0.0
    smoothed = target[known] * 0.9 + 0.05
    soft = -(smoothed * p.log() + (1 - smoothed) * (1 - p).log())
    assert torch.isclose(binary_loss(logits, target, 0.1, None), soft.sum() / 4)


def test_one_svm_a_label_is_scikit_learns_one_against_the_rest():
    rng = np.random.default_rng(0)
    features = csr_matrix(rng.random((60, 20)).astype(np.float32))
    target = (rng.random((60, 3)) < 0.4).astype(np.int8)
    target[:, 2] = 1
    weights, biases = one_vs_rest_svms(features, target, 0.3)
    reference = OneVsRestClassifier(LinearSVC(C=0.3, random_state=0)).fit(features, target[:, :2])
    assert (features @ weights + biases)[:, :2] == pytest.approx(reference.decision_function(features), abs=1e-5)
    assert (weights[:, 2] == 0).all() and biases[2] == 1.0


def test_a_head_that_starts_from_a_probe_ranks_the_texts_of_its_labels_first():
    rng = np.random.default_rng(0)
    target = (rng.random((300, 3)) < [0.5, 0.1, 1.1]).astype(np.int8)
    vectors = rng.normal(size=(300, 8)) + np.pad(target[:, :2] * 3.0, ((0, 0), (0, 6)))
    weights, bias = one_vs_rest_probe(vectors, target)
    logits = vectors @ weights.T + bias
    assert all(roc_auc_score(target[:, label], logits[:, label]) > 0.9 for label in (0, 1))
    assert (weights[2] == 0).all() and bias[2] > 5


def test_an_update_keeps_a_multi_label_task(run, table, tmp_path):
    replay = [{"text": row["نص"], "dept": row["الجهة"], "tags": row["وسوم"], "style": row["style"]} for row in table]
    corrected = [{**row, "tags": f"{row['tags']}|عاجل"} for row in replay[1:40:2]]
    found = update(
        run.model,
        Dataset.from_list(corrected),
        LabelledData(Dataset.from_list(replay), duplicates="identical"),
        settings(Path("unused"), epochs=2, ngram=None),
        output=tmp_path / "out",
    )
    model = found.run.model
    assert model.multi_label_tasks == ("tags",) and set(model.labels["tags"]) == {*run.model.labels["tags"], "عاجل"}
    assert found.replay.tasks["tags"].n > 0
    assert {change.task for change in found.better + found.worse} <= {"dept", "style", "tags"}
