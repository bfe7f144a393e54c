"""The example backlog is what its README says."""

import csv

from examples.make_backlog import OUT, backlog_rows
from training.splits import DATA, load_splits, read_jsonl


def committed_rows():
    with OUT.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_committed_backlog_is_what_its_script_makes():
    assert committed_rows() == backlog_rows()


def test_the_backlog_holds_at_least_300_texts_of_the_test_split_and_none_of_another():
    side = load_splits()
    of_split = {"train": set(), "validation": set(), "test": set()}
    for case in read_jsonl(DATA / "cases.jsonl"):
        of_split[side[case["id"]]].add(case["text"])
    texts = [row["text"] for row in committed_rows()]
    assert len(texts) >= 300
    assert set(texts) <= of_split["test"]
    assert not set(texts) & (of_split["train"] | of_split["validation"])
