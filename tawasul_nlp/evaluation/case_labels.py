"""What the cases of two periods are about: as columns of their tables say, or as a model reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain, Level, Levels
from tawasul_nlp.evaluation.evaluator import Progress
from tawasul_nlp.tables.added_columns import added_values
from tawasul_nlp.tables.classified import added_prefix, answered_tasks, is_true
from tawasul_nlp.tables.io.cells import to_name
from tawasul_nlp.tables.labelled import LabelledSource

URGENCY = "urgency"
REVIEW = "needs_review"
_FIRST = ("topic", "agency", "kind")
_PIECE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class LabelBasis:
    """Where the labels of cases come from."""

    domain: Domain
    # For each table, the column of each dimension; empty if a model reads the texts.
    columns: tuple[Mapping[str, str], ...]
    # None if columns have the labels.
    classifier: ComplaintClassifier | None = None

    @property
    def dimensions(self) -> list[str]:
        """What has a mix, in the order in which it is told; a task of which a text may have several labels has none."""
        if self.classifier is None:
            return list(self.columns[0])
        tasks = [task for task in self.classifier.labels if task not in self.classifier.multi_label_tasks]
        return _in_order(tasks, self.domain.gazetteer.levels)

    def labels(
        self, texts: Sequence[str], cells: Mapping[str, Sequence[str]], on_progress: Progress
    ) -> dict[str, list[str]]:
        """Return a value a case of each dimension, empty where it has none; ``cells`` are those that columns have."""
        values: dict[str, list[str]] = {dimension: [] for dimension in self.dimensions}
        levels = self.domain.gazetteer.levels
        if self.classifier is not None:
            _add_answers(self.classifier, texts, values, on_progress)
        values |= {dimension: list(column) for dimension, column in cells.items()}
        if REVIEW in values:
            values[REVIEW] = ["true" if is_true(value) else "false" for value in values[REVIEW]]
        if "block" in values:
            values["block"] = [number.removesuffix(".0") for number in values["block"]]
            if levels.blocks_within_towns and "town" in values:
                pairs = zip(values["block"], values["town"], strict=True)
                values["block"] = [f"{number}، {town}" if number and town else "" for number, town in pairs]
        return values


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
        classified = [each for each in columns if each is not None]
        if len(classified) == len(sources):
            shared = [dimension for dimension in classified[0] if all(dimension in each for each in classified)]
            return LabelBasis(pack, tuple({name: each[name] for name in shared} for each in classified))
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
    prefix = added_prefix(columns, prefix)
    if prefix is None:
        return None
    places = level_columns(levels)
    dimensions = _in_order(answered_tasks(columns, prefix, "probability"), levels)
    named = {dimension: prefix + places.get(dimension, dimension) for dimension in dimensions}
    return {dimension: column for dimension, column in named.items() if column in columns}


def level_columns(levels: Levels) -> dict[str, str]:
    """Return the column of each level of places, whatever a country calls it."""
    return {role: level.column for role, level in _levels(levels).items()}


def level_names(levels: Levels) -> dict[str, tuple[str, str]]:
    """Return what a country calls each level of places, in Arabic and in English."""
    return {role: (level.name_ar, level.name_en) for role, level in _levels(levels).items()}


def _levels(levels: Levels) -> dict[str, Level]:
    blocks = {} if levels.block is None else {"block": levels.block}
    return {"governorate": levels.region, "town": levels.area, **blocks}


def _in_order(tasks: Sequence[str], levels: Levels) -> list[str]:
    """Return tasks, levels of places, the urgency if it is a task, and the review, in the order of telling."""
    first = [task for task in _FIRST if task in tasks]
    others = [task for task in tasks if task not in (*_FIRST, URGENCY)]
    urgency = [URGENCY] if URGENCY in tasks else []
    return [*first, *others, *level_columns(levels), *urgency, REVIEW]


def _add_answers(
    classifier: ComplaintClassifier, texts: Sequence[str], values: dict[str, list[str]], on_progress: Progress
) -> None:
    """Add what a model answers to the values of each dimension."""
    levels = classifier.domain.gazetteer.levels
    columns = {**level_columns(levels), REVIEW: REVIEW}
    tasks = [task for task in classifier.labels if task in values]
    for start in range(0, len(texts), _PIECE):
        for prediction in classifier.predict(texts[start : start + _PIECE]):
            for task in tasks:
                answer = prediction.answer(task)
                assert answer is not None
                values[task].append(answer.id)
            for name, value in zip(columns, added_values(prediction, tuple(columns.values()), levels), strict=True):
                values[name].append(to_name(value))
        on_progress("predicting", min(1.0, (start + _PIECE) / len(texts)))
