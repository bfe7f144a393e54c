"""Cross-validation measures each row by a model that has not seen it, and resumes after a kill."""

import json

import numpy as np
import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.evaluation import compare
from tawasul_nlp.training import LabelledData, TrainConfig
from tawasul_nlp.training.folds import cross_validate
from tawasul_nlp.training.splitting import fold_numbers
from tests.training.conftest import whole_table, write_csv


def test_folds_keep_groups_together_and_share_labels():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 100, 400)
    labels = [f"جهة {group % 4}" for group in groups]
    number = fold_numbers(whole_table({"dept": labels}, groups), 5, seed=1)
    assert all(len(set(number[groups == group])) == 1 for group in np.unique(groups))
    for label in set(labels):
        shares = np.bincount(number[np.array(labels) == label], minlength=5) / labels.count(label)
        assert shares.min() > 0.1 and shares.max() < 0.35
    with pytest.raises(ValueError, match="folds is 101, expected a number from 2 to 100"):
        fold_numbers(whole_table({"dept": labels}, np.arange(400) % 100), 101, seed=1)


@pytest.mark.slow
def test_every_row_is_measured_once_by_a_model_that_has_not_seen_it(table, tiny_bert, tmp_path, capsys):
    rows = [*table[::3], {**table[0], "نص": table[0]["نص"] + "!"}, {**table[0], "نص": "شكرا", "الجهة": "نادرة"}]
    data, out = write_csv(tmp_path / "cases.csv", rows), tmp_path / "out"
    arguments = ["train", str(data), "--folds", "2", "-t", "نص", "--label-columns", "dept=الجهة", "-o", str(out)]
    arguments += ["--duplicates", "identical", "--preset", "arabert", "--set", f"backbone={tiny_bert}"]
    arguments += ["--set", "epochs=1", "--set", "bf16=false", "--multi-label-columns", "tags=وسوم"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "TF-IDF + linear SVM" in shown and "model's gain" in shown and "exact match" in shown
    told = json.loads((out / "cross_validation.json").read_text(encoding="utf-8"))
    task = told["tasks"]["dept"]
    assert task["n"] == len(rows) == sum(fold["n"] for fold in task["slices"]["fold"].values())
    assert "-" not in told["rows"]["hits"]["dept"]
    # The only text of its label: the model that measures it cannot know the label.
    assert told["rows"]["hits"]["dept"][-1] == "0"
    assert told["rows"]["groups"][0] == told["rows"]["groups"][-2]
    sets, labelled = told["tasks"]["tags"], sum(bool(row["وسوم"]) for row in rows)
    assert sets["n"] == labelled == len(told["rows"]["hits"]["tags"].replace("-", ""))
    assert set(sets["baselines"]) == {"most frequent set", "TF-IDF + linear SVM"}
    seen = []
    for fold in (1, 2):
        folder = out / "folds" / f"fold{fold}"
        assert not (folder / "model").exists() and (folder / "train.log").read_text(encoding="utf-8").count("epoch 1:")
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        seen.append(run["train"] + run["validation"])
    assert sum(seen) == len(rows)
    assert not (out / "model").exists()

    (out / "folds" / "fold2" / "answers.npz").unlink()  # as after a kill: the first fold is not done again
    kept = (out / "folds" / "fold1" / "answers.npz").stat().st_mtime_ns
    config = TrainConfig.preset("arabert", backbone=str(tiny_bert), epochs=1, bf16=False)
    columns = {"label_columns": "dept=الجهة", "multi_label_columns": "tags=وسوم"}
    labelled = LabelledData(data, "نص", **columns, duplicates="identical")
    again = cross_validate(labelled, config, output=out, folds=2)
    assert (out / "folds" / "fold1" / "answers.npz").stat().st_mtime_ns == kept
    compared = compare(out / "cross_validation.json", again).tasks
    assert compared["dept"].n == len(rows) and compared["tags"].points == (0, 0, 0)
    with pytest.raises(ValueError, match="holds a run with folds 2, not 3"):
        cross_validate(labelled, config, output=out, folds=3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--folds", "2", "--validation", "other.csv"], "leave --validation out"),
        (["--folds", "1"], "folds is 1, expected a number from 2 to"),
    ],
)
def test_folds_that_cannot_be_are_refused(cases, tiny_bert, tmp_path, capsys, more, message):
    data = write_csv(tmp_path / "cases.csv", cases)
    arguments = ["train", str(data), "-t", "نص", "--label-columns", "style", "-o", str(tmp_path / "out"), *more]
    assert main([*arguments, "--duplicates", "identical", "--set", f"backbone={tiny_bert}"]) in (1, 2)
    assert message in " ".join(capsys.readouterr().err.split())
