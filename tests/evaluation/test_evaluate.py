"""Any model on any labelled table: terminal, JSON, a page that fetches nothing, and the comparison of two results."""

import csv
import json
import re
from collections import Counter

import pytest
from sklearn.metrics import f1_score

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.evaluation import evaluate
from tawasul_nlp.tables.errors import MissingColumnError
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


OPTIONS = ["--text-column", "نص", "--label-columns", "topic=category,agency", "--resamples", "50"]


@pytest.fixture(scope="module")
def result(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report"
    arguments = [str(table), *OPTIONS, "--slices", "register", "-o", f"{out}.json", "--html", f"{out}.html"]
    # The validation rows serve as training rows here: the report has to say that they are the evaluated ones.
    assert main(["evaluate", *arguments, "--train", str(table)]) == 0
    return out, json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))


def test_figures_are_the_classifiers_own_and_slices_add_up(result, examples):
    topics = ComplaintClassifier.from_pretrained().predict_proba([e.text for e in examples], "topic").argmax(1)
    names = ComplaintClassifier.from_pretrained().labels["topic"]
    right = [names[topic] == e.topic for topic, e in zip(topics, examples, strict=True)][2:]
    topic = result[1]["tasks"]["topic"]
    assert topic["metrics"]["accuracy"][0] == pytest.approx(sum(right) / 59, abs=1e-4)
    assert topic["n"] == 59 and topic["unlabelled"] == 1
    assert result[1]["data"]["rows"] == 60 and result[1]["data"]["unusable"] == [[61, "the text is missing"]]
    assert topic["unknown_labels"] == {"<script>alert(1)</script>": 1}
    assert result[1]["rows"]["hits"]["topic"] == "-0" + "".join("1" if hit else "0" for hit in right)
    for part in result[1]["tasks"].values():
        for slices in part["slices"].values():
            assert sum(each["n"] for each in slices.values()) == part["n"]
            assert all(0 <= low <= value <= high <= 1 for value, low, high in (s["accuracy"] for s in slices.values()))
    baselines = result[1]["tasks"]["agency"]["baselines"]
    assert baselines["TF-IDF + linear SVM"]["metrics"]["accuracy"][0] > baselines["majority"]["metrics"]["accuracy"][0]
    assert result[1]["train"]["texts_in_both"] == 60


def test_the_page_fetches_nothing_and_escapes_everything(result):
    page = result[0].with_suffix(".html").read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#|data:)""", page)
    assert "url(http" not in page and "@import" not in page
    assert page.count(": reliability") == 2  # a table of each task


def test_every_task_with_a_column_of_its_name_is_measured_if_none_is_named(examples):
    table = {"text": [e.text for e in examples[:12]], "agency": [e.agency for e in examples[:12]]}
    assert list(evaluate(None, table, resamples=5).tasks) == ["agency"]
    with pytest.raises(MissingColumnError, match="no column 'topic'"):
        evaluate(None, {"text": table["text"]}, resamples=5)
    with pytest.raises(ValueError, match=r"slices is 'agency', expected a list of columns; write \['agency'\]"):
        evaluate(None, table, slices="agency")
    with pytest.raises(ValueError, match=r"label_columns is 'agency', .*; write \['agency'\]"):
        evaluate(None, table, label_columns="agency")
    with pytest.raises(ValueError, match="no row of dict has a label in column 'agency'"):
        evaluate(None, table | {"agency": [""] * 12}, label_columns=["agency"])


def test_the_weakest_labels_are_those_of_scikit_learn(examples):
    texts, truth = [e.text for e in examples], [e.agency for e in examples]
    found = evaluate(None, {"text": texts, "agency": truth}, resamples=5).tasks["agency"]
    clf = ComplaintClassifier.from_pretrained()
    guess = [clf.labels["agency"][at] for at in clf.predict_proba(texts, "agency").argmax(1)]
    for each in found.by_label:
        right = [label == each.label for label in truth]
        assert each.f1 == pytest.approx(f1_score(right, [label == each.label for label in guess]), abs=1e-4)
    assert [each.f1 for each in found.by_label] == sorted(each.f1 for each in found.by_label)
    apart = Counter((label, answer) for label, answer in zip(truth, guess, strict=True) if label != answer)
    assert {(pair.true, pair.predicted): pair.n for pair in found.most_confused} == dict(apart.most_common(15))


