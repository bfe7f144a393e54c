"""Prior knowledge of areas: how rare they are in citizens' cases, and which are parts of others.

Two cases that name one village are stronger evidence than two that name one big town. The rarity of a place comes from
``common_places.txt`` of the pack, which ``python -m training.common_words`` counts in the training texts; a place not
listed there, such as any block, is the rarest. The parts of a town come from the gazetteer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates.case_places import code
from tawasul_nlp.duplicates.terms import LEVELS, STEP


def rarity(codes: np.ndarray, domain: Domain) -> np.ndarray:
    """Return the rarity of areas and landmarks by code.

    Parameters
    ----------
    codes : ndarray of int32
        Of :class:`~tawasul_nlp.duplicates.features.CaseFeatures`.
    domain : Domain

    Returns
    -------
    ndarray of float32
        About the logarithm of (texts / texts that name it); 0 for no place (-1).

    Examples
    --------
    >>> manama, block = code("manama"), 714
    >>> (rarity(np.array([manama]), Domain.bundled()) < rarity(np.array([block]), Domain.bundled())).tolist()
    [True]
    """
    levels = _looked_up(codes, *_levels(domain), LEVELS - 1)
    return np.where(codes >= 0, levels * STEP, 0).astype(np.float32)


def wholes(codes: np.ndarray, domain: Domain) -> np.ndarray:
    """Return the code of the town that each area is part of; -1 for none.

    Examples
    --------
    >>> (wholes(np.array([code("west_riffa"), code("sitra")]), Domain.bundled()) == [code("riffa"), -1]).tolist()
    [True, True]
    """
    return _looked_up(codes, *_parts(domain), -1)


def _looked_up(codes: np.ndarray, known: np.ndarray, values: np.ndarray, otherwise: int) -> np.ndarray:
    """Return the value of each code; ``known`` ascends and ends with an unused code."""
    at = np.searchsorted(known[:-1], codes)
    return np.where(known[at] == codes, values[at], otherwise)


def _table(values: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of places, ascending and followed by an unused code, and the value of each."""
    rows = sorted((code(name), value) for name, value in values.items())
    codes, found = np.array([*rows, (-2, -2)], np.int64).T
    return codes, found


@lru_cache(maxsize=8)
def _parts(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    places = domain.gazetteer.places.values()
    return _table({place.id: code(place.part_of) for place in places if place.part_of is not None})


@lru_cache(maxsize=8)
def _levels(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    return _table(domain.common_places)
