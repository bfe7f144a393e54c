"""Classify a whole table: read a chunk, predict, write it, and publish the output when every row is accounted for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from tawasul_nlp.batch.columns import added_names, added_values
from tawasul_nlp.batch.errors import MissingColumnError, RowsLostError, TableError
from tawasul_nlp.batch.output import PendingFile
from tawasul_nlp.batch.readers import CsvReader, JsonlReader, open_reader
from tawasul_nlp.batch.rows import CHUNK_ROWS, Chunk, Reader, Reject, to_json
from tawasul_nlp.batch.sniff import SUFFIXES, Format
from tawasul_nlp.batch.writers import open_writer

if TYPE_CHECKING:
    from tawasul_nlp.prediction import Prediction

_GUESS_ROWS = 100


class Classifier(Protocol):
    """Anything that predicts a list of texts; :class:`tawasul_nlp.ComplaintClassifier` does."""

    def predict(self, texts: list[str], /) -> list[Prediction]:
        """Return one prediction a text, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class AgencyCount:
    """How many rows went to an agency, and how many of them a person should look at."""

    id: str
    name_ar: str
    name_en: str
    rows: int
    needs_review: int


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a run did.

    Attributes
    ----------
    output, rejects : Path or None
        The published table, and the file of rejected rows; `rejects` is None when no row was rejected.
    rows_read, rows_written, rows_rejected : int
        ``rows_read == rows_written + rows_rejected`` always.
    needs_review : int
        Rows written with ``needs_review``.
    agencies : tuple of AgencyCount
        Largest first.
    added : tuple of str
        Names of the added columns.
    notes : tuple of str
        What the user should know of the input, such as renamed columns.
    seconds : float
        Wall-clock time of the run.
    """

    output: Path
    rejects: Path | None
    rows_read: int
    rows_written: int
    rows_rejected: int
    needs_review: int
    agencies: tuple[AgencyCount, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """One chunk done: what was predicted, and how far the run has come."""

    rows_read: int
    fraction_read: float
    chunk: Chunk
    predictions: Sequence[Prediction]


def classify_table(
    classifier: Classifier,
    source: str | Path,
    output: str | Path,
    *,
    text_column: str | None,
    input_format: Format | None = None,
    output_format: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    prefix: str | None = None,
    rejects: str | Path | None = None,
    chunk_rows: int = CHUNK_ROWS,
    on_step: Callable[[Step], None] | None = None,
) -> BatchReport:
    """Classify the texts of a CSV, JSONL or Parquet file and write the table with the answers added.

    Rows keep their order and all their columns. A row without text (empty, null, absent) is classified as an empty
    text. A row that cannot be read goes to the rejects file. Memory is bounded by the chunk, not by the table.

    Parameters
    ----------
    classifier : Classifier
        Predicts a list of texts.
    source, output : str or Path
        Files; they must differ. The output appears when it is complete, and replaces what was there.
    text_column : str or None
        The column to classify; None raises an error that lists the columns.
    input_format, output_format : {"csv", "jsonl", "parquet"}, optional
        Told from the names if None (and from the content, for the input).
    encoding, delimiter : str, optional
        Of the input; sniffed if None. A CSV output is UTF-8, with a byte-order mark where the input came from Excel
        (has one itself, or is windows-1256), and has the input's delimiter (a ``.tsv`` has tabs).
    prefix : str, optional
        Prefix of the added columns; see :func:`~tawasul_nlp.batch.columns.added_names`.
    rejects : str or Path, optional
        Where rejected rows go; the output's name with ``.rejects.jsonl`` if None. When no row is rejected, the file is
        not written and one from an earlier run is removed.
    chunk_rows : int
        Rows classified at a time.
    on_step : callable, optional
        Called after each chunk.

    Returns
    -------
    BatchReport

    Raises
    ------
    TableError
        If a file cannot be read or written as a whole (its subclass :class:`MissingColumnError` if there is no such
        text column). Nothing is published then.
    RowsLostError
        If written and rejected rows do not add up to the rows read, which would be a fault of this package.
    """
    began = time.monotonic()
    output = Path(output)
    reader = open_reader(source, format=input_format, encoding=encoding, delimiter=delimiter, text_column=text_column)
    chosen = output_format or output_format_of(output)
    if output.exists() and output.samefile(source):
        raise TableError(f"the output {output} is the input itself; write to another file")
    text_column = checked_column(reader, text_column)
    names = added_names(reader.columns, prefix)
    rejects_path = rejects_beside(output, source, rejects)

    pending: list[PendingFile] = []
    try:
        table_file = PendingFile(output)
        pending.append(table_file)
        rejects_file = PendingFile(rejects_path)
        pending.append(rejects_file)
        tally = _Tally()
        with (
            closing(open_writer(table_file.path, chosen, reader, names, **csv_dialect(reader, output))) as writer,
            rejects_file.path.open("w", encoding="utf-8", newline="") as rejects_lines,
        ):
            for chunk in reader.chunks(chunk_rows):
                whole, texts = with_texts(chunk, text_column)
                predictions = classifier.predict(texts) if texts else []
                if len(predictions) != len(texts):
                    raise RowsLostError(f"{len(texts)} texts went to the classifier and {len(predictions)} came back")
                writer.write(whole, [added_values(prediction) for prediction in predictions])
                write_rejects(rejects_lines, whole.rejects)
                tally.add(chunk, whole, predictions)
                if on_step is not None:
                    on_step(Step(tally.rows_read, reader.fraction_read(), whole, predictions))
        if tally.rows_read != writer.rows_written + tally.rows_rejected:
            raise RowsLostError(
                f"{tally.rows_read} rows were read but {writer.rows_written} written and {tally.rows_rejected} "
                "rejected; nothing was published"
            )
        # The rejects go first: whoever sees the output can rely on finding them.
        if tally.rows_rejected:
            rejects_file.publish()
        else:
            rejects_file.target.unlink(missing_ok=True)
        table_file.publish()
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise TableError(f"reading or writing failed: {error.strerror or error}{where}") from error
    finally:
        for file in pending:
            file.discard()
    return BatchReport(
        output=output,
        rejects=rejects_path if tally.rows_rejected else None,
        rows_read=tally.rows_read,
        rows_written=writer.rows_written,
        rows_rejected=tally.rows_rejected,
        needs_review=sum(tally.reviews.values()),
        agencies=tally.agencies(),
        added=names,
        notes=reader.notes,
        seconds=time.monotonic() - began,
    )


def output_format_of(path: Path) -> Format:
    """Tell the format to write from a file's name.

    Raises
    ------
    TableError
        If the name's ending tells none.

    Examples
    --------
    >>> output_format_of(Path("classified.parquet"))
    'parquet'
    """
    format = SUFFIXES.get(path.suffix.lower())
    if format is None:
        known = ", ".join(sorted(SUFFIXES))
        raise TableError(f"the name {path.name!r} does not tell the output's format; end it in one of {known}")
    return format


class _Tally:
    """Counts over the chunks of a run."""

    def __init__(self) -> None:
        self.rows_read = 0
        self.rows_rejected = 0
        self.reviews: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        self._names: dict[str, tuple[str, str]] = {}

    def add(self, read: Chunk, classified: Chunk, predictions: Sequence[Prediction]) -> None:
        # Counted from what the reader gave, so that the check against what was written can fail.
        self.rows_read += len(read.numbers) + len(read.rejects)
        self.rows_rejected += len(classified.rejects)
        for prediction in predictions:
            agency = prediction.agency
            self._rows[agency.id] += 1
            self.reviews[agency.id] += bool(prediction.needs_review)
            self._names[agency.id] = (agency.name_ar, agency.name_en)

    def agencies(self) -> tuple[AgencyCount, ...]:
        return tuple(AgencyCount(id, *self._names[id], rows, self.reviews[id]) for id, rows in self._rows.most_common())


def rejects_beside(output: Path, source: str | Path, wanted: str | Path | None) -> Path:
    """Return where rejects go: where they are wanted, or beside the output.

    Raises
    ------
    TableError
        If that is the input or the output.
    """
    path = Path(wanted) if wanted is not None else output.with_name(output.name + ".rejects.jsonl")
    if path.resolve() in (output.resolve(), Path(source).resolve()):
        raise TableError(f"the rejects file {path} is the input or the output; write to another file")
    return path


def checked_column(reader: Reader, wanted: str | None) -> str:
    """Return the name of the text column, if the table has it.

    Raises
    ------
    TableError
        If it cannot hold text (its subclass :class:`MissingColumnError` if there is none of this name).
    """
    if wanted is not None and (wanted in reader.columns or not reader.columns):
        if reader.columns:
            reader.check_text_column(wanted)
        return wanted
    first = next(iter(reader.chunks(_GUESS_ROWS)), None)
    raise MissingColumnError(wanted, reader.columns, _wordiest(reader, first) if first is not None else None)


def _wordiest(reader: Reader, chunk: Chunk) -> str | None:
    """Return the column with the most words in it, if any column reads like text."""
    words = {
        name: sum(len(value.split()) for value in chunk.column(name) if isinstance(value, str))
        for name in reader.columns
    }
    best = max(words, key=lambda name: words[name], default=None)
    return best if best is not None and words[best] > 2 * len(chunk.numbers) else None


def with_texts(chunk: Chunk, column: str) -> tuple[Chunk, list[str]]:
    """Return the chunk without the rows whose text is none, and the texts of the others."""
    rejects = []
    positions = []
    texts = []
    for position, value in enumerate(values_of(chunk, column)):
        if value is None or isinstance(value, str):
            positions.append(position)
            texts.append(value or "")
        else:
            kind = "bytes that are not valid UTF-8" if isinstance(value, bytes) else f"{to_json(value)[:40]}"
            raw = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else to_json(value)
            reason = f"column {column!r} holds {kind}, expected text"
            rejects.append(Reject(chunk.numbers[position], None, reason, raw))
    return (chunk.keep(positions, rejects) if rejects else chunk), texts


def values_of(chunk: Chunk, column: str) -> list[Any]:
    """Return a column's values; a string that Arrow holds but UTF-8 does not allow comes out as bytes."""
    try:
        return chunk.column(column)
    except UnicodeDecodeError:
        import pyarrow as pa

        strings = chunk.rows.column(column)  # type: ignore[union-attr]  # only Arrow rows raise this
        whole = strings.cast(pa.string()).cast(pa.binary()).to_pylist()
        return [None if value is None else _decoded(value) for value in whole]


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def write_rejects(lines: TextIO, rejects: Sequence[Reject]) -> None:
    """Write rejects in the order of their rows, one line of JSON each."""
    for reject in sorted(rejects, key=lambda reject: reject.row):
        lines.write(reject.to_json() + "\n")


def csv_dialect(reader: Reader, output: Path) -> dict[str, Any]:
    """Return how a CSV output is written so that the program which made the input reads it."""
    delimiter = ","
    if output.suffix.lower() == ".tsv":
        delimiter = "\t"
    elif isinstance(reader, CsvReader) and len(reader.columns) > 1:
        delimiter = reader.delimiter
    from_excel = isinstance(reader, CsvReader | JsonlReader) and reader.encoding.from_excel
    return {"delimiter": delimiter, "mark": from_excel}
