"""``write_report``: write a page about a classified table."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tawasul_nlp.domain import Domain, Levels, NamedPlace
from tawasul_nlp.domain.levels import COUNTRY
from tawasul_nlp.duplicates.recurring import RecurringProblems, recurring_problems
from tawasul_nlp.report.columns import TOWN_COLUMNS, ReportColumns, find_columns
from tawasul_nlp.report.highlights import Highlights, highlights
from tawasul_nlp.report.page import render
from tawasul_nlp.report.shown import Shown
from tawasul_nlp.report.tally import DIMENSIONS, UNKNOWN, Tally, without_block
from tawasul_nlp.tables.errors import disk_errors
from tawasul_nlp.tables.io.options import ReadOptions
from tawasul_nlp.tables.io.output_file import PendingFile, check_apart
from tawasul_nlp.tables.run.text_columns import open_source
from tawasul_nlp.text import mask_personal_data

# Recurring problems have at least this many incidents, in at least this many weeks; the most unusual are shown.
MIN_INCIDENTS = 3
MIN_WEEKS = 2
RECURRING = 100


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """The summary of a written report.

    Attributes
    ----------
    output : Path
    rows, rejected : int
        Rows counted by the report, and rows that could not be read.
    listed : int
        Cases whose text is on the page, and searchable.
    text_columns : tuple of str
    id_column, date_column : str or None
    bytes : int
        Size of the page.
    highlights : Highlights
        The largest incidents and the most unusual problems.
    """

    output: Path
    rows: int
    rejected: int
    listed: int
    text_columns: tuple[str, ...]
    id_column: str | None
    date_column: str | None
    bytes: int
    highlights: Highlights


def write_report(
    source: str | Path,
    output: str | Path,
    *,
    text_column: str | Sequence[str] | None = None,
    id_column: str | None = None,
    date_column: str | None = None,
    prefix: str | None = None,
    title: str | None = None,
    mask: bool = True,
    domain: Domain | None = None,
    read: ReadOptions = ReadOptions(),
    on_chunk: Callable[[float], None] | None = None,
) -> ReportSummary:
    """Write one self-contained HTML page about a classified table.

    The page counts every row, and shows all texts of a table of at most 2,000 rows. For a larger one it shows the cases
    most in need of review and reports of the largest incidents and of recurring problems, so its size hardly grows with
    the table; the search covers what is shown, and the page says so. It makes no network requests.

    Parameters
    ----------
    source : str or Path
        Output of ``tawasul classify``, as CSV, JSONL or Parquet; incidents need the columns that ``tawasul group``
        adds. Problems recur in a block or a town: a row's town is in a column ``town``, ``quarter`` or ``place``.
    output : str or Path
        The page, written atomically.
    text_column : str, sequence of str or None
        A column, or a field of the objects in one; the texts of several are joined. None takes the column with the
        most words.
    id_column, date_column : str or None
        None finds them: one named like an id, and one that holds dates.
    prefix : str or None
        Prefix of the columns that classification added; None tries no prefix and ``tawasul_``.
    title : str or None
        Shown at the top; None shows the dates and the number of cases.
    mask : bool
        Whether to mask personal data in texts and ids; a masked id is followed by its row number.
    domain : Domain or None
        The pack with names of agencies, topics and places; None is Bahrain's.
    read : ReadOptions
        How the table is read.
    on_chunk : callable, optional
        Called with the share of the work done.

    Raises
    ------
    TableError
        If the table cannot be read, is not classified, or lacks a named column, or the page cannot be written; its
        subclass :class:`~tawasul_nlp.tables.InputChangedError` if the table is changed while it is read.
    """
    source, output = Path(source), Path(output)
    domain = domain or Domain.bundled()
    check_apart([source], {"page": output})
    file, reader = open_source(source, text_column, read)
    levels = domain.gazetteer.levels
    columns = find_columns(reader, text=text_column, id=id_column, date=date_column, prefix=prefix, levels=levels)
    with disk_errors(), PendingFile(output) as pending:
        tally = Tally(columns, blocks_within_towns=levels.block is not None and levels.block.unique_in != COUNTRY)
        for chunk in reader.chunks():
            tally.add(chunk)
            if on_chunk is not None:
                on_chunk(reader.fraction_read() / 2)
        cells, blocks_kept = tally.counts()
        problems = _recurring(tally)
        shown = _shown(tally, problems, cells, blocks_kept, domain if mask else None)
        shown.collect(reader, on_chunk)
        file.check()
        data = {
            "title": title or "",
            "source": file.path.name,
            "made": date.today().isoformat(),
            **_facts(tally, columns),
            "masked": mask,
            "blocksToldApart": blocks_kept,
            "blocksWithinTowns": tally.blocks_within_towns,
            "hasBlocks": levels.block is not None,
            "regions": list(domain.gazetteer.governorates),
            "placeColumns": {
                "block": "block" in columns.added,
                "town": any(name in columns.added for name in TOWN_COLUMNS),
            },
            "names": _names(tally, mask, domain),
            "cells": cells,
            **_lists(tally, shown, problems),
        }
        page = render(data, _level_words(levels))
        pending.path.write_bytes(page)
        pending.publish()
    return ReportSummary(
        output,
        tally.rows,
        tally.rejected,
        len(shown.cases),
        columns.text,
        columns.id,
        columns.date,
        len(page),
        highlights(data, problems, tally.codes, levels.block),
    )


def _shown(
    tally: Tally,
    problems: Mapping[str, RecurringProblems],
    cells: Sequence[Sequence[int]],
    blocks_kept: bool,
    masked_by: Domain | None,
) -> Shown:
    places = {tuple(cell[: len(DIMENSIONS)]): at for at, cell in enumerate(cells)}
    return Shown(
        tally,
        {place: found[:RECURRING] for place, found in problems.items()},
        lambda codes: places.get(codes if blocks_kept else without_block(codes)),
        masked_by,
    )


def _facts(tally: Tally, columns: ReportColumns) -> dict[str, Any]:
    """Return what the page says of the table as a whole."""
    return {
        "rows": tally.rows,
        "rejected": tally.rejected,
        "first": None if tally.first is None else tally.first.isoformat(),
        "last": None if tally.last is None else tally.last.isoformat(),
        "dated": columns.date is not None,
        "datesUnread": tally.dates_unread,
        "grouped": columns.grouped,
        "incidents": tally.incidents,
        "groups": len(tally.group_sizes),
    }


def _lists(tally: Tally, shown: Shown, problems: Mapping[str, RecurringProblems]) -> dict[str, Any]:
    """Return the page's lists, and the cases to which they point."""
    return {
        "queue": shown.queue(),
        "queueTotal": sum(tally.reviews.values()),
        "largest": shown.groups(),
        "minIncidents": MIN_INCIDENTS,
        "minWeeks": MIN_WEEKS,
        "recurring": {
            place: {"all": len(found), "counted": found.incidents, "shown": shown.problems(place)}
            for place, found in problems.items()
        },
        "cases": list(shown.cases.values()),
    }


