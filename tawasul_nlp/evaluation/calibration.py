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
from tawasul_nlp.evaluation.fitting import TARGET_ERRORS, ScorerScores, fitted_task, texts_to_find
from tawasul_nlp.evaluation.metrics import expected_calibration_error
from tawasul_nlp.evaluation.output import JsonResult, TextTable, append_to_card, per_cent
from tawasul_nlp.evaluation.task_answers import task_answers
from tawasul_nlp.evaluation.task_evaluation import DataFacts, ModelFacts, coverage_and_error
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import CARD, TaskConfig
from tawasul_nlp.model.hub import check_new_folder, copy_model
from tawasul_nlp.model.label_sets import label_matrix, split_labels
from tawasul_nlp.model.thresholds import decide, thresholds_at, unreached
from tawasul_nlp.tables.labelled import LabelledTable, open_labelled

if TYPE_CHECKING:
    from rich.console import RenderableType

LEAST_ROWS = 20
"""With fewer labelled rows even a task without a mistake could promise no error below 5%."""
# As training does: so many texts of an unknown label are thought to be among the others.
_PRIOR = 1.0
_BATCH = 64
# Of the cross-validation.
_FOLDS = 5
# The last of the columns that `_judged` returns.
_LACKING = -1


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
class CalibrationResult(JsonResult):
    """What :func:`~tawasul_nlp.evaluation.calibration.calibrate` changed. ``rich.print`` shows it as a table."""

    CARD_TITLE: ClassVar[str] = "**Calibrated anew**"

    before: ModelFacts
    after: ModelFacts
    data: DataFacts
    tasks: dict[str, TaskCalibration]
    # Target errors that no threshold reaches.
    warnings: tuple[str, ...]
    date: str

    def card(self) -> str:
        """Return a section for the model's card, in Markdown."""
        return "\n\n".join(
            [
                f"{self.CARD_TITLE} on {self.date}, on {self.data.rows} rows of {self.data.name}. Thresholds and "
                f"probabilities are those of this calibration, no longer those above. {self._about()}",
                self._table().markdown(),
                *(f"- {sentence}." for sentence in self.warnings),
            ]
        )

    def _about(self) -> str:
        return (
            f"After: each row judged by a calibration on other rows ({_FOLDS} folds); coverage is the share that "
            "needs no review, error the share of wrong answers in it, both in per cent."
        )

    def _table(self) -> TextTable:
        names = [f"{what} at {100 * target:g}%" for target in TARGET_ERRORS for what in ("coverage", "error")]
        rows = []
        for task, part in self.tasks.items():
            for name, figures in (("before", part.before), ("after", part.after)):
                shares = [share for each in figures.accepted.values() for share in (each.coverage, each.error)]
                row = [task, str(part.n), name, per_cent(figures.accuracy), f"{figures.ece:.3f}"]
                rows.append([*row, *map(per_cent, shares)])
        return TextTable(["task", "rows", "", "accuracy", "ECE", *names], rows)

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        unknown = {task: part.unknown_labels for task, part in self.tasks.items() if part.unknown_labels}
        return Group(
            Text(f"Model {self.before.hash} became {self.after.hash} on {self.data.rows} rows of {self.data.name}."),
            self._table(),
            Text(self._about()),
            *(Text(f"{task}: {rows} rows have labels that the model lacks.") for task, rows in unknown.items()),
            *(Text(f"{sentence}.") for sentence in self.warnings),
        )

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{task} ECE {part.before.ece:.3f} to {part.after.ece:.3f}" for task, part in self.tasks.items()
        )
        return f"CalibrationResult({self.data.rows} rows of {self.data.name}: {figures})"


