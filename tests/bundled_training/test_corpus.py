"""The corpus: its splits and incidents keep to their sides, its labels quote their texts, and what is made of it."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from eval.quality.masks import DATA as HELD_OUT
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi_reading import ARABIC_WORDS, data_lines
from tawasul_nlp.training.rows import add_noise
from training.arabic_words import SIZE, arabic_words
from training.corpus import Example, LabelSpace, corpus_data, load_examples, neighbourhoods
from training.incident_groups import IncidentDraws
from training.incidents import load_incidents
from training.pairs import at_next_door, collect, named_elsewhere, sent_again
from training.splits import DATA, load_splits, read_jsonl


def test_every_case_is_in_exactly_one_split() -> None:
    side = load_splits()
    ids = [case["id"] for case in read_jsonl(DATA / "cases.jsonl")]
    assert sorted(side) == sorted(ids)


def test_training_examples_hold_no_text_and_no_report_of_the_other_side(labels: LabelSpace) -> None:
    train = {example.text for example in load_examples("train", labels)}
    held_out = [e.text for split in ("validation", "test") for e in load_examples(split, labels)]
    side = load_splits()
    for report in read_jsonl(DATA / "duplicates.jsonl"):
        if side[report["group"]] != "train":
            held_out.append(report["text"])
    held_out += [c["text"] for c in read_jsonl(DATA / "hard_negatives.jsonl") if side[c["near"]] != "train"]
    assert len(held_out) > 2000
    assert not train & set(held_out)


@pytest.mark.slow
def test_no_later_text_is_a_near_copy_of_a_held_out_text(labels: LabelSpace) -> None:
    held_out = [e.text for split in ("validation", "test") for e in load_examples(split, labels)]
    later = [case["text"] for case in read_jsonl(DATA / "second_batch.jsonl")]
    assert near_copies(later, held_out) == []


@pytest.mark.slow
def test_nothing_learned_is_a_near_copy_of_a_report_of_a_held_out_neighbourhood() -> None:
    held_out = [row["text"] for side in ("validation", "test") for row in neighbourhoods(side)]
    assert len(held_out) > 1_000
    assert near_copies(list(corpus_data().data.train["text"]), held_out) == []
    others = [row["text"] for row in read_jsonl(HELD_OUT / "incidents.jsonl")]
    assert near_copies([row["text"] for row in neighbourhoods("train")], others) == []


def test_a_neighbourhood_is_on_one_side_and_has_three_incidents_with_a_hard_negative_each() -> None:
    rows = [row | {"side": side} for side in ("train", "validation", "test") for row in neighbourhoods(side)]
    assert {row["neighbourhood"]: row["side"] for row in rows}.items() == {
        (row["neighbourhood"], row["side"]) for row in rows
    }
    incidents = {row["incident"]: row["neighbourhood"] for row in rows if "incident" in row}
    assert set(Counter(incidents.values()).values()) == {3}
    assert {row["near"]: row["neighbourhood"] for row in rows if "near" in row} == incidents


def test_every_topic_is_in_every_split_and_labels_are_of_the_taxonomy(labels: LabelSpace) -> None:
    for split in ("train", "validation", "test"):
        examples = load_examples(split, labels)
        assert {example.topic for example in examples} == set(labels.topics)
        assert {example.kind for example in examples} - {""} == set(labels.kinds)
        assert {e.secondary_topic for e in examples} - {""} <= set(labels.topics)


def test_noise_changes_spelling_but_keeps_the_words() -> None:
    text = "حفرة كبيرة أمام المدرسة في مجمع 714، والأطفال في خطر!"
    rng = random.Random(0)
    noisy = [add_noise(text, rng, 0.5) for _ in range(50)]
    assert len(set(noisy)) > 40
    assert all(7 <= len(copy.split()) <= 11 for copy in noisy)


_PART = 2_000


def near_copies(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Return those of our texts that share half of their six-letter shingles with one of theirs."""
    shingles = HashingVectorizer(
        analyzer="char", ngram_range=(6, 6), n_features=2**24, binary=True, norm=None, alternate_sign=False
    )
    other = shingles.transform(theirs)
    found = []
    for start in range(0, len(ours), _PART):
        part = shingles.transform(ours[start : start + _PART])
        shared = (part @ other.T).tocoo()
        union = part.getnnz(1)[shared.row] + other.getnnz(1)[shared.col] - shared.data
        found += [ours[start + row] for row in shared.row[shared.data / union >= 0.5]]
    return found


