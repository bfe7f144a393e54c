"""``write_report``: from a classified table to one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tawasul_nlp.batch.errors import TableError
from tawasul_nlp.batch.input_file import InputFile
from tawasul_nlp.batch.output import PendingFile, check_apart
from tawasul_nlp.batch.readers import open_reader
from tawasul_nlp.batch.rows import Chunk, Reader, to_cell
from tawasul_nlp.batch.sniff import Format
from tawasul_nlp.batch.tables import values_of
from tawasul_nlp.domain import Taxonomy
from tawasul_nlp.duplicates.recurring import RecurringProblem, recurring_problems
from tawasul_nlp.report.columns import ReportColumns, find_columns
from tawasul_nlp.report.page import render
from tawasul_nlp.report.tally import UNKNOWN, Row, Tally
from tawasul_nlp.text import mask_personal_data

REPORTS_OF_A_GROUP = 12
RECURRING = 100
CASES_OF_A_PROBLEM = 6
# A report is for reading: of a longer text its beginning is shown.
MOST_CHARS = 600
MOST_ID_CHARS = 80


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What a report was made of.

    Attributes
    ----------
    output : Path
    rows, rejected : int
        Rows that the report counts, and rows that could not be read.
    listed : int
        Cases whose text is on the page.
    text_column : str
    id_column, date_column : str or None
    bytes : int
        Size of the page.
    """

    output: Path
    rows: int
    rejected: int
    listed: int
    text_column: str
    id_column: str | None
    date_column: str | None
    bytes: int


def write_report(
    source: str | Path,
    output: str | Path,
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    date_column: str | None = None,
    prefix: str | None = None,
    title: str | None = None,
    mask: bool = True,
    input_format: Format | None = None,
    any_size: bool = False,
    on_chunk: Callable[[float], None] | None = None,
) -> ReportSummary:
    """Write one self-contained HTML page about a classified table.

    The page counts every row. Texts are only shown of the cases that need review most, of the largest incidents and of
    problems that keep coming back, so its size hardly grows with the table. It needs no network and asks for none.

    Parameters
    ----------
    source : str or Path
        What ``tawasul classify`` wrote, as CSV, JSONL or Parquet; incidents and recurring problems need the columns
        that ``tawasul group`` adds.
    output : str or Path
        The page; it appears when it is complete.
    text_column, id_column, date_column : str or None
        None finds them: the column with the most words, one that is called an id, one that holds dates.
    prefix : str or None
        Prefix of the columns that classification added; None finds none and ``tawasul_``.
    title : str or None
        Shown at the top; the table's name if None.
    mask : bool
        Whether personal data in texts and ids are masked; a masked id is followed by its row's number.
    input_format : {"csv", "jsonl", "parquet"}, optional
    any_size : bool
        Whether to read a table that holds far more than its file's size lets one think.
    on_chunk : callable, optional
        Called with the share of the work that is done.

    Raises
    ------
    TableError
        If the table cannot be read, is not classified, or lacks a named column, or the page cannot be written; its
        subclass :class:`~tawasul_nlp.batch.InputChangedError` if the table is changed while it is read.
    """
    source, output = Path(source), Path(output)
    check_apart([source], {"page": output})
    source_file = InputFile(source)
    reader = open_reader(source_file.path, format=input_format, text_column=text_column, any_size=any_size)
    columns = find_columns(reader, text=text_column, id=id_column, date=date_column, prefix=prefix)
    pending = PendingFile(output)
    try:
        tally = Tally(columns)
        for chunk in reader.chunks():
            tally.add(chunk)
            if on_chunk is not None:
                on_chunk(reader.fraction_read() / 2)
        problems = _recurring(tally)
        queue = tally.least_certain()
        shown = _Shown(queue, tally.largest_groups(), problems)
        shown.collect(reader, tally, columns, mask, on_chunk)
        source_file.check()
        counts, blocks_told_apart = tally.counts()
        data: dict[str, Any] = {
            "title": title or source.name,
            "made": date.today().isoformat(),
            "rows": tally.rows,
            "rejected": tally.rejected,
            "first": None if tally.first is None else tally.first.isoformat(),
            "last": None if tally.last is None else tally.last.isoformat(),
            "dated": columns.date is not None,
            "datesUnread": tally.dates_unread,
            "grouped": columns.grouped,
            "incidents": tally.incidents,
            "groups": len(tally.group_sizes),
            "masked": mask,
            "blocksToldApart": blocks_told_apart,
            "names": _names(tally),
            "cells": counts,
            "queue": shown.queue(),
            "queueTotal": sum(tally.reviews.values()),
            "largest": shown.groups(tally),
            "recurring": shown.problems(tally),
            "cases": list(shown.cases.values()),
        }
        page = render(data)
        pending.path.write_bytes(page)
        pending.publish()
    except OSError as error:
        raise TableError(f"reading or writing failed: {error.strerror or error}") from error
    finally:
        pending.discard()
    return ReportSummary(
        output, tally.rows, tally.rejected, len(shown.cases), columns.text, columns.id, columns.date, len(page)
    )


