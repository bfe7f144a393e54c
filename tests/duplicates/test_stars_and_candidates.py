"""Groups without chains, and candidates that miss nothing that matters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tawasul_nlp.duplicates.candidates import near_copies, neighbours, search_vectors, unique_pairs
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.columns import Columns, read_columns
from tawasul_nlp.duplicates.stars import Edges, PlaceConflicts, star_groups


def columns_of(texts: list[str], vectors: np.ndarray | None = None) -> Columns:
    if vectors is None:
        vectors = np.ones((len(texts), 128), np.float32) / np.sqrt(128)
    return read_columns([Case(text) for text in texts], vectors, [{}] * len(texts))


PLACELESS = columns_of(["حفرة"] * 12)


@settings(deadline=None, max_examples=60)
@given(st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40), st.randoms())
def test_every_member_matches_its_representative_directly(pairs: set[tuple[int, int]], random: object) -> None:
    table = unique_pairs(np.array(sorted(pairs), np.int64).reshape(-1, 2))
    rng = np.random.default_rng(len(pairs))
    edges = Edges(table[:, 0], table[:, 1], rng.uniform(0.5, 1.0, len(table)).astype(np.float32))
    representative, score = star_groups(12, edges, PlaceConflicts(PLACELESS))
    known = {(int(a), int(b)): float(s) for a, b, s in zip(edges.first, edges.second, edges.scores, strict=True)}
    for row, head in enumerate(representative.tolist()):
        assert representative[head] == head
        if head != row:
            assert score[row] == pytest.approx(known[min(row, head), max(row, head)])
    # No two representatives that match are both left alone.
    alone = {row for row in range(12) if (representative == representative[row]).sum() == 1}
    assert not any(a in alone and b in alone for a, b in known)


def test_a_case_without_a_place_does_not_join_two_places() -> None:
    columns = columns_of(["انقطاع الكهرباء", "انقطاع الكهرباء في المحرق", "انقطاع الكهرباء في مدينة حمد"])
    edges = Edges(np.array([0, 0]), np.array([1, 2]), np.array([0.9, 0.8], np.float32))
    representative, _ = star_groups(3, edges, PlaceConflicts(columns))
    assert representative[1] == representative[0] and representative[2] == 2


def test_near_copies_are_found_by_their_bands_however_many_there_are() -> None:
    letter = "نرجو من سعادتكم النظر في انقطاع الكهرباء المتكرر عن بيوتنا في مدينة حمد منذ أسبوع كامل"
    texts = [letter + " " * (number % 3) + f" وشكرا {number}" for number in range(40)] + ["حفرة في الطريق العام"]
    pairs = near_copies(columns_of(texts))
    assert {(0, row) for row in range(1, 40)} <= {tuple(pair) for pair in pairs.tolist()}
    assert not (pairs == 40).any()


def test_approximate_search_finds_what_exact_search_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(600, 128))
    vectors = np.repeat(centres, 3, axis=0) + 0.35 * rng.normal(size=(1800, 128))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    exact = {tuple(pair) for pair in neighbours(vectors, 2).tolist()}
    monkeypatch.setattr("tawasul_nlp.duplicates.candidates.EXACT_BELOW", 100)
    found = {tuple(pair) for pair in neighbours(vectors, 2).tolist()}
    assert len(exact & found) / len(exact) > 0.97


def test_the_same_place_comes_first_among_reports_that_are_alike() -> None:
    texts = ["انقطاع الكهرباء في المحرق", "انقطاع الكهرباء في مدينة حمد", "الكهربا طافية بالمحرق"]
    vectors = search_vectors(columns_of(texts))
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]
