"""A table with labels of its own becomes a model folder that the classifier reads, from a BERT of AraBERT's kind."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.errors import BackboneError
from tawasul_nlp.evaluation.output import per_cent
from tawasul_nlp.evaluation.task_answers import LabelScores
from tawasul_nlp.model.label_sets import split_labels
from tawasul_nlp.training import LabelledData, TrainConfig, fine_tuning, train
from tawasul_nlp.training.backbone import restore_network
from tawasul_nlp.training.dataset import read_data
from tawasul_nlp.training.losses import TrainingNetwork
from tawasul_nlp.training.run import write_card
from tawasul_nlp.training.run_folder import discard
from tests.training.conftest import DEPARTMENTS, ROOT, on_table, settings, write_csv


def trained(data, out, config, **more):
    columns = {"text_column": "نص", "label_columns": {"dept": "الجهة", "style": "style"}}
    return on_table(train, data, output=out, config=config, **{"duplicates": "identical", **columns, **more})


def command(data, bert, out, *more):
    return [
        *("train", str(data), "--preset", "arabert", "--output", str(out), "--duplicates", "identical"),
        *("--text-column", "نص", "--label-columns", "dept=الجهة,style", "--set", f"backbone={bert}"),
        *("--set", "learning_rate=1e-3", "--set", "head_learning_rate=1e-2", "--set", "bf16=false"),
        *("--set", "gradient_accumulation=2", "--set", "batch_size=8", *more),
    ]


@pytest.mark.slow
@pytest.mark.smoke
def test_the_folder_answers_with_the_tables_own_labels(run, table):
    classifier = ComplaintClassifier.from_pretrained(run.model_folder)
    assert set(classifier.labels["dept"]) == set(DEPARTMENTS.values())
    assert set(classifier.labels["style"]) == {"فصحى", "بحريني"}
    assert set(classifier.labels["tags"]) == {*DEPARTMENTS.values(), "بحريني"} - {DEPARTMENTS["education"]}
    assert classifier.config.profile["name"] == "arabert"
    rows = [row for row in table if row["وسوم"]]
    answers = classifier.predict([row["نص"] for row in rows])
    right = [
        (answer.labels["dept"].id == row["الجهة"], set(answer.label_sets["tags"].ids) == set(split_labels(row["وسوم"])))
        for answer, row in zip(answers, rows, strict=True)
    ]
    assert np.mean(right, axis=0).min() > 0.7
    assert all(0 <= answer.labels["style"].probability <= 1 for answer in answers)


def test_the_run_folder_and_the_card_tell_what_was_done_and_measured(run, cases):
    told = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    assert told["config"]["epochs"] == 6 and told["config"]["profile"] == "arabert"
    assert TrainConfig.load(run.folder / "config.yaml").report_to == ("tensorboard",)
    assert len(next(iter(told["files"].values()))) == 64
    assert told["versions"]["transformers"]
    assert told["train"] + told["validation"] == len(cases)
    metrics = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["validation"]["dept"]["texts"] == told["validation"]
    micro_f1 = run.evaluation.tasks["tags"].metrics["micro_f1"]
    assert metrics["validation"]["tags"]["micro_f1"] == micro_f1.value
    assert told["columns"]["multi_label"] == ["tags"] and metrics["label_issues"].keys() == {"dept", "style", "tags"}
    assert (run.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    log = (run.folder / "train.log").read_text(encoding="utf-8")
    assert "epoch 6: accuracy on validation dept " in log and "(micro F1)" in log
    evaluation = json.loads((run.folder / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["tasks"]["dept"]["n"] == told["validation"]
    assert set(evaluation["tasks"]["dept"]["baselines"]) == {"majority", "TF-IDF + linear SVM"}
    assert list((run.folder / "runs").rglob("events.out.tfevents*"))
    assert not list(run.folder.glob("checkpoint-*"))
    parity = metrics["parity"]  # of the exported graph with the trained network
    assert min(parity[task]["agreement"] for task in ("dept", "style", "tags")) > 0.8
    card = (run.model_folder / "README.md").read_text(encoding="utf-8")
    parts = run.evaluation.tasks
    assert f"| macro F1 | {' | '.join(per_cent(part.metrics['macro_f1']) for part in parts.values())} |" in card
    assert f"{told['train']} training and {told['validation']} validation rows" in card
    shortest = parts["dept"].slices["length"]["1-50"]
    assert f"| 1-50 | {shortest.n} | {per_cent(shortest.accuracy)} |" in card
    assert f"| exact match | - | - | {per_cent(parts['tags'].metrics['exact_match'])} |" in card
    assert "tags (4 labels, of which a text has any number)" in card
    assert "None" not in card and "nan" not in card


def test_a_label_of_several_lines_stays_in_its_line_of_the_card(run, tmp_path):
    weakest = LabelScores(label="طرق\n| وجسور", n=3, precision=0.5, recall=0.5, f1=0.5)
    part = replace(run.evaluation.tasks["dept"], by_label=(weakest,))
    source = run.folder.parent / "cases.csv"
    table = LabelledData(source, text_column="نص", label_columns="dept=الجهة", duplicates="identical")
    data = read_data(table, run.config, tmp_path / "cache")
    (tmp_path / "model").mkdir()
    write_card(replace(run, folder=tmp_path, evaluation=replace(run.evaluation, tasks={"dept": part})), data)
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "\n| طرق \\| وجسور | 3 | 50.0 | 50.0 | 50.0 |\n" in card


def test_label_issues_and_outliers_name_rows_of_the_table(run, cases):
    listed = []
    for name in ("outliers", "label_issues"):
        with (run.folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            listed.append(list(csv.DictReader(file)))
    outliers, label_issues = listed
    assert outliers
    for row in [*outliers, *label_issues]:
        assert cases[int(row["row"]) - 1]["نص"] == row["text"]
    assert all(row["label"] != row["suggestion"] for row in label_issues)


def test_a_run_is_thrown_away_when_it_is_asked_for_and_nothing_else_is(cases, tmp_path):
    out, config = tmp_path / "out", settings(tmp_path / "no-such-encoder")
    data = write_csv(tmp_path / "cases.csv", cases)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("خاص")
    with pytest.raises(ValueError, match="notes holds no run that could be thrown away"):
        trained(data, tmp_path / "notes", config, restart=True)
    for epochs, more in ((2, {}), (3, {"restart": True})):
        with pytest.raises(BackboneError):  # the run begins, and stops at its encoder
            trained(data, out, config.replace(epochs=epochs), **more)
        assert json.loads((out / "run.json").read_text(encoding="utf-8"))["config"]["epochs"] == epochs
        (out / "mine.txt").write_text("خاص")
    assert (out / "mine.txt").exists()


def test_a_run_that_is_thrown_away_in_part_can_still_be_thrown_away(tmp_path):
    for name in ("run.json", "checks.json", "model"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    (tmp_path / "checkpoint-8").mkdir()
    with pytest.raises(NotADirectoryError):  # ends it midway
        discard(tmp_path)
    (tmp_path / "model").unlink()
    discard(tmp_path)
    assert not any(tmp_path.iterdir())


def test_another_run_in_the_folder_is_refused_with_what_differs(cases, tmp_path):
    few = [
        {**case, "عنوان": case["نص"][:20] + str(row), "إدارة": other["الجهة"]}
        for row, (case, other) in enumerate(zip(cases[:60], cases[59::-1], strict=True))
    ]
    data, validation = write_csv(tmp_path / "cases.csv", few[:40]), write_csv(tmp_path / "validation.csv", few[40:])
    # The run begins, and stops at its encoder: what it is made of is written before.
    config = settings(tmp_path / "no-such-encoder", epochs=6)
    for changes, said in (
        ({}, "no-such-encoder"),
        ({}, "no-such-encoder"),
        ({"config": config.replace(epochs=5, ngram=None)}, "holds a run with epochs 6, not 5; ngram "),
        ({"text_column": "عنوان"}, 'columns.text "نص", not "عنوان"; other texts.train'),
        ({"label_columns": {"dept": "إدارة", "style": "style"}}, 'columns.labels.dept "الجهة", not "إدارة"'),
        ({"group_column": "style"}, 'columns.group null, not "style"'),
        ({"duplicates": "incidents"}, 'duplicates "identical", not "incidents"'),
    ):
        with pytest.raises(ValueError) as caught:
            options = {"config": config, "validation": validation, "leave_out": True}
            trained(data, tmp_path / "out", **options | changes)
        assert said in str(caught.value)
    assert str(caught.value).endswith("take another output folder, or throw this run away (restart=True, --restart)")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task_weights": {"dpet": 5.0}}, "task_weights has 'dpet', expected some of the tasks: dept, style"),
        ({"class_weights": {"وزارة": 5.0}}, "class_weights has 'وزارة', expected some of the labels: البلديات, بحريني"),
        ({"backbone": "bundled"}, "profile is 'arabert', but bundled was trained with 'default'"),
        ({"report_to": ("no_such_tracker",)}, "no_such_tracker, which is not installed"),
    ],
)
def test_a_setting_that_would_do_nothing_or_cannot_be_is_refused(cases, tiny_bert, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        trained(write_csv(tmp_path / "cases.csv", cases), tmp_path / "out", settings(tiny_bert, **changes))


@pytest.mark.slow
def test_an_epoch_goes_on_with_what_it_has_not_read(cases, tiny_bert, tmp_path, monkeypatch):
    read: list[str] = []
    batches = 0
    forward = TrainingNetwork.forward

    def counted(self, **batch):
        nonlocal batches
        if self.training:
            batches += 1
            if batches == 4:
                raise KeyboardInterrupt
            texts = zip(batch["input_ids"], batch["attention_mask"], strict=True)
            read.extend(str(ids[mask == 1].tolist()) for ids, mask in texts)
        return forward(self, **batch)

    monkeypatch.setattr(fine_tuning, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(TrainingNetwork, "forward", counted)
    data = write_csv(tmp_path / "cases.csv", cases)
    as_written: dict[str, Any] = {"mask_share": 0, "mlm_weight": 0, "noise_share": 0}
    config = settings(tiny_bert, epochs=1, early_stopping=0, gradient_accumulation=1, ngram=None, **as_written)
    with pytest.raises(KeyboardInterrupt):
        trained(data, tmp_path / "out", config)
    trained(data, tmp_path / "out", config)
    run = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert len(read) == run["train"] and len(set(read)) > 0.95 * len(read)


@pytest.mark.slow
def test_a_killed_run_resumes_from_its_checkpoint(cases, tiny_bert, tmp_path, capsys):
    out = tmp_path / "out"
    data = write_csv(tmp_path / "cases.csv", cases[::2])
    arguments = command(data, tiny_bert, out, "--set", "epochs=8", "--set", "early_stopping=0", "--set", "ngram=null")
    arguments += ["--slice-column", "style"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tawasul_nlp", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    state = None
    while process.poll() is None and state is None:
        time.sleep(0.02)
        # The state is written last, so that a checkpoint with one is complete.
        state = next(iter(out.glob("checkpoint-*/trainer_state.json")), None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state is not None and not (out / "model").exists()
    for name, told in (("checkpoint-9998", None), ("checkpoint-9999", '{"epoch": 8.0, "log_hist')):
        (out / name).mkdir()  # as a kill in the middle of writing one leaves it
        if told is not None:
            (out / name / "trainer_state.json").write_text(told)
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert f"model: {out / 'model'}" in output.out.replace("\n", "")
    assert "checkpoint-" in output.err and ", resuming" in output.err and "accuracy on validation dept" in output.err
    assert "Warning" not in output.err and "LOAD REPORT" not in output.err
    history = json.loads((out / "history.json").read_text(encoding="utf-8"))
    epochs = [entry["epoch"] for entry in history if "eval_loss" in entry]
    assert epochs == list(range(1, 9))
    assert "| فصحى |" in (out / "model" / "README.md").read_text(encoding="utf-8")
    assert ComplaintClassifier.from_pretrained(out / "model").labels.keys() == {"dept", "style"}


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_writes_ends_as_if_it_had_not_been(cases, tiny_bert, tmp_path, monkeypatch):
    data = write_csv(tmp_path / "cases.csv", cases[::2])
    config = settings(tiny_bert, epochs=2, ngram=None, label_issues=False, early_stopping=0)
    straight = trained(data, tmp_path / "straight", config)

    def cut_json(path, value):
        path.write_text('{"config": {"back')
        if "run.json" in path.name:
            raise KeyboardInterrupt

    def cut_weights(state, path):
        path.write_bytes(bytes(1000))
        raise KeyboardInterrupt

    for name, kill in (("run_folder.write_json", cut_json), ("fine_tuning.save_file", cut_weights)):
        with monkeypatch.context() as patched:
            patched.setattr(f"tawasul_nlp.training.{name}", kill)
            with pytest.raises(KeyboardInterrupt):
                trained(data, tmp_path / "killed", config)
    resumed = trained(data, tmp_path / "killed", config)
    weights = [load_file(run.folder / "state.safetensors") for run in (straight, resumed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    files = [(run.folder / "run.json").read_text(encoding="utf-8") for run in (straight, resumed)]
    assert files[0] == files[1]
    history = json.loads((resumed.folder / "history.json").read_text(encoding="utf-8"))
    assert [entry["epoch"] for entry in history if "eval_loss" in entry] == [1, 2]


def test_a_model_goes_on_from_another_and_keeps_what_it_knows_of_the_same_labels(run, cases, tiny_bert, tmp_path):
    still = {"learning_rate": 0.0, "head_learning_rate": 0.0, "epochs": 0.1, "ngram": None, "label_issues": False}
    fewer = [case for case in cases if case["الجهة"] != DEPARTMENTS["education"]]
    fewer += [{**case, "الجهة": "جهة جديدة"} for case in cases[:20]]
    table = Dataset.from_list([{**case, "نص": f"{case['نص']} {row}"} for row, case in enumerate(fewer)])
    model = run.model_folder
    found = trained(table, tmp_path / "out", settings(tiny_bert, backbone=str(model), **still))
    before, after = ComplaintClassifier.from_pretrained(model), found.model
    assert set(after.labels["dept"]) == {*DEPARTMENTS.values(), "جهة جديدة"} - {DEPARTMENTS["education"]}
    texts = [case["نص"] for case in cases[:40]]
    assert (before.encode(texts) * after.encode(texts)).sum(1).min() > 0.99
    heads = [restore_network(folder).heads["dept"] for folder in (model, found.model_folder)]
    for name in set(before.labels["dept"]) & set(after.labels["dept"]):
        old, new = before.labels["dept"].index(name), after.labels["dept"].index(name)
        assert torch.allclose(heads[0].weight[old], heads[1].weight[new], atol=1e-6)


def test_a_trained_model_is_saved_and_read_from_where_it_was_saved(run, tmp_path):
    model = ComplaintClassifier.from_pretrained(run.model_folder)
    again = ComplaintClassifier.from_pretrained(model.save_pretrained(tmp_path / "mine"))
    text = "المجاري طافحة في مجمع 714 منذ أسبوع"
    assert again.predict(text).to_json() == model.predict(text).to_json()
    assert (tmp_path / "mine" / "README.md").exists()
    with pytest.raises(FileExistsError, match="is not empty; name a new folder"):
        model.save_pretrained(tmp_path / "mine")
