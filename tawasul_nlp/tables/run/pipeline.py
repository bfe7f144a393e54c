"""Classify a table chunk by chunk, from where an unfinished run resumes to the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tawasul_nlp.domain import Domain
from tawasul_nlp.tables.added_columns import added_values
from tawasul_nlp.tables.errors import RowsLostError
from tawasul_nlp.tables.io.chunk import FIRST_ROWS, Chunk, Reader
from tawasul_nlp.tables.io.fields import values_of
from tawasul_nlp.tables.io.input_file import InputFile
from tawasul_nlp.tables.io.layout import Layout
from tawasul_nlp.tables.run.engine import Engine
from tawasul_nlp.tables.run.given_places import given_places, placed
from tawasul_nlp.tables.run.label_counts import LabelCounts
from tawasul_nlp.tables.run.masking import masked
from tawasul_nlp.tables.run.outputs import check_rows, reject_lines
from tawasul_nlp.tables.run.resume import UnfinishedRun
from tawasul_nlp.tables.run.text_columns import with_texts

if TYPE_CHECKING:
    from tawasul_nlp.prediction import Prediction


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
