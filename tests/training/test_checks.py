"""What is wrong with a table is found before training, with the rows in which it is."""

import json
import tracemalloc
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.training import LabelledData, TrainConfig
from tawasul_nlp.training.checks import compare
from tawasul_nlp.training.dataset import read_data
from tawasul_nlp.training.splitting import MANY, NEAR, WINDOW, duplicate_groups, folded, near_identical, split
from tests.training.conftest import whole_table, write_csv

TRAIN = [
    ("انقطاع الكهرباء في مجمع 1203 بمدينة حمد منذ الصباح", "كهرباء"),
    ("", "كهرباء"),
    ("فاتورة الكهرباء مرتفعة جدا هذا الشهر", "كهرباء"),
    ("حفرة كبيرة في شارع الشيخ عيسى بالمحرق", "أشغال"),
    ("حفره كبيره في شارع الشيخ عيسى بالمحرق!!", "بلديات"),
    ("تجمع مياه الأمطار أمام المدرسة", "أشغال"),
    ("الإنارة معطلة في الحي منذ أسبوع", "كهرباء"),
]
VALIDATION = [
    ("انقطاع الكهرباء في مجمع 1203 بمدينة حمد من الصباح", "كهرباء"),
    ("أريد تجديد السجل التجاري", "تجارة"),
    ("رصيف مكسور قرب المسجد", "أشغال"),
]


@pytest.fixture
def tables(tmp_path):
    return [
        write_csv(tmp_path / name, [{"text": text, "dept": dept, "district": "الشمالية"} for text, dept in rows])
        for name, rows in (("train.csv", TRAIN), ("validation.csv", VALIDATION))
    ]


def test_every_kind_of_problem_is_found_in_its_rows(tables, tmp_path):
    train, validation = tables
    data = LabelledData(train, label_columns="dept", validation=validation)
    found_data = read_data(data, TrainConfig(), tmp_path / "cache")
    found = {(each.kind, Path(file).stem, row) for each in found_data.findings for file, row in each.rows}
    assert {
        ("unusable", "train", 2),
        ("unknown label", "validation", 2),
        ("duplicates across splits", "validation", 1),
        ("near-identical across splits", "validation", 1),
        ("conflicting labels", "train", 4),
        ("conflicting labels", "train", 5),
        ("tiny class", "train", 5),
    } <= found
    assert ("conflicting labels", "train", 6) not in found
    assert found_data.train["row"][:] == [1, 3, 4, 5, 6, 7]
    assert found_data.validation["row"][:] == [1, 3]
    assert found_data.left_out == 2


def test_check_only_tells_the_rows_and_fails(tables, tiny_bert, tmp_path, capsys):
    train, validation = tables
    command = ["train", str(train), "--validation", str(validation), "--label-columns", "dept", "--check-only"]
    command += ["--multi-label-columns", "district"]
    command += ["--preset", "arabert", "--set", f"backbone={tiny_bert}"]
    assert main([*command, "--output", str(tmp_path / "run")]) == 1
    errors = capsys.readouterr().err
    assert f"1 row cannot be used (the text is missing): {train} row 2" in errors
    assert "--leave-out" in errors
    report = json.loads((tmp_path / "run" / "checks.json").read_text(encoding="utf-8"))
    assert {name: report[0][name] for name in ("kind", "fatal")} == {"kind": "unusable", "fatal": True}
    assert main([*command, "--leave-out", "--output", str(tmp_path / "run")]) == 0
    assert not (tmp_path / "run" / "model").exists()
    shown = capsys.readouterr().out
    assert "dept: 3 labels" in shown and "district: 1 labels, 1.00 labels a row" in " ".join(shown.split())
    assert "6 training rows, 2 validation rows, 2 left out" in shown
    assert "text length in characters: 30-50, median 36" in shown
    assert "duplicates: 2 training rows have one" in shown


DOUBTFUL = [
    ("انقطاع الكهرباء منذ الصباح", "nan"),
    ("فاتورة الكهرباء مرتفعة", "N/A"),
    ("حفرة كبيرة في الشارع", "1.0"),
    ("تجمع مياه الأمطار", "أشغال|كهرباء"),
    ("رصيف مكسور قرب المسجد", "أشغال"),
    ("الإنارة معطلة في الحي", "nan"),
]


