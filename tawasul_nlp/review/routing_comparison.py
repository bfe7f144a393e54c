"""Compare the agencies that a model routes cases to with those that they were routed to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.prediction import without_controls
from tawasul_nlp.review.agency_names import AgencyNames
from tawasul_nlp.review.classified import ClassifiedCase, number_of, open_classified
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import to_name
from tawasul_nlp.tables.io.fields import check_columns
from tawasul_nlp.tables.io.fields import field as value_of
from tawasul_nlp.tables.io.options import ReadOptions
from tawasul_nlp.tables.io.records import write_records

if TYPE_CHECKING:
    from rich.console import RenderableType

_AGENCY = "agency"
_SHOWN = 15
_DISAGREEMENT_COLUMNS = {
    "row": "int64",
    "id": "string",
    "routed_as": "string",
    "routed": "string",
    "agency": "string",
    "agency_name_ar": "string",
    "agency_probability": "double",
    "needs_review": "bool",
    "topic": "string",
    "days": "double",
    "text": "string",
}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A case that was routed to another agency than the model's.

    Attributes
    ----------
    row : int
        Of the table, from 1.
    id : str or None
    routed_as : str
        The agency as the table has it.
    routed, agency : str
        Ids of the agency that it was routed to, and of the model's.
    agency_name_ar : str
    agency_probability : float
    needs_review : bool
        Whether the model is unsure of the case.
    topic : str or None
    days : float or None
        How long it took.
    text : str
    """

    row: int
    id: str | None
    routed_as: str
    routed: str
    agency: str
    agency_name_ar: str
    agency_probability: float
    needs_review: bool
    topic: str | None
    days: float | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DisagreeingPair:
    """The cases that were routed to one agency where the model says another.

    Attributes
    ----------
    routed, agency : str
    routed_name_ar, agency_name_ar : str
    cases, sure : int
        All, and those of which the model is sure.
    days : float or None
        Their median; None if no days are known.
    usual_days : float or None
        The median of the cases that the model's agency had from the start.
    """

    routed: str
    agency: str
    routed_name_ar: str
    agency_name_ar: str
    cases: int
    sure: int
    days: float | None
    usual_days: float | None


