"""``write_report``: write a page about a classified table, and return its highlights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path

from tawasul_nlp.domain.places.levels import Levels
from tawasul_nlp.duplicates.recurring import RecurringProblem
from tawasul_nlp.report.content import RECURRING, Findings, find_recurring, page_content, page_names
from tawasul_nlp.report.page import render
from tawasul_nlp.report.page_cases import choose_rows, read_cases
from tawasul_nlp.report.tally import UNKNOWN, Tally
from tawasul_nlp.tables.classified import TOWN_COLUMNS, ClassifiedTable, as_classified
from tawasul_nlp.tables.errors import TableError, disk_errors
from tawasul_nlp.tables.io.files import PendingFile

# The report cannot do without these.
_NEEDED = ("kind", "topic", "topic_probability", "agency", "agency_probability", "needs_review")
LARGEST = 5
MOST_UNUSUAL = 3


@dataclass(frozen=True, slots=True)
class LargeIncident:
    """An incident with many reports."""

    reports: int
    # Of its clearest report; empty if that has none.
    topic: str
    topic_name_ar: str
    # Of its clearest report, masked if the page is.
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ComingBack:
    """A topic that recurs in a block or a town."""

    topic: str
    topic_name_ar: str
    # As people write it: ``مجمع 711``, ``كرزكان``.
    place: str
    # Distinct incidents, all their reports, and the calendar weeks in which an incident was first reported.
    incidents: int
    reports: int
    weeks: int
    # The number of incidents if the place had its usual share of the topic.
    expected: float
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Highlights:
    """The largest incidents and the most unusual problems, or why there are none."""

    # At most five, the largest first.
    largest: tuple[LargeIncident, ...]
    # At most three, the most unusual first; a problem that recurs in a block and in its town is listed once.
    coming_back: tuple[ComingBack, ...]
    # Whether the table has incidents, dates, and blocks or towns.
    grouped: bool
    dated: bool
    placed: bool


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
        :class:`~tawasul_nlp.tables.errors.InputChangedError` if the table is changed while it is read.
    """
    table, output = as_classified(source, page=Path(output)), Path(output)
    missing = [table.column(name) for name in _NEEDED if name not in table.added]
    if missing:
        raise TableError(
            f"the table is not classified: it has no column {', '.join(missing)}; run tawasul classify on it first"
            " (name its --prefix here if it had one)"
        )
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
        highlights=_highlights(findings),
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


def _highlights(findings: Findings) -> Highlights:
    """Return the highlights of a table."""
    table, problems = findings.tally.table, _most_unusual(findings.problems)
    return Highlights(
        largest=tuple(_large_incident(findings, incident) for incident in findings.rows.incidents[:LARGEST].tolist()),
        coming_back=tuple(_coming_back(findings, dimension, problem) for dimension, problem in problems),
        grouped=table.grouped,
        dated=table.date is not None,
        placed=any(name in table.added for name in ("block", *TOWN_COLUMNS)),
    )


def _large_incident(findings: Findings, incident: int) -> LargeIncident:
    tally, cases = findings.tally, findings.cases
    row = cases.clearest[incident]
    code = tally.values["topic"][row]
    topic, name_ar = ("", "") if code == UNKNOWN else findings.names["topic"][code][:2]
    return LargeIncident(
        reports=int(tally.incident_sizes[incident]), topic=topic, topic_name_ar=name_ar, text=cases.of_row[row].text
    )


def _coming_back(findings: Findings, dimension: str, problem: RecurringProblem) -> ComingBack:
    """Return a problem, and its place as the country calls it; ``dimension`` is that of the place."""
    place, block = _arabic_name(findings, dimension, problem.place), findings.tally.table.domain.gazetteer.levels.block
    return ComingBack(
        topic=problem.topic,
        topic_name_ar=_arabic_name(findings, "topic", problem.topic),
        place=f"{block.name_ar} {place}" if dimension == "block" and block else place,
        incidents=len(problem.incidents),
        reports=len(problem.cases),
        weeks=problem.weeks,
        expected=problem.expected,
        first=problem.first,
        last=problem.last,
    )


def _arabic_name(findings: Findings, dimension: str, name: str) -> str:
    return findings.names[dimension][findings.tally.codes[dimension].of(name)].arabic


def _most_unusual(problems: Mapping[str, Sequence[RecurringProblem]]) -> list[tuple[str, RecurringProblem]]:
    """Return recurring problems with the dimension of their place, the most unusual first.

    Two of one topic that share an incident, such as a block's and its town's, are listed once.
    """
    ranked = sorted(
        ((dimension, problem) for dimension, of_places in problems.items() for problem in of_places),
        key=lambda pair: (pair[1].p_value, -len(pair[1].incidents)),
    )
    chosen: list[tuple[str, RecurringProblem]] = []
    for dimension, problem in ranked:
        if len(chosen) == MOST_UNUSUAL:
            break
        same_topic = (other for _, other in chosen if other.topic == problem.topic)
        if not any(set(other.incidents) & set(problem.incidents) for other in same_topic):
            chosen.append((dimension, problem))
    return chosen
