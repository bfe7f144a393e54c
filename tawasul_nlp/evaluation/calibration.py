"""Calibrate a trained model on labelled rows: scorer weights, temperatures, powers and thresholds, and no more."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.evaluator import Progress, folded, loaded, read_columns, task_columns
from tawasul_nlp.evaluation.fitting import (
    TARGET_ERRORS,
    ScorerScores,
    fit_answers,
    fit_label_scores,
    with_label_threshold,
)
from tawasul_nlp.evaluation.metrics import expected_calibration_error
from tawasul_nlp.evaluation.output import per_cent, terminal_table, to_plain, write_json, write_text
from tawasul_nlp.evaluation.task_evaluation import DataFacts, ModelFacts
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import BUNDLED, CARD, ModelConfig, TaskConfig
from tawasul_nlp.model.hub import check_new_folder, copy_model
from tawasul_nlp.model.label_sets import label_matrix, set_probability, split_labels
from tawasul_nlp.model.thresholds import decide, thresholds_at, unreached
from tawasul_nlp.tables.labelled import LabelledTable, open_labelled

if TYPE_CHECKING:
    from rich.console import RenderableType

LEAST_ROWS = 20
"""With fewer labelled rows even a task without a mistake could promise no error below 5%."""
# As training does: so many texts of an unknown label are thought to be among the others.
_PRIOR = 1.0
_TARGETS = tuple(map(str, TARGET_ERRORS))
_BATCH = 64


@dataclass(frozen=True, slots=True)
class AcceptedAnswers:
    """Share of the answers that need no review, and of wrong ones among them (None if there are none)."""

    coverage: float
    error: float | None


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """What one calibration does on the rows."""

    # Of a multi-label task, the share of sets that are exactly right.
    accuracy: float
    # Expected calibration error.
    ece: float
    # By target error.
    accepted: dict[str, AcceptedAnswers]


@dataclass(frozen=True, slots=True)
class TaskCalibration:
    """What the calibration changed for one task."""

    # Of the true labels; None where they follow from those of another task.
    column: str | None
    # Rows with a label, and those among them whose label the model lacks: every answer to them is wrong.
    n: int
    unknown_labels: int
    # Of the model as it was, and cross-validated of the new calibration.
    before: CalibrationFigures
    after: CalibrationFigures
    # The least target error that some threshold keeps to.
    least_error: float


@dataclass(frozen=True, slots=True, repr=False)
class CalibrationResult:
    """What :func:`~tawasul_nlp.evaluation.calibrate` changed. ``rich.print`` shows it as a table."""

    CARD_TITLE: ClassVar[str] = "**Calibrated anew**"

    before: ModelFacts
    after: ModelFacts
    data: DataFacts
    tasks: dict[str, TaskCalibration]
    # Of the cross-validation.
    folds: int
    # Target errors that no threshold reaches.
    warnings: tuple[str, ...]
    date: str
    # What to run to calibrate again, if it was a command.
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as what JSON holds: dictionaries, lists, strings, numbers and None."""
        return to_plain(self)

    def to_json(self, path: str | Path) -> None:
        """Write the result as JSON."""
        write_json(self.to_dict(), path)

    def card(self) -> str:
        """Return a section for the model's card, in Markdown."""
        lines = [" | ".join(["", *row, ""]).strip() for row in (self._header(), *self._rows())]
        rule = "|" + " --- |" * len(self._header())
        return "\n\n".join(
            [
                f"{self.CARD_TITLE} on {self.date}, on {self.data.rows} rows of {self.data.name}. Thresholds and "
                f"probabilities are those of this calibration, no longer those above. {self._about()}",
                "\n".join([lines[0], rule, *lines[1:]]),
                *(f"- {sentence}." for sentence in self.warnings),
            ]
        )

    def _about(self) -> str:
        return (
            f"After: each row judged by a calibration on other rows ({self.folds} folds); coverage is the share that "
            "needs no review, error the share of wrong answers in it, both in per cent."
        )

    def _header(self) -> list[str]:
        names = [f"{what} at {100 * float(target):g}%" for target in _TARGETS for what in ("coverage", "error")]
        return ["task", "rows", "", "accuracy", "ECE", *names]

    def _rows(self) -> Iterator[list[str]]:
        for task, part in self.tasks.items():
            for name, figures in (("before", part.before), ("after", part.after)):
                row = [task, str(part.n), name, per_cent(figures.accuracy), f"{figures.ece:.3f}"]
                for target in _TARGETS:
                    accepted = figures.accepted[target]
                    row += [per_cent(accepted.coverage), per_cent(accepted.error)]
                yield row

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [
            Text(f"Model {self.before.hash} became {self.after.hash} on {self.data.rows} rows of {self.data.name}."),
            terminal_table(self._header(), self._rows()),
            Text(self._about()),
        ]
        for task, part in self.tasks.items():
            if part.unknown_labels:
                parts.append(Text(f"{task}: {part.unknown_labels} rows have labels that the model lacks."))
        parts += [Text(f"{sentence}.") for sentence in self.warnings]
        return Group(*parts)

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{task} ECE {part.before.ece:.3f} to {part.after.ece:.3f}" for task, part in self.tasks.items()
        )
        return f"CalibrationResult({self.data.rows} rows of {self.data.name}: {figures})"