def _id(value: Any, number: int, mask: bool) -> str:
    """Return what the page calls a case; a column that is named like an id may hold personal numbers."""
    name = to_cell(value)
    if len(name) > MOST_ID_CHARS:  # no id, and it may hold a number that is cut in two
        return f"({number})" if mask else f"{name[:MOST_ID_CHARS]}… ({number})"
    # Whole numbers in a column with gaps are often written as 870412356.0, which is no personal number to the masks.
    masked = mask_personal_data(name.removesuffix(".0")) if mask else None
    return f"{masked.text} ({number})" if masked is not None and masked.spans else name


def _recurring(tally: Tally) -> list[RecurringProblem]:
    """Return what keeps coming back in a block, the most unusual first."""
    if tally.first is None:
        return []
    topics, blocks = tally.codes["topic"].names, tally.codes["block"].names
    return recurring_problems(
        tally.groups.tolist(),
        [None if code == UNKNOWN else topics[code] for code in tally.topics],
        [None if code == UNKNOWN else blocks[code] for code in tally.blocks],
        [None if day == UNKNOWN else date.fromordinal(day) for day in tally.days],
    )[:RECURRING]


def _names(tally: Tally) -> dict[str, list[Any]]:
    """Return what the page calls each code: [id, Arabic, English]."""
    from tawasul_nlp.domain.gazetteer import Gazetteer

    taxonomy = Taxonomy.load()
    tables: dict[str, Any] = {
        "agency": taxonomy.agencies,
        "topic": taxonomy.topics,
        "kind": taxonomy.kinds,
        "governorate": Gazetteer.load().governorates,
    }
    names: dict[str, list[Any]] = {}
    for dimension, codes in tally.codes.items():
        table = tables.get(dimension, {})
        names[dimension] = [
            [name, table[name].name_ar, table[name].name_en] if name in table else [name, name, name]
            for name in codes.names
        ]
    return names


class _Shown:
    """The cases whose text the page shows, and where it shows them."""

    def __init__(self, queue: list[Row], groups: list[str], problems: list[RecurringProblem]) -> None:
        self._queue = queue
        self._groups: dict[str, list[int]] = {name: [] for name in groups}
        self._problems = problems
        # Recurring problems count rows from 0, tables from 1; a rejected row has a number, but no row here.
        self._of_problems = {row for problem in problems for row in problem.incidents[:CASES_OF_A_PROBLEM]}
        self._numbers: dict[int, int] = {}
        self.cases: dict[int, list[Any]] = {}

    def collect(
        self,
        reader: Reader,
        tally: Tally,
        columns: ReportColumns,
        mask: bool,
        on_chunk: Callable[[float], None] | None,
    ) -> None:
        """Read the table again and keep the cases to show."""
        wanted = {row.number for row in self._queue}
        position = 0
        for chunk in reader.chunks():
            keep: list[int] = []
            for at, (number, group) in enumerate(zip(chunk.numbers, tally.groups_of(chunk), strict=True)):
                members = self._groups.get(group) if group is not None else None
                if members is not None and len(members) < REPORTS_OF_A_GROUP:
                    members.append(number)
                    keep.append(at)
                elif number in wanted or position in self._of_problems:
                    keep.append(at)
                if position in self._of_problems:
                    self._numbers[position] = number
                position += 1
            if keep:
                self._keep(chunk.keep(keep, []), tally, columns, mask)
            if on_chunk is not None:
                on_chunk(0.5 + reader.fraction_read() / 2)

    def _keep(self, chunk: Chunk, tally: Tally, columns: ReportColumns, mask: bool) -> None:
        texts = values_of(chunk, columns.text)
        ids = chunk.column(columns.id) if columns.id is not None else None
        for at, row in enumerate(tally.read(chunk)):
            text = texts[at].decode("utf-8", "replace") if isinstance(texts[at], bytes) else to_cell(texts[at])
            name = str(row.number) if ids is None else _id(ids[at], row.number, mask)
            # Masked before it is cut: a number that is cut in two is no longer known for what it is.
            text = mask_personal_data(text[: 4 * MOST_CHARS]).text if mask else text
            shown = text if len(text) <= MOST_CHARS else text[:MOST_CHARS] + "…"
            day = None if row.day is None else row.day.isoformat()
            self.cases[row.number] = [name, shown, list(row.codes), round(row.certainty, 3), list(row.reasons), day]

    def _at(self) -> dict[int, int]:
        return {number: at for at, number in enumerate(self.cases)}

    def queue(self) -> list[int]:
        """Return the review queue: places in ``cases``."""
        at = self._at()
        return [at[row.number] for row in self._queue]

    def groups(self, tally: Tally) -> list[list[Any]]:
        """Return the largest incidents: [size, places in ``cases``]."""
        at = self._at()
        return [[tally.group_sizes[name], [at[number] for number in numbers]] for name, numbers in self._groups.items()]

    def problems(self, tally: Tally) -> list[dict[str, Any]]:
        """Return what keeps coming back."""
        at = self._at()
        topics, blocks = tally.codes["topic"], tally.codes["block"]
        return [
            {
                "topic": topics.of(problem.topic),
                "block": blocks.of(problem.place),
                "incidents": len(problem.incidents),
                "reports": len(problem.cases),
                "weeks": problem.weeks,
                "first": problem.first.isoformat(),
                "last": problem.last.isoformat(),
                "expected": round(problem.expected, 2),
                "p": float(f"{problem.p_value:.2g}"),
                "cases": [at[self._numbers[row]] for row in problem.incidents[:CASES_OF_A_PROBLEM]],
            }
            for problem in self._problems
        ]