def test_bad_input_and_rows_that_cannot_be_used_are_told_by_the_command(table, tmp_path, capsys):
    def told(code, *arguments):
        assert main(["evaluate", *map(str, arguments)]) == code
        return capsys.readouterr().err

    assert "no column 'text'" in told(1, table)
    assert "as in topic=category" in told(1, table, "-t", "نص", "--label-columns", "category")
    assert "nowhere.csv" in told(1, "nowhere.csv")
    given = [table, "-t", "نص"]
    assert "names the task 'topic' twice" in told(2, *given, "--label-columns", "topic=category,topic=agency")
    assert "--resamples" in told(2, *given, "--resamples", "0")
    assert "no column 'governorate'" in told(1, *given, "--slices", "governorate")
    assert "is the input itself" in told(1, *given, "-o", table)
    assert told(1, *given, "--label-columns", "agency", "--resamples", "5", "-o", table / "below-a-file")
    assert sorted(path.name for path in table.parent.iterdir()) == [table.name]
    assert main(["evaluate", str(table), *OPTIONS, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "warning: 1 row of" in err and "row 61: the text is missing" in err


def _stored(path, keys, hits, groups=None):
    rows = {"keys": keys, "hits": {"topic": hits}} | ({"groups": groups} if groups else {})
    path.write_text(json.dumps({"model": {"hash": path.stem}, "rows": rows}), encoding="utf-8")
    return str(path)


def test_compare_says_when_a_difference_is_chance_and_when_not(tmp_path, capsys):
    keys = [f"{row:012d}" for row in range(200)]
    a = _stored(tmp_path / "a.json", keys, "1" * 150 + "0" * 50)
    b = _stored(tmp_path / "b.json", keys, "1" * 110 + "0" * 90)
    # In another order, which the keys tell.
    c = _stored(tmp_path / "c.json", keys[::-1], "0" * 49 + "1" * 148 + "0" * 3)
    assert main(["compare", a, b]) == 0
    assert "A is better, beyond chance" in capsys.readouterr().out
    assert main(["compare", a, c]) == 0
    assert "no difference beyond chance" in capsys.readouterr().out


def test_compare_keeps_together_what_either_result_says_belongs_together(tmp_path, capsys):
    keys = [f"{row:012d}" for row in range(60)]
    better, worse = "1" * 60, "1" * 30 + "0" * 30
    together = [0] * 30 + [1] * 30  # two incidents: what the one gets right is one event, not thirty
    plain = _stored(tmp_path / "a.json", keys, better), _stored(tmp_path / "b.json", keys, worse)
    first = _stored(tmp_path / "c.json", keys, better, together), plain[1]
    second = plain[0], _stored(tmp_path / "d.json", keys, worse, together)
    found = []
    for pair in (plain, first, second):
        assert main(["compare", *pair, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["tasks"]["topic"]["points"])
    assert found[1] == found[2] != found[0]


def test_compare_refuses_different_data_and_files_without_rows(tmp_path, capsys):
    keys = [f"{row:012d}" for row in range(20)]
    a = _stored(tmp_path / "a.json", keys, "1" * 20)
    b = _stored(tmp_path / "b.json", [*keys[:-1], "other"], "1" * 20)
    assert main(["compare", a, b]) == 1
    assert "19 have the same text and labels" in capsys.readouterr().err
    for damaged in (
        {"keys": keys, "hits": {"topic": "1" * 19}},
        {"keys": keys, "hits": {"topic": ["1"] * 20}},
        {"keys": "abc", "hits": {"topic": "111"}},
        {"keys": keys, "hits": {"topic": "1" * 20}, "groups": [1, 2]},
    ):
        (tmp_path / "c.json").write_text(json.dumps({"rows": damaged}), encoding="utf-8")
        assert main(["compare", a, str(tmp_path / "c.json")]) == 1
        assert "is damaged" in capsys.readouterr().err
    (tmp_path / "old.json").write_text("{}", encoding="utf-8")
    assert main(["compare", a, str(tmp_path / "old.json")]) == 1
    assert "holds no rows" in capsys.readouterr().err
