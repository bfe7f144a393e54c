"""The second pass over a classified table: the cases whose text the page shows, and the content of its lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates.recurring import RecurringProblem
from tawasul_nlp.report.tally import DIMENSIONS, UNKNOWN, Row, Tally
from tawasul_nlp.tables.io.chunk import Chunk, Reader, to_cell
from tawasul_nlp.tables.io.fields import values_of
from tawasul_nlp.tables.run.text_columns import joined_text
from tawasul_nlp.text import mask_personal_data

REPORTS_OF_A_GROUP = 12
CASES_OF_A_PROBLEM = 6
# Longer texts are cut to their beginning.
MOST_CHARS = 600
MOST_ID_CHARS = 80
_PLACES = [DIMENSIONS.index(dimension) for dimension in ("governorate", "block")]


@dataclass(slots=True)
class _Listing:
    """An incident, or a recurring problem.

    Attributes
    ----------
    reports : set of int
        For each of its reports the position in the page's counts, doubled, plus one if it needs review. Filters use it,
        so it covers all reports, not only those shown.
    shown : list of int
        Row numbers of the shown reports.
    clearest : tuple of (key, number, case) or None
    """

    reports: set[int] = field(default_factory=set)
    shown: list[int] = field(default_factory=list)
    clearest: tuple[tuple[bool, bool, float], int, list[Any]] | None = None

    def with_clearest_first(self) -> list[int]:
        """Return the reports to show, beginning with the clearest."""
        first = [] if self.clearest is None else [self.clearest[1]]
        return [*first, *(number for number in self.shown if number not in first)][:REPORTS_OF_A_GROUP]


class Shown:
    """The cases whose text the page shows, and where it shows them.

    Parameters
    ----------
    tally : Tally
        Result of the first pass.
    problems : dict of str to sequence of RecurringProblem
        Recurring problems, by ``"block"`` and by ``"town"``.
    cell_of : callable
        From a row's codes to the position of its combination in the page's counts; None for a row that was not there in
        the first pass, which the later check of the input will report.
    masked_by : Domain or None
        Whose personal numbers are masked; None masks nothing.
    """

    def __init__(
        self,
        tally: Tally,
        problems: Mapping[str, Sequence[RecurringProblem]],
        cell_of: Callable[[tuple[int, ...]], int | None],
        masked_by: Domain | None,
    ) -> None:
        self._tally, self._cell_of, self._masked_by = tally, cell_of, masked_by
        self._queue = tally.least_certain()
        self._groups = {name: _Listing() for name in tally.largest_groups()}
        self._problems = {place: [(problem, _Listing()) for problem in found] for place, found in problems.items()}
        # Recurring problems count rows from 0, tables from 1; a rejected row has a number, but is not counted here.
        self._of_position: dict[int, list[_Listing]] = {}
        self._numbers: dict[int, int] = {}
        self._first_reports: set[int] = set()
        for found in self._problems.values():
            for problem, listing in found:
                self._first_reports.update(problem.incidents[:CASES_OF_A_PROBLEM])
                for position in problem.cases:
                    self._of_position.setdefault(position, []).append(listing)
        self.cases: dict[int, list[Any]] = {}

    def collect(self, reader: Reader, on_chunk: Callable[[float], None] | None) -> None:
        """Read the table again and collect the cases to show."""
        wanted = {row.number for row in self._queue}
        everything = self._tally.is_small
        position = 0
        for chunk in reader.chunks():
            keep: list[int] = []
            positions: list[int] = []
            for at, (number, group) in enumerate(zip(chunk.numbers, self._tally.groups_of(chunk), strict=True)):
                if everything or number in wanted or group in self._groups or position + at in self._of_position:
                    keep.append(at)
                    positions.append(position + at)
            if keep:
                self._keep(chunk.keep(keep, []), positions, wanted, everything)
            position += len(chunk.numbers)
            if on_chunk is not None:
                on_chunk(0.5 + reader.fraction_read() / 2)
        for listing in self._groups.values():
            if listing.clearest is not None:
                _, number, case = listing.clearest
                self.cases.setdefault(number, case)
        self.cases = dict(sorted(self.cases.items()))

    def _keep(self, chunk: Chunk, positions: Sequence[int], wanted: set[int], everything: bool) -> None:
        columns = self._tally.columns
        texts = zip(*(values_of(chunk, name) for name in columns.text), strict=True)
        ids = [None] * len(positions) if columns.id is None else chunk.column(columns.id)
        for position, row, parts, id in zip(positions, self._tally.read(chunk), texts, ids, strict=True):
            text = joined_text(map(_text, parts))
            name = str(row.number) if columns.id is None else _id(id, row.number, self._masked_by)
            listings = self._of_position.get(position, [])
            group = self._groups.get(row.group) if row.group is not None else None
            show = everything or row.number in wanted
            if position in self._first_reports:
                self._numbers[position] = row.number
                show = True
            if group is not None:
                listings = [*listings, group]
                if len(group.shown) < REPORTS_OF_A_GROUP:
                    group.shown.append(row.number)
                    show = True
                key = _clarity(row, text)
                if group.clearest is None or key > group.clearest[0]:
                    group.clearest = key, row.number, self._case(row, name, text)
            cell = self._cell_of(row.codes)
            if cell is not None:
                for listing in listings:
                    listing.reports.add(2 * cell + row.needs_review)
            if show:
                self.cases[row.number] = self._case(row, name, text)

    def _case(self, row: Row, name: str, text: str) -> list[Any]:
        # Masked before it is cut, since half a number is no longer recognised.
        if self._masked_by is not None:
            text = mask_personal_data(text[: 4 * MOST_CHARS], domain=self._masked_by).text
        shown = text if len(text) <= MOST_CHARS else text[:MOST_CHARS] + "…"
        day = None if row.day is None else row.day.isoformat()
        review = int(row.needs_review)
        return [name, shown, list(row.codes), row.town, round(row.certainty, 3), review, list(row.reasons), day]

    def _at(self) -> dict[int, int]:
        return {number: at for at, number in enumerate(self.cases)}

    def queue(self) -> list[int]:
        """Return the review queue: positions in ``cases``."""
        at = self._at()
        return [at[row.number] for row in self._queue]

    def groups(self) -> list[list[Any]]:
        """Return the largest incidents: [size, codes for filters, positions in ``cases``]."""
        at = self._at()
        return [
            [
                self._tally.group_sizes[name],
                sorted(group.reports),
                [at[number] for number in group.with_clearest_first()],
            ]
            for name, group in self._groups.items()
        ]

    def problems(self, place: str) -> list[dict[str, Any]]:
        """Return the problems that recur in one ``"block"`` or ``"town"``."""
        at = self._at()
        codes = self._tally.codes
        return [
            {
                "topic": codes["topic"].of(problem.topic),
                "place": codes[place].of(problem.place),
                "incidents": len(problem.incidents),
                "reports": len(problem.cases),
                "weeks": problem.weeks,
                "first": problem.first.isoformat(),
                "last": problem.last.isoformat(),
                "expected": round(problem.expected, 2),
                "p": float(f"{problem.p_value:.2g}"),
                "found": sorted(listing.reports),
                "cases": [at[self._numbers[position]] for position in problem.incidents[:CASES_OF_A_PROBLEM]],
            }
            for problem, listing in self._problems[place]
        ]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else to_cell(value)


def _clarity(row: Row, text: str) -> tuple[bool, bool, float]:
    """Return the sort key for the clearest report of an incident: in Arabic, with a place, certain."""
    arabic = sum("\u0621" <= letter <= "\u064a" for letter in text)
    latin = sum(letter.isascii() and letter.isalpha() for letter in text)
    placed = row.town != UNKNOWN or any(row.codes[at] != UNKNOWN for at in _PLACES)
    return arabic > latin, placed, row.certainty


def _id(value: Any, number: int, masked_by: Domain | None) -> str:
    """Return the page's id of a case; a column of ids may hold personal numbers."""
    name = to_cell(value)
    if len(name) > MOST_ID_CHARS:  # not an id, and it may hold a number that is cut in two
        return f"({number})" if masked_by is not None else f"{name[:MOST_ID_CHARS]}… ({number})"
    # Whole numbers in a column with gaps are often written as 870412356.0, which the masks do not recognise.
    masked = None if masked_by is None else mask_personal_data(name.removesuffix(".0"), domain=masked_by)
    return f"{masked.text} ({number})" if masked is not None and masked.spans else name
