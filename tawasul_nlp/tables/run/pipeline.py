"""What predicts a run: in this process, or on a Ray cluster (`tables/ray.py`)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tawasul_nlp.domain import Domain
from tawasul_nlp.model.label_sets import join_labels
from tawasul_nlp.tables.added_columns import TASKS, added_values
from tawasul_nlp.tables.errors import RowsLostError
from tawasul_nlp.tables.io.chunk import FIRST_ROWS, Chunk, Reader
from tawasul_nlp.tables.io.fields import values_of, with_texts
from tawasul_nlp.tables.io.files import InputFile
from tawasul_nlp.tables.io.formats import Layout
from tawasul_nlp.tables.run.given_places import given_places, placed
from tawasul_nlp.tables.run.masking import masked
from tawasul_nlp.tables.run.outputs import check_rows, reject_lines
from tawasul_nlp.tables.run.resume import UnfinishedRun

if TYPE_CHECKING:
    from tawasul_nlp.domain import Domain
    from tawasul_nlp.prediction import Prediction

T = TypeVar("T")


class Classifier(Protocol):
    """Anything that predicts a list of texts; :class:`tawasul_nlp.ComplaintClassifier` does.

    If it has ``labels`` (a mapping by task), its tasks are those; if it has ``multi_label_tasks``, these of them are
    multi-label; if it ``finds_issues``, a case may have several. If it has ``info()`` with a ``model_hash``, a run
    tells models apart by that, else by the name of their class. What else decides the answers is compared where it is
    there: ``runtime`` of ``info()``, ``target_error``, ``domain`` and ``priors``.
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


class Engine(Protocol):
    """Predicts batches of texts; close it in the end."""

    facts: ModelFacts

    def map(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, Sequence[Prediction]]]:
        """Yield every batch's tag with its predictions, in the order of the batches.

        It takes batches as it needs them, and few more than it has finished, so that memory stays bounded.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def loaded(classifier: Classifier | Callable[[], Classifier]) -> Classifier:
    """Return the classifier, loaded if a function was given."""
    if hasattr(classifier, "predict") and not isinstance(classifier, type):  # a class is a function that makes one
        return classifier
    return classifier()


class LocalEngine:
    """Predicts in this process; the model's own threads use its cores.

    Parameters
    ----------
    classifier : Classifier or callable
        Or a function that loads one.
    """

    def __init__(self, classifier: Classifier | Callable[[], Classifier]) -> None:
        self._classifier = loaded(classifier)
        self.facts = ModelFacts.of(self._classifier)

    def map(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, Sequence[Prediction]]]:
        """Yield every batch's tag with its predictions; see :class:`Engine`."""
        for tag, texts in batches:
            yield tag, self._classifier.predict(texts) if texts else []

    def close(self) -> None:
        """Do nothing: the classifier belongs to the caller."""


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many rows got a label, and how many of them a person should look at."""

    id: str
    name_ar: str
    name_en: str
    rows: int
    needs_review: int


class LabelCounts:
    """How many rows were read and rejected, and how many got each label of one task.

    Parameters
    ----------
    task : str
        The task whose labels are counted; of a multi-label task, the sets of labels.
    stored : dict, optional
        What :meth:`to_dict` gave.

    Examples
    --------
    >>> LabelCounts("agency", LabelCounts("agency").to_dict()).rows_read
    0
    """

    def __init__(self, task: str, stored: dict[str, Any] | None = None) -> None:
        stored = stored or {"rows_read": 0, "rows_rejected": 0, "labels": {}}
        self.task = task
        self.rows_read: int = stored["rows_read"]
        self.rows_rejected: int = stored["rows_rejected"]
        self._rows = Counter({id: entry["rows"] for id, entry in stored["labels"].items()})
        self._reviews = Counter({id: entry["needs_review"] for id, entry in stored["labels"].items()})
        self._names = {id: (entry["name_ar"], entry["name_en"]) for id, entry in stored["labels"].items()}

    def add(self, read: Chunk, classified: Chunk, predictions: Sequence[Prediction]) -> None:
        """Count a chunk as the reader gave it, and as it was classified."""
        # Rows are counted from what the reader gave, so that the check against what was written can fail.
        self.rows_read += len(read.numbers) + len(read.rejects)
        self.rows_rejected += len(classified.rejects)
        for prediction in predictions:
            answer = prediction.answer(self.task)
            found = [answer] if answer else sorted(prediction.label_sets[self.task], key=lambda label: label.id)
            id = join_labels(label.id for label in found)
            self._rows[id] += 1
            self._reviews[id] += bool(prediction.needs_review)
            self._names[id] = (
                join_labels(label.name_ar for label in found),
                join_labels(label.name_en for label in found),
            )

    @property
    def needs_review(self) -> int:
        """Rows that a person should look at."""
        return sum(self._reviews.values())

    def counts(self) -> tuple[LabelCount, ...]:
        """Return the labels' counts, largest first."""
        order = sorted(self._rows.items(), key=lambda item: (-item[1], item[0]))
        return tuple(LabelCount(id, *self._names[id], rows, self._reviews[id]) for id, rows in order)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        labels = {
            count.id: {
                "name_ar": count.name_ar,
                "name_en": count.name_en,
                "rows": count.rows,
                "needs_review": count.needs_review,
            }
            for count in self.counts()
        }
        return {"rows_read": self.rows_read, "rows_rejected": self.rows_rejected, "labels": labels}


