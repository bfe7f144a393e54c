"""Train a model further on corrected rows, beside a replay of what it learned, and tell what got better and worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.comparison import ComparisonResult, compare
from tawasul_nlp.evaluation.output import to_plain
from tawasul_nlp.evaluation.result import EvaluationResult
from tawasul_nlp.model.folder import DOMAIN
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import Parent, TrainingData, training_data
from tawasul_nlp.training.run import TrainRun, evaluate_rows, fit, load_whole
from tawasul_nlp.training.run_folder import discard, logged, tell, write_json
from tawasul_nlp.training.splitting import WholeTable, folded, give_back
from tawasul_nlp.training.tables import LabelledData

if TYPE_CHECKING:
    from rich.console import RenderableType

_LABELS = 5
_LEAST = 5
# Gentler than training from the start: the encoder knows its texts, and should forget none.
_SETTINGS: dict[str, Any] = {"epochs": 2, "learning_rate": 1e-4, "head_learning_rate": 5e-4, "head_start": "random"}


@dataclass(frozen=True, slots=True)
class LabelChange:
    """How F1 of one label changed on the held-out rows, ``rows`` of which have it."""

    task: str
    label: str
    rows: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """An updated model, beside the one before it on rows that neither training nor calibration of the update saw.

    ``rich.print`` shows it as tables.
    """

    # With the new model.
    run: TrainRun = field(repr=False)
    # The new model minus the one before, on the held-out corrections and on the held-out part of the replay. The
    # one before may have learned from the latter, and then looks better there than it is.
    corrections: ComparisonResult
    replay: ComparisonResult
    # The labels whose F1 changed most, on all held-out rows.
    better: tuple[LabelChange, ...]
    worse: tuple[LabelChange, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what was compared as what JSON holds."""
        return to_plain(replace(self, run=None))  # type: ignore[arg-type]

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = []
        for title, comparison in (("corrections", self.corrections), ("replay", self.replay)):
            parts += [Text(f"held-out {title}:", "bold"), comparison]
        parts.append(Text("The model before may have learned from the replay's rows, and then flatters itself there."))
        for title, changes in (("better", self.better), ("worse", self.worse)):
            listed = "; ".join(
                f"{each.task} {' '.join(each.label.split())} ({each.rows} rows) {each.before:.2f} to {each.after:.2f}"
                for each in changes
            )
            parts.append(Text(f"{title} by F1: {listed or 'no label'}"))
        return Group(*parts)


def update(
    model: ComplaintClassifier | str | Path | None,
    corrections: Any,
    replay: LabelledData,
    config: TrainConfig | None = None,
    *,
    output: str | Path,
    held_out: float = 0.2,
    encoder_rows: int | None = None,
    restart: bool = False,
) -> UpdateResult:
    """Train a model further on corrected rows, together with rows like those that it learned from.

    A row of the replay with the text of a correction gives way to it. New labels are added.

    Parameters
    ----------
    model : ComplaintClassifier, str, Path or None
        What :meth:`ComplaintClassifier.from_pretrained` loads; None for the bundled model.
    corrections : str or Path, datasets.Dataset, or a table of pandas, Polars or Arrow
        With the columns of the replay.
    replay : LabelledData
        Without it the model would forget what no correction shows. Where it names no label columns, they are the
        model's tasks, each in a column of its name.
    config : TrainConfig or None
        None for two epochs at low learning rates. Backbone and profile are those of the model.
    output : str or Path
        The run folder, with ``update.json`` beside what :func:`~tawasul_nlp.training.train` writes. ``restart`` throws
        away the run that it holds.
    held_out : float
        Share of the corrections, and of the replay, that is only compared on.
    encoder_rows : int or None
        Rows of the replay that the encoder sees, at random but with every label; None for all. The n-grams keep all.

    Raises
    ------
    ValueError
        If a table cannot be trained on, there are too few corrections to hold some out, or a task or a label of the
        model would be lost.
    """
    output = Path(output)
    if restart:
        discard(output)
    before = model if isinstance(model, ComplaintClassifier) else ComplaintClassifier.from_pretrained(model)
    config = (config or update_config(before)).replace(
        backbone=str(before.folder), profile=before.config.profile["name"]
    )
    replay = _of_model(replay, before)
    with logged(output):
        whole = load_whole(replay, config, output, corrections)
        data, tested = _divided(whole, config, held_out, encoder_rows)
        _refuse_lost_labels(before, data)
        data = replace(data, parents=_parents(before, data.labels), before=before.folder)
        tell(f"{len(data.train):,} training rows, {int(tested.sum()):,} rows held out to compare on")
        run = fit(data, config, output, domain=before.domain if DOMAIN in before.config.files else None)
        result = _compared(before, run, whole, tested)
        write_json(output / "update.json", result.to_dict())
        return result


def _refuse_lost_labels(before: ComplaintClassifier, data: TrainingData) -> None:
    for task, names in before.labels.items():
        gone = sorted(set(names) - set(data.labels[task]))
        if gone:
            raise ValueError(
                f"the model would lose {len(gone)} labels of {task}, of which neither table has a row: "
                f"{', '.join(gone[:_LABELS])}{', ...' * (len(gone) > _LABELS)}; add rows to the replay"
            )


