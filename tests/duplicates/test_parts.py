"""Cases that lie in parts are grouped as cases that lie together."""

import numpy as np
import pytest

from tawasul_nlp.duplicates import parts
from tawasul_nlp.duplicates.candidates import NEIGHBOURS, near_copies, neighbours, repeated, search_vectors
from tawasul_nlp.duplicates.case_scores import CaseScores
from tawasul_nlp.duplicates.clustering import Edges
from tawasul_nlp.duplicates.features import case_features
from tawasul_nlp.duplicates.groups import LEAST, DuplicateGroups
from tests.duplicates.many_reports import grouper, many_reports

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def features():
    return case_features(grouper().classifier, many_reports(), workers=1)


def in_parts(table, count):
    """Cut rows into parts of different sizes, one of them empty."""
    n = len(table)
    ends = sorted({n // 7, n // 3, n // 3, n} | {n * at // count for at in range(1, count)})
    starts = np.array([0, *ends[:-1], n])
    return starts, [table.take(np.arange(start, end)) for start, end in zip(starts, [*ends, n], strict=True)]


def exchanged(split, merge, sources, extras):
    """Do what a cluster does: cut every part, and give each its pieces of all."""
    pieces = [split(len(extras), *source) for source in sources]
    return [merge([row[part] for row in pieces], *extra) for part, extra in enumerate(extras)]


def pairs_set(keys):
    return set(np.concatenate(keys).tolist())


def keys_of(pairs):
    return set((pairs[:, 0] << 32 | pairs[:, 1]).tolist())


def test_bands_in_parts_find_the_same_near_copies(features):
    starts, held = in_parts(features, 5)
    found = exchanged(parts.split_bands, parts.near_copies_of, list(zip(held, starts, strict=True)), [()] * len(starts))
    assert pairs_set(found) == keys_of(near_copies(features))


def test_copies_are_known_in_parts_as_together(features):
    starts, held = in_parts(features, 5)
    where = list(zip(held, starts, strict=True))
    found = exchanged(parts.split_copies, parts.repeated_of, where, [()] * len(starts))
    again = exchanged(parts.split_rows, parts.merged, [(rows, starts) for rows in found], [()] * len(starts))
    wanted = np.flatnonzero(repeated(features))
    assert len(wanted) > 300 and np.array_equal(np.concatenate(again), wanted)
    assert all((rows >= start).all() for rows, start in zip(again, starts, strict=True))


def test_one_cell_finds_the_exact_neighbours_and_many_cells_nearly_all(features):
    vectors = search_vectors(features, np.float16)
    starts, held = in_parts(features, 4)
    mine = [search_vectors(part, np.float16) for part in held]
    exact = keys_of(neighbours(vectors, NEIGHBOURS))

    def found(cells):
        middles = parts.centres(vectors, cells)
        nothing = np.zeros(0, np.int64)
        sources = [(part, start, middles, nothing) for part, start in zip(mine, starts, strict=True)]
        near = exchanged(parts.split_cells, parts.nearest_in_cells, sources, [(NEIGHBOURS,)] * len(starts))
        again = [(piece, starts) for piece in near]
        return pairs_set(exchanged(parts.split_nearest, parts.neighbours_of, again, [(NEIGHBOURS,)] * len(starts)))

    assert len(found(1) ^ exact) <= 4  # two neighbours that are equally near may change places
    assert len(found(30) & exact) > 0.95 * len(exact)


def test_pairs_are_scored_and_grouped_in_parts_as_together(features):
    scorer, threshold, n = grouper().scorer, grouper().threshold, len(features)
    rng = np.random.default_rng(3)
    keys = [rng.permutation(list(keys_of(near_copies(features)))).astype(np.uint64)]
    keys.append(np.array(sorted(keys_of(neighbours(search_vectors(features)))), np.uint64)[::-1])
    together = np.union1d(*keys)
    first, second = (together >> np.uint64(32)).astype(int), (together & np.uint64(0xFFFFFFFF)).astype(int)
    whole = Edges(first, second, scorer.score(features, first, second)).above(LEAST)
    wanted = DuplicateGroups(many_reports(), whole, CaseScores(features, scorer), threshold)

    starts, held = in_parts(features, 6)
    nothing = [()] * len(starts)
    mine = exchanged(parts.split_pairs, parts.merged, [(some, starts) for some in keys], nothing)
    asked = exchanged(parts.split_wanted, list, [(some, starts) for some in mine], nothing)
    found = exchanged(
        parts.split_features,
        parts.scored,
        list(zip(held, starts, asked, strict=True)),
        [(some, own, start, scorer, LEAST) for some, own, start in zip(mine, held, starts, strict=True)],
    )
    edges = Edges(*(np.concatenate([getattr(some, name) for some in found]) for name in ("first", "second", "scores")))
    assert (edges.first == whole.first).all() and (edges.second == whole.second).all()
    np.testing.assert_allclose(edges.scores, whole.scores, atol=1e-6)

    component = parts.components(n, edges.above(threshold))
    ends = [*starts[1:], n]
    settled = exchanged(
        parts.split_components,
        parts.grouped,
        [(own, [], start, component[start:end]) for own, start, end in zip(held, starts, ends, strict=True)],
        [
            (some, some.above(np.inf), scorer, threshold, None)
            for some in parts.edges_by_part(len(starts), edges, component)
        ],
    )
    representative = np.arange(n)
    for rows, heads, *_ in settled:
        representative[rows] = heads
    assert (representative == wanted.representatives).all()
    assert wanted.summary()["largest_group"] >= 10