@dataclass(frozen=True, slots=True)
class Step:
    """One chunk done: what was predicted, and how far the run has come.

    The first step of a resumed run is empty: it says how far the run had come before.
    """

    rows_read: int
    fraction_read: float
    chunk: Chunk | None
    predictions: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class _Batch:
    """A chunk on its way: as it was read, without the rows that have no text, and how much of the table was read."""

    read: Chunk
    whole: Chunk
    fraction: float


class Pipeline:
    """What is done with each chunk of a table: read, predict, place, mask, write, count, commit.

    A chunk counts if the source was not changed since the run began; after each one the unfinished run stores how far
    the table is done. The labels of `task` are counted.
    """

    def __init__(
        self,
        source: InputFile,
        reader: Reader,
        layout: Layout,
        run: UnfinishedRun,
        text_columns: tuple[str, ...],
        mask_columns: tuple[str, ...],
        place_columns: tuple[str, ...],
        task: str,
        domain: Domain | None = None,
    ) -> None:
        self._source = source
        self._reader = reader
        self.layout = layout
        self._run = run
        self._text_columns = text_columns
        self._mask_columns = mask_columns
        self._place_columns = place_columns
        self._domain = domain or Domain.bundled()
        self._began = time.monotonic()
        self._before = {"rows_written": 0, "escaped": 0, "seconds": 0.0, "fraction": 0.0} | run.counts
        self.label_counts = LabelCounts(task, run.counts.get("tally"))
        stored = run.counts.get("started")
        self.started = datetime.fromisoformat(stored) if stored else datetime.now(UTC)
        self._writer = layout.format.append(run.rows, layout, run.counts.get("rows_written"))

    @property
    def rows_written(self) -> int:
        """Rows in the output."""
        return self._before["rows_written"] + self._writer.rows_written

    @property
    def escaped(self) -> int:
        """Escaped cells."""
        return self._before["escaped"] + self._writer.escaped

    def seconds(self) -> float:
        """Return how long it has taken, without interruptions."""
        return float(self._before["seconds"] + time.monotonic() - self._began)

    def run(self, engine: Engine, chunk_rows: int, on_step: Callable[[Step], None] | None) -> None:
        """Classify and write the rest of the table.

        Raises
        ------
        InputChangedError
            If the input was changed since the run began.
        RowsLostError
            If written and rejected rows do not add up to the rows read.
        """
        if self.label_counts.rows_read and on_step is not None:
            on_step(Step(self.label_counts.rows_read, self._before["fraction"], None, ()))
        for batch, predictions in engine.map(self._batches(chunk_rows)):
            if len(predictions) != len(batch.whole.numbers):
                raise RowsLostError(
                    f"{len(batch.whole.numbers)} texts went to the classifier and {len(predictions)} came back"
                )
            if self._place_columns:
                predictions = self._placed(batch.whole, predictions)
            shown = self._shown(batch.whole)
            levels, columns = self._domain.gazetteer.levels, tuple(self.layout.types)
            self._writer.write(shown, [added_values(prediction, columns, levels) for prediction in predictions])
            self._run.rejects.write(reject_lines(shown.rejects).encode())
            self.label_counts.add(batch.read, batch.whole, predictions)
            self._commit(batch)
            if on_step is not None:
                on_step(Step(self.label_counts.rows_read, batch.fraction, shown, predictions))
        self._source.check()
        self._run.rows.sync()  # a table without rows has a header that no chunk has synced
        check_rows(self.label_counts.rows_read, self.rows_written, self.label_counts.rows_rejected)

    def _shown(self, chunk: Chunk) -> Chunk:
        return masked(chunk, self._mask_columns, self._domain) if self._mask_columns else chunk

    def _placed(self, chunk: Chunk, predictions: Sequence[Prediction]) -> list[Prediction]:
        columns = [values_of(chunk, name) for name in self._place_columns]
        return [
            placed(prediction, given_places(cells, self._domain), self._domain)
            for prediction, cells in zip(predictions, zip(*columns, strict=True), strict=True)
        ]

    def _batches(self, chunk_rows: int) -> Iterator[tuple[_Batch, list[str]]]:
        for chunk in self._reader.chunks(chunk_rows, self._run.position, FIRST_ROWS):
            whole, texts = with_texts(self.layout.format.fitting(chunk, self._shown), self._text_columns)
            yield _Batch(chunk, whole, self._reader.fraction_read()), texts

    def _commit(self, batch: _Batch) -> None:
        counts = {
            "tally": self.label_counts.to_dict(),
            "rows_written": self.rows_written,
            "escaped": self.escaped,
            "fraction": batch.fraction,
            "started": self.started.isoformat(),
            "seconds": self.seconds(),
        }
        self._source.check()
        self._run.commit(batch.read.end, counts)
