"""The agencies that a model names beside those that cases were sent to, and what another system calls agencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.routing import agency_named
from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable, as_classified
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import to_name
from tawasul_nlp.tables.io.fields import check_columns
from tawasul_nlp.tables.io.fields import field as value_of
from tawasul_nlp.tables.io.write import write_records

_AGENCY = "agency"
_MOST_NAMED = 5
_COLUMNS = {
    "row": "int64",
    "id": "string",
    "routed_as": "string",
    "routed": "string",
    "agency": "string",
    "agency_probability": "double",
    "needs_review": "bool",
    "topic": "string",
    "text": "string",
}


class AgencyNames:
    """Finds the agency that a cell of another system stands for.

    Parameters
    ----------
    domain : Domain
        Whose names, codes and aliases count.
    further : mapping of str to str
        The other system's names with the agencies that they stand for (ids or names); they go before the domain's.

    Raises
    ------
    ValueError
        If a further name stands for no agency of the domain.

    Examples
    --------
    >>> names = AgencyNames(Domain.bundled(), {"خدمات 7": "works"})
    >>> names.find("خدمات 7"), names.find("هيئة الكهرباء والماء"), names.find("قسم المتابعة")
    ('works', 'ewa', None)
    """

    def __init__(self, domain: Domain, further: Mapping[str, str] | None = None) -> None:
        self._domain = domain
        self._further: dict[str, str] = {}
        unknown = []
        for name, agency in (further or {}).items():
            id = agency_named(agency, domain)
            if id is None:
                unknown.append(agency)
            else:
                self._further[name.strip()] = id
        if unknown:
            named = f"{', '.join(map(repr, unknown[:_MOST_NAMED]))}{', ...' * (len(unknown) > _MOST_NAMED)}"
            example = next(iter(domain.taxonomy.agencies))
            raise ValueError(
                f"the map names {named}, which is no agency of {domain.id}; expected an id such as {example!r}, "
                "or a name"
            )
        self.find = lru_cache(maxsize=None)(self._find)

    def _find(self, cell: str) -> str | None:
        return self._further.get(cell) or agency_named(cell, self._domain)

    def agree(self, one: str, other: str) -> bool:
        """Whether two agencies are one, or the one is part of the other: of a group, or of a ministry."""
        agencies = self._domain.taxonomy.agencies
        pairs = ((one, other), (other, one))
        return one == other or any(
            part in agencies[whole].members.values() or agencies[part].parent == whole for part, whole in pairs
        )


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A case that was sent to another agency than the model's."""

    # From 1; a header is not counted.
    row: int
    id: str | None
    # The agency as the table has it, and its id.
    routed_as: str
    routed: str
    # The model's.
    agency: str
    agency_probability: float
    needs_review: bool
    topic: str | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoutingComparison:
    """What :func:`compare_routing` found."""

    # Rows that could be read; those with a known agency in the column; those that agree; those without one.
    cases: int
    compared: int
    agreed: int
    empty: int
    # The names that stand for no known agency, and their rows, the most frequent first.
    unknown: Mapping[str, int]
    # Those of which the model is sure come first, the surest of them before the others.
    disagreements: tuple[Disagreement, ...]

    @property
    def sure(self) -> int:
        """Disagreements of which the model is sure."""
        return sum(not each.needs_review for each in self.disagreements)

    @property
    def pairs(self) -> dict[tuple[str, str], int]:
        """The cases of each pair of the agency that had them and the model's, the most frequent first."""
        return dict(Counter((each.routed, each.agency) for each in self.disagreements).most_common())

    def write(self, path: str | Path) -> None:
        """Write the disagreements with their texts as CSV, JSONL, Parquet or Excel, in their order."""
        write_records(path, _COLUMNS, map(asdict, self.disagreements))


def compare_routing(
    source: str | Path | ClassifiedTable,
    agency_column: str,
    *,
    names: Mapping[str, str] | None = None,
) -> RoutingComparison:
    """Compare the model's agencies in a classified table with those that its cases were sent to.

    An agency agrees with its group and with its ministry: a municipality with ``municipality``, where the text told no
    place, and a directorate with the ministry that it is part of.

    Parameters
    ----------
    source : str, Path or ClassifiedTable
        Output of ``tawasul classify``.
    agency_column : str
        Names, codes or ids of the agencies that the cases were sent to.
    names : mapping of str to str, optional
        Further names and the agencies that they stand for.

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
    >>> rows = [{"text": "المجاري طافحة في مجمع 711", "routed_to": "هيئة الكهرباء والماء"}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/cases.csv", {"text": "string", "routed_to": "string"}, rows)
    ...     model = ComplaintClassifier.from_pretrained()
    ...     _ = classify_table(model, f"{folder}/cases.csv", f"{folder}/classified.csv", text_column="text")
    ...     comparison = compare_routing(f"{folder}/classified.csv", "routed_to")
    >>> comparison.pairs
    {('ewa', 'works'): 1}
    """
    table = as_classified(source)
    if _AGENCY not in table.tasks:
        raise TableError(f"{table.path} is classified by {', '.join(table.tasks)}, and not by agency")
    check_columns(table.reader, [agency_column], "agency_column")
    return _compared(table, agency_column, AgencyNames(table.domain, names))


def _compared(table: ClassifiedTable, agency_column: str, names: AgencyNames) -> RoutingComparison:
    counts: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    disagreements = []
    for case in table.cases():
        counts["cases"] += 1
        routed_as, agency = to_name(value_of(case.record, agency_column)), case.labels[_AGENCY]
        routed = names.find(routed_as) if routed_as else None
        if not routed_as:
            counts["empty"] += 1
        elif routed is None:
            unknown[routed_as] += 1
        elif agency in table.domain.taxonomy.agencies and names.agree(routed, agency):
            counts["agreed"] += 1
        else:
            disagreements.append(_disagreement(case, routed_as, routed))
    return RoutingComparison(
        cases=counts["cases"],
        compared=counts["agreed"] + len(disagreements),
        agreed=counts["agreed"],
        empty=counts["empty"],
        unknown=dict(unknown.most_common()),
        disagreements=tuple(sorted(disagreements, key=lambda case: (case.needs_review, -case.agency_probability))),
    )


def _disagreement(case: ClassifiedCase, routed_as: str, routed: str) -> Disagreement:
    return Disagreement(
        row=case.row,
        id=case.id,
        routed_as=routed_as,
        routed=routed,
        agency=case.labels[_AGENCY],
        agency_probability=case.probabilities[_AGENCY],
        needs_review=case.needs_review,
        topic=case.labels.get("topic"),
        text=case.text,
    )
