"""Predict a table chunk by chunk, and place its cases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from tawasul_nlp.domain import Domain, Places
from tawasul_nlp.domain.places.given import given_places, merged
from tawasul_nlp.domain.routing import PLACE, find_named_agencies, route_part
from tawasul_nlp.domain.taxonomy import EMERGENCY
from tawasul_nlp.model.encoder import MAX_CHARS
from tawasul_nlp.model.label_sets import join_labels
from tawasul_nlp.prediction import Issue, Prediction
from tawasul_nlp.tables.added_columns import OF_LABEL_SETS, TASKS, added_values, classification_columns
from tawasul_nlp.tables.errors import RowsLostError
from tawasul_nlp.tables.io.cells import to_name
from tawasul_nlp.tables.io.chunk import Chunk, Reader
from tawasul_nlp.tables.io.fields import values_of, with_texts
from tawasul_nlp.tables.io.files import InputFile
from tawasul_nlp.tables.io.formats import Layout
from tawasul_nlp.tables.run.masking import masked
from tawasul_nlp.tables.run.outputs import Answered
from tawasul_nlp.tables.run.parts import Parts

if TYPE_CHECKING:
    import pyarrow as pa


class Classifier(Protocol):
    """Anything that predicts a list of texts; :class:`tawasul_nlp.ComplaintClassifier` does.

    If it has ``labels`` (a mapping by task), its tasks are those; if it has ``multi_label_tasks``, these of them are
    multi-label; if it ``finds_issues``, a case may have several. If it has ``info()`` with a ``model_hash``, a run
    tells models apart by that, else by the name of their class. What else decides the answers is compared where it is
    there: ``runtime`` of ``info()``, ``target_error``, ``review_on``, ``domain`` and ``priors``.
    """

    def predict(self, texts: list[str], /) -> list[Prediction]:
        """Return one prediction a text, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a run must know of a classifier: what it answers, what tells it from another one, and its domain, if any."""

    tasks: tuple[str, ...]
    identity: Mapping[str, Any]
    domain: Domain | None = None
    multi_label: tuple[str, ...] = ()
    finds_issues: bool = False

    @classmethod
    def of(cls, classifier: Classifier) -> ModelFacts:
        """Ask a classifier."""
        info = getattr(classifier, "info", None)
        model = info() if callable(info) else {}
        domain = getattr(classifier, "domain", None)
        identity = {
            "hash": model.get("model_hash") or type(classifier).__qualname__,
            "target_error": getattr(classifier, "target_error", None),
            "review_on": list(getattr(classifier, "review_on", ())),
            "runtime": model.get("runtime"),
            "domain": None if domain is None else domain.fingerprint,
            "priors": dict(getattr(classifier, "priors", {})),
        }
        return cls(
            tasks=tuple(getattr(classifier, "labels", TASKS)),
            identity=identity,
            domain=domain,
            multi_label=tuple(getattr(classifier, "multi_label_tasks", ())),
            finds_issues=bool(getattr(classifier, "finds_issues", False)),
        )

    def columns(self) -> dict[str, str]:
        """Return the columns that a classification adds, with their types."""
        levels = None if self.domain is None else self.domain.gazetteer.levels
        return classification_columns(self.tasks, levels, multi_label=self.multi_label, issues=self.finds_issues)


def loaded(classifier: Classifier | Callable[[], Classifier]) -> Classifier:
    """Return the classifier, loaded if a function was given."""
    if hasattr(classifier, "predict") and not isinstance(classifier, type):  # a class is a function that makes one
        return classifier
    return classifier()


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many rows got a label, and how many of them a person should look at."""

    id: str
    name_ar: str
    name_en: str
    rows: int
    needs_review: int


