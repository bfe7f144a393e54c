"""Wrong labels are found among right ones, by a judge that has not seen them."""

import csv
from pathlib import Path

import numpy as np

from tawasul_nlp.training.ngram_fitting import outliers, write_label_issues, write_outliers
from training.corpus import LabelSpace, load_examples


def test_at_least_half_of_ten_swapped_labels_among_188_are_on_a_short_list(tmp_path: Path) -> None:
    topics = ("power_outage", "sewage_overflow")
    space = LabelSpace.load()
    assert set(topics) <= set(space.topics)
    examples = [e for e in load_examples("train", space, second_batch=False, reports=False) if e.topic in topics]
    texts = [example.text for example in examples]
    target = np.array([topics.index(example.topic) for example in examples])
    swapped = list(range(5, len(texts), 19))
    assert (len(swapped), len(texts)) == (10, 188)
    target[swapped] = 1 - target[swapped]
    places = [("cases.csv", row + 1) for row in range(len(texts))]
    path = tmp_path / "label_issues.csv"
    found = write_label_issues(path, places, texts, np.arange(len(texts)), {"topic": target}, {"topic": topics})
    with path.open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert len({int(row["row"]) - 1 for row in listed} & set(swapped)) >= 5
    assert len(listed) < 20
    assert found["topic"]["labels"] == len(listed)
    assert found["topic"]["judge_accuracy"] > 0.8  # the swapped labels count as its errors


def test_the_point_far_from_all_others_is_the_outlier() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 8)) * 0.1 + np.eye(8)[0]
    vectors[17] = -5 * np.eye(8)[0] + np.eye(8)[3]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows, scores = outliers(vectors.astype(np.float32))
    assert rows.tolist() == [17]
    assert 0 <= scores[0] <= 1
    assert len(outliers(vectors[:10])[0]) == 0


def test_a_spreadsheet_runs_nothing_of_a_citizens_text(tmp_path: Path) -> None:
    texts = ["=انقطاع الكهرباء عن البيت", "@حفرة كبيرة في الشارع"] * 20
    target = np.arange(40) % 2
    target[4] = 1
    places = [("=cases.csv", row + 1) for row in range(40)]
    labels = {"=dept": ("+كهرباء", "-طرق")}
    write_label_issues(tmp_path / "label_issues.csv", places, texts, np.arange(40), {"=dept": target}, labels)
    vectors = np.eye(8, dtype=np.float32)[np.where(np.arange(40) == 4, 3, 0)]
    write_outliers(tmp_path / "outliers.csv", places, texts, vectors)
    for name, columns in (("label_issues", "file task label suggestion text"), ("outliers", "file text")):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["row"] for row in rows] == ["5"]
        assert all(row[column].startswith("'") for row in rows for column in columns.split())
        assert rows[0]["text"] == "'" + texts[4]
