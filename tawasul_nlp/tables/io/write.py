"""Write rows that were made here, not read from a table, in any format; such are the incidents of an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from tawasul_nlp.domain.taxonomy import NORMAL
from tawasul_nlp.tables.errors import disk_errors
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, Chunk
from tawasul_nlp.tables.io.files import PendingFile
from tawasul_nlp.tables.io.formats import Layout, WriteOptions, known_format, output_format
from tawasul_nlp.text import mask_personal_data

if TYPE_CHECKING:
    import pyarrow as pa

    from tawasul_nlp.classifier import ComplaintClassifier
    from tawasul_nlp.duplicates import DuplicateIndex, Incident


def write_records(
    path: str | Path,
    types: Mapping[str, str],
    records: Iterable[Mapping[str, Any]],
    write: WriteOptions = WriteOptions(),
    *,
    before: Callable[[], None] = lambda: None,
) -> int:
    """Write records to a CSV, JSONL, Parquet or Excel file, which replaces what is there when it is complete.

    Parameters
    ----------
    path : str or Path
    types : mapping of str to str
        The columns, with their Arrow types.
    records : iterable of mapping
        Each with a value for every column.
    write : WriteOptions
        Its ``format`` and ``bom``.
    before : callable
        Called when everything is written, and before it appears under its name.

    Returns
    -------
    int
        The number of records.

    Raises
    ------
    TableError
        If the file cannot be written, or its name says no format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_records(f"{folder}/names.csv", {"name": "string", "rows": "int64"}, [{"name": "الأشغال", "rows": 3}])
    1
    """
    path = Path(path)
    format = output_format(path) if write.format is None else known_format(write.format)
    columns = tuple(types)
    layout = Layout(format, columns, lambda: _schema(types), (), {}, bom=write.bom)
    with disk_errors(), PendingFile(path) as pending:
        written = format.write(pending.path, layout, ((chunk, [[]] * len(chunk.rows)) for chunk in _chunks(records)))
        before()
        pending.publish()
    return written.rows


def _chunks(records: Iterable[Mapping[str, Any]]) -> Iterator[Chunk]:
    waiting, done = iter(records), 0
    while rows := [dict(row) for row in islice(waiting, CHUNK_ROWS)]:
        numbers = range(done + 1, done + len(rows) + 1)
        done += len(rows)
        yield Chunk(numbers, rows, ())


def _schema(types: Mapping[str, str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in types.items()])


_TITLE_CHARS = 300
INCIDENT_COLUMNS: dict[str, str] = {
    "incident": "int64",
    "state": "string",
    "title": "string",
    "size": "int64",
    "first_day": "string",
    "last_day": "string",
    "last_week": "int64",
    "week_before": "int64",
    "growth": "int64",
    "topic": "string",
    "topic_name_ar": "string",
    "agency": "string",
    "agency_name_ar": "string",
    "places": "string",
    "urgency": "string",
    "most_urgent": "string",
    "urgency_words": "string",
    "closed_at": "string",
    "recurrence_of": "int64",
}
"""The columns of :func:`export_incidents`, and their Arrow types."""


def export_incidents(
    index: DuplicateIndex,
    output: str | Path,
    *,
    min_size: int = 1,
    mask: bool = False,
    write: WriteOptions | None = None,
) -> int:
    """Write the incidents of an index to a CSV, JSONL, Parquet or Excel file, the largest first.

    Parameters
    ----------
    index : DuplicateIndex
    output : str or Path
        What is there is replaced when the table is complete.
    min_size : int
        Only incidents with at least so many cases.
    mask : bool
        Whether personal data in titles and words are masked; the title is the beginning of the text of the
        representative, which all other reports match.
    write : WriteOptions or None
        Its ``format`` and ``bom``.

    Returns
    -------
    int
        The number of incidents. Their columns are :data:`INCIDENT_COLUMNS`; ``urgency`` is the highest of the reports,
        ``most_urgent`` the id of the first that has it, and ``urgency_words`` what says so in its text.

    Raises
    ------
    TableError
        If the output cannot be written, or its name says no format.

    Examples
    --------
    >>> import tempfile
    >>> from tawasul_nlp import DuplicateIndex
    >>> with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(f"{folder}/incidents") as index:
    ...     added = index.add(["المجاري طافحة في مجمع 711", "انقطع التيار عن مجمع 1203"])
    ...     export_incidents(index, f"{folder}/incidents.csv")
    2
    """
    incidents = index.incidents(min_size)
    parts = (incidents[start : start + CHUNK_ROWS] for start in range(0, len(incidents), CHUNK_ROWS))
    rows = (row for part in parts for row in _rows(index, part, mask))
    return write_records(output, INCIDENT_COLUMNS, rows, write or WriteOptions())


def urgency_words(classifier: ComplaintClassifier, texts: Sequence[str], mask: bool = False) -> list[str]:
    """Return the words of each text that speak for its urgency; empty where there are none."""
    words = []
    for text, prediction in zip(texts, classifier.predict(texts), strict=True):
        # Masked before it is cut, since half a number is no longer recognised, and to the same length.
        for span in mask_personal_data(text).spans if mask else ():
            text = text[: span.start] + "*" * (span.end - span.start) + text[span.end :]
        parts = () if prediction.urgency is None else prediction.urgency.reasons
        words.append(" … ".join(text[part.start : part.end] for part in parts))
    return words


def _rows(index: DuplicateIndex, incidents: list[Incident], mask: bool) -> Iterator[dict[str, Any]]:
    pressing = [one.most_urgent for one in incidents if one.most_urgent is not None and one.urgency != NORMAL]
    told = urgency_words(index.grouper.classifier, [index.text(case) for case in pressing], mask)
    words = dict(zip(pressing, told, strict=True))
    agencies, topics = (index.grouper.domain.taxonomy.labels_of(task) for task in ("agency", "topic"))

    for incident in incidents:
        agency, topic = agencies.get(incident.agency or ""), topics.get(incident.topic or "")
        text = index.text(incident.representative)
        yield {
            "incident": incident.incident_id,
            "state": incident.state,
            "title": shorten(mask_personal_data(text).text if mask else text, _TITLE_CHARS, placeholder=" …"),
            "size": incident.size,
            "first_day": incident.first_day.isoformat() if incident.first_day else None,
            "last_day": incident.last_day.isoformat() if incident.last_day else None,
            "last_week": incident.last_week,
            "week_before": incident.week_before,
            "growth": incident.growth,
            "topic": incident.topic,
            "topic_name_ar": topic.name_ar if topic else None,
            "agency": incident.agency,
            "agency_name_ar": agency.name_ar if agency else None,
            "places": "، ".join(incident.places) or None,
            "urgency": incident.urgency,
            "most_urgent": incident.most_urgent,
            "urgency_words": words.get(incident.most_urgent or "") or None,
            "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
            "recurrence_of": incident.recurrence_of,
        }