def _recurring(tally: Tally) -> dict[str, RecurringProblems]:
    """Return the problems that recur in a block and in a town, the most unusual first."""
    groups = tally.groups.tolist()
    topics = _named(tally, "topic", tally.topics)
    days = [None if day == UNKNOWN else date.fromordinal(day) for day in tally.days]
    return {
        place: recurring_problems(
            groups, topics, _named(tally, place, codes), days, min_incidents=MIN_INCIDENTS, min_weeks=MIN_WEEKS
        )
        for place, codes in (("block", tally.blocks), ("town", tally.towns))
    }


def _level_words(levels: Levels) -> dict[str, dict[str, str]]:
    """Return what the page calls regions, blocks and towns, by language, alone and within sentences."""
    words: dict[str, dict[str, str]] = {"ar": {}, "en": {}}
    for word, level in (("governorate", levels.region), ("block", levels.block), ("town", levels.area)):
        if level is not None:
            the, column = f"the{word.capitalize()}", f"{word}Column"
            words["ar"] |= {word: level.name_ar, the: _definite(level.name_ar), column: level.column}
            words["en"] |= {word: level.name_en, the: level.name_en.lower(), column: level.column}
    return words


def _definite(name: str) -> str:
    """Return an Arabic noun with its article.

    >>> _definite("قطعة"), _definite("المنطقة")
    ('القطعة', 'المنطقة')
    """
    return name if name.startswith("ال") or " " in name else f"ال{name}"


def _named(tally: Tally, dimension: str, codes: array[int]) -> list[str | None]:
    names = tally.codes[dimension].names
    return [None if code == UNKNOWN else names[code] for code in codes]


def _names(tally: Tally, mask: bool, domain: Domain) -> dict[str, list[Any]]:
    """Return the page's names of each code: [id, Arabic, English]; a custom name may hold personal data."""
    taxonomy, gazetteer = domain.taxonomy, domain.gazetteer
    tables: dict[str, Any] = {
        "agency": taxonomy.agencies,
        "topic": taxonomy.topics,
        "kind": taxonomy.kinds,
        "governorate": gazetteer.governorates,
        "town": {place.name_ar: place for place in gazetteer.places.values()},
    }
    names: dict[str, list[Any]] = {}
    for dimension, codes in tally.codes.items():
        table = tables.get(dimension, {})
        names[dimension] = []
        for name in codes.names:
            own = mask_personal_data(name, domain=domain).text if mask and name not in table else name
            names[dimension].append(
                [name, table[name].name_ar, table[name].name_en] if name in table else [own, own, own]
            )
    if tally.blocks_within_towns:
        names["block"] = [[id, own, _in_english(own, tables["town"])] for id, own, _ in names["block"]]
    return names


def _in_english(block: str, towns: Mapping[str, NamedPlace]) -> str:
    """Return the English name of a block that is numbered within its town, such as ``3، السالمية``."""
    number, _, town = block.partition("، ")
    return f"{number}, {towns[town].name_en if town in towns else town}"
