"""What another system calls the agencies."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from tawasul_nlp.domain import Domain, agency_named
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import to_name
from tawasul_nlp.tables.io.readers import open_reader

_SHOWN = 5
_NEEDED = 2


class AgencyNames:
    """Finds the agency that a cell of another system stands for.

    Parameters
    ----------
    domain : Domain
        Whose names, codes and aliases count.
    own : str, Path, mapping of str to str, or None
        The other system's names with the agencies that they stand for (ids or names): a mapping, or a table whose first
        two columns hold these. They go before the domain's.

    Raises
    ------
    TableError
        If the table cannot be read, or has one column only.
    ValueError
        If an own name stands for no agency of the domain.

    Examples
    --------
    >>> names = AgencyNames(Domain.bundled(), {"خدمات 7": "works"})
    >>> names.find("خدمات 7"), names.find("هيئة الكهرباء والماء"), names.find("قسم المتابعة")
    ('works', 'ewa', None)
    """

    def __init__(self, domain: Domain, own: str | Path | Mapping[str, str] | None = None) -> None:
        self._domain = domain
        given = _read(Path(own)) if isinstance(own, str | Path) else dict(own or {})
        found = {name.strip(): agency_named(agency, domain) for name, agency in given.items()}
        unknown = [agency for agency in given.values() if agency_named(agency, domain) is None]
        if unknown:
            shown = f"{', '.join(map(repr, unknown[:_SHOWN]))}{', ...' * (len(unknown) > _SHOWN)}"
            known = next(iter(domain.taxonomy.agencies))
            raise ValueError(
                f"the map names {shown}, which is no agency of {domain.id}; expected an id such as {known!r}, or a name"
            )
        self._own = {name: agency for name, agency in found.items() if agency is not None}
        self.find = lru_cache(maxsize=None)(self._find)

    def _find(self, cell: str) -> str | None:
        return self._own.get(cell) or agency_named(cell, self._domain)

    def agree(self, one: str, other: str) -> bool:
        """Whether two agencies are one, or the one is part of the other: of a group, or of a ministry."""
        agencies = self._domain.taxonomy.agencies
        pairs = ((one, other), (other, one))
        return one == other or any(
            part in agencies[whole].members.values() or agencies[part].parent == whole for part, whole in pairs
        )


def _read(path: Path) -> dict[str, str]:
    reader = open_reader(path)
    if len(reader.columns) < _NEEDED:
        raise TableError(f"{path} has the column {reader.columns[0]!r} only; expected two: their name, and our agency")
    name, agency = reader.columns[:_NEEDED]
    rows = (record for chunk in reader.chunks() for record in chunk.records())
    return {to_name(row.get(name)): to_name(row.get(agency)) for row in rows if to_name(row.get(agency))}
