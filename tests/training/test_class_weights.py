"""Rare labels can count more in both scorers, and what is chosen by can count every label the same."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import accuracy_score, f1_score

from tawasul_nlp.model.ngram import NgramScorer
from tawasul_nlp.training import LabelledData, NgramConfig, fit
from tawasul_nlp.training.dataset import read_data
from tawasul_nlp.training.losses import class_weights
from tawasul_nlp.training.ngram_fitting import fit_ngram
from tawasul_nlp.training.trainer import metrics_of
from tests.training.conftest import DEPARTMENTS, settings, training_data


def test_balanced_weights_reach_the_ngram_scorer(cases: list[dict[str, str]], tmp_path: Path) -> None:
    labels = {"dept": tuple(sorted(DEPARTMENTS.values()))}
    rare = DEPARTMENTS["education"]
    few = [case for case in cases if case["الجهة"] == rare]
    learned = [case for case in cases if case["الجهة"] != rare] + few[:6]
    target = {"dept": np.array([labels["dept"].index(case["الجهة"]) for case in learned])}
    data = training_data(labels, {"dept": [case["الجهة"] for case in learned]})
    answered = {}
    for given in ("none", "balanced"):
        path = tmp_path / f"{given}.safetensors"
        weights = class_weights(given, data)
        fit_ngram([case["نص"] for case in learned], target, labels, path, NgramConfig(), weights)
        answers = NgramScorer.load(path).scores([case["نص"] for case in few[6:]])["dept"].argmax(1)
        answered[given] = int((answers == labels["dept"].index(rare)).sum())
    assert answered["balanced"] > answered["none"]


def test_the_metrics_of_an_epoch_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    logits = {"dept": rng.normal(size=(50, 4)), "style": rng.normal(size=(50, 2))}
    truth = {"dept": rng.integers(0, 3, 50), "style": rng.integers(0, 2, 50)}  # nobody has the fourth department
    targets = {task: np.eye(logits[task].shape[1])[own] for task, own in truth.items()}
    targets["style"][:9] = 0.0  # rows without a label
    found = metrics_of(list(logits))(
        SimpleNamespace(predictions=tuple(logits.values()), label_ids=tuple(targets.values()))
    )
    kept = {"dept": slice(0, None), "style": slice(9, None)}
    answers = {task: scored.argmax(1)[kept[task]] for task, scored in logits.items()}
    known = {task: truth[task][kept[task]] for task in logits}
    accuracy = np.mean([accuracy_score(known[task], answers[task]) for task in logits])
    f1 = [f1_score(known[task], answers[task], labels=np.unique(known[task]), average="macro") for task in logits]
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert found["macro_f1"] == pytest.approx(np.mean(f1), abs=1e-4)


@pytest.mark.slow
def test_what_is_told_after_each_epoch_is_the_metric_that_is_chosen_by(cases, tiny_bert, tmp_path):
    rows = Dataset.from_list([{"text": case["نص"], "dept": case["الجهة"]} for case in cases])
    config = settings(tiny_bert, epochs=3, early_stopping=2, metric_for_best_model="macro_f1", ngram=None)
    config = config.replace(label_issues=False, class_weights="balanced")
    data = read_data(LabelledData(rows, label_columns="dept", duplicates="identical"), config, tmp_path / "cache")
    curves: list[list[tuple[float, float]]] = []
    fit(data, config, tmp_path / "run", on_epoch=lambda curve: curves.append(list(curve)))
    history = json.loads((tmp_path / "run" / "history.json").read_text(encoding="utf-8"))
    measured = [(entry["epoch"] / 3, entry["eval_macro_f1"]) for entry in history if "eval_macro_f1" in entry]
    assert curves[-1] == measured and [len(curve) for curve in curves] == [*range(1, len(measured) + 1)]