def calibrate(
    model: ComplaintClassifier | str | Path | None,
    data: Any,
    *,
    output: str | Path | None,
    label_columns: Mapping[str, str] | Sequence[str] | None = None,
    group_column: str | None = None,
    least_recall: Mapping[str, float] = MappingProxyType({}),
    folds: int = 5,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> CalibrationResult:
    """Fit a model's scorer weights, temperatures, powers and thresholds to labelled rows, and write it as a folder.

    The encoder and the n-gram scorer stay as they are. What it gains is cross-validated: each row is judged by a
    calibration on other rows. A task without labels keeps its calibration, unless a labelled task decides it
    (a topic belongs to one agency): then its labels follow from those. A multi-label task gets offsets, and a threshold
    from which its labels are answered.

    Parameters
    ----------
    model : ComplaintClassifier, str, Path or None
        A classifier, what :meth:`ComplaintClassifier.from_pretrained` loads, or None for the bundled model.
    data, label_columns
        Labelled rows, as :func:`~tawasul_nlp.evaluation.evaluate` takes them; none that the model was trained on.
    output : str, Path or None
        A new folder for the calibrated model; None changes the model's own folder.
    group_column : str or None
        Rows with one value here are calibrated on, or judged, together; None for those with the same text.
    least_recall : mapping of str to float
        Labels that must not be missed, and the share of their rows to be found: each is answered from the probability
        on that finds as many, though another may be likelier. One that the model has already, and that is not named, is
        found among these rows as often as before.
    folds, seed : int
        Of the cross-validation, and of how rows are dealt into them.
    on_progress : callable, optional
        Called with what is being done and the share of it that is done.

    Raises
    ------
    ValueError, TableError
        If a task is none of the model's or has fewer than 20 labelled rows, if a label of ``least_recall`` is in no
        task that is calibrated, if a number is out of range, or if the bundled model's folder should be changed.
    FileExistsError
        If there are files in ``output`` already.
    """
    advance = on_progress or (lambda *_: None)
    if folds < 2:
        raise ValueError(f"folds is {folds}, expected at least 2")
    classifier = loaded(model)
    tasks = classifier.config.tasks
    folder = _checked_output(classifier.folder, output)
    source = open_labelled(data)
    columns = task_columns(label_columns, classifier, source)
    table = read_columns(source, columns, {"--group-column": [group_column or ""]}, advance)
    truth = _truth(tasks, table, columns)
    _check_recall(least_recall, [tasks[name] for name in truth])
    rows = _Rows(_scores(classifier, table.texts, advance), truth)
    after = _cross_validated(tasks, rows, list(_folds(table, group_column, folds, seed)), least_recall, advance)
    advance("calibrating", 1.0)
    fitted = _fitted(tasks, rows, least_recall)
    date = datetime.date.today().isoformat()
    facts = {"data": table.name, "sha256": table.sha256, "rows": len(table), "date": date}
    config = replace(classifier.config, tasks=fitted, about={**classifier.config.about, "calibrated": facts})
    result = CalibrationResult(
        before=ModelFacts(classifier.folder.name, classifier.config.model_hash),
        after=ModelFacts(folder.name, config.model_hash),
        data=DataFacts(table.name, table.sha256, len(table), tuple(table.unusable), group_column),
        tasks=_task_calibrations(rows, columns, tasks, fitted, after),
        folds=folds,
        warnings=tuple(
            sentence for target in TARGET_ERRORS for sentence in unreached(fitted, dict.fromkeys(truth, target))
        ),
        date=date,
    )
    _write(classifier.folder, folder, config, result)
    return result


def _task_calibrations(
    rows: _Rows,
    columns: Mapping[str, str],
    tasks: Mapping[str, TaskConfig],
    fitted: Mapping[str, TaskConfig],
    after: Sequence[Mapping[str, _Judged]],
) -> dict[str, TaskCalibration]:
    """Return what changed for each task with labels; ``after`` judges each fold by a calibration on the others."""
    before = _judged(tasks, rows)
    return {
        name: TaskCalibration(
            column=columns.get(name),
            n=int(_is_labelled(labels).sum()),
            unknown_labels=int(_lacking(tasks[name], labels).sum()),
            before=_figures([before[name]]),
            after=_figures([fold[name] for fold in after]),
            least_error=fitted[name].curve[0][1],
        )
        for name, labels in rows.truth.items()
    }


def _cross_validated(
    tasks: Mapping[str, TaskConfig],
    rows: _Rows,
    folds: Sequence[np.ndarray],
    least_recall: Mapping[str, float],
    advance: Progress,
) -> list[dict[str, _Judged]]:
    """Return what calibrations on the other rows make of the rows that each fold holds out."""
    judged = []
    for number, held_out in enumerate(folds):
        advance("cross-validating", number / len(folds))
        fitted = _fitted(tasks, rows.select(~held_out), least_recall)
        judged.append(_judged(fitted, rows.select(held_out)))
    return judged


def _checked_output(folder: Path, output: str | Path | None) -> Path:
    if output is None:
        if folder.resolve() == BUNDLED.resolve():
            raise ValueError("the bundled model's folder is part of the package; name a new folder for the output")
        return folder
    output = Path(output)
    check_new_folder(output)
    return output


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Labelled rows: what the scorers say of them, and each task's true labels as :func:`_truth` returns them."""

    scorers: ScorerScores
    truth: Mapping[str, np.ndarray]

    def select(self, chosen: np.ndarray) -> _Rows:
        """Return the rows of a mask (n_rows,)."""
        scorers = {
            scorer: {task: scores[chosen] for task, scores in tables.items()} for scorer, tables in self.scorers.items()
        }
        return _Rows(scorers, {name: labels[chosen] for name, labels in self.truth.items()})


def _truth(tasks: Mapping[str, TaskConfig], table: LabelledTable, columns: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return each task's label indices (n_rows,): -1 without a label, beyond the last for one that the model lacks.

    Of a multi-label task, which labels each row has (n_rows, labels + 1), the last column being one that the model
    lacks; all -1 where they are unknown.
    """
    truth: dict[str, np.ndarray] = {}
    for name, task in tasks.items():
        if name in columns:
            cells = table.columns[columns[name]]
            truth[name] = _label_sets(task, cells) if task.multi_label else _label_indices(task, cells)
            usable = int(_has_known_label(task, truth[name]).sum())
            if usable < LEAST_ROWS:
                raise ValueError(
                    f"{table.name} has {usable} rows with a label that the model knows for {name} (as "
                    f"{', '.join(task.labels[:3])}), expected at least {LEAST_ROWS}; add labelled rows"
                )
        elif "parent" in task.weights and task.parent in truth:
            owners = np.array([*task.parent_labels, -1, -1])  # without a label, or with one that the model lacks
            truth[name] = owners[np.where(truth[task.parent] < 0, len(owners) - 1, truth[task.parent])]
    return truth


def _label_indices(task: TaskConfig, cells: Sequence[str]) -> np.ndarray:
    index = {"": -1} | {label: number for number, label in enumerate(task.labels)}
    return np.array([index.get(label, len(task.labels)) for label in cells])


def _label_sets(task: TaskConfig, cells: Sequence[str]) -> np.ndarray:
    lacking = [[-1 if not cell else int(not set(task.labels).issuperset(split_labels(cell)))] for cell in cells]
    return np.hstack([label_matrix(cells, task.labels), np.array(lacking, np.int8)])


def _is_labelled(truth: np.ndarray) -> np.ndarray:
    labelled: np.ndarray = truth.reshape(len(truth), -1).min(axis=1, initial=0) >= 0
    return labelled


def _has_known_label(task: TaskConfig, truth: np.ndarray) -> np.ndarray:
    has_label: np.ndarray = (truth >= 0) & (truth < len(task.labels))
    return (truth[:, :-1] == 1).any(axis=1) if task.multi_label else has_label


def _lacking(task: TaskConfig, truth: np.ndarray) -> np.ndarray:
    """Return which rows have a label that the model lacks."""
    lacking: np.ndarray = truth[:, -1] == 1 if task.multi_label else truth == len(task.labels)
    return lacking


def _check_recall(least_recall: Mapping[str, float], tasks: Sequence[TaskConfig]) -> None:
    labels = {label for task in tasks if not task.multi_label for label in task.labels}
    for label, share in least_recall.items():
        if label not in labels:
            raise ValueError(
                f"least_recall names {label!r}, which is no label of a task of one label with labelled rows"
            )
        if not 0 < share <= 1:
            raise ValueError(f"least_recall of {label!r} is {share!r}, expected a share above 0 and up to 1")


def _scores(classifier: ComplaintClassifier, texts: list[str], advance: Progress) -> ScorerScores:
    """Return what the scorers say of the texts, without the embeddings."""
    parts: dict[str, dict[str, list[np.ndarray]]] = {}
    done = 0
    for scores, tokens in classifier._scorers.scores(texts, _BATCH):
        for scorer, tables in scores.items():
            for task in classifier.labels.keys() & tables.keys():
                parts.setdefault(scorer, {}).setdefault(task, []).append(tables[task])
        done += len(tokens)
        advance("predicting", done / len(texts))
    return {
        scorer: {task: np.concatenate(pieces) for task, pieces in tables.items()} for scorer, tables in parts.items()
    }


def _folds(table: LabelledTable, group_column: str | None, folds: int, seed: int) -> Iterator[np.ndarray]:
    """Yield which rows each fold holds out: (n_rows,) bool; rows of one group are in one fold."""
    groups = table.groups(group_column)
    if group_column is None:
        groups = np.unique([folded(text) for text in table.texts], return_inverse=True)[1]
    dealt = np.random.default_rng(seed).permutation(int(groups.max()) + 1) % folds
    for fold in range(folds):
        held_out: np.ndarray = dealt[groups] == fold
        if held_out.any() and not held_out.all():
            yield held_out


def _fitted(tasks: Mapping[str, TaskConfig], rows: _Rows, least_recall: Mapping[str, float]) -> dict[str, TaskConfig]:
    """Return the tasks, those with labels fitted to them on these rows."""
    fitted = dict(tasks)
    for name, task in tasks.items():
        if name not in rows.truth:
            continue
        labelled = rows.select(_is_labelled(rows.truth[name]))
        truth, scorers = labelled.truth[name], labelled.scorers
        if not _has_known_label(task, truth).any():
            continue  # a fold may hold out all that the model knows
        family = _family(fitted, name)
        if task.multi_label:
            family[name] = fit_label_scores(name, family, scorers, truth[:, :-1], _PRIOR)
            log_probabilities = combine(family, scorers)[name]
            lacking = _lacking(task, truth)
            fitted[name] = with_label_threshold(family[name], log_probabilities, truth[:, :-1], lacking)
        else:
            recall = {**_recall(name, tasks, scorers, truth), **least_recall}
            fitted[name] = fit_answers(name, family, scorers, truth, _PRIOR, recall)
    return fitted


def _recall(name: str, tasks: Mapping[str, TaskConfig], scorers: ScorerScores, truth: np.ndarray) -> dict[str, float]:
    """Return the share that the model finds of each label that must not be missed, if any is."""
    task = tasks[name]
    if not task.preferred:
        return {}
    answers, _ = decide(task, np.exp(combine(_family(tasks, name), scorers)[name]))
    indices = {label: task.labels.index(label) for label in task.preferred}
    hits = {label: answers[truth == index] == index for label, index in indices.items()}
    return {label: float(each.mean()) for label, each in hits.items() if each.any()}


def _family(tasks: Mapping[str, TaskConfig], name: str) -> dict[str, TaskConfig]:
    """Return a task with those that decide it, parents first."""
    above = tasks[name].parent if "parent" in tasks[name].weights else None
    return {**(_family(tasks, above) if above is not None else {}), name: tasks[name]}


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Answers of one calibration to rows with labels: their confidence, which are right, and which are accepted."""

    confidence: np.ndarray
    hits: np.ndarray
    # By target error.
    accepted: dict[float, np.ndarray]


def _judged(tasks: Mapping[str, TaskConfig], rows: _Rows) -> dict[str, _Judged]:
    """Return for each task with labels what a calibration makes of its rows."""
    tables = combine(tasks, rows.scorers)
    judged = {}
    for name, truth in rows.truth.items():
        task, labelled = tasks[name], _is_labelled(truth)
        probabilities, truth = np.exp(tables[name][labelled]), truth[labelled]
        if task.multi_label:
            chosen = probabilities >= task.label_threshold
            confidence = set_probability(probabilities, chosen)
            hits = (chosen == (truth[:, :-1] == 1)).all(axis=1) & (truth[:, -1] == 0)
        else:
            answers, confidence = decide(task, probabilities)
            hits = answers == truth
        accepted = {target: confidence >= thresholds_at({name: task}, {name: target})[name] for target in TARGET_ERRORS}
        judged[name] = _Judged(confidence, hits, accepted)
    return judged


def _figures(parts: Sequence[_Judged]) -> CalibrationFigures:
    confidence = np.concatenate([part.confidence for part in parts])
    hits = np.concatenate([part.hits for part in parts])
    answers = {}
    for target in TARGET_ERRORS:
        accepted = np.concatenate([part.accepted[target] for part in parts])
        error = round(float((~hits[accepted]).mean()), 4) if accepted.any() else None
        answers[str(target)] = AcceptedAnswers(round(float(accepted.mean()), 4), error)
    calibration_error = expected_calibration_error(confidence, hits)
    return CalibrationFigures(round(float(hits.mean()), 4), round(calibration_error, 4), answers)


def _write(source: Path, target: Path, config: ModelConfig, result: CalibrationResult) -> None:
    """Write the calibrated model; its card, if it has one, reports it at the end."""
    if target != source:
        copy_model(source, target)
    card = target / CARD
    if card.is_file():
        text = card.read_text(encoding="utf-8").rstrip("\n").split(f"\n\n{result.CARD_TITLE}")[0]
        write_text(f"{text}\n\n{result.card()}\n", card)
    config.save(target)
