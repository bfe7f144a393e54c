"""What labels and places are called on a page, in Arabic and in English."""

from __future__ import annotations

from typing import Any, NamedTuple

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.routing import agency_named
from tawasul_nlp.text import mask_personal_data


class Name(NamedTuple):
    """A label or a place: its id, and what it is called in Arabic and in English."""

    id: str
    arabic: str
    english: str


class Names:
    """Finds what a domain calls the labels and places of a table.

    Parameters
    ----------
    domain : Domain
    mask : bool
        Whether to mask personal data in names that the domain does not know.

    Examples
    --------
    >>> names = Names(Domain.bundled())
    >>> names.of("kind", "praise")
    Name(id='praise', arabic='شكر وثناء', english='Praise')
    >>> names.of("dept", "بلاغات 33918206").english
    'بلاغات [هاتف]'
    """

    def __init__(self, domain: Domain, *, mask: bool = True) -> None:
        self._domain = domain
        self._mask = mask
        self._towns = {place.name_ar: place for place in domain.gazetteer.places.values()}
        self._blocks_within_towns = domain.gazetteer.levels.blocks_within_towns

    def of(self, dimension: str, name: str) -> Name:
        """Return what a value of a dimension is called: of a task, ``routed``, ``governorate``, ``town``, ``block``."""
        entry = self._entry(dimension, name)
        if entry is not None:
            return Name(name, entry.name_ar, entry.name_en)
        masked = mask_personal_data(name, domain=self._domain).text if self._mask else name
        numbered = dimension == "block" and self._blocks_within_towns
        return Name(masked, masked, self._in_english(masked) if numbered else masked)

    def _entry(self, dimension: str, name: str) -> Any:
        taxonomy = self._domain.taxonomy
        if dimension == "town":
            return self._towns.get(name)
        if dimension == "governorate":
            return self._domain.gazetteer.governorates.get(name)
        if dimension == "routed":
            agency = agency_named(name, self._domain)
            return None if agency is None else taxonomy.agencies[agency]
        return taxonomy.labels_of(dimension).get(name)

    def _in_english(self, block: str) -> str:
        """Return the English name of a block that is numbered within its town, such as ``3، السالمية``."""
        number, _, town = block.partition("، ")
        return f"{number}, {self._towns[town].name_en if town in self._towns else town}"