def test_labels_that_may_be_none_or_several_are_asked_about_unless_they_are_named(tmp_path):
    rows = [{"text": text, "dept": label, "kind": "شكوى"} for text, label in DOUBTFUL]
    source, validation = write_csv(tmp_path / "cases.csv", rows), write_csv(tmp_path / "more.csv", rows[2:])
    options: dict[str, Any] = {"label_columns": "dept,kind", "validation": validation, "duplicates": "identical"}
    findings = read_data(LabelledData(source, **options), TrainConfig(), tmp_path).findings
    found = [(each.kind, each.message.split(",")[0], [row for _, row in each.rows][:3]) for each in findings]
    for expected in (
        ("no label?", "dept has 2 labels ('N/A'", [2, 1, 6]),
        ("several labels?", "dept has the label 'أشغال|كهرباء' in 1 row of training", [4]),
        ("decimal labels", "dept has the label '1.0' in 1 row of training", [3]),
    ):
        assert expected in found
    assert any("--missing-label N/A --missing-label nan" in each.message for each in findings)
    data = read_data(LabelledData(source, **options, missing_labels=["nan", "N/A"]), TrainConfig(), tmp_path)
    assert data.labels["dept"] == ("1.0", "أشغال", "أشغال|كهرباء")
    assert data.train["label.dept"][:2] == ["", ""]
    assert "no label?" not in {finding.kind for finding in data.findings}
    with pytest.raises(ValueError, match="missing_labels is 'nan', expected a list"):
        LabelledData(source, label_columns="dept", missing_labels="nan")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--validation", "train.csv"], "train.csv both trains and validates; name other validation data, or none"),
        (["--output", "train.csv"], "error: "),
        (["--threads", "-1"], "--threads"),
        (["--set", "task_weights.dpet=5"], "task_weights has 'dpet', expected some of the tasks: dept"),
        (["--preset", "e5", "--config", "mine.yaml"], "name a preset or a file, not both"),
        (
            ["--group-column", "dpet"],
            "columns are 'text', 'dept', 'district'; did you mean --group-column 'dept'?",
        ),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_cannot_be_trained_from_or_written_to_ends_with_a_message(tables, monkeypatch, capsys, given, message):
    monkeypatch.chdir(tables[0].parent)
    assert main(["train", "train.csv", "--label-columns", "dept", "--check-only", "--output", "run", *given]) in (1, 2)
    assert message in capsys.readouterr().err


def test_a_search_for_duplicates_that_was_killed_while_it_wrote_is_done_again(tables, tmp_path, monkeypatch):
    def read():
        data = LabelledData(tables[0], label_columns="dept", validation=tables[1], duplicates="identical")
        return read_data(data, TrainConfig(), tmp_path / "cache")

    def killed(file, array):
        file.write(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            read()
    assert len(read().train) == 6


def test_a_split_keeps_groups_together_shares_labels_and_leaves_none_without_training_rows():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 150, 600)
    labels = [f"جهة {group % 7}" for group in groups]
    labels[0] = "نادرة"
    other = [("أ", "ب")[index % 2] for index in range(600)]
    table = whole_table({"dept": labels, "style": other}, groups)
    held_out = split(table, 0.2, seed=1)
    assert not set(groups[held_out]) & set(groups[~held_out])
    assert 0.12 < held_out.mean() < 0.28
    assert set(labels) == {label for label, held in zip(labels, held_out, strict=True) if not held}
    for number in range(7):
        rows = np.array(labels) == f"جهة {number}"
        assert 0.05 < held_out[rows].mean() < 0.4
    assert (held_out == split(table, 0.2, seed=1)).all()


def test_a_large_table_of_single_rows_and_few_groups_is_split_by_the_same_rules():
    single, grouped = MANY + 1000, 500
    groups = np.r_[np.arange(single), np.repeat(np.arange(single, single + grouped), 4)]
    labels = [str(number % 7) for number in range(len(groups))]
    held_out = split(whole_table({"topic": labels}, groups), 0.1, 1)
    assert not set(groups[held_out]) & set(groups[~held_out])
    assert 0.08 < held_out[:single].mean() < 0.12 and 0.08 < held_out[single:].mean() < 0.12
    shares = Counter(np.array(labels)[held_out].tolist())
    assert len(shares) == 7 and max(shares.values()) < 1.1 * min(shares.values())


