"""The chosen cases are uncertain, spread, and no two are reports of one incident."""

import csv

import numpy as np
import pytest

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper
from tawasul_nlp.cli import main
from tawasul_nlp.evaluation.selection import choose, margins, select
from tawasul_nlp.tables.errors import TableError


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(6, 0.4), 400)
    vectors = rng.normal(size=(400, 8))
    return probabilities, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), rng.integers(0, 150, 400)


def test_breadth_1_takes_the_least_margins_of_distinct_groups(pool):
    probabilities, vectors, groups = pool
    picks = choose(probabilities, vectors, groups, 20, breadth=1)
    gaps = margins(probabilities)
    best = sorted(min(gaps[groups == group]) for group in np.unique(groups))[:20]
    assert [pick.margin for pick in picks] == pytest.approx(best)


def test_no_two_picks_are_of_one_group_and_counts_are_true(pool):
    probabilities, vectors, groups = pool
    picks = choose(probabilities, vectors, groups, 30, breadth=4)
    chosen = [groups[pick.index] for pick in picks]
    assert len(picks) == 30 and len(set(chosen)) == 30
    assert all(pick.reports == (groups == groups[pick.index]).sum() for pick in picks)
    assert sum(pick.similar for pick in picks) == 120
    assert len(choose(probabilities, vectors, np.arange(400) % 7, 50)) == 7, "one of each group where these are few"


def test_breadth_spreads_the_picks(pool):
    _, _, groups = pool
    rng = np.random.default_rng(1)
    # Half of the cases sit in one corner and are a little more uncertain than the others.
    centres = np.repeat([[1.0, 0, 0], [0, 1.0, 0]], 200, axis=0)
    vectors = centres + 0.05 * rng.normal(size=(400, 3))
    gap = np.concatenate([rng.uniform(0, 0.1, 200), rng.uniform(0.05, 0.15, 200)])
    probabilities = np.column_stack([0.5 + gap / 2, 0.5 - gap / 2])
    own = np.arange(400)

    def from_the_other_corner(breadth):
        return sum(pick.index >= 200 for pick in choose(probabilities, vectors, own, 20, breadth=breadth))

    assert from_the_other_corner(1) == 0
    assert from_the_other_corner(10) >= 4


@pytest.fixture(scope="module")
def backlog(tmp_path_factory):
    texts = [
        "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد",
        "الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد",
        "الحفرة في شارع المعارض بالحورة كسرت تاير سيارتي",
        "شكرا على سرعة الرد",
        "أبي أعرف متى يفتح التسجيل",
        "المعاملة متأخرة من شهرين ولا أحد يرد علينا",
        "السلام عليكم عندي طلب",
        "الريحة قوية بالليل من المصنع",
    ]
    path = tmp_path_factory.mktemp("select") / "backlog.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case_id", "text", "row"])
        writer.writerows([[f"c{at}", text, "own"] for at, text in enumerate(texts)])
        writer.writerow(["empty", "", "own"])
    return path


def _rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_writes_rows_with_reasons_and_one_report_of_an_incident(backlog, tmp_path, capsys):
    out = tmp_path / "to_label.csv"
    assert main(["select", str(backlog), "-n", "8", "-o", str(out)]) == 0
    told, complained = capsys.readouterr()
    assert "7 of 8 cases to label for topic; 0 rows are labelled already, 1 have no text" in told
    assert "row 9: the text is missing" in complained and "only 7 of 8" in complained
    rows = _rows(out)
    texts = [row["text"] for row in rows]
    groups = DuplicateGrouper.from_pretrained().group([row["text"] for row in _rows(backlog)][:-1]).labels
    assert groups[0] == groups[1] and len(rows) == 7  # the power cut was reported twice
    assert len({texts.index(text) for text in texts}) == 7
    assert all("torn between" in row["reason"] for row in rows)
    assert any("2 reports of it" in row["reason"] for row in rows)
    # The table's own column "row" keeps its name and its value.
    assert all(row["row"] == "own" and int(row["select_row"]) >= 1 for row in rows)
    shares = np.sort(ComplaintClassifier.from_pretrained().predict_proba(texts, "topic"), axis=1)
    assert [float(row["probability"]) for row in rows] == pytest.approx(shares[:, -1].tolist(), abs=1e-3)


def test_a_spreadsheet_runs_nothing_of_a_citizens_text(tmp_path):
    table = {"text": ["- الماي مقطوع", '=HYPERLINK("http://example.com")'], "=1+1": ["x", "y"]}
    chosen = select(None, table, 2)
    chosen.write(tmp_path / "picks.csv")
    rows = {row["row"]: row for row in _rows(tmp_path / "picks.csv")}
    assert rows["1"]["text"] == "'- الماي مقطوع" and rows["1"]["'=1+1"] == "x"
    assert rows["2"]["text"] == '\'=HYPERLINK("http://example.com")'
    chosen.write(tmp_path / "picks.jsonl")
    assert "'" not in (tmp_path / "picks.jsonl").read_text(encoding="utf-8")


def test_labelled_cases_are_not_chosen_again_and_bad_input_is_said(backlog, tmp_path, capsys):
    out = tmp_path / "first.csv"
    assert main(["select", str(backlog), "-n", "3", "-o", str(out)]) == 0
    again = tmp_path / "second.jsonl"
    assert main(["select", str(backlog), "-n", "3", "-o", str(again), "--exclude", str(out)]) == 0
    assert not {row["text"] for row in _rows(out)} & set(again.read_text(encoding="utf-8").split('"'))
    assert main(["select", str(backlog), "-n", "3", "-o", str(out), "--text-column", "texts"]) == 1
    assert "no column 'texts'" in capsys.readouterr().err
    assert main(["select", str(backlog), "-n", "3", "-o", str(out), "--task", "dept"]) == 1
    assert "'dept'" in capsys.readouterr().err
    assert main(["select", str(backlog), "-n", "0", "-o", str(out)]) == 2
    assert main(["select", str(backlog), "-n", "3", "-o", str(backlog)]) == 1
    assert "is the input itself" in capsys.readouterr().err
    everything = {"text": [row["text"] for row in _rows(backlog)][:-1]}
    with pytest.raises(TableError, match="8 are labelled already, 0 cannot be used"):
        select(None, everything, 2, exclude=everything)