def calibrate(
    model: ComplaintClassifier | str | Path | None,
    data: Any,
    *,
    output: str | Path,
    label_columns: Mapping[str, str] | Sequence[str] | None = None,
    group_column: str | None = None,
    least_recall: Mapping[str, float] = MappingProxyType({}),
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
    output : str or Path
        A new folder for the calibrated model.
    group_column : str or None
        Rows with one value here are calibrated on, or judged, together; None for those with the same text.
    least_recall : mapping of str to float
        Labels that must not be missed, and the share of such cases to be found: each is answered from the highest
        probability on that promises so many with a confidence of 90% (so that more of these rows are found), though
        another label may be likelier. One that the model has already, and that is not named, is found among these rows
        as often as before.
    on_progress : callable, optional
        Called with what is being done and the share of it that is done.

    Raises
    ------
    ValueError, TableError
        If a task is none of the model's or has fewer than 20 labelled rows, if a label of ``least_recall`` is in no
        task that is calibrated, or if a number is out of range.
    FileExistsError
        If there are files in ``output`` already.
    """
    advance = on_progress or (lambda *_: None)
    classifier = loaded(model)
    tasks = classifier.config.tasks
    folder = Path(output)
    check_new_folder(folder)
    source = open_labelled(data)
    columns = task_columns(label_columns, classifier, source)
    table = read_columns(source, columns, {"--group-column": [group_column or ""]}, advance)
    cells = _cells(tasks, table, columns)
    _check_recall(least_recall, [tasks[name] for name in cells])
    rows = _Rows(_scores(classifier, table.texts, advance), cells)
    before = _judged(tasks, rows)
    after: list[dict[str, np.ndarray]] = []
    for held_out in _folds(table, group_column):
        advance("cross-validating", len(after) / _FOLDS)
        after.append(_judged(_fitted(tasks, rows.select(~held_out), least_recall), rows.select(held_out)))
    advance("calibrating", 1.0)
    fitted = _fitted(tasks, rows, least_recall)
    date = datetime.date.today().isoformat()
    facts = {"data": table.name, "sha256": table.sha256, "rows": len(table), "date": date}
    config = replace(classifier.config, tasks=fitted, about={**classifier.config.about, "calibrated": facts})
    result = CalibrationResult(
        before=ModelFacts(classifier.folder.name, classifier.config.model_hash),
        after=ModelFacts(folder.name, config.model_hash),
        data=DataFacts(table.name, table.sha256, len(table), tuple(table.unusable), group_column),
        tasks={
            name: TaskCalibration(
                column=columns.get(name),
                n=len(judged),
                unknown_labels=int(judged[:, _LACKING].sum()),
                before=_figures([judged]),
                after=_figures([fold[name] for fold in after]),
                least_error=fitted[name].curve[0][1],
            )
            for name, judged in before.items()
        },
        warnings=tuple(
            sentence for target in TARGET_ERRORS for sentence in unreached(fitted, dict.fromkeys(cells, target))
        ),
        date=date,
    )
    copy_model(classifier.folder, folder)
    card = folder / CARD
    if card.is_file():
        append_to_card(card, result.CARD_TITLE, result.card())
    config.save(folder)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Labelled rows: what the scorers say of them, and each task's cells (n_rows,), empty where a row has no label."""

    scorers: ScorerScores
    cells: Mapping[str, np.ndarray]

    def select(self, chosen: np.ndarray) -> _Rows:
        """Return the rows of a mask (n_rows,)."""
        scorers = {
            scorer: {task: scores[chosen] for task, scores in tables.items()} for scorer, tables in self.scorers.items()
        }
        return _Rows(scorers, {name: cells[chosen] for name, cells in self.cells.items()})


def _cells(tasks: Mapping[str, TaskConfig], table: LabelledTable, columns: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the cells (n_rows,) of each task that is labelled, or decided by one that is."""
    cells: dict[str, np.ndarray] = {}
    for name, task in tasks.items():
        if name in columns:
            cells[name] = np.array(table.columns[columns[name]])
            usable = sum(_has_known_label(task, cell) for cell in cells[name].tolist())
            if usable < LEAST_ROWS:
                raise ValueError(
                    f"{table.name} has {usable} rows with a label that the model knows for {name} (as "
                    f"{', '.join(task.labels[:3])}), expected at least {LEAST_ROWS}; add labelled rows"
                )
        elif "parent" in task.weights and task.parent in cells:
            own_labels = (task.labels[index] for index in task.parent_labels)
            label_of = dict(zip(tasks[task.parent].labels, own_labels, strict=True))
            cells[name] = np.array([label_of.get(cell, "") for cell in cells[task.parent].tolist()])
    return cells


def _has_known_label(task: TaskConfig, cell: str) -> bool:
    return not set(split_labels(cell) if task.multi_label else (cell,)).isdisjoint(task.labels)


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


def _folds(table: LabelledTable, group_column: str | None) -> Iterator[np.ndarray]:
    """Yield which rows each fold holds out: (n_rows,) bool; rows of one group are in one fold."""
    groups = table.groups(group_column)
    if group_column is None:
        groups = np.unique([folded(text) for text in table.texts], return_inverse=True)[1]
    dealt = np.random.default_rng(0).permutation(int(groups.max()) + 1) % _FOLDS
    for fold in range(_FOLDS):
        held_out: np.ndarray = dealt[groups] == fold
        if held_out.any() and not held_out.all():
            yield held_out


def _fitted(tasks: Mapping[str, TaskConfig], rows: _Rows, least_recall: Mapping[str, float]) -> dict[str, TaskConfig]:
    """Return the tasks, those with labels fitted to them on these rows."""
    fitted = dict(tasks)
    for name, cells in rows.cells.items():
        task, labelled = tasks[name], rows.select(cells != "")
        cells = labelled.cells[name].tolist()
        if not any(_has_known_label(task, cell) for cell in cells):
            continue  # a fold may hold out all that the model knows
        to_find: dict[str, int] = {}
        incomplete = None
        if task.multi_label:
            truth = label_matrix(cells, task.labels)
            incomplete = np.array([not set(split_labels(cell)) <= set(task.labels) for cell in cells])
        else:
            index = {label: number for number, label in enumerate(task.labels)}
            truth = np.array([index.get(cell, len(index)) for cell in cells])
            answers, _ = decide(task, np.exp(combine(_family(tasks, name), labelled.scorers)[name]))
            as_before = {label: int((answers[truth == index[label]] == index[label]).sum()) for label in task.preferred}
            to_find = {label: found for label, found in as_before.items() if index[label] in truth}
            to_find |= texts_to_find(task, truth, least_recall)
        fitted[name] = fitted_task(name, _family(fitted, name), labelled.scorers, truth, _PRIOR, to_find, incomplete)
    return fitted


def _family(tasks: Mapping[str, TaskConfig], name: str) -> dict[str, TaskConfig]:
    """Return a task with those that decide it, parents first."""
    above = tasks[name].parent if "parent" in tasks[name].weights else None
    return {**(_family(tasks, above) if above is not None else {}), name: tasks[name]}


def _judged(tasks: Mapping[str, TaskConfig], rows: _Rows) -> dict[str, np.ndarray]:
    """Return what a calibration makes of the labelled rows of each task.

    Columns are the confidence of an answer, whether it is right, whether it is accepted at each target error, and
    whether the model lacks a label of the row.
    """
    tables = combine(tasks, rows.scorers)
    judged = {}
    for name, cells in rows.cells.items():
        task, labelled = tasks[name], cells != ""
        system = task_answers(task, cells[labelled].tolist(), np.exp(tables[name][labelled]))
        assert system.confidence is not None
        thresholds = [thresholds_at({name: task}, {name: target})[name] for target in TARGET_ERRORS]
        accepted = system.confidence[:, None] >= thresholds
        lacking = system.truth[:, system.n_own_labels :].any(axis=1)
        judged[name] = np.column_stack([system.confidence, system.hits, accepted, lacking])
    return judged


def _figures(folds: Sequence[np.ndarray]) -> CalibrationFigures:
    judged = np.concatenate(folds)
    confidence, hits = judged[:, 0], judged[:, 1] == 1
    answers = {}
    for target, accepted in zip(TARGET_ERRORS, judged[:, 2:_LACKING].T == 1, strict=True):
        coverage, error = coverage_and_error(hits, accepted)
        answers[str(target)] = AcceptedAnswers(coverage=coverage, error=error)
    calibration_error = expected_calibration_error(confidence, hits)
    return CalibrationFigures(round(float(hits.mean()), 4), round(calibration_error, 4), answers)
