"""What the cases of two periods are about: as columns of their tables say, or as a model reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain, Level, Levels
from tawasul_nlp.evaluation.evaluator import Progress
from tawasul_nlp.review.classified import added_prefix, answered_tasks, is_true
from tawasul_nlp.tables.added_columns import added_values
from tawasul_nlp.tables.io.chunk import to_name
from tawasul_nlp.tables.labelled import LabelledSource

URGENCY = "urgency"
REVIEW = "needs_review"
_FIRST = ("topic", "agency", "kind")
_PIECE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class CaseLabels:
    """A value a case of everything that has a mix.

    Attributes
    ----------
    of : dict of str to list of str
        By dimension: a task, a level of places, the urgency, whether a case needs review; empty where a case has none.
    confidence : dict of str to ndarray of float, shape (n_cases,)
        The model's certainty of each task's answer; empty if columns were read.
    """

    of: dict[str, list[str]]
    confidence: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class LabelBasis:
    """Where the labels of cases come from.

    Attributes
    ----------
    domain : Domain
    columns : tuple of mapping of str to str
        For each table, the column of each dimension; empty if a model reads the texts.
    classifier : ComplaintClassifier or None
        None if columns have the labels.
    """

    domain: Domain
    columns: tuple[Mapping[str, str], ...]
    classifier: ComplaintClassifier | None = None

    @property
    def dimensions(self) -> list[str]:
        """What has a mix, in the order in which it is told; a task of which a text may have several labels has none."""
        if self.classifier is None:
            return list(self.columns[0])
        tasks = [task for task in self.classifier.labels if task not in self.classifier.multi_label_tasks]
        return _in_order(tasks, self.domain.gazetteer.levels)

    @property
    def tasks(self) -> list[str]:
        """Those that are tasks that the model answers."""
        answered = () if self.classifier is None else self.classifier.labels
        return [dimension for dimension in self.dimensions if dimension in answered]

    def labels(self, texts: Sequence[str], cells: Mapping[str, Sequence[str]], on_progress: Progress) -> CaseLabels:
        """Return the labels of cases, of which the cells of dimensions that have a column are given."""
        found: dict[str, list[str]] = {dimension: [] for dimension in self.dimensions}
        certainties: dict[str, list[float]] = {task: [] for task in self.tasks}
        if self.classifier is not None:
            _read(self.classifier, texts, found, certainties, on_progress)
        found |= {dimension: list(column) for dimension, column in cells.items()}
        confidence = {task: np.array(values) for task, values in certainties.items()}
        return CaseLabels(_tidy(found, self.domain.gazetteer.levels), confidence)


def find_basis(
    sources: Sequence[LabelledSource],
    model: ComplaintClassifier | str | Path | None,
    domain: Domain | None,
    prefix: str | None,
) -> LabelBasis:
    """Return the columns of tables that are all classified, or else a model; also if one is named."""
    if model is None:
        pack = domain or Domain.bundled()
        if prefix is not None:
            for source in sources:
                source.check_columns([prefix + REVIEW], "--prefix")
        columns = [label_columns_of(source.columns, pack.gazetteer.levels, prefix) for source in sources]
        known = [each for each in columns if each is not None]
        if len(known) == len(columns):
            shared = [dimension for dimension in known[0] if all(dimension in each for each in known)]
            return LabelBasis(pack, tuple({dimension: each[dimension] for dimension in shared} for each in known))
    if not isinstance(model, ComplaintClassifier):
        model = ComplaintClassifier.from_pretrained(model, domain=domain)
    return LabelBasis(domain or model.domain, tuple({} for _ in sources), model)


def label_columns_of(columns: Sequence[str], levels: Levels, prefix: str | None = None) -> dict[str, str] | None:
    """Return the column of each dimension of a classified table; None if it is not classified.

    Examples
    --------
    >>> levels = Domain.bundled().gazetteer.levels
    >>> columns = ["text", "dept", "dept_probability", "town", "needs_review", "review_reasons"]
    >>> label_columns_of(columns, levels)
    {'dept': 'dept', 'town': 'town', 'needs_review': 'needs_review'}
    """
    found = added_prefix(columns, prefix)
    if found is None:
        return None
    places = level_columns(levels)
    told = _in_order(answered_tasks(columns, found, "probability"), levels)
    named = {dimension: found + places.get(dimension, dimension) for dimension in told}
    return {dimension: column for dimension, column in named.items() if column in columns}


def _in_order(tasks: Sequence[str], levels: Levels) -> list[str]:
    """Return tasks, levels of places, the urgency if it is a task, and the review, in the order of telling."""
    known = [task for task in _FIRST if task in tasks]
    others = [task for task in tasks if task not in (*_FIRST, URGENCY)]
    urgency = [URGENCY] if URGENCY in tasks else []
    return [*known, *others, *level_columns(levels), *urgency, REVIEW]


def level_columns(levels: Levels) -> dict[str, str]:
    """Return the column of each level of places, whatever a country calls it."""
    return {role: level.column for role, level in _levels(levels).items()}


def level_names(levels: Levels) -> dict[str, tuple[str, str]]:
    """Return what a country calls each level of places, in Arabic and in English."""
    return {role: (level.name_ar, level.name_en) for role, level in _levels(levels).items()}


def _levels(levels: Levels) -> dict[str, Level]:
    blocks = {} if levels.block is None else {"block": levels.block}
    return {"governorate": levels.region, "town": levels.area, **blocks}


def _read(
    classifier: ComplaintClassifier,
    texts: Sequence[str],
    found: dict[str, list[str]],
    certainties: dict[str, list[float]],
    on_progress: Progress,
) -> None:
    """Add what a model answers to the labels of each dimension and the certainty of each task."""
    levels = classifier.domain.gazetteer.levels
    others = {**level_columns(levels), REVIEW: REVIEW}
    for start in range(0, len(texts), _PIECE):
        for prediction in classifier.predict(texts[start : start + _PIECE]):
            for task, certainty in certainties.items():
                answer = prediction.answer(task)
                assert answer is not None
                found[task].append(answer.id)
                certainty.append(answer.probability)
            for dimension, value in zip(others, added_values(prediction, tuple(others.values()), levels), strict=True):
                found[dimension].append(to_name(value))
        on_progress("predicting", min(1.0, (start + _PIECE) / len(texts)))


def _tidy(found: dict[str, list[str]], levels: Levels) -> dict[str, list[str]]:
    """Return the labels with one spelling for yes and no, whole numbers of blocks, and towns where those need them."""
    if REVIEW in found:
        found[REVIEW] = ["true" if is_true(value) else "false" for value in found[REVIEW]]
    if "block" in found:
        found["block"] = [number.removesuffix(".0") for number in found["block"]]
        if levels.blocks_within_towns and "town" in found:
            pairs = zip(found["block"], found["town"], strict=True)
            found["block"] = [f"{number}، {town}" if number and town else "" for number, town in pairs]
    return found
