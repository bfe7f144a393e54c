"""Apply what people wrote into a review: to the table, to its incidents, and to a file that a model learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.review.incident_corrections import GroupCells, decided_in_index, decided_in_table
from tawasul_nlp.review.label_corrections import cells_of, lesson_of
from tawasul_nlp.review.review_sheet import read_sheet
from tawasul_nlp.review.reviewed import Reviewed, match_answers
from tawasul_nlp.tables.added_columns import GROUP_COLUMNS
from tawasul_nlp.tables.classified import ClassifiedTable, open_classified
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.formats import ReadOptions, WriteOptions, open_reader
from tawasul_nlp.tables.io.write import write_records
from tawasul_nlp.tables.run.rewrite import RewriteReport, rewrite_table

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateIndex

_TEXT = "text"


@dataclass(frozen=True, slots=True)
class CorrectionReport:
    """What was applied.

    Attributes
    ----------
    output : Path
    changed : mapping of str to int
        For each task, the cases whose label changed; of the agency, those too that a corrected topic routed anew.
    confirmed : int
        Cases that a person checked and found right.
    merged, moved, split : int
        Decisions about incidents.
    lessons : int
        Rows of the file that a model learns from, the earlier ones included; 0 without one.
    table : RewriteReport
        Rows read, written and rejected.
    """

    output: Path
    changed: Mapping[str, int]
    confirmed: int
    merged: int
    moved: int
    split: int
    lessons: int
    table: RewriteReport


def apply_corrections(
    review: str | Path,
    classified: str | Path,
    output: str | Path,
    *,
    index: DuplicateIndex | None = None,
    append_to: str | Path | None = None,
    by: str | None = None,
    text_column: str | Sequence[str] | None = None,
    id_column: str | None = None,
    prefix: str | None = None,
    domain: Domain | None = None,
    read: ReadOptions = ReadOptions(),
    write: WriteOptions = WriteOptions(),
    on_progress: Callable[[float], None] | None = None,
) -> CorrectionReport:
    """Apply a review to the table that it was written from.

    Only what differs from the table changes. A corrected label gets the probability 1, and its case needs no review any
    more; a corrected topic routes the case again, unless the agency was corrected too, and the main one of its issues
    follows. All is checked first: if one label is unknown, nothing changes. It may be repeated.

    Parameters
    ----------
    review : str or Path
        What :func:`~tawasul_nlp.review.write_review` wrote, filled in; or any table with its columns ``case``
        and ``correct_...``.
    classified : str or Path
        The table, unchanged since.
    output : str or Path
        The corrected table.
    index : DuplicateIndex or None
        Where incidents are merged and split as well; the table's group columns become what they are there. Needs ids.
    append_to : str or Path or None
        A table of texts with their right labels, from which ``tawasul update`` learns. Corrected and confirmed cases
        are added to it, in place of earlier ones of the same text. An agency in a group is written as the group, which
        is what a model learns; what people left in a row that they corrected counts as right.
    by : str or None
        Who decided it, for the index's history.
    text_column, id_column, prefix, read
        As for :func:`~tawasul_nlp.review.write_review`.
    domain : Domain or None
        The pack with labels and routing; None is Bahrain's.
    write : WriteOptions
    on_progress : callable, optional
        Called with the share of the work done.

    Raises
    ------
    TableError
        If a file cannot be read or written, or rows of the review are wrong: an unknown label or incident, a case that
        is not (or no longer) in the table, two corrections of one case. The message names the rows.

    Examples
    --------
    >>> import tempfile
    >>> row = {"text": "حفرة في الشارع", "topic": "road_damage", "topic_probability": "0.4", "needs_review": "true"}
    >>> rows = [row | {"review_reasons": "low_topic_confidence"}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/classified.csv", dict.fromkeys(rows[0], "string"), rows)
    ...     review = [{"case": "r1-c1d7d68b", "correct_topic": "رصف الطرق والأرصفة"}]
    ...     _ = write_records(f"{folder}/review.csv", dict.fromkeys(review[0], "string"), review)
    ...     done = apply_corrections(f"{folder}/review.csv", f"{folder}/classified.csv", f"{folder}/corrected.csv")
    >>> dict(done.changed)
    {'topic': 1}
    """
    review, classified, output = Path(review), Path(classified), Path(output)
    domain = domain or Domain.bundled()
    table = open_classified(
        classified, text_column=text_column, id_column=id_column, prefix=prefix, domain=domain, read=read
    )
    answers = read_sheet(review, table.tasks)
    advance = on_progress or (lambda _: None)
    reviewed = match_answers(table, answers, domain, lambda share: advance(share / 2))
    lessons = [lesson_of(one, domain) for one in reviewed.cases]
    lessons = _joined(Path(append_to), lessons, table.tasks) if append_to is not None else []

    def before_publishing() -> None:
        if append_to is not None:
            write_records(append_to, dict.fromkeys((_TEXT, *table.tasks), "string"), lessons)

    done = rewrite_table(
        "corrections apply",
        classified,
        table.file,
        table.reader,
        output,
        _cells(table, reviewed, index, by),
        before=before_publishing,
        also_read=[review],
        also_written={} if append_to is None else {"file of corrections": Path(append_to)},
        write=write,
        on_progress=lambda share: advance(0.5 + share / 2),
    )
    moves = [each for each in reviewed.decisions if not each.merges]
    return CorrectionReport(
        output,
        Counter(task for one in reviewed.cases for task in one.changed),
        sum(not one.changed for one in reviewed.cases),
        len(reviewed.decisions) - len(moves),
        sum(each.into is not None for each in moves),
        sum(each.into is None for each in moves),
        len(lessons),
        done,
    )


def _cells(
    table: ClassifiedTable, reviewed: Reviewed, index: DuplicateIndex | None, by: str | None
) -> dict[int, dict[str, Any]]:
    """Return the cells that change by row, and carry out in the index what was decided about incidents."""
    groups: dict[int, GroupCells] = {}
    if reviewed.decisions and index is not None:
        if table.id is None:
            raise TableError("an index knows cases by their ids, and no id column is named; name one with --id-column")
        groups = decided_in_index(index, reviewed.rows, reviewed.decisions, by)
    elif reviewed.decisions:
        groups = decided_in_table(reviewed.rows, reviewed.decisions)
    names = [table.added.get(name) for name in GROUP_COLUMNS]
    cells: dict[int, dict[str, Any]] = {
        row: {name: value for name, value in zip(names, astuple(group), strict=True) if name is not None}
        for row, group in groups.items()
    }
    for one in reviewed.cases:
        cells[one.case.row] = cells.get(one.case.row, {}) | cells_of(one, table, reviewed.names)
    return cells


def _joined(path: Path, lessons: Sequence[Mapping[str, str]], tasks: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a file of corrections with further ones, of which those of a known text replace it."""
    columns = (_TEXT, *tasks)
    kept: dict[str, dict[str, str]] = {}
    if path.exists():
        reader = open_reader(path, text_column=_TEXT)
        missing = [name for name in columns if name not in reader.columns]
        if missing or len(reader.columns) > len(columns):
            raise TableError(
                f"{path} has the columns {', '.join(reader.columns)}, expected {', '.join(columns)}; append to a file "
                "of corrections of the same tasks"
            )
        records = (record for chunk in reader.chunks() for record in chunk.records())
        kept = {record[_TEXT]: {name: record[name] or "" for name in columns} for record in records}
    kept |= {row[_TEXT]: {name: row[name] for name in columns} for row in lessons if row[_TEXT].strip()}
    return list(kept.values())
