"""``write_report``: write a page about a classified table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

from tawasul_nlp.domain import Domain, Levels
from tawasul_nlp.report.content import RECURRING, Findings, find_recurring, page_content, page_names
from tawasul_nlp.report.highlights import Highlights, highlights
from tawasul_nlp.report.page import render
from tawasul_nlp.report.page_cases import choose_held
from tawasul_nlp.report.shown import read_cases
from tawasul_nlp.report.tally import Tally
from tawasul_nlp.tables.classified import ClassifiedTable, open_classified
from tawasul_nlp.tables.errors import TableError, disk_errors
from tawasul_nlp.tables.io.files import PendingFile, check_apart
from tawasul_nlp.tables.io.formats import ReadOptions

# The report cannot do without these.
_NEEDED = ("kind", "topic", "topic_probability", "agency", "agency_probability", "needs_review")


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
    routed_column: str | None = None,
    prefix: str | None = None,
    title: str | None = None,
    mask: bool = True,
    domain: Domain | None = None,
    read: ReadOptions = ReadOptions(),
    on_chunk: Callable[[float], None] | None = None,
) -> ReportSummary:
    """Write one self-contained HTML page about a classified table.

    Its first screen says what is dangerous now, what grew against the period before, and which agency waits on review.
    Every row is counted and can be filtered. The page holds all texts of a table of at most 20,000 rows; of a larger
    one, the newest, the urgent, the least certain, and reports of the largest incidents and of recurring problems. It
    says which are missing, and makes no network requests.

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
    routed_column : str or None
        Column of the agency that each case was sent to, by its id or a name; the page then lists where the model
        disagrees.
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
    table = open_classified(
        source,
        text_column=text_column,
        id_column=id_column,
        date_column=date_column,
        routed_column=routed_column,
        prefix=prefix,
        domain=domain,
        read=read,
    )
    _check_answers(table)
    reader, levels = table.reader, domain.gazetteer.levels
    advance = on_chunk or (lambda _: None)
    with disk_errors(), PendingFile(output) as pending:
        tally = Tally(table)
        for chunk in reader.chunks():
            tally.add(chunk)
            advance(reader.fraction_read() / 2)
        if not tally.rows:
            raise TableError("the table has no rows that can be read, so there is nothing to report")
        problems = find_recurring(tally)
        held = choose_held(tally, chain.from_iterable(found[:RECURRING] for found in problems.values()))
        cases = read_cases(tally, held, domain if mask else None, lambda share: advance(0.5 + share / 2))
        table.file.check()
        found = Findings(tally, problems, held, cases, page_names(tally, domain, mask=mask))
        made = {"title": title or "", "source": table.file.path.name, "made": date.today().isoformat(), "masked": mask}
        page = render({**made, **page_content(found, domain)}, _level_words(levels))
        pending.path.write_bytes(page)
        pending.publish()
    return ReportSummary(
        output,
        tally.rows,
        tally.rejected,
        len(cases.of_row),
        table.text,
        table.id,
        table.date,
        len(page),
        highlights(found, levels.block),
    )


def _check_answers(table: ClassifiedTable) -> None:
    missing = [table.column(name) for name in _NEEDED if name not in table.added]
    if missing:
        raise TableError(
            f"the table is not classified: it has no column {', '.join(missing)}; run tawasul classify on it first"
            " (name its --prefix here if it had one)"
        )


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
