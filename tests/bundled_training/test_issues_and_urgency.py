"""Labels of issues and urgency quote their texts and name known topics, and held-out collections are apart from training."""

from collections import Counter
from pathlib import Path

import pytest

from eval.quality.masks import DATA as HELD_OUT
from tests.bundled_training.near_copies import near_copies
from training.corpus import LabelSpace, load_examples
from training.splits import DATA, load_splits, read_jsonl

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
def test_no_training_text_is_a_near_copy_of_a_held_out_one() -> None:
    space = LabelSpace.load()
    held_out = [row["text"] for name in ("issues", "incidents") for row in read_jsonl(HELD_OUT / f"{name}.jsonl")]
    later = [
        row["text"] for name in ("issues", "urgency_cases", "incidents") for row in read_jsonl(DATA / f"{name}.jsonl")
    ]
    stored = [example.text for split in ("validation", "test") for example in load_examples(split, space)]
    known = [example.text for example in load_examples("train", space)]
    assert near_copies(later, held_out + stored) == []
    assert near_copies(known, held_out) == []
