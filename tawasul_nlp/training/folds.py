"""Cross-validation: each row is answered by a model that neither it nor its duplicates trained or calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.baselines import baseline_answers
from tawasul_nlp.evaluation.evaluator import evaluation_result, predict_all, row_keys
from tawasul_nlp.evaluation.result import EvaluationResult
from tawasul_nlp.evaluation.task_answers import Answers, task_answers
from tawasul_nlp.evaluation.task_evaluation import DataFacts, ModelFacts, TaskSystems, length_bucket
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import digest, divide, made_of
from tawasul_nlp.training.run import fit, load_whole
from tawasul_nlp.training.run_folder import check_run_config, logged, slim, tell
from tawasul_nlp.training.splitting import WholeTable, fold_numbers
from tawasul_nlp.training.tables import LabelledData, label_names

_MODEL = "model"


def cross_validate(
    data: LabelledData,
    config: TrainConfig | None = None,
    *,
    output: str | Path,
    folds: int = 5,
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
        texts = digest(whole.rows, whole.data.tasks)
        made_of_folds = made_of(config, whole.files, whole.data.reading, None, folds=folds, texts=texts)
        check_run_config(output / "folds", made_of_folds, config)
        parts: dict[str, np.ndarray] = {}
        for fold in range(folds):
            of_fold = _fold(whole, number == fold, config, output / "folds" / f"fold{fold + 1}")
            for name, values in of_fold.items():
                pooled = parts.setdefault(name, np.zeros((len(number), *values.shape[1:]), values.dtype))
                pooled[number == fold] = values
        result = _measured(whole, number, parts)
        result.to_json(output / "cross_validation.json")
        return result


def _fold(whole: WholeTable, held_out: np.ndarray, config: TrainConfig, folder: Path) -> dict[str, np.ndarray]:
    """Return what the model and the baselines answer to the rows of a fold; see :func:`_answers`."""
    path = folder / "answers.npz"
    if not path.exists():
        data = divide(whole, ~held_out, config)
        tell(f"{folder.name}: {len(data.train):,} training rows, {int(held_out.sum()):,} rows to measure")
        run = fit(data, config, folder)
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **dict(_answers(whole, run.model, held_out)))
        del run
    slim(folder)
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _answers(whole: WholeTable, model: ComplaintClassifier, held_out: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the parts of each task's and system's answers by name, with a column for each label of the whole table."""
    seen, unseen = whole.take(~held_out), whole.take(held_out)
    texts, seen_texts, seen_labels = list(unseen.rows["text"]), list(seen.rows["text"]), seen.labels
    probabilities, cells_of = predict_all(model, texts, list(seen_labels)), whole.labels
    for task, cells in unseen.labels.items():
        several = task in whole.data.multi_label
        names = label_names(cells_of[task], multi_label=several)
        examples = [(text, cell) for text, cell in zip(seen_texts, seen_labels[task], strict=True) if cell]
        systems = {
            _MODEL: task_answers(model.config.tasks[task], cells, probabilities[task]),
            **baseline_answers(examples, texts, cells, multi_label=several),
        }
        for system, answers in systems.items():
            column_of = {label: column for column, label in enumerate(answers.labels)}
            # Labels that the fold's system lacks get the last column, of nothing.
            answered = np.hstack([answers.answered, np.zeros((len(texts), 1), bool)])
            yield f"{task}/{system}/answered", answered[:, [column_of.get(name, -1) for name in names]]
            if answers.confidence is not None:
                yield f"{task}/{system}/confidence", answers.confidence
            if answers.top3 is not None:
                yield f"{task}/{system}/top3", answers.top3


def _measured(whole: WholeTable, number: np.ndarray, parts: Mapping[str, np.ndarray]) -> EvaluationResult:
    texts, folds = list(whole.rows["text"]), len(np.unique(number))
    systems: dict[str, TaskSystems] = {}
    cells_of = whole.labels
    for task, sets in whole.label_sets.items():
        cells = cells_of[task]
        names, labelled = label_names(cells, multi_label=task in whole.data.multi_label), np.array(cells) != ""
        truth = np.array([[name in labels for name in names] for labels in sets])[labelled]
        pooled = {}
        for system in dict.fromkeys(name.split("/")[1] for name in parts if name.startswith(f"{task}/")):
            confidence, top3 = (parts.get(f"{task}/{system}/{part}") for part in ("confidence", "top3"))
            pooled[system] = Answers(
                labels=names,
                truth=truth,
                answered=parts[f"{task}/{system}/answered"][labelled],
                n_own_labels=len(names),
                confidence=None if confidence is None else confidence[labelled],
                top3=None if top3 is None else top3[labelled],
            )
        systems[task] = TaskSystems(
            column=whole.data.tasks[task],
            labelled=labelled,
            model=pooled.pop(_MODEL),
            baselines=pooled,
            train_rows=round(len(truth) * (1 - 1 / folds)),
            thresholds={},
        )
    return evaluation_result(
        systems,
        model=ModelFacts(f"{folds} models", "cross-validation"),
        data=DataFacts(whole.data.name, None, len(number), (), whole.data.group_column),
        keys=row_keys(texts, cells_of),
        groups=whole.groups,
        slices={"length": list(map(length_bucket, texts)), "fold": [str(fold + 1) for fold in number.tolist()]},
        resamples=1000,
    )
