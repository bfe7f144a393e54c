"""``write_report``: write a page about a classified table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

from tawasul_nlp.domain import Levels
from tawasul_nlp.report.content import RECURRING, Findings, find_recurring, page_content, page_names
from tawasul_nlp.report.highlights import Highlights, highlights
from tawasul_nlp.report.page import render
from tawasul_nlp.report.page_cases import choose_rows, read_cases
from tawasul_nlp.report.tally import Tally
from tawasul_nlp.tables.classified import ClassifiedTable, as_classified
from tawasul_nlp.tables.errors import TableError, disk_errors
from tawasul_nlp.tables.io.files import PendingFile

# The report cannot do without these.
_NEEDED = ("kind", "topic", "topic_probability", "agency", "agency_probability", "needs_review")


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """The summary of a written report."""

    output: Path
    # Rows counted by the report, and rows that could not be read.
    rows: int
    rejected: int
    # Cases whose text is on the page, and searchable.
    listed: int
    text_columns: tuple[str, ...]
    id_column: str | None
    date_column: str | None
    # Size of the page.
    bytes: int
    # The largest incidents and the most unusual problems.
    highlights: Highlights


def write_report(
    source: str | Path | ClassifiedTable,
    output: str | Path,
    *,
    title: str | None = None,
    mask: bool = True,
    on_chunk: Callable[[float], None] | None = None,
) -> ReportSummary:
    """Write one self-contained HTML page about a classified table.

    Its first screen says what is dangerous now, what grew against the period before, and which agency waits on review.
    Every row is counted and can be filtered. The page holds all texts of a table of at most 20,000 rows; of a larger
    one, the newest, the urgent, the least certain, and reports of the largest incidents and of recurring problems.

    Parameters
    ----------
    source : str, Path or ClassifiedTable
        Output of ``tawasul classify``; incidents need the columns that ``tawasul group`` adds. Problems recur in a
        block or a town, which is in a column ``town``, ``quarter`` or ``place``. Open it by ``open_classified`` to name
        its columns or country; with a ``routed_column`` the page lists where the model disagrees.
    output : str or Path
    title : str or None
        Shown at the top; None shows the dates and the number of cases.
    mask : bool
        Whether to mask personal data in texts and ids; a masked id is followed by its row number.
    on_chunk : callable, optional
        Called with the share of the work done.

    Raises
    ------
    TableError
        If the table cannot be read, is not classified, or the page cannot be written; its subclass
        :class:`~tawasul_nlp.tables.InputChangedError` if the table is changed while it is read.
    """
    table, output = as_classified(source, page=Path(output)), Path(output)
    _check_answers(table)
    with disk_errors(), PendingFile(output) as pending:
        findings = _read(table, mask=mask, on_chunk=on_chunk or (lambda _: None))
        made = {"title": title or "", "source": table.file.path.name, "made": date.today().isoformat(), "masked": mask}
        page = render({**made, **page_content(findings)}, _level_words(table.domain.gazetteer.levels))
        pending.path.write_bytes(page)
        pending.publish()
    return ReportSummary(
        output=output,
        rows=findings.tally.rows,
        rejected=findings.tally.rejected,
        listed=len(findings.cases.of_row),
        text_columns=table.text,
        id_column=table.id,
        date_column=table.date,
        bytes=len(page),
        highlights=highlights(findings),
    )


def _read(table: ClassifiedTable, *, mask: bool, on_chunk: Callable[[float], None]) -> Findings:
    """Read a table twice: what each row is, then the texts of those that the page holds."""
    tally = Tally(table)
    for chunk in table.reader.chunks():
        tally.add(chunk)
        on_chunk(table.reader.fraction_read() / 2)
    if not tally.rows:
        raise TableError("the table has no rows that can be read, so there is nothing to report")
    problems = find_recurring(tally)
    rows = choose_rows(tally, chain.from_iterable(of_places[:RECURRING] for of_places in problems.values()))
    cases = read_cases(tally, rows, table.domain if mask else None, lambda share: on_chunk(0.5 + share / 2))
    table.file.check()
    return Findings(tally, problems, rows, cases, page_names(tally, mask=mask))


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