@pytest.fixture(scope="module")
def labels() -> LabelSpace:
    return LabelSpace.load()


def test_the_encoder_never_sees_the_incidents_that_the_scorer_learns_from(labels: LabelSpace) -> None:
    encoder = {incident.id for incident in load_incidents("train", labels)}
    scorer = {incident.id for incident in load_incidents("train", labels, use="scorer")}
    assert len(encoder) > 1000 and len(scorer) > 300
    assert not encoder & scorer


def test_reports_and_hard_negatives_lie_on_the_side_of_their_case_and_are_no_copies_of_held_out_texts(labels):
    side = load_splits()
    fold = Normalizer("matching")
    held_out = {fold(e.text) for split in ("validation", "test") for e in load_examples(split, labels)}
    rows = [(row["group"], row) for row in read_jsonl(DATA / "duplicates.jsonl")]
    rows += [(row["near"], row) for row in read_jsonl(DATA / "hard_negatives.jsonl")]
    assert len({row["id"] for _, row in rows}) == len(rows)
    for key, row in rows:
        assert key in side
        if side[key] == "train":
            assert fold(row["text"]) not in held_out


@pytest.mark.slow
def test_a_draw_holds_two_reports_of_each_group_and_its_hard_negatives_apart() -> None:
    draws = IncidentDraws(corpus_data().incidents, seed=1)
    for _ in range(20):
        drawn = draws.draw(8)
        counts = Counter(row["incident"] for row in drawn)
        assert sorted(counts.values(), reverse=True)[:8] == [2] * 8
        assert set(counts.values()) <= {1, 2}
        assert sum(row["incident"].startswith("pair-") for row in drawn) == 2


URGENCIES = {"normal", "urgent", "emergency"}


def test_an_issue_quotes_its_text_and_names_a_topic() -> None:
    topics = {*LabelSpace.load().topics, "out_of_scope"}
    cases = [*read_jsonl(DATA / "issues.jsonl"), *read_jsonl(HELD_OUT / "issues.jsonl")]
    for case in cases:
        for labels in (case, case.get("second", case)):
            assert labels["issues"] and labels["urgency"] in URGENCIES
            assert all(issue["topic"] in topics and issue["quote"] in case["text"] for issue in labels["issues"])
    assert Counter(case["id"] for case in cases).most_common(1)[0][1] == 1


def test_an_urgency_is_of_a_known_case_and_quotes_what_decides_it() -> None:
    texts = {
        case["id"]: case["text"] for name in ("cases", "second_batch") for case in read_jsonl(DATA / f"{name}.jsonl")
    }
    labels = read_jsonl(DATA / "urgency.jsonl")
    for label in labels:
        assert label["urgency"] in URGENCIES
        assert (label["reason"] != "") == (label["urgency"] != "normal") and label["reason"] in texts[label["id"]]
    labelled = {label["id"] for label in labels}
    assert labelled >= {case for case, split in load_splits().items() if split != "train"}
    for case in read_jsonl(DATA / "urgency_cases.jsonl"):
        assert case["urgency"] == "normal" or case["reason"] in case["text"]


