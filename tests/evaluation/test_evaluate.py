"""Any model on any labelled table: terminal, JSON, a page that fetches nothing, and the comparison of two results."""

import csv
import json
import re

import numpy as np
import pytest
from tawasul_nlp.evaluation.text_table import read_table, task_columns

from eval.quality import classification
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.evaluation import comparison as compare
from tawasul_nlp.tables import TableError
from training.corpus import LabelSpace, load_examples


@pytest.fixture(scope="module")
def examples():
    return load_examples("validation", LabelSpace.load())[:60]


@pytest.fixture(scope="module")
def table(examples, tmp_path_factory):
    path = tmp_path_factory.mktemp("eval") / "labelled.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "نص", "category", "agency", "kind", "register"])
        for at, e in enumerate(examples):
            topic = {0: "", 1: "<script>alert(1)</script>"}.get(at, e.topic)
            writer.writerow([e.id, e.text, topic, e.agency, e.kind, e.register])
        writer.writerow(["empty", "  ", "road_damage", "works", "complaint", "msa"])
    return path


@pytest.fixture(scope="module")
def options():
    return ["--text-column", "نص", "--label-columns", "topic=category,agency", "--resamples", "50"]


@pytest.fixture(scope="module")
def result(table, options, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report"
    arguments = ["--data", str(table), *options, "--slices", "register", "--out", str(out)]
    # The validation rows serve as training rows here: the report has to say that they are the evaluated ones.
    assert classification.main([*arguments, "--train", str(table)]) == 0
    return out, json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))


def test_figures_are_the_classifiers_own(result, examples):
    topics = ComplaintClassifier.from_pretrained().predict_proba([e.text for e in examples], "topic").argmax(1)
    names = ComplaintClassifier.from_pretrained().labels["topic"]
    right = [names[topic] == e.topic for topic, e in zip(topics, examples, strict=True)][2:]
    topic = result[1]["tasks"]["topic"]
    assert topic["figures"]["accuracy"][0] == pytest.approx(sum(right) / 59, abs=1e-4)
    assert topic["n"] == 59 and topic["unlabelled"] == 1
    assert topic["unknown_labels"] == {"<script>alert(1)</script>": 1}
    assert result[1]["rows"]["hits"]["topic"] == "-0" + "".join("1" if hit else "0" for hit in right)


def test_every_row_is_accounted_for(result):
    data = result[1]["data"]
    assert data["rows"] == 60 and data["not_usable"] == [[61, "no text"]]


def test_slices_add_up(result):
    for part in result[1]["tasks"].values():
        for slices in part["slices"].values():
            assert sum(each["n"] for each in slices.values()) == part["n"]
            for each in slices.values():
                value, low, high = each["accuracy"]
                assert 0 <= low <= value <= high <= 1


def test_baselines_are_fitted_and_shared_texts_are_told(result):
    baselines = result[1]["tasks"]["agency"]["baselines"]
    assert baselines["TF-IDF + linear SVM"]["figures"]["accuracy"][0] > baselines["majority"]["figures"]["accuracy"][0]
    assert result[1]["train"]["texts_in_both"] == 60


def test_the_page_fetches_nothing_and_escapes_everything(result):
    page = result[0].with_suffix(".html").read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#|data:)""", page)
    assert "url(http" not in page and "@import" not in page and "<!DOCTYPE svg" not in page
    assert page.count("<svg") == 10  # two curves, two slices and a confusion matrix of each task


