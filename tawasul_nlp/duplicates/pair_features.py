"""The features of a pair of cases: how alike they are, and the relations between their places, topics and numbers."""

from __future__ import annotations

import numpy as np

from tawasul_nlp.duplicates.case_places import PLACES, rarity, wholes
from tawasul_nlp.duplicates.features import SIGNATURE, CaseFeatures
from tawasul_nlp.duplicates.terms import weights

# Knots of the piecewise-linear functions; a value between two knots is shared by both.
KNOTS = {
    "cosine": (0.0, 0.3, 0.5, 0.65, 0.75, 0.85, 0.95),
    "cosine_same_place": (0.2, 0.4, 0.6, 0.8),
    "cosine_no_place": (0.4, 0.6, 0.8, 0.9),
    "shingles": (0.02, 0.08, 0.15, 0.25, 0.45, 0.8),
    "shingles_same_names": (0.25, 0.45, 0.7, 0.85, 0.95),
    "rarest_shared_word": (0.0, 4.0, 6.0, 8.0, 9.4),
    "rarity_shared": (0.0, 6.0, 12.0, 20.0, 35.0, 60.0),
    "length": (20.0, 45.0, 90.0, 200.0),
    "length_no_place": (20.0, 45.0, 90.0, 200.0),
    "topics": (0.0, 0.2, 0.6),
    "topics_same_place": (0.0, 0.2, 0.6),
    "rarest_shared_place": (3.0, 4.5, 6.0, 7.5),
}
FLAGS = (
    "same_block",
    "same_town",
    "same_quarter",
    "same_landmark",
    "other_landmark",
    "same_road",
    "place_of_one_only",
    "place_of_none",
    "one_number_shared",
    "numbers_shared",
    "three_numbers_shared",
    "numbers_differ",
    "other_script",
)
# From this similarity of their shingles on, two cases are called near-copies.
NEAR_COPY = 0.5
NAMES = tuple(f"{name}@{knot:g}" for name, knots in KNOTS.items() for knot in knots) + FLAGS
AREAS = PLACES[:4]
"""The places of a case that are areas or landmarks, not ways."""
# The value of a measure that a pair lacks, which then adds nothing.
ABSENT = -1.0