@pytest.mark.parametrize("folder", [DATA, HELD_OUT])
def test_reports_and_hard_negatives_name_their_incident(folder: Path) -> None:
    rows = read_jsonl(folder / "incidents.jsonl")
    reports = Counter(row["incident"] for row in rows if "incident" in row)
    assert len(reports) >= 300 and set(reports.values()) <= set(range(2, 9))
    used = {(row.get("incident") or row["near"], row.get("use", "encoder")) for row in rows}
    assert len(used) == len(reports)
    assert {row["near"] for row in rows if "near" in row} <= set(reports)
    assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.slow
def test_no_training_text_is_a_near_copy_of_a_held_out_one(labels: LabelSpace) -> None:
    held_out = [row["text"] for name in ("issues", "incidents") for row in read_jsonl(HELD_OUT / f"{name}.jsonl")]
    later = [
        row["text"] for name in ("issues", "urgency_cases", "incidents") for row in read_jsonl(DATA / f"{name}.jsonl")
    ]
    stored = [example.text for split in ("validation", "test") for example in load_examples(split, labels)]
    known = [example.text for example in load_examples("train", labels)]
    assert near_copies(later, held_out + stored) == []
    assert near_copies(known, held_out) == []


def test_a_case_at_the_next_door_differs_in_its_house_and_road_alone() -> None:
    case = Example("c-1", "تسرب أمام منزل ١٢ طريق 1415 مجمع 714 من 3 ايام", "water_leak", "", "", "", "", "", "c-1")
    other = at_next_door(case, random.Random(1))
    assert other is not None and (other.topic, other.incident) == ("water_leak", other.id)
    assert other.id != case.id
    changed = [(one, two) for one, two in zip(case.text.split(), other.text.split(), strict=True) if one != two]
    assert [one for one, _ in changed] == ["١٢", "1415"] and all(two.isdigit() for _, two in changed)
    assert at_next_door(replace(case, text="تسرب في مجمع 714 من 3 ايام"), random.Random(1)) is None


def test_a_case_is_told_of_elsewhere_where_it_names_no_place_and_sent_again_with_its_labels() -> None:
    case = Example("c-1", "الزبالة ما شالوها من اسبوع", "waste_collection", "", "", "", "", "", "c-1")
    other = named_elsewhere(case, ["سترة"], random.Random(1))
    assert other is not None and other.text == "سترة: الزبالة ما شالوها من اسبوع"
    assert other.incident == other.id != case.id and other.topic == case.topic
    assert named_elsewhere(replace(case, text="الزبالة ما شالوها في عراد"), ["سترة"], random.Random(1)) is None
    again = sent_again(case, random.Random(3))
    assert again.id != case.id and (again.incident, again.topic) == (case.incident, case.topic)


def test_hard_negatives_are_paired_with_a_report_of_the_incident_that_they_are_near() -> None:
    incidents = [one for one in load_incidents("train", LabelSpace.load(), use="scorer") if one.hard_negatives]
    found = collect(incidents, [])
    named = {text.id: one for one in incidents for text in one.texts}
    assert len(found.hard_negatives) == sum(len(one.hard_negatives) for one in incidents)
    for first, second in found.hard_negatives:
        own = named[found.texts[first].id]
        assert found.texts[second].id in {other.id for other in own.hard_negatives}


def test_a_word_is_counted_with_and_without_its_article_in_its_most_frequent_spelling() -> None:
    texts = ["الإنارة مطفأة", "انارة الشارع والإنارة للشارع", "إنارة بالشارع", "شارع"]
    assert arabic_words(texts) == ["إنارة", "شارع"]
    assert arabic_words(texts, size=1) == ["إنارة"]


def test_the_stored_list_has_no_word_twice_and_no_articles_before_the_frequent_ones() -> None:
    words = data_lines(ARABIC_WORDS)
    assert len(words) == len(set(words)) == SIZE
    assert {"ماي", "كهرباء", "طلب", "حفرة", "وايد"} <= set(words)
    assert not {"الماي", "الكهرباء", "بالشارع", "للحفرة"} & set(words)
