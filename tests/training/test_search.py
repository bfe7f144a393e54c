"""A search trains many settings, resumes after a kill, and writes the best of them."""

import csv
import json
import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tawasul_nlp import DataError
from tawasul_nlp.cli import main
from tawasul_nlp.training import LabelledData, TrainConfig, train
from tawasul_nlp.training.config import NgramConfig
from tawasul_nlp.training.search import check_space, choices, default_space, load_space, overrides, search
from tests.training.conftest import ROOT, settings, write_csv
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

SPACE: dict[str, Any] = {
    "head_learning_rate": FloatDistribution(1e-3, 3e-2, log=True),
    "batch_size": choices(8, 16),
    "ngram.min_df": choices([1, 1], [2, 1]),
}


@pytest.mark.parametrize("preset", ["e5", "few_shot", "arabert"])
def test_the_default_space_is_sound_around_every_configuration(preset):
    config = TrainConfig.preset(preset)
    space = default_space(config)
    check_space(space, config)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    for _ in range(5):
        config.overridden(*overrides(study.ask(space)))
    assert "ngram.C" not in default_space(config.replace(ngram=None))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"learning_rat": FloatDistribution(0.1, 0.2)}, "did you mean 'learning_rate'"),
        ({"learning_rate": FloatDistribution(0.1, 7)}, "learning_rate is '7.0', expected a number from 0 to 1"),
        ({"profile": FloatDistribution(1, 2)}, "profile is '1.0', expected one of"),
        ({"validation_share": choices(0.1, 0.2)}, "cannot be searched"),
        ({"batch_size": choices(8.5)}, "expected a whole number"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        check_space(space, TrainConfig.preset("e5"))


def test_a_space_in_yaml_is_read_and_an_error_names_its_line(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("learning_rate: {low: 5e-5, high: 5.0e-4, log: true}\nngram.min_df: [[1, 1], [2, 2]]\n")
    space = load_space(path)
    assert space == {"learning_rate": FloatDistribution(5e-5, 5e-4, log=True), "ngram.min_df": choices((1, 1), (2, 2))}
    assert TrainConfig().overridden("ngram.min_df=[2, 2]").ngram == NgramConfig(min_df=(2, 2))
    for text in (
        "epochs: []",
        "epochs: {low: 3}",
        "epochs: {low: 3, high: 2}",
        "epochs: 3",
        "epochs: {low: a, high: b}",
    ):
        path.write_text(f"batch_size: [16]\n{text}\n")
        with pytest.raises(DataError, match=r"space\.yaml:2: "):
            load_space(path)


@pytest.fixture(scope="module")
def found(table, tiny_bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    data = LabelledData(
        write_csv(folder / "cases.csv", table),
        text_column="نص",
        label_columns="dept=الجهة",
        multi_label_columns="tags=وسوم",
        descriptions={"tags": {"عاجل": "خطر على الناس يحتاج إلى تدخل فوري"}},
        duplicates="identical",
    )
    config = settings(tiny_bert, epochs=2, early_stopping=0, class_weights="balanced")
    searched = partial(search, data, config, space=SPACE, output=folder / "out")
    return searched(trials=6), searched


def ended(study):
    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def test_the_best_settings_and_all_trials_are_written(found):
    study, searched = found
    out, config = searched.keywords["output"], searched.args[1]
    finished = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert study.trials[0].params == {} and finished[0].number == 0
    best = max(finished, key=lambda trial: trial.value)
    assert TrainConfig.load(out / "best.yaml") == config.overridden(*overrides(best))
    with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [trial.state.name for trial in study.trials]
    assert {row["value"] for row in rows if row["state"] == "COMPLETE"} == {str(trial.value) for trial in finished}
    assert "params_ngram.min_df" in rows[0]
    assert not list(out.glob("trial*/**/*.onnx"))
    evaluated = json.loads((out / "trial1" / "evaluation.json").read_text(encoding="utf-8"))
    assert not evaluated["tasks"]["dept"]["baselines"]  # which take longer than the figures
    assert "tags" in evaluated["tasks"]


def test_a_finished_search_is_read_again_goes_on_with_more_trials_and_refuses_another_space(found):
    study, searched = found
    assert ended(searched(trials=6)) == ended(study)
    more = ended(searched(trials=7))
    assert more[:6] == ended(study)[:6] and len(more) == 7
    with pytest.raises(ValueError, match="holds a run with .*other space"):
        train(*searched.args, output=searched.keywords["output"])
    with pytest.raises(ValueError, match="holds a run with other space"):
        searched(trials=6, space={"batch_size": choices(8, 16)})


def test_a_killed_search_resumes_and_ends_as_if_it_had_not_been(cases, tiny_bert, tmp_path):
    data = write_csv(tmp_path / "cases.csv", cases)
    space = tmp_path / "space.yaml"
    space.write_text("head_learning_rate: {low: 1.0e-3, high: 3.0e-2, log: true}\n", encoding="utf-8")

    def command(out):
        return [
            *("train", str(data), "--preset", "arabert", "-o", str(out), "--duplicates", "identical", "-t", "نص"),
            *("--label-columns", "dept=الجهة", "--search", "3", "--search-space", str(space)),
            *("--set", f"backbone={tiny_bert}", "--set", "bf16=false", "--set", "epochs=2", "--set", "batch_size=8"),
        ]

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "tawasul_nlp", *command(killed)], env=environment)
    try:
        wait_until(lambda: (killed / "trial2" / "tokenizer").is_dir(), process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (killed / "best.yaml").exists()
    assert main(command(killed)) == 0 and main(command(whole)) == 0
    values = []
    for out in (killed, whole):
        with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
            values.append([{**row, "duration": ""} for row in csv.DictReader(file)])
    assert values[0] == values[1]
    assert (killed / "best.yaml").read_bytes() == (whole / "best.yaml").read_bytes()
