"""Cross-validation: each row is answered by a model that neither it nor its duplicates trained or calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.baselines import BASELINES, SET_BASELINES, frequent_set, majority, tfidf_svm, tfidf_svms
from tawasul_nlp.evaluation.evaluator import evaluation_result, predict_all, row_keys
from tawasul_nlp.evaluation.result import EvaluationResult
from tawasul_nlp.evaluation.task_answers import answers, label_set_answers
from tawasul_nlp.evaluation.task_evaluation import DataFacts, ModelFacts, TaskSystems, length_bucket
from tawasul_nlp.model.label_sets import label_matrix, set_probability
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import divide, made_of_table
from tawasul_nlp.training.run import fit, load_whole
from tawasul_nlp.training.run_folder import check_run_config, logged, slim, tell
from tawasul_nlp.training.splitting import WholeTable, fold_numbers
from tawasul_nlp.training.tables import LabelledData, label_names


def cross_validate(
    data: LabelledData,
    config: TrainConfig | None = None,
    *,
    output: str | Path,
    folds: int = 5,
    keep_models: bool = False,
    resamples: int = 1000,
) -> EvaluationResult:
    """Train once for each fold on the other folds, and measure all rows by the model that has not seen them.

    Duplicates, and rows with one value in the group or incident column, are in one fold. Of the other folds a part
    validates, as in :func:`~tawasul_nlp.training.train`, so that nothing is chosen or calibrated on the rows that are
    measured.

    Parameters
    ----------
    data : LabelledData
        Without validation rows.
    config : TrainConfig or None
        None for the preset ``e5``.
    output : str or Path
        The run folder: ``folds`` of it has a folder for each, and ``cross_validation.json`` the result. A fold that is
        done is not done again.
    folds : int
        At least 2.
    keep_models : bool
        Whether to keep each fold's model.
    resamples : int
        Bootstrap resamples; duplicates are drawn together.

    Returns
    -------
    EvaluationResult
        Of all rows, with a slice for each fold, and with baselines that were fitted on the same folds. It has no
        thresholds, since each model has its own.

    Raises
    ------
    ValueError
        If the table cannot be trained on or cut into so many folds, or the folder holds another run.
    BackboneError
        If the encoder to start from is unavailable.
    """
    config = (config or TrainConfig.preset("e5")).replace(label_issues=False)
    output = Path(output)
    with logged(output):
        whole = load_whole(replace(data, validation=None), config, output)
        number = fold_numbers(whole, folds, config.seed)
        (output / "folds").mkdir(parents=True, exist_ok=True)
        check_run_config(output / "folds", made_of_table(whole, config, None, folds=folds), config)
        scores: dict[str, np.ndarray] = {}
        for fold in range(folds):
            scores_of_fold = _fold(whole, number == fold, config, output / "folds" / f"fold{fold + 1}", keep_models)
            for name, values in scores_of_fold.items():
                scores.setdefault(name, np.zeros((len(number), values.shape[1])))[number == fold] = values
        facts = DataFacts(data.name, None, len(number), (), data.group_column)
        result = _measured(whole, number, scores, facts, resamples)
        result.to_json(output / "cross_validation.json")
        return result


def _fold(
    whole: WholeTable, held_out: np.ndarray, config: TrainConfig, folder: Path, keep: bool
) -> dict[str, np.ndarray]:
    """Return the scores of the model and the baselines on the rows of a fold: (rows, labels of the whole table)."""
    path = folder / "answers.npz"
    if not path.exists():
        validates = whole.held_out(~held_out, config.validation_share, config.seed)
        data = divide(whole, ~held_out & ~validates, validates, config.seed)
        tell(f"{folder.name}: {len(data.train):,} training rows, {int(held_out.sum()):,} rows to measure")
        run = fit(data, config, folder)
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **dict(_scores(whole, run.model, held_out)))
        del run
    if not keep:
        slim(folder)
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _scores(whole: WholeTable, model: ComplaintClassifier, held_out: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    seen, unseen = whole.take(~held_out), list(whole.take(held_out).rows["text"])
    seen_labels = seen.labels
    probabilities = predict_all(model, unseen, list(seen_labels))
    for task, values in whole.labels.items():
        names = label_names(values, multi_label=task in whole.data.multi_label)
        pairs = [(text, label) for text, label in zip(seen.rows["text"], seen_labels[task], strict=True) if label]
        theirs = [label for _, label in pairs]
        # A label that is only described has no row to measure.
        columns = [index for index, label in enumerate(model.labels[task]) if label in names]
        spread = np.zeros((len(unseen), len(names)), np.float32)
        spread[:, [names.index(model.labels[task][index]) for index in columns]] = probabilities[task][:, columns]
        yield f"model.{task}", spread
        if task in whole.data.multi_label:
            target = label_matrix(theirs, names) == 1
            yield f"answered.{task}", spread >= model.config.tasks[task].label_threshold
            yield f"{SET_BASELINES[0]}.{task}", frequent_set(target, len(unseen))
            yield f"{SET_BASELINES[1]}.{task}", tfidf_svms([text for text, _ in pairs], target, unseen)
            continue
        yield f"{BASELINES[0]}.{task}", majority(theirs, names, len(unseen))
        if len(set(theirs)) > 1:
            yield f"{BASELINES[1]}.{task}", tfidf_svm([text for text, _ in pairs], theirs, names, unseen)


def _measured(
    whole: WholeTable, number: np.ndarray, scores: Mapping[str, np.ndarray], facts: DataFacts, resamples: int
) -> EvaluationResult:
    texts = list(whole.rows["text"])
    folds = len(np.unique(number))
    systems: dict[str, TaskSystems] = {}
    for task, values in whole.labels.items():
        several = task in whole.data.multi_label
        names, rows = label_names(values, multi_label=several), [row for row, cell in enumerate(values) if cell]
        truth = [values[row] for row in rows]
        measured = ("model", "answered", *BASELINES, *SET_BASELINES)
        of_rows = {name: scores[f"{name}.{task}"][rows] for name in measured if f"{name}.{task}" in scores}
        if several:
            chosen = of_rows["answered"] > 0
            model = label_set_answers(names, truth, chosen, set_probability(of_rows["model"], chosen))
            baselines = {name: label_set_answers(names, truth, of_rows[name] > 0) for name in SET_BASELINES}
        else:
            model = answers(names, truth, of_rows["model"])
            baselines = {
                name: answers(names, truth, of_rows[name], probabilities=False) for name in BASELINES if name in of_rows
            }
        systems[task] = TaskSystems(
            column=whole.data.tasks[task],
            labelled=np.array(values) != "",
            model=model,
            baselines=baselines,
            train_rows=round(len(rows) * (1 - 1 / folds)),
            thresholds={},
        )
    return evaluation_result(
        systems,
        model=ModelFacts(f"{folds} models", "cross-validation"),
        data=facts,
        keys=row_keys(texts, whole.labels),
        groups=whole.groups,
        slices={"length": list(map(length_bucket, texts)), "fold": [str(fold + 1) for fold in number.tolist()]},
        resamples=resamples,
    )