def test_two_texts_a_label_can_be_split_whatever_the_seed():
    table = whole_table({"dept": [str(row % 6) for row in range(12)]}, np.arange(12))
    for seed in range(20):
        held_out = split(table, 0.1, seed)
        assert held_out.any() and set(table.take(~held_out).labels["dept"]) == set("012345")
    with pytest.raises(ValueError, match="some label would be left without a row to train on"):
        split(whole_table({"dept": [str(row) for row in range(12)]}, np.arange(12)), 0.1, 1)
    with pytest.raises(ValueError, match="--validation"):
        split(whole_table({"dept": list("أببأ")}, np.zeros(4, int)), 0.1, seed=1)


def test_rows_without_a_label_are_one_class_of_the_split():
    import sklearn.model_selection  # noqa: F401  (what importing it takes is not measured)

    labels = ["", "كهرباء", "", "أشغال"] * 300
    table = whole_table({"dept": labels}, np.arange(1200))
    tracemalloc.start()
    held_out = split(table, 0.2, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    for label in set(labels):
        assert held_out[np.array(labels) == label].mean() == pytest.approx(0.2, abs=0.01)


def test_reports_of_one_event_are_one_group_though_worded_otherwise():
    texts = [
        "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد",
        "الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد",
        "الحفرة في شارع المعارض بالحورة كسرت تاير سيارتي",
    ]
    groups = duplicate_groups(texts)
    assert groups.tolist() == [0, 0, 1]
    assert duplicate_groups(texts, "identical").tolist() == [0, 1, 2]
    assert near_identical(texts, groups)[1] == []


def test_near_identical_rows_are_those_that_comparing_every_two_rows_finds():
    rng = np.random.default_rng(0)
    words = ["انقطاع", "الكهرباء", "في", "مجمع", "مدينة", "حمد", "منذ", "الصباح"]
    texts = [" ".join(rng.permutation(words)[:6] if row % 3 else words[: 5 + row % 4]) for row in range(90)]
    groups, validates = rng.integers(0, 3, 90), rng.random(90) < 0.3
    values = rng.choice(["كهرباء", "أشغال", ""], 90, p=[0.8, 0.1, 0.1]).tolist()
    parts = [{text[at : at + 3] for at in range(len(text) - 2)} for text in folded(texts)]
    near = [
        (a, b)
        for a, b in combinations(range(90), 2)
        if groups[a] == groups[b] and len(parts[a] & parts[b]) >= NEAR * len(parts[a] | parts[b])
    ]
    table = whole_table({"dept": values}, groups, texts)
    found = {finding.kind: [row - 1 for _, row in finding.rows] for finding in compare(table, validates)}
    differing = [pair for pair in near if len({values[row] for row in pair} - {""}) == 2]
    assert 10 < len(differing) < len(near)
    assert found["conflicting labels"] == sorted({row for pair in differing for row in pair})
    leaked = {row for pair in near if len(set(validates[list(pair)])) == 2 for row in pair if validates[row]}
    assert found["near-identical across splits"] == sorted(leaked)


def test_a_text_that_stands_in_thousands_of_rows_is_compared_once():
    count = 5_000
    texts = ["أريد متابعة الطلب", "أريد متابعة الطلبات"] * (count // 2)
    labels = ["بلديات"] * count
    labels[7] = "أشغال"
    table = whole_table({"dept": labels}, np.zeros(count, np.int64), texts)
    found = {finding.kind: finding for finding in compare(table, np.arange(count) >= 4_000)}
    assert len(found["near-identical across splits"].rows) == 1_000
    conflict = found["conflicting labels"]
    assert len(conflict.rows) == count
    assert "'بلديات' in row 1, 'أشغال' in row 8;" in conflict.message


def test_the_pairs_of_a_large_group_grow_with_its_texts():
    texts = [f"أريد متابعة الطلب رقم {number}" for number in range(1_000)]
    copies, pairs = near_identical(texts, np.zeros(1_000, np.int64))
    assert len(copies) == 1_000
    assert {(at, at + 1) for at in range(999)} <= set(pairs)
    assert len(pairs) <= 1_000 * WINDOW


def test_a_group_column_does_not_make_texts_alike(tables, tmp_path):
    options: dict[str, Any] = {"label_columns": "dept", "group_column": "district", "duplicates": "identical"}
    found_data = read_data(LabelledData(tables[0], validation=tables[1], **options), TrainConfig(), tmp_path / "cache")
    found = {finding.kind: [row for _, row in finding.rows] for finding in found_data.findings}
    assert found["conflicting labels"] == [4, 5]
    assert found["duplicates across splits"] == [1, 3]
    assert "near-identical across splits" not in found
