"""A table with labels of its own becomes a model folder that the classifier reads, from a BERT of AraBERT's kind."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.training.backbone import BackboneError, load_backbone
from tawasul_nlp.training.card import write_card
from tawasul_nlp.training.config import table_recipe
from tawasul_nlp.training.dataset import read_material
from tawasul_nlp.training.package import NETWORK, NETWORK_CONFIG, save_network
from tawasul_nlp.training.run import retrain
from tawasul_nlp.training.tables import Columns
from tests.training.conftest import DEPARTMENTS, write_csv
from training.corpus import corpus_material
from training.train import _install, main

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "tawasul_nlp" / "training" / "presets"


def command(data: Path, bert: Path, out: Path, *more: str) -> list[str]:
    return [
        *("--recipe", str(RECIPES / "arabert.yaml"), "--data", str(data), "--out", str(out)),
        *("--text-column", "نص", "--label-columns", "dept=الجهة,style", "--duplicates", "identical"),
        *("--set", f"backbone={bert}", "--set", "rate=1e-3", "--set", "head_rate=1e-2", "--set", "bf16=false"),
        *("--set", "mlm_weight=0.1", "--set", "gradient_accumulation=2", "--set", "batch_size=8", *more),
    ]


@pytest.fixture(scope="module")
def run(cases: list[dict[str, str]], tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    data = write_csv(folder / "cases.csv", cases)
    main(command(data, tiny_bert, folder / "out", "--set", "epochs=4", "--set", "report_to=[tensorboard]"))
    return folder / "out"


def test_the_folder_answers_with_the_tables_own_labels(run: Path, cases: list[dict[str, str]]) -> None:
    classifier = ComplaintClassifier.from_pretrained(run / "model")
    assert set(classifier.labels["dept"]) == set(DEPARTMENTS.values())
    assert set(classifier.labels["style"]) == {"فصحى", "بحريني"}
    assert classifier.config.profile["name"] == "arabert"
    answers = classifier.predict([case["نص"] for case in cases])
    right = np.mean([a.labels["dept"].id == case["الجهة"] for a, case in zip(answers, cases, strict=True)])
    assert right > 0.8
    assert all(0 <= answer.labels["style"].probability <= 1 for answer in answers)


def test_the_run_folder_tells_what_was_done(run: Path, cases: list[dict[str, str]]) -> None:
    told = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert told["recipe"]["epochs"] == 4 and told["recipe"]["profile"] == "arabert"
    assert len(next(iter(told["files"].values()))) == 64
    assert told["versions"]["transformers"]
    assert told["train"] + told["validation"] == len(cases)
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["validation"]["dept"]["texts"] == told["validation"]
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((run / "checkpoints" / "runs").rglob("events.out.tfevents*"))
    assert not list((run / "checkpoints").glob("checkpoint-*"))


def test_the_exported_graphs_answer_as_the_trained_network_does(run: Path) -> None:
    parity = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["parity"]
    for task in ("dept", "style"):
        assert parity["float"][task]["agreement"] == 1.0
        assert parity["float"][task]["max_difference"] < 1e-3
        assert parity["int8"][task]["agreement"] > 0.9
    assert parity["int8"]["embedding"]["cosine"] > 0.99


def test_the_card_holds_the_measured_figures(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    measured = metrics["validation"]["dept"]
    assert f"| dept | {measured['texts']} | {100 * measured['accuracy']:.1f}% |" in card
    assert f"{metrics['data']['train']} training and {metrics['data']['validation']} validation rows" in card
    assert "None" not in card and "nan" not in card


def test_a_label_of_several_lines_stays_in_its_line_of_the_card(run: Path, tmp_path: Path) -> None:
    known = json.loads((run / "run.json").read_text(encoding="utf-8"))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    found = metrics["validation"]["dept"]
    found["weakest"] = [{"label": "طرق\n| وجسور", "texts": 3, "f1": 0.5}]
    found["confusions"] = [{"label": "طرق\n# وجسور", "answered": "مياه\n\nوكهرباء", "texts": 2}]
    write_card(tmp_path, known, metrics)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "طرق | وجسور (50.0%, 3 texts)." in card and "طرق # وجسور for مياه وكهرباء (2)." in card


def test_suspects_and_outliers_name_rows_of_the_table(run: Path, cases: list[dict[str, str]]) -> None:
    with (run / "outliers.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert listed
    with (run / "suspects.csv").open(encoding="utf-8", newline="") as file:
        suspects = list(csv.DictReader(file))
    for row in [*listed, *suspects]:
        assert cases[int(row["row"]) - 1]["نص"] == row["text"]
    assert all(row["label"] != row["suggestion"] for row in suspects)


def test_a_second_run_in_the_folder_with_another_recipe_is_refused(
    run: Path, tiny_bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(command(run.parent / "cases.csv", tiny_bert, run, "--set", "epochs=5"))
    assert "holds a run with other recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        (("--text-column", "عنوان"), "columns, texts"),
        (("--label-columns", "dept=إدارة,style"), "columns, texts"),
        (("--group-column", "style"), "columns"),
        (("--duplicates", "incidents"), "duplicates"),
        (("--streaming",), "streaming, texts"),
    ],
    ids=lambda changes: changes[0] if isinstance(changes, tuple) else "",
)
def test_a_second_run_in_the_folder_on_other_columns_or_texts_is_refused(
    cases: list[dict[str, str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: tuple[str, ...],
    differing: str,
) -> None:
    few = [
        {**case, "عنوان": case["نص"][:20] + str(row), "إدارة": other["الجهة"]}
        for row, (case, other) in enumerate(zip(cases[:60], cases[59::-1], strict=True))
    ]
    data, validation = write_csv(tmp_path / "cases.csv", few[:40]), write_csv(tmp_path / "validation.csv", few[40:])
    # The run begins, and stops at its encoder: what it is made of is written before.
    arguments = command(data, tmp_path / "no-such-encoder", tmp_path / "out", "--validation", str(validation))
    for more, said in (((), "no-such-encoder"), ((), "no-such-encoder"), (changes, f"run with other {differing};")):
        with pytest.raises(SystemExit):
            main([*arguments, "--leave-out", *more])
        assert said in capsys.readouterr().err


def test_the_same_columns_split_in_another_way_are_other_texts(cases: list[dict[str, str]], tmp_path: Path) -> None:
    data = write_csv(tmp_path / "cases.csv", cases)
    recipe = table_recipe({"backbone": str(tmp_path / "no-such-encoder")})
    columns = Columns.parse("نص", "dept=الجهة")
    material = read_material(data, columns, recipe, tmp_path / "cache", duplicates="identical")
    with pytest.raises(BackboneError):
        retrain(material, recipe, tmp_path / "out")
    turned = replace(material, train=material.train.select(range(material.rows)[::-1]))
    with pytest.raises(ValueError, match="run with other texts;"):
        retrain(turned, recipe, tmp_path / "out")


def test_a_tracker_that_is_not_installed_is_named(
    cases: list[dict[str, str]], tiny_bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path / "cases.csv", cases)
    with pytest.raises(SystemExit):
        main(command(data, tiny_bert, tmp_path / "out", "--set", "report_to=[no_such_tracker]"))
    assert "no_such_tracker, which is not installed" in capsys.readouterr().err


def test_a_killed_run_goes_on_from_its_checkpoint(cases: list[dict[str, str]], tiny_bert: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = write_csv(tmp_path / "cases.csv", cases[::2])
    arguments = command(data, tiny_bert, out, "--set", "epochs=8", "--set", "early_stopping=0", "--set", "ngram=null")
    process = subprocess.Popen(
        [sys.executable, "-m", "training.train", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    state = None
    while process.poll() is None and state is None:
        time.sleep(0.02)
        # The state is written last, so that a checkpoint with one is complete.
        state = next(iter((out / "checkpoints").glob("checkpoint-*/trainer_state.json")), None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state is not None and not (out / "model").exists()
    for name, told in (("checkpoint-9998", None), ("checkpoint-9999", '{"epoch": 8.0, "log_hist')):
        (out / "checkpoints" / name).mkdir()  # as a kill in the middle of writing one leaves it
        if told is not None:
            (out / "checkpoints" / name / "trainer_state.json").write_text(told)
    main(arguments)
    history = json.loads((out / "history.json").read_text(encoding="utf-8"))
    epochs = [entry["epoch"] for entry in history if "eval_loss" in entry]
    assert epochs == list(range(1, 9))
    assert ComplaintClassifier.from_pretrained(out / "model").labels.keys() == {"dept", "style"}


def test_a_run_that_was_killed_while_it_wrote_its_result_writes_all_of_it_again(
    cases: list[dict[str, str]], tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    data = write_csv(tmp_path / "cases.csv", cases[::2])
    arguments = command(data, tiny_bert, out, "--set", "epochs=1", "--set", "ngram=null")

    def killed(state: object, path: Path) -> None:
        path.write_bytes(bytes(1000))
        raise KeyboardInterrupt

    def killed_earlier(path: Path, value: object) -> None:
        path.write_text('{"recipe": {"back')
        raise KeyboardInterrupt

    for name, kill in (
        ("tawasul_nlp.training.run._write_json", killed_earlier),
        ("tawasul_nlp.training.trainer.save_file", killed),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(name, kill)
            with pytest.raises(KeyboardInterrupt):
                main(arguments)
    assert (out / "recipe.yaml").exists() and (out / "history.json").exists() and (out / "curves.png").exists()
    main(arguments)
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["recipe"]["epochs"] == 1
    assert ComplaintClassifier.from_pretrained(out / "model").labels.keys() == {"dept", "style"}


def test_the_bundled_model_stays_until_the_new_one_is_there_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled, trained = tmp_path / "bundled", tmp_path / "trained"
    monkeypatch.setattr("training.train.BUNDLED", bundled)
    for folder, content in ((bundled, "old"), (trained, "new")):
        folder.mkdir()
        (folder / "config.json").write_text(content)

    def killed(source: Path, target: Path) -> None:
        target.mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("training.train.shutil.copytree", killed)
        with pytest.raises(KeyboardInterrupt):
            _install(trained)
    assert (bundled / "config.json").read_text() == "old"
    _install(trained)
    assert (bundled / "config.json").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"bundled", "trained"}


def test_a_streamed_table_trains_without_being_held(
    cases: list[dict[str, str]], tiny_bert: Path, tmp_path: Path
) -> None:
    # Rows of the table itself: so small a network learns by heart, and tells nothing of others.
    seen = cases[::4]
    data = write_csv(tmp_path / "train.csv", cases)
    validation = write_csv(tmp_path / "validation.csv", seen)
    out = tmp_path / "out"
    main(
        [
            *command(data, tiny_bert, out, "--set", "epochs=16", "--set", "gradient_accumulation=1"),
            *("--validation", str(validation), "--streaming", "--set", "head_start=probe"),
        ]
    )
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert "no n-gram reader" in (out / "model" / "README.md").read_text(encoding="utf-8")
    assert metrics["data"]["train"] == len(cases)
    assert metrics["validation"]["dept"]["accuracy"] > 0.6
    history = json.loads((out / "history.json").read_text(encoding="utf-8"))
    assert [entry["epoch"] for entry in history if "eval_loss" in entry][:3] == [1, 2, 3]


def test_the_corpus_with_the_taxonomy_is_what_a_recipe_trains_on_without_a_table(
    tiny_bert: Path, tmp_path: Path
) -> None:
    corpus = corpus_material()
    assert corpus.rows == len(corpus.train) > 20_000
    few = replace(corpus, train=corpus.train.select(range(400)), validation=corpus.validation.select(range(80)))
    few = replace(few, rows=400, groups=corpus.groups[:400], leaked=corpus.leaked[:80])
    recipe = table_recipe({"backbone": str(tiny_bert), "epochs": 1, "mlm_weight": 0.0, "ngram": None, "bf16": False})
    classifier = ComplaintClassifier.from_pretrained(retrain(few, recipe, tmp_path / "run"))
    answer = classifier.predict("المجاري طافحة في مجمع 714 منذ أسبوع")
    assert answer.topic.id in classifier.taxonomy.topics
    assert answer.routing is not None
    assert classifier.config.tasks["agency"].parent == "topic"


def test_the_torch_files_hold_the_whole_network(tiny_bert: Path, tmp_path: Path) -> None:
    encoder, _ = load_backbone(str(tiny_bert), list, tmp_path, 0.1)
    network = MultiTaskNetwork(encoder, {"dept": 4})
    save_network(network, tmp_path)
    config = BertConfig.from_json_file(tmp_path / NETWORK_CONFIG)
    again = MultiTaskNetwork(BertModel(config, add_pooling_layer=False), {"dept": 4})
    again.load_state_dict(load_file(tmp_path / NETWORK))
    ids = torch.tensor([[2, 20, 30, 3]])
    for old, new in zip(network.eval()(ids, ids > 0), again.eval()(ids, ids > 0), strict=True):
        assert torch.allclose(old, new, atol=1e-6)
