"""A model is trained further on corrections, and compared with the one before on rows that neither choice saw."""

import json
import shutil
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper
from tawasul_nlp.cli import main
from tawasul_nlp.model.folder import ENCODER, VERIFIER, file_hash, read_config
from tawasul_nlp.model.network import INCIDENT_SIZE
from tawasul_nlp.training import LabelledData, train, update
from tawasul_nlp.training.backbone import restore_network
from tawasul_nlp.training.dataset import read_whole
from tawasul_nlp.training.package import export
from tawasul_nlp.training.splitting import folded
from tawasul_nlp.training.update import _divided, _parents, update_config
from tests.training.conftest import DEPARTMENTS, on_table, settings, write_csv
from training.corpus import LabelSpace, load_examples

pytestmark = pytest.mark.slow

NEW = DEPARTMENTS["education"]


@pytest.fixture(scope="module")
def corrections(cases, known):
    """Return cases of a new department, and a few known ones with another label."""
    new = [{"text": case["نص"], "dept": case["الجهة"]} for case in cases if case["الجهة"] == NEW]
    return [*new, *({**case, "dept": NEW} for case in known[:6])]


@pytest.fixture(scope="module")
def model(known, tiny_bert, tmp_path_factory):
    config = settings(tiny_bert, epochs=3, label_issues=False, gradient_accumulation=1)
    data = LabelledData(Dataset.from_list(known), label_columns="dept", duplicates="identical")
    return train(data, config, output=tmp_path_factory.mktemp("before") / "run").model_folder


def test_an_update_learns_a_new_label_keeps_the_others_and_tells_what_changed(
    model, known, corrections, tmp_path, capsys
):
    replay, rows = write_csv(tmp_path / "cases.csv", known), write_csv(tmp_path / "corrections.csv", corrections)
    out = tmp_path / "out"
    arguments = ["update", str(model), str(rows), "--replay", str(replay), "-o", str(out), "--duplicates", "identical"]
    for setting in ("epochs=3", "learning_rate=1e-3", "head_learning_rate=1e-2", "bf16=false", "batch_size=8"):
        arguments += ["--set", setting]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "held-out corrections:" in shown and "held-out replay:" in shown and f"dept {NEW}" in shown
    told = json.loads((out / "update.json").read_text(encoding="utf-8"))
    after, before = told["corrections"]["tasks"]["dept"]["accuracy"]
    assert before == 0.0 and after > 0.3
    assert told["better"][0]["label"] == NEW and told["better"][0]["before"] == 0.0
    assert set(ComplaintClassifier.from_pretrained(out / "model").labels["dept"]) == set(DEPARTMENTS.values())
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    held = told["corrections"]["tasks"]["dept"]["n"] + told["replay"]["tasks"]["dept"]["n"]
    assert run["train"] + run["validation"] + held == len(known) + len(corrections) - 6


def test_what_is_held_out_is_neither_trained_nor_validated_on_and_corrections_replace_the_replay(
    model, known, corrections, tmp_path
):
    tables = [Dataset.from_list(rows) for rows in (known, corrections)]
    replay = LabelledData(tables[0], label_columns="dept", duplicates="identical")
    whole = read_whole(replay, tmp_path, tables[1])
    data, tested = _divided(whole, update_config(ComplaintClassifier.from_pretrained(model)), 0.2)
    texts = np.array(folded(list(whole.rows["text"])))
    used = [*folded(list(data.train["text"])), *folded(list(data.validation["text"]))]
    assert tested.any() and not set(texts[tested]) & set(used)
    given = dict(zip(data.train["text"], data.train["label.dept"], strict=True))
    corrected = {row["text"]: row["dept"] for row in corrections}
    assert all(given[text] == corrected[text] for text in set(given) & set(corrected))
    assert len(set(given) & {row["text"] for row in known[:6]}) > 0


def test_the_encoder_may_see_a_part_of_the_replay_with_every_label_and_the_ngram_scorer_learns_from_all(
    model, known, corrections, tmp_path
):
    replay, rows = Dataset.from_list(known), Dataset.from_list(corrections)
    config = update_config(ComplaintClassifier.from_pretrained(model)).replace(epochs=1, bf16=False, label_issues=False)
    options: dict[str, Any] = {"duplicates": "identical", "config": config, "encoder_rows": 10}
    found = on_table(partial(update, model, rows), replay, output=tmp_path / "out", **options)
    seen = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert 10 <= seen["train"] <= 10 + len(corrections) and set(seen["labels"]["dept"]) == set(DEPARTMENTS.values())
    log = (tmp_path / "out" / "train.log").read_text(encoding="utf-8")
    tested = found.corrections.tasks["dept"].n + found.replay.tasks["dept"].n
    learned = int(log.partition("n-gram scorer: ")[2].split()[0])
    assert learned == len(known) + len(corrections) - 6 - tested - seen["validation"] > seen["train"]


