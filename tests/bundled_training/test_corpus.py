"""The stored split keeps incidents together, and training never sees the other side."""

import random

import pytest

from tawasul_nlp.training.rows import add_noise
from tests.bundled_training.near_copies import near_copies
from training.corpus import LabelSpace, load_examples
from training.splits import DATA, load_splits, read_jsonl


def test_every_case_is_in_exactly_one_split() -> None:
    side = load_splits()
    ids = [case["id"] for case in read_jsonl(DATA / "cases.jsonl")]
    assert sorted(side) == sorted(ids)


def test_training_examples_hold_no_text_and_no_report_of_the_other_side() -> None:
    labels = LabelSpace.load()
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
def test_no_later_text_is_a_near_copy_of_a_held_out_text() -> None:
    labels = LabelSpace.load()
    held_out = [e.text for split in ("validation", "test") for e in load_examples(split, labels)]
    later = [case["text"] for case in read_jsonl(DATA / "second_batch.jsonl")]
    assert near_copies(later, held_out) == []


def test_every_topic_is_in_every_split_and_labels_are_of_the_taxonomy() -> None:
    labels = LabelSpace.load()
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