class LabelCounts:
    """How many rows were read, and how many got each label of one task.

    Examples
    --------
    >>> LabelCounts("agency", LabelCounts("agency").to_dict()).rows_read
    0
    """

    def __init__(self, task: str, stored: Mapping[str, Any] | None = None) -> None:
        stored = stored or {}
        self.task = task
        self.rows_read: int = stored.get("rows_read", 0)
        self.emergencies: int = stored.get("emergencies", 0)
        # Answers among those without review that are probably wrong, by their probabilities.
        self.wrong: float = stored.get("wrong", 0.0)
        self._counts = {label["id"]: LabelCount(**label) for label in stored.get("labels", ())}

    def add(self, read: Chunk, predictions: Sequence[Prediction]) -> None:
        """Count a chunk as the reader gave it, so that the check against what is written can fail, and its answers."""
        self.rows_read += len(read.numbers) + len(read.rejects)
        for prediction in predictions:
            self.emergencies += prediction.urgency is not None and prediction.urgency.id == EMERGENCY
            answer = prediction.answer(self.task)
            if answer and not prediction.needs_review:
                self.wrong += 1 - answer.probability
            labels = [answer] if answer else sorted(prediction.label_sets[self.task], key=lambda label: label.id)
            id = join_labels(label.id for label in labels)
            names = join_labels(label.name_ar for label in labels), join_labels(label.name_en for label in labels)
            before = self._counts.get(id) or LabelCount(id, *names, rows=0, needs_review=0)
            needs_review = before.needs_review + bool(prediction.needs_review)
            self._counts[id] = replace(before, rows=before.rows + 1, needs_review=needs_review)

    @property
    def needs_review(self) -> int:
        """Rows that a person should look at."""
        return sum(count.needs_review for count in self._counts.values())

    def counts(self) -> tuple[LabelCount, ...]:
        """Return the labels' counts, largest first."""
        return tuple(sorted(self._counts.values(), key=lambda count: (-count.rows, count.id)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        counts = {"rows_read": self.rows_read, "emergencies": self.emergencies, "wrong": self.wrong}
        return {**counts, "labels": [asdict(count) for count in self.counts()]}


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run has come."""

    rows_read: int
    fraction_read: float
    resumed: bool = False  # whether it had come so far before it was resumed; only of its first step


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """A table to classify, and what it becomes."""

    file: InputFile
    reader: Reader
    # The table's own columns that hold the texts and the places of cases, and those that are written masked.
    text_columns: tuple[str, ...]
    place_columns: tuple[str, ...]
    mask_columns: tuple[str, ...]
    layout: Layout
    domain: Domain
    task: str  # whose labels are counted
    chunk_rows: int

    def with_texts(self, chunk: Chunk) -> tuple[Chunk, list[str]]:
        """Return the chunk without the rows that cannot be classified or written, and the texts of the others."""
        return with_texts(self.layout.format.fitting(chunk, self.masked), self.text_columns)

    def masked(self, chunk: Chunk) -> Chunk:
        """Return the chunk as it is written."""
        return masked(chunk, self.mask_columns, self.domain) if self.mask_columns else chunk

    def placed(self, chunk: Chunk, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Return the predictions with the places that the table's own columns name."""
        if not self.place_columns:
            return predictions
        columns = [values_of(chunk, name) for name in self.place_columns]
        return [
            placed(prediction, given_places(filter(None, map(to_name, cells)), self.domain), self.domain)
            for prediction, cells in zip(predictions, zip(*columns, strict=True), strict=True)
        ]

    def batch(self, chunk: Chunk, predictions: Sequence[Prediction]) -> pa.RecordBatch:
        """Return the numbers of the rows and, as JSON, their added values."""
        import pyarrow as pa

        levels = self.domain.gazetteer.levels
        rows = [json.dumps(added_values(one, tuple(self.layout.types), levels)) for one in predictions]
        columns = [pa.array(chunk.numbers, pa.int64()), pa.array(rows, pa.large_string())]
        return pa.RecordBatch.from_arrays(columns, names=["row", "values"])

    def values(self, batch: pa.RecordBatch) -> list[list[Any]]:
        """Return the added values of the rows of a batch."""
        sets = [kind in OF_LABEL_SETS for kind in self.layout.types.values()]
        return [
            [tuple(value) if is_set else value for value, is_set in zip(json.loads(row), sets, strict=True)]
            for row in batch.column(1).to_pylist()
        ]


def predict_parts(
    table: Classification, classifier: Classifier, parts: Parts, on_step: Callable[[Step], None] | None
) -> LabelCounts:
    """Store the answers for every chunk that has none yet, and return the counts of all.

    Raises
    ------
    InputChangedError
        If the input was changed since the run began.
    RowsLostError
        If the classifier gives another number of answers than it got texts.
    """
    counts = LabelCounts(table.task, parts.facts)
    if len(parts) and on_step is not None:
        on_step(Step(counts.rows_read, parts.facts["fraction"], resumed=True))

    for chunk in islice(table.reader.chunks(table.chunk_rows), len(parts), None):
        whole, texts = table.with_texts(chunk)
        fraction = table.reader.fraction_read()
        answers = classifier.predict(texts) if texts else []
        if len(answers) != len(texts):
            raise RowsLostError(f"{len(texts)} texts went to the classifier and {len(answers)} came back")
        predictions = table.placed(whole, answers)
        counts.add(chunk, predictions)
        table.file.check()
        parts.add(table.batch(whole, predictions), counts.to_dict() | {"fraction": fraction})
        if on_step is not None:
            on_step(Step(counts.rows_read, fraction))
    return counts


def answered_chunks(table: Classification, parts: Parts) -> Iterator[Answered]:
    """Read the table once more and yield it with its answers."""
    for number, chunk in enumerate(table.reader.chunks(table.chunk_rows)):
        whole, _ = table.with_texts(chunk)
        answers = parts[number]
        if answers.column(0).to_pylist() != list(whole.numbers):
            raise RowsLostError(f"the rows of chunk {number + 1} are not those that were classified")
        yield len(chunk.numbers) + len(chunk.rejects), table.masked(whole), table.values(answers)


_PLACE_NEEDED = "place_needed"
_PLACE_CONFLICT = "place_conflict"


def placed(prediction: Prediction, given: Places, domain: Domain) -> Prediction:
    """Return the prediction for a case whose place its table names; the very same one if nothing is.

    See :func:`~tawasul_nlp.domain.places.given.merged`. Places that the table tells have the spans of its cells.
    """
    if not given:
        return prediction
    places, conflict = merged(prediction.places, given, domain)
    reasons = (*prediction.reasons, _PLACE_CONFLICT) if conflict else prediction.reasons
    found = replace(prediction, places=places, reasons=reasons)
    return found if prediction.routing is None else _rerouted(found, places, domain)


def _rerouted(prediction: Prediction, places: Places, domain: Domain) -> Prediction:
    """Send every issue of a case to where it is said to be."""
    text = prediction.text[:MAX_CHARS]
    named = find_named_agencies(text, domain)
    several = len(prediction.issues) > 1
    issues = []
    for issue in prediction.issues:
        part = slice(issue.start, issue.end) if several else slice(0, MAX_CHARS)
        routing = route_part(_routed_topic(issue, domain), text, part, places, named, domain)
        agency = domain.taxonomy.agency(routing.agency_id)
        label = replace(issue.agency, id=agency.id, name_ar=agency.name_ar, name_en=agency.name_en)
        issues.append(replace(issue, agency=label, routing=routing))
    reasons = [reason for reason in prediction.reasons if reason != _PLACE_NEEDED]
    if any(issue.routing is not None and PLACE in issue.routing.needs for issue in issues):
        reasons.append(_PLACE_NEEDED)
    main = issues[0]
    return replace(
        prediction,
        labels={**prediction.labels, "agency": main.agency},
        places=places,
        routing=main.routing,
        issues=tuple(issues),
        reasons=tuple(reasons),
    )


def _routed_topic(issue: Issue, domain: Domain) -> str:
    """Return the likeliest topic of those that an issue was routed by; any of them gives the same agency."""
    assert issue.routing is not None
    taxonomy = domain.taxonomy
    likely = [label.id for label in (issue.topic, *issue.topic.alternatives)]
    return next(id for id in (*likely, *taxonomy.topics) if taxonomy.agency_group(id) == issue.routing.group)