def shares(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the number of common codes of two rows of padded codes: (pairs, few) twice -> (pairs,)."""
    equal = first[:, :, None] == second[:, None, :]
    return np.asarray((equal & (first >= 0)[:, :, None]).sum((1, 2)))


def copied(features: CaseFeatures, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the estimated Jaccard similarity of pairs' shingles: (pairs,), from 0 to 1."""
    return np.count_nonzero(features.shingles[first] == features.shingles[second], axis=1) / SIGNATURE


def has_codes(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return which rows have codes of a kind."""
    return np.asarray(codes[rows, 0] >= 0)


def _met(codes: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which pairs have codes on both sides, and how many they share; most pairs lack them on one."""
    both = has_codes(codes, first) & has_codes(codes, second)
    common = np.zeros(len(first), np.int64)
    pairs = np.flatnonzero(both)
    common[pairs] = shares(codes[first[pairs]], codes[second[pairs]])
    return both, common


Meetings = dict[str, tuple[np.ndarray, np.ndarray]]
"""What :func:`meetings` returns."""


def meetings(
    features: CaseFeatures, first: np.ndarray, second: np.ndarray, names: tuple[str, ...] = PLACES
) -> Meetings:
    """Return for each kind of code which pairs have some on both sides, and how many they share."""
    return {name: _met(getattr(features, name), first, second) for name in names}


def conflicting_areas(
    features: CaseFeatures, first: np.ndarray, second: np.ndarray, met: Meetings | None = None
) -> np.ndarray:
    """Return which pairs of cases name conflicting areas: different blocks, towns or regions.

    A shared block rules out a conflict, then a shared town, quarter or landmark; a quarter may lie in a town that only
    the other text names, and a town does not conflict with its parts. A place that only one text names conflicts with
    nothing.

    ``first`` and ``second`` are row numbers, (pairs,), and ``met`` their :func:`meetings`, if these were looked up
    before; the result is (pairs,), bool.
    """
    met = met or meetings(features, first, second, AREAS)
    both = {name: met[name][0] for name in AREAS}
    same = {name: met[name][1] > 0 for name in AREAS}
    other_block = both["blocks"] & ~same["blocks"]
    agree = same["blocks"] | same["towns"] | same["quarters"] | same["landmarks"]
    pairs, domain = np.flatnonzero(both["towns"] & ~agree), features.domain
    one, two = features.towns[first[pairs]], features.towns[second[pairs]]
    agree[pairs] = shares(wholes(one, domain), two) + shares(wholes(two, domain), one) > 0
    in_no_town = ~has_codes(features.towns, first) & ~has_codes(features.towns, second)
    other_area = (both["towns"] | (both["quarters"] & in_no_town)) & ~agree
    one, two = features.governorate[first], features.governorate[second]
    other_governorate = (one >= 0) & (two >= 0) & (one != two) & ~agree
    return np.asarray(other_block | other_area | other_governorate)


def conflicting_places(
    features: CaseFeatures, first: np.ndarray, second: np.ndarray, met: Meetings | None = None
) -> np.ndarray:
    """Return which pairs of cases name conflicting places: conflicting areas, different streets or roads.

    Roads have numbers and are short: a problem of a whole block may be reported from several of its roads, so within a
    block they do not conflict. A street or road that both name rules out a conflict.
    """
    met = met or meetings(features, first, second)
    streets, same_street = met["streets"]
    roads, same_road = met["roads"]
    other_way = (streets | (roads & (met["blocks"][1] == 0))) & (same_street + same_road == 0)
    return other_way | conflicting_areas(features, first, second, met)


def pair_features(features: CaseFeatures, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the model's features of pairs of cases, by row numbers: (pairs, len(NAMES)), float32, in either order."""
    values, flags = measures(features, first, second, meetings(features, first, second))
    blocks = [_hats(values[name], knots) for name, knots in KNOTS.items()]
    return np.column_stack([*blocks, *(flags[name] for name in FLAGS)]).astype(np.float32)


def measures(
    features: CaseFeatures, first: np.ndarray, second: np.ndarray, places: Meetings
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the measures of pairs: a number for each of :data:`KNOTS`, and a flag for each of FLAGS."""
    # Summed in float64, or the last digits of a score would depend on the processor's vector width.
    cosine = np.einsum("ij,ij->i", features.vectors[first], features.vectors[second], dtype=np.float64)
    length = np.minimum(features.length[first], features.length[second])
    met = {**places, **meetings(features, first, second, ("street_names", "numbers", "amounts"))}
    common = {name: shared for name, (_, shared) in met.items()}
    placed = [np.any([has_codes(getattr(features, name), rows) for name in AREAS], axis=0) for rows in (first, second)]
    same_place = sum(common[name] for name in AREAS) > 0
    none = ~placed[0] & ~placed[1]
    # Roads count as numbers: too few pairs differ in them for a weight of their own.
    ways = ("streets", "street_names", "roads")
    other_way = np.any([met[name][0] for name in ways], axis=0) & (sum(common[name] for name in ways) == 0)
    shared_numbers = common["numbers"] + common["amounts"]
    shingles = copied(features, first, second)
    terms, others = features.terms[first], features.terms[second]
    shared = np.zeros(terms.shape, np.bool_)
    for column in others.T:  # one after the other: all at once would be a table of 256 comparisons a pair
        shared |= terms == column[:, None]
    rare = weights(terms) * shared
    topics = _topic_overlap(features, first, second)
    flags = {
        "same_block": common["blocks"] > 0,
        "same_town": common["towns"] > 0,
        "same_quarter": common["quarters"] > 0,
        "same_landmark": common["landmarks"] > 0,
        "other_landmark": met["landmarks"][0] & (common["landmarks"] == 0),
        "same_road": (common["roads"] > 0) & same_place,
        "place_of_one_only": placed[0] ^ placed[1],
        "place_of_none": none,
        "one_number_shared": shared_numbers == 1,
        "numbers_shared": shared_numbers > 1,
        "three_numbers_shared": shared_numbers > 2,
        "numbers_differ": (met["numbers"][0] & (common["numbers"] == 0)) | other_way,
        "other_script": features.latin[first] != features.latin[second],
    }
    values = {
        "cosine": cosine,
        "cosine_same_place": np.where(same_place, cosine, ABSENT),
        "cosine_no_place": np.where(none, cosine, ABSENT),
        "shingles": shingles,
        "shingles_same_names": np.where(_name_the_same(features, first, second, common), shingles, ABSENT),
        "rarest_shared_word": rare.max(1),
        "rarity_shared": rare.sum(1),
        "length": length,
        "length_no_place": np.where(none, length, ABSENT),
        "topics": topics,
        "topics_same_place": np.where(same_place, topics, ABSENT),
        "rarest_shared_place": _rarest_shared_place(features, first, second, common),
    }
    return values, flags


def _name_the_same(
    features: CaseFeatures, first: np.ndarray, second: np.ndarray, common: dict[str, np.ndarray]
) -> np.ndarray:
    """Return which pairs name the same places and numbers: nothing says that one of two copies is of another event."""
    same = np.ones(len(first), np.bool_)
    for name, shared in common.items():
        codes = getattr(features, name) >= 0
        same &= (shared >= codes[first].sum(1)) & (shared >= codes[second].sum(1))
    return same


def _rarest_shared_place(
    features: CaseFeatures, first: np.ndarray, second: np.ndarray, common: dict[str, np.ndarray]
) -> np.ndarray:
    """Return the rarity of the rarest area or landmark that both cases of a pair name; absent without one."""
    rarest = np.full(len(first), ABSENT, np.float32)
    for name in AREAS:
        pairs = np.flatnonzero(common[name])
        codes, others = getattr(features, name)[first[pairs]], getattr(features, name)[second[pairs]]
        shared = (codes[:, :, None] == others[:, None, :]).any(2)
        rarest[pairs] = np.maximum(rarest[pairs], (rarity(codes, features.domain) * shared).max(1, initial=0))
    return rarest


def _topic_overlap(features: CaseFeatures, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return how much two cases' topics agree: the sum of the smaller probabilities.

    Absent if one is unknown, or only one is the caller's own, which cannot be compared with the model's.
    """
    one, two = features.topics[first], features.topics[second]
    comparable = np.flatnonzero((one[:, 0] != -1) & (two[:, 0] != -1) & ((one[:, 0] < 0) == (two[:, 0] < 0)))
    overlap = np.full(len(first), ABSENT, np.float32)
    one, two = one[comparable, :, None], two[comparable, None, :]
    share_of_one, share_of_two = features.shares[first[comparable]], features.shares[second[comparable]]
    smaller = np.minimum(share_of_one[:, :, None], share_of_two[:, None, :])
    overlap[comparable] = np.where((one == two) & (one != -1), smaller, 0).sum((1, 2))
    return overlap


def _hats(values: np.ndarray, knots: tuple[float, ...]) -> np.ndarray:
    """Share each value between its two nearest knots, clipped to the ends; 0 where absent."""
    points = np.array(knots)
    clipped = np.clip(values, points[0], points[-1])
    right = np.clip(np.searchsorted(points, clipped, side="right"), 1, len(points) - 1)
    share = (clipped - points[right - 1]) / (points[right] - points[right - 1])
    table = np.zeros((len(values), len(points)), np.float32)
    rows = np.arange(len(values))
    table[rows, right - 1] = 1.0 - share
    table[rows, right] = share
    table[np.asarray(values) == ABSENT] = 0.0
    return table