@dataclass(frozen=True, slots=True)
class RoutingComparison:
    """What :func:`compare_routing` found. ``rich.print`` shows it as a table.

    Attributes
    ----------
    agency_column : str
        The table's column of the existing routing.
    cases, compared, agreed : int
        Rows that could be read; those with a known agency in the column; those where it is the model's.
    empty : int
        Rows without an agency in the column.
    unknown : mapping of str to int
        The names that stand for no known agency, and their rows, the most frequent first.
    disagreements : tuple of Disagreement
        Those of which the model is sure come first, the surest of them before the others.
    pairs : tuple of DisagreeingPair
        The most frequent first.
    extra_days : float or None
        Of all disagreements of which the model is sure: their days beyond the usual ones of the model's agency, added
        up. None if no days are known. Cases that took longer may also be harder, so this is no proof of the cause.
    """

    agency_column: str
    cases: int
    compared: int
    agreed: int
    empty: int
    unknown: Mapping[str, int]
    disagreements: tuple[Disagreement, ...]
    pairs: tuple[DisagreeingPair, ...]
    extra_days: float | None

    @property
    def sure(self) -> int:
        """Disagreements of which the model is sure."""
        return sum(not each.needs_review for each in self.disagreements)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and pairs as plain data, and of each disagreement all but its text."""
        plain = asdict(self) | {"sure": self.sure}
        for each in plain["disagreements"]:
            del each["text"]
        return plain

    def write(self, path: str | Path) -> None:
        """Write the disagreements with their texts as CSV, JSONL, Parquet or Excel, the surest first."""
        write_records(path, _DISAGREEMENT_COLUMNS, map(asdict, self.disagreements))

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        dated = self.extra_days is not None
        table = Table(box=box.SIMPLE_HEAD, title="Routed elsewhere", title_justify="left", pad_edge=False)
        for heading in ("cases", "sure", *(("days", "usual days") if dated else ())):
            table.add_column(heading, justify="right", no_wrap=True)
        for heading in (f"{self.agency_column} (was)", "model"):
            table.add_column(Text(without_controls(heading)), no_wrap=True)
        table.add_column("")
        for pair in self.pairs[:_SHOWN]:
            days = (_days(pair.days), _days(pair.usual_days)) if dated else ()
            names = without_controls(f"{pair.routed_name_ar} ← {pair.agency_name_ar}")
            shown = (f"{pair.cases:,}", f"{pair.sure:,}", *days, pair.routed, without_controls(pair.agency))
            table.add_row(*map(Text, shown), Text(names, no_wrap=True, overflow="ellipsis"))
        return Group(*([table] if self.pairs else []), *map(Text, self._lines()))

    def _lines(self) -> list[str]:
        """Say in sentences what was compared, and what could not be."""
        different = len(self.disagreements)
        lines = [
            f"{self.compared:,} of {self.cases:,} cases compared: {self.agreed:,} agree, {different:,} differ, "
            f"of which the model is sure of {self.sure:,}"
        ]
        if len(self.pairs) > _SHOWN:
            lines.append(f"and {len(self.pairs) - _SHOWN} more pairs of agencies")
        if self.extra_days is not None:
            lines.append(
                f"where the model is sure, they took {self.extra_days:,.0f} days more in all than such cases usually "
                "do at the model's agency"
            )
        if self.empty:
            lines.append(f"{self.empty:,} cases have no agency in {self.agency_column!r}")
        if self.unknown:
            names = ", ".join(f"{name!r} ({count:,})" for name, count in list(self.unknown.items())[:_SHOWN])
            more = f" and {len(self.unknown) - _SHOWN} more" if len(self.unknown) > _SHOWN else ""
            lines.append(f"these names stand for no known agency; say with --map which they are: {names}{more}")
        return lines


def compare_routing(
    source: str | Path,
    agency_column: str,
    *,
    names: str | Path | Mapping[str, str] | None = None,
    days_column: str | None = None,
    text_column: str | Sequence[str] | None = None,
    id_column: str | None = None,
    prefix: str | None = None,
    domain: Domain | None = None,
    read: ReadOptions = ReadOptions(),
    on_progress: Callable[[float], None] | None = None,
) -> RoutingComparison:
    """Compare the model's agencies in a classified table with those that its cases were routed to.

    An agency agrees with its group and with its ministry: a municipality with ``municipality``, where the text told no
    place, and a directorate with the ministry that it is part of.

    Parameters
    ----------
    source : str or Path
        Output of ``tawasul classify``.
    agency_column : str
        Column of the existing routing: names, codes or ids of agencies.
    names : str, Path, mapping of str to str, or None
        Further names and the agencies that they stand for; a file has them in its first two columns.
    days_column : str or None
        Column of the days that a case took.
    text_column : str, sequence of str or None
        None takes the column with the most words.
    id_column : str or None
        None takes one that is named like an id.
    prefix : str or None
        Of the columns that classification added; None tries ``tawasul_`` and none.
    read : ReadOptions
        How the table is read.
    domain : Domain or None
        The pack with the agencies; None is Bahrain's.
    on_progress : callable, optional
        Called with the share of the table that was read.

    Raises
    ------
    TableError
        If the table cannot be read, is not classified by agency, or lacks a named column.
    ValueError
        If one of ``names`` stands for no agency.

    Examples
    --------
    >>> import tempfile
    >>> from tawasul_nlp import classify_table, ComplaintClassifier
    >>> from tawasul_nlp.tables.io.records import write_records
    >>> rows = [{"text": "المجاري طافحة في مجمع 711", "routed_to": "هيئة الكهرباء والماء"}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/cases.csv", {"text": "string", "routed_to": "string"}, rows)
    ...     model = ComplaintClassifier.from_pretrained()
    ...     _ = classify_table(model, f"{folder}/cases.csv", f"{folder}/classified.csv", text_column="text")
    ...     found = compare_routing(f"{folder}/classified.csv", "routed_to")
    >>> [(each.routed, each.agency) for each in found.disagreements]
    [('ewa', 'works')]
    """
    domain = domain or Domain.bundled()
    table = open_classified(source, text_column=text_column, id_column=id_column, prefix=prefix, read=read)
    if _AGENCY not in table.tasks:
        raise TableError(f"{source} is classified by {', '.join(table.tasks)}, and not by agency")
    check_columns(table.reader, [agency_column], "--agency-column")
    check_columns(table.reader, [days_column], "--days-column")
    comparison = _Comparison(AgencyNames(domain, names), domain)
    for case in table.cases(on_progress):
        days = None if days_column is None else number_of(value_of(case.record, days_column))
        comparison.add(case, to_name(value_of(case.record, agency_column)), days)
    return comparison.result(agency_column)


class _Comparison:
    """Counts cases, and keeps those that were routed elsewhere."""

    def __init__(self, names: AgencyNames, domain: Domain) -> None:
        self._names = names
        self._agencies = domain.taxonomy.agencies
        self._cases = self._empty = self._agreed = 0
        self._unknown: Counter[str] = Counter()
        self._disagreements: list[Disagreement] = []
        self._usual: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, case: ClassifiedCase, routed_as: str, days: float | None) -> None:
        """Compare one case."""
        self._cases += 1
        routed, agency = self._names.find(routed_as), case.labels[_AGENCY]
        if not routed_as:
            self._empty += 1
        elif routed is None:
            self._unknown[routed_as] += 1
        elif agency in self._agencies and self._names.agree(routed, agency):
            self._agreed += 1
            if days is not None:
                self._usual[agency].append(days)
        else:
            name = self._agencies[agency].name_ar if agency in self._agencies else agency
            probability, topic = case.probabilities[_AGENCY], case.labels.get("topic")
            known = (case.row, case.id, routed_as, routed, agency, name, probability, case.needs_review, topic, days)
            self._disagreements.append(Disagreement(*known, case.text))

    def result(self, agency_column: str) -> RoutingComparison:
        """Return what was found."""
        usual = {agency: median(days) for agency, days in self._usual.items()}
        cases = tuple(sorted(self._disagreements, key=lambda each: (each.needs_review, -each.agency_probability)))
        by_pair: defaultdict[tuple[str, str], list[Disagreement]] = defaultdict(list)
        for each in cases:
            by_pair[each.routed, each.agency].append(each)
        pairs = (self._pair(found, usual.get(agency)) for (_, agency), found in by_pair.items())
        extra = [
            each.days - usual[each.agency]
            for each in cases
            if each.days is not None and each.agency in usual and not each.needs_review
        ]
        return RoutingComparison(
            agency_column,
            self._cases,
            self._agreed + len(cases),
            self._agreed,
            self._empty,
            dict(self._unknown.most_common()),
            cases,
            tuple(sorted(pairs, key=lambda pair: (-pair.cases, pair.routed, pair.agency))),
            sum(extra) if extra else None,
        )

    def _pair(self, cases: Sequence[Disagreement], usual: float | None) -> DisagreeingPair:
        first = cases[0]
        return DisagreeingPair(
            first.routed,
            first.agency,
            self._agencies[first.routed].name_ar,
            first.agency_name_ar,
            len(cases),
            sum(not each.needs_review for each in cases),
            _median(each.days for each in cases),
            usual,
        )


def _median(days: Iterable[float | None]) -> float | None:
    known = [each for each in days if each is not None]
    return median(known) if known else None


def _days(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
