"""Counts over the chunks of a run, which can be stored and loaded again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tawasul_nlp.model.label_sets import join_labels
from tawasul_nlp.tables.io.chunk import Chunk

if TYPE_CHECKING:
    from tawasul_nlp.prediction import Prediction


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