def test_a_task_that_another_one_decides_stays_so_unless_that_gets_a_new_label():
    bundled = ComplaintClassifier.from_pretrained()
    labels = dict(bundled.labels)
    (parent,) = _parents(bundled, labels).values()
    assert parent.task == "topic" and parent.label_of["sewage_overflow"] == "works"
    assert _parents(bundled, labels | {"topic": (*labels["topic"], "new")}) == {}


def test_an_update_of_the_bundled_model_keeps_what_its_tables_say_nothing_about(tmp_path):
    bundled = ComplaintClassifier.from_pretrained()
    examples = load_examples("validation", LabelSpace.load(), reports=False)
    unseen = {label for task in ("topic", "agency") for label in bundled.labels[task]}
    rows: list[dict[str, str]] = []
    for case in examples + load_examples("train", LabelSpace.load(), reports=False):
        if unseen & {case.topic, case.agency} or len(rows) < 60:
            unseen -= {case.topic, case.agency}
            labels = {"topic": case.topic, "agency": case.agency, "urgency": case.urgency or "normal"}
            rows.append({"text": case.text, "kind": case.kind or "complaint", **labels})
    for kind, urgency in zip(bundled.labels["kind"], ("normal", "urgent", "emergency", "normal"), strict=True):
        rows += [{**row, "text": f"{row['text']} {kind}", "kind": kind, "urgency": urgency} for row in rows[:10]]
    config = update_config(bundled).replace(epochs=0.1, label_issues=False)
    options: dict[str, Any] = {"duplicates": "identical", "config": config, "leave_out": True}
    replay, corrections = Dataset.from_list(rows[20:]), Dataset.from_list(rows[:20])
    after = on_table(partial(update, None, corrections), replay, output=tmp_path / "out", **options).run.model
    assert after.config.issues == bundled.config.issues and after.config.reads_pairs
    for name, task in bundled.config.tasks.items():
        kept = after.config.tasks[name]
        assert (kept.weights, kept.temperature, kept.preferred) == (task.weights, task.temperature, task.preferred)
        assert len(kept.prior) == len(task.prior), "priors are measured again"
    two = "الحاوية عند بيتنا ممتلئة من أسبوع والروائح مؤذية، وبعد إنارة الشارع طافية من شهر في مجمع 905"
    assert {issue.topic.id for issue in after.predict(two).issues} == {"waste_collection", "street_lighting_fault"}
    leak = "انفجر أنبوب الماء في شارع البديع عند المخبز والشارع غرق"
    groups = DuplicateGrouper(after).group([leak, leak.replace("انفجر", "انفجرر"), two])
    assert groups.labels[0] == groups.labels[1] != groups.labels[2]
    card = (tmp_path / "out" / "model" / "README.md").read_text(encoding="utf-8")
    assert f"an update of the model `{bundled.config.model_hash}`" in card


@pytest.mark.parametrize("incident", [True, False])
def test_a_verifier_of_its_own_stays_where_the_updated_model_finds_incidents(
    incident, model, known, corrections, tmp_path
):
    folder = tmp_path / "before"
    shutil.copytree(model, folder)
    network = restore_network(folder)
    if incident:
        width = len(network.incident_layers) * network.encoder.config.hidden_size
        network.incident = torch.nn.Linear(width, INCIDENT_SIZE, bias=False)
    export(network, folder / ENCODER)
    shutil.copy(folder / ENCODER, folder / VERIFIER)  # an update does not run it
    config = read_config(folder, verify=False)
    files = {name: file_hash(folder / name) for name in (*config.files, VERIFIER)}
    replace(config, files=files, separator=3).save(folder)
    config = update_config(ComplaintClassifier.from_pretrained(folder)).replace(
        epochs=1, bf16=False, label_issues=False
    )
    changed = partial(update, folder, Dataset.from_list(corrections))
    found = on_table(
        changed, Dataset.from_list(known), output=tmp_path / "out", duplicates="identical", config=config
    ).run.model.config
    assert (VERIFIER in found.files, found.reads_pairs, found.encoder_separator) == (incident, incident, None)


def test_an_update_that_would_lose_something_is_refused(model, known, corrections, tmp_path):
    def refused(replay, rows, message, **more):
        changed = partial(update, model, Dataset.from_list(rows), restart=True, output=tmp_path / "out")
        with pytest.raises(ValueError, match=message):
            on_table(changed, Dataset.from_list(replay), duplicates="identical", **more)

    works = [row for row in known if row["dept"] != DEPARTMENTS["works"]]
    others = [row for row in corrections if row["text"] not in {row["text"] for row in known}]
    refused(works, others, "lose 1 labels of dept, of which neither table has a row: وزارة الأشغال; add rows")
    refused(known, corrections[:3], "corrections: 3 groups of rows are too few to hold 20% of them out")
    named = [{**row, "kind": "شكوى"} for row in known]
    refused(named, named[:20], "the model would lose dept, which no label column is for", label_columns=["kind"])
    recalled = update_config(ComplaintClassifier.from_pretrained(model)).replace(least_recall={NEW: 0.9})
    refused(known, corrections, "an update keeps that of the model before; leave it out", config=recalled)
