"""What readers share: rows gathered into chunks, unique names of columns, and how wide a table may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import CHUNK_CHARS, Chunk, Position, Reject, chunk_rows

CELL_CHARS = 16  # what a cell takes of memory beside its text, in characters: a chunk of a wide table has fewer rows
MAX_COLUMNS = 16_384  # as many as a sheet of Excel has; a file with more is not a table of cases

TITLE_ROWS = 20  # how far below the first row a header is looked for

# What a table may unpack to, and that for each byte of its file more: in bytes, or in characters of a workbook.
ROOM = 1 << 28
ROOM_PER_BYTE = 200
# The same in cells: a row has one in each column, and one of a sheet those before its last too. Reading
# five million takes a second.
CELLS = 10_000_000
CELLS_PER_BYTE = 50

# A row or a reject, the line on which it begins, its size in characters, and where the next one begins.
Parsed = tuple[dict[str, Any] | Reject, int, int, Position]


def gather(parsed: Iterable[Parsed], max_rows: int, start: Position, first_rows: int | None = None) -> Iterator[Chunk]:
    """Bundle parsed rows, which begin at `start`, into chunks."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    chars = 0
    end = start
    most = chunk_rows(start.row, max_rows, first_rows)
    for item, line, size, end in parsed:
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            rows.append(item)
            numbers.append(end.row)
            lines.append(line)
            size += CELL_CHARS * len(item)
        chars += size
        if len(rows) + len(rejects) >= most or chars >= CHUNK_CHARS:
            yield Chunk(numbers, rows, rejects, end, lines)
            rows, numbers, lines, rejects, chars = [], [], [], [], 0
            most = chunk_rows(end.row, max_rows, first_rows)
    if rows or rejects:
        yield Chunk(numbers, rows, rejects, end, lines)


def check_width(path: Path, columns: int) -> None:
    """Raise :class:`TableError` if a table has too many columns to be one."""
    if columns > MAX_COLUMNS:
        raise TableError(f"{path} has {columns:,} columns, and a table may have {MAX_COLUMNS:,}; is it the right file?")


def title_hint(rows: Iterable[tuple[int, Sequence[str]]], header: Sequence[str], wanted: str | None) -> str:
    """Say which row is the header, if the one that was taken for it looks like a title.

    The header is one of the rows after it, each with its number: the one that has the column that is wanted; or one
    that has, like the next, at least twice as many cells that are not empty.

    >>> title_hint([(3, ["id", "text"]), (4, ["1", "الماي مقطوع"])], ["شكاوى مارس"], None)
    'row 3 looks like the header, with a title above it: --header-row 3'
    """
    enough = max(2, 2 * sum(map(bool, header)))
    for (number, cells), (_, below) in pairwise([*rows, (0, ())]):
        if wanted in cells or min(sum(map(bool, cells)), sum(map(bool, below))) >= enough:
            return f"row {number} looks like the header, with a title above it: --header-row {number}"
    return ""


def distinct_names(names: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return unique names of the columns, and notes on which were changed."""
    taken = set(names)
    seen: set[str] = set()
    counts: dict[str, int] = {}
    result = []
    notes = []
    for position, name in enumerate(names, 1):
        fresh = name
        if not name or name in seen:
            base = name or "column"
            count = counts.get(base, 2) if name else position
            while (fresh := f"{base}_{count}") in taken:
                count += 1
            counts[base] = count
            notes.append(
                f"column {position} is named {fresh!r}: its own name {name!r} is {'taken' if name else 'empty'}"
            )
            taken.add(fresh)
        seen.add(fresh)
        result.append(fresh)
    return tuple(result), tuple(notes)