def _compared(before: ComplaintClassifier, run: TrainRun, whole: WholeTable, tested: np.ndarray) -> UpdateResult:
    """Compare the two models on the held-out rows of both tables."""

    def measured(rows: np.ndarray) -> tuple[EvaluationResult, EvaluationResult]:
        table = whole.take(rows)
        old, new = (evaluate_rows(model, table.rows, groups=table.groups) for model in (before, run.model))
        return old, new

    comparisons = {}
    for name, rows in (("corrections", tested & whole.second), ("replay", tested & ~whole.second)):
        old, new = measured(rows)
        comparisons[name] = replace(compare(new, old), first="the new model", second="the model before")
    old, new = measured(tested)
    changes = _changes(old, new)
    better = tuple(each for each in changes[::-1] if each.after > each.before)[:_LABELS]
    worse = tuple(each for each in changes if each.after < each.before)[:_LABELS]
    return UpdateResult(run, comparisons["corrections"], comparisons["replay"], better, worse)


def _of_model(replay: LabelledData, model: ComplaintClassifier) -> LabelledData:
    """Return the replay with the columns of the model's tasks, those of several labels apart."""
    columns = replace(replay, label_columns=replay.label_columns or list(model.labels)).tasks
    lost = [task for task in model.labels if task not in columns]
    if lost:
        raise ValueError(
            f"the model would lose {', '.join(lost)}, which no label column is for; name one for each task"
        )
    several = {task: columns[task] for task in model.multi_label_tasks if task in columns}
    alone = {task: column for task, column in columns.items() if task not in several}
    return replace(replay, label_columns=alone, multi_label_columns=several, validation=None)


def update_config(model: ComplaintClassifier) -> TrainConfig:
    """Return the settings by which a model is updated where none are given."""
    return TrainConfig.preset("e5", **_SETTINGS, inference_max_tokens=model.config.max_tokens)


def _divided(
    whole: WholeTable, config: TrainConfig, held_out: float, encoder_rows: int | None = None
) -> tuple[TrainingData, np.ndarray]:
    """Return the data to train on, and which rows are held out of it."""
    text = folded(list(whole.rows["text"]))
    corrected = {text[row] for row in np.flatnonzero(whole.second).tolist()}
    used = whole.second | np.array([each not in corrected for each in text])

    tested = np.zeros(len(used), bool)
    for name, mask in (("corrections", whole.second), ("replay", used & ~whole.second)):
        groups, least = len(np.unique(whole.groups[mask])), max(_LEAST, round(1 / held_out))
        if groups < least:
            raise ValueError(
                f"{name}: {groups} groups of rows are too few to hold {held_out:.0%} of them out; "
                f"expected at least {least}"
            )
        tested |= whole.held_out(mask, held_out, config.seed)
    tested = used & np.isin(whole.groups, whole.groups[tested])
    tested_of_used = tested[used]
    give_back(tested_of_used, whole.take(used))
    tested[used] = tested_of_used
    validates = whole.held_out(used & ~tested, config.validation_share, config.seed)
    trains = used & ~tested & ~validates
    data = training_data(whole, trains, validates)
    if encoder_rows is not None:
        sampled = _sampled(whole, trains, encoder_rows)
        others = whole.take(trains & ~sampled).rows
        data = replace(training_data(whole, sampled, validates), ngram_texts=others, findings=data.findings)
    return data, tested


def _parents(before: ComplaintClassifier, labels: Mapping[str, Sequence[str]]) -> dict[str, Parent]:
    """Return which tasks another one decides in the model; not if that has a new label, of which nothing is known."""
    parents = {}
    for task, settings in before.config.tasks.items():
        if settings.parent is not None:
            parent_labels = before.labels[settings.parent]
            label_of = {
                label: settings.labels[number]
                for label, number in zip(parent_labels, settings.parent_labels, strict=True)
            }
            if set(labels[settings.parent]) <= label_of.keys():
                parents[task] = Parent(settings.parent, label_of)
    return parents


def _sampled(whole: WholeTable, trains: np.ndarray, count: int) -> np.ndarray:
    """Return which rows the encoder sees: the corrections, and so many of the replay, one of each label at least."""
    order = np.random.default_rng(0).permutation(np.flatnonzero(trains)).tolist()
    row_of = {(task, label): row for task, sets in whole.label_sets.items() for row in order for label in sets[row]}
    needed = set(row_of.values())
    others = [row for row in order if row not in needed and not whole.second[row]]
    sampled = trains & whole.second
    sampled[[*needed, *others[: max(count - len(needed), 0)]]] = True
    return sampled


def _changes(before: EvaluationResult, after: EvaluationResult) -> list[LabelChange]:
    """Return how each label's F1 changed, the worst change first."""
    changes = []
    for task, part in after.tasks.items():
        if task in before.tasks:
            old = {each.label: each.f1 for each in before.tasks[task].by_label}
            changes += [
                LabelChange(task, each.label, each.n, old.get(each.label, 0.0), each.f1) for each in part.by_label
            ]
    return sorted(changes, key=lambda each: each.after - each.before)