def test_jsonl_and_parquet_give_the_same_figures(result, table, options, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    for name in ("t.jsonl", "t.parquet"):
        assert classification.main(["--data", str(tmp_path / name), *options, "--out", str(tmp_path / "o")]) == 0
        again = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
        assert again["rows"] == result[1]["rows"]


def test_bad_input_is_said_and_returns_2(table, capsys):
    assert classification.main(["--data", str(table)]) == 2
    assert "no column 'text'" in capsys.readouterr().err
    assert classification.main(["--data", str(table), "--text-column", "نص", "--label-columns", "category"]) == 2
    assert "TASK=COLUMN" in capsys.readouterr().err
    assert classification.main(["--data", "nowhere.csv"]) == 2
    assert "nowhere.csv" in capsys.readouterr().err
    given = ["--data", str(table), "--text-column", "نص"]
    assert classification.main([*given, "--label-columns", "topic=category,topic=agency"]) == 2
    assert "name the task 'topic' twice" in capsys.readouterr().err
    assert classification.main([*given, "--label-columns", "topic=category", "--resamples", "0"]) == 2
    assert "resamples is 0, expected at least 1" in capsys.readouterr().err
    out = str(table / "below-a-file")
    assert classification.main([*given, "--label-columns", "agency", "--resamples", "5", "--out", out]) == 2
    assert "error: " in capsys.readouterr().err


def test_a_jsonl_without_the_column_is_refused(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "المجاري طافحة"}\n', encoding="utf-8")
    with pytest.raises(TableError, match="no column 'topic'"):
        read_table(path, "text", ["topic"])


def test_task_columns_need_a_task_of_the_model():
    assert task_columns(None, ["dept"]) == {"dept": "dept"}
    with pytest.raises(ValueError, match="names no task"):
        task_columns("subject", ["dept"])


def _stored(path, keys, hits, groups=None):
    rows = {"keys": keys, "hits": {"topic": hits}} | ({"groups": groups} if groups else {})
    path.write_text(json.dumps({"model": {"hash": path.stem}, "rows": rows}), encoding="utf-8")
    return str(path)


def test_compare_says_when_a_difference_is_chance_and_when_not(tmp_path, capsys):
    keys = [f"{row:012d}" for row in range(200)]
    a = _stored(tmp_path / "a.json", keys, "1" * 150 + "0" * 50)
    b = _stored(tmp_path / "b.json", keys, "1" * 110 + "0" * 90)
    c = _stored(tmp_path / "c.json", keys, "0" * 3 + "1" * 148 + "0" * 49)
    assert compare.main([a, b]) == 0
    assert "A is better, beyond chance" in capsys.readouterr().out
    assert compare.main([a, c]) == 0
    assert "no difference beyond chance" in capsys.readouterr().out


def test_compare_matches_rows_of_files_in_another_order(tmp_path, capsys):
    keys = [f"{row:012d}" for row in range(100)]
    hits = "".join(np.random.default_rng(0).choice(["0", "1"], 100))
    a = _stored(tmp_path / "a.json", keys, hits)
    b = _stored(tmp_path / "b.json", keys[::-1], hits[::-1])
    assert compare.main([a, b, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["tasks"]["topic"]
    assert found["first_only"] == found["second_only"] == 0 and found["p_value"] == 1.0


def test_compare_keeps_together_what_either_result_says_belongs_together(tmp_path, capsys):
    keys = [f"{row:012d}" for row in range(60)]
    better, worse = "1" * 60, "1" * 30 + "0" * 30
    together = [0] * 30 + [1] * 30  # two incidents: what the one gets right is one event, not thirty
    plain = _stored(tmp_path / "a.json", keys, better), _stored(tmp_path / "b.json", keys, worse)
    first = _stored(tmp_path / "c.json", keys, better, together), plain[1]
    second = plain[0], _stored(tmp_path / "d.json", keys, worse, together)
    found = []
    for pair in (plain, first, second):
        assert compare.main([*pair, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["tasks"]["topic"]["points"])
    assert found[1] == found[2] != found[0]


def test_compare_refuses_different_data_and_files_without_rows(tmp_path, capsys):
    keys = [f"{row:012d}" for row in range(20)]
    a = _stored(tmp_path / "a.json", keys, "1" * 20)
    b = _stored(tmp_path / "b.json", [*keys[:-1], "other"], "1" * 20)
    assert compare.main([a, b]) == 2
    assert "19 have the same text and labels" in capsys.readouterr().err
    (tmp_path / "old.json").write_text("{}", encoding="utf-8")
    assert compare.main([a, str(tmp_path / "old.json")]) == 2
    assert "holds no rows" in capsys.readouterr().err


def test_a_model_compared_with_itself_does_not_differ(result, capsys):
    path = str(result[0].with_suffix(".json"))
    assert compare.main([path, path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["tasks"]
    assert set(found) == {"topic", "agency"} and not any(each["significant"] for each in found.values())
