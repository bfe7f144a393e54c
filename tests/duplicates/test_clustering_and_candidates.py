"""Groups without chains, and candidates that miss nothing that matters."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tawasul_nlp.duplicates.candidates import (
    candidate_pairs,
    keyed_pairs,
    near_copies,
    neighbours,
    repeated,
    search_vectors,
    unique_pairs,
)
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.clustering import Conflicts, Constraints, Edges, star_clustering
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.groups import DuplicateGroups
from tawasul_nlp.duplicates.verifier import CaseScores
from tests.duplicates.pair_model import features_of

PLACELESS = features_of(*["حفرة"] * 12)
PAIRS = st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] != pair[1])


@settings(max_examples=200)
@given(st.sets(PAIRS, max_size=40), st.lists(PAIRS, max_size=6), st.lists(PAIRS, max_size=6))
def test_linked_cases_are_together_those_kept_apart_are_not_and_others_match_their_representative(
    pairs: set[tuple[int, int]], linked: list[tuple[int, int]], apart: list[tuple[int, int]]
) -> None:
    component = {row: {row} for row in range(12)}
    for one, other in linked:
        joined = component[one] | component[other]
        component |= dict.fromkeys(joined, joined)
    if any(other in component[one] for one, other in apart):
        with pytest.raises(ValueError, match=r"cannot_link keeps the cases \d+ and \d+ apart, but must_link joins"):
            Constraints.from_pairs(12, linked, apart)
        return
    table = unique_pairs(np.array(sorted(pairs), np.int64).reshape(-1, 2))
    rng = np.random.default_rng(len(pairs))
    edges = Edges(table[:, 0], table[:, 1], rng.uniform(0.5, 1.0, len(table)).astype(np.float32))
    free, _ = star_clustering(12, edges, Conflicts(PLACELESS))
    alone = {row for row in range(12) if (free == free[row]).sum() == 1}
    assert not any(one in alone and other in alone for one, other in table.tolist()), "two that match"
    constraints = Constraints.from_pairs(12, linked, apart)
    representative, score = star_clustering(12, edges, Conflicts(PLACELESS, constraints))
    assert all(representative[one] == representative[other] for one, other in linked)
    assert all(representative[one] != representative[other] for one, other in apart)
    known = {frozenset(map(int, pair)): float(value) for *pair, value in zip(*table.T, edges.scores, strict=True)}
    for row, head in enumerate(representative.tolist()):
        assert representative[head] == head
        if row in component[head]:
            assert score[row] == 1
            continue
        scores = [known.get(frozenset((one, other)), 0) for one in component[row] for other in component[head]]
        assert score[row] == pytest.approx(max(scores)) and max(scores) > 0


def heads(cases: list[Case], scores: dict[tuple[int, int], float], *linked: tuple[int, int]) -> list[int]:
    """Return the representative of each case where these pairs have these scores and a person linked some."""
    first, second = np.array(list(scores)).T
    edges = Edges(first, second, np.array(list(scores.values()), np.float32))
    conflicts = Conflicts(features_of(*cases), Constraints.from_pairs(len(cases), linked, []))
    return star_clustering(len(cases), edges, conflicts)[0].tolist()


def outages(*days: datetime | None) -> list[Case]:
    return [Case("انقطاع الكهرباء", created_at=day) for day in days]


def test_a_person_may_link_two_places_or_years_and_a_third_case_agrees_with_one_of_them() -> None:
    texts = ["انقطاع الكهرباء في المحرق", "انقطاع الكهرباء في مدينة حمد", "الكهربا طافية بالمحرق", "ظلام في سترة"]
    places = [Case(text) for text in texts]
    days = outages(datetime(2024, 3, 1), datetime(2026, 3, 1), datetime(2026, 3, 9), datetime(2027, 9, 1))
    for cases, near in ((places, 0), (days, 1)):
        one, other, third, fourth = heads(cases, {(near, 2): 0.9, (1, 3): 0.8}, (0, 1))
        assert one == other == third != fourth == 3


def test_a_case_without_a_place_or_date_does_not_join_two_places_or_years() -> None:
    texts = ["انقطاع الكهرباء", "انقطاع الكهرباء في المحرق", "انقطاع الكهرباء في مدينة حمد"]
    head, first, second = heads([Case(text) for text in texts], {(0, 1): 0.9, (0, 2): 0.8})
    assert head == first != second == 2
    days = outages(None, datetime(2019, 3, 1), datetime(2026, 3, 1), datetime(2026, 3, 9))
    scores = {(0, 1): 0.8, (0, 2): 0.9, (0, 3): 0.7}
    assert heads(days, scores) == [0, 1, 0, 0]


def test_reports_of_one_event_may_go_on_for_long_but_not_pause_for_longer_than_its_horizon() -> None:
    first, soon, later = datetime(2026, 1, 1), datetime(2026, 2, 20), datetime(2026, 4, 10)
    scores = {(0, 1): 0.9, (0, 2): 0.8}
    assert heads(outages(first, later, soon), scores) == [0, 0, 0], "the weaker match closes the gap to the stronger"
    assert heads(outages(first, later, None), scores) == [0, 1, 0]
    assert heads(outages(later, first, soon), scores) == [0, 0, 0], "in whichever direction"


class OneScore:
    """A scorer to which every pair is as likely one incident."""

    def score(self, _: CaseFeatures, first: np.ndarray, __: np.ndarray) -> np.ndarray:
        return np.full(len(first), 0.7, np.float32)


def test_grouping_at_another_threshold_is_as_if_it_had_been_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"حفرة {number}" for number in range(5)]
    # Case 4 is compared with the representative, case 0, only where its match with case 1 counts: at 0.3.
    pairs = Edges(np.array([0, 0, 0, 1]), np.array([1, 2, 3, 4]), np.array([0.9, 0.9, 0.9, 0.4], np.float32))
    cases = [Case(text) for text in texts]

    def at(threshold: float) -> DuplicateGroups:
        scores = CaseScores(features_of(*texts), OneScore())  # type: ignore[arg-type]
        return DuplicateGroups(cases, pairs, scores, threshold)

    low = at(0.3)
    assert low.labels.tolist() == [0] * 5
    assert low.rethreshold(0.6).labels.tolist() == at(0.6).labels.tolist() == [0, 0, 0, 0, 1]
    assert low.rethreshold(0.6).rethreshold(0.3).labels.tolist() == [0] * 5
    monkeypatch.setattr("tawasul_nlp.duplicates.groups.pair_reasons", None)
    assert repr(low) == "DuplicateGroups(5 cases: 1 incidents with 5 reports, 0 alone, threshold 0.30)"


def test_near_copies_are_found_by_their_bands_however_many_there_are() -> None:
    letter = "نرجو من سعادتكم النظر في انقطاع الكهرباء المتكرر عن بيوتنا في مدينة حمد منذ أسبوع كامل"
    texts = [letter + " " * (number % 3) + f" وشكرا {number}" for number in range(40)] + ["حفرة في الطريق العام"]
    pairs = keyed_pairs(near_copies(features_of(*texts)))
    assert {(0, row) for row in range(1, 40)} <= {tuple(pair) for pair in pairs.tolist()}
    assert not (pairs == 40).any()


@pytest.mark.parametrize("exact_below", [12_000, 0])
def test_a_letter_sent_by_forty_does_not_hide_the_other_report_of_a_case(
    monkeypatch: pytest.MonkeyPatch, exact_below: int
) -> None:
    letter = "نرجو من سعادتكم النظر في انقطاع الكهرباء المتكرر عن بيوتنا في مدينة حمد منذ أسبوع كامل"
    case, again = "محول الكهربا احترق يم المدرسة في مدينة حمد", "انفجار محول قرب المدرسة بمدينة حمد"
    rng = np.random.default_rng(5)
    middle, aside = np.linalg.qr(rng.normal(size=(128, 2)))[0].T
    # The letter lies between the two reports, nearer to each than they are to one another.
    meant = [middle] * 40 + [0.8 * middle + 0.6 * aside, 0.8 * middle - 0.6 * aside]
    drawn = np.array([*meant, *rng.normal(size=(60, 128))], np.float32)
    vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    others = [f"رسالة أخرى {chr(0x628 + number % 20) * 3}" for number in range(60)]
    letters = [f"{letter} - {chr(0x628 + number % 20)}" for number in range(40)]
    features = features_of(*letters, case, again, *others, vectors=vectors)
    monkeypatch.setattr("tawasul_nlp.duplicates.candidates.EXACT_BELOW", exact_below)
    found = {tuple(pair) for pair in candidate_pairs(features).tolist()}
    assert (40, 41) in found
    assert {(0, row) for row in range(1, 42)} <= found


def test_copies_elsewhere_are_no_copies() -> None:
    letter = "نرجو من سعادتكم النظر في انقطاع الكهرباء المتكرر عن بيوتنا منذ أسبوع كامل في "
    places = ["مدينة حمد", "المحرق", "مدينة حمد", "سترة"]
    assert repeated(features_of(*[letter + place for place in places])).tolist() == [False, False, True, False]


def test_approximate_search_finds_what_exact_search_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(600, 128))
    vectors = np.repeat(centres, 3, axis=0) + 0.35 * rng.normal(size=(1800, 128))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    everyone = np.arange(len(vectors))
    exact = set(neighbours(vectors, 2, everyone).tolist())
    monkeypatch.setattr("tawasul_nlp.duplicates.candidates.EXACT_BELOW", 100)
    found = set(neighbours(vectors, 2, everyone).tolist())
    assert len(exact & found) / len(exact) > 0.97


def test_the_same_place_comes_first_among_reports_that_are_alike() -> None:
    texts = ["انقطاع الكهرباء في المحرق", "انقطاع الكهرباء في مدينة حمد", "الكهربا طافية بالمحرق"]
    vectors = search_vectors(features_of(*texts))
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]
