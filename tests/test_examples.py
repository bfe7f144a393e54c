"""The example backlog is what its README says, and what shows it is of this very file."""

import csv
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from examples.make_backlog import OUT, backlog, more_reports, write
from examples.make_page import PAGE, write_page
from tests.report.browser import embedded
from training.corpus import LabelSpace, load_examples
from training.incidents import load_paraphrases
from training.splits import DATA, load_splits, read_jsonl

ROOT = Path(__file__).parent.parent
# A text that shares more of its character 6-grams than this with another is a near copy of it.
NEAR_COPY = 0.4


@pytest.fixture(scope="module")
def rows():
    return backlog()


def committed_rows():
    with OUT.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written_texts():
    more = more_reports()
    incidents = [
        *more["reports"].values(),
        *(one["texts"] for one in more["incidents"]),
        *(one for problem in more["recurring"] for one in problem["incidents"] if isinstance(one, list)),
    ]
    return [text for reports in incidents for report in reports for text in report.values()]


def held_out_texts():
    side = load_splits()
    texts = {case["text"] for case in read_jsonl(DATA / "cases.jsonl") if side[case["id"]] == "test"}
    for name, of in (("duplicates", "group"), ("hard_negatives", "near")):
        texts |= {one["text"] for one in read_jsonl(DATA / f"{name}.jsonl") if side[one[of]] == "test"}
    return texts


def trained_texts():
    """Return what was trained on, and what weights, thresholds and the pair scorer were chosen by."""
    labels, side = LabelSpace.load(), load_splits()
    texts = [example.text for split in ("train", "validation") for example in load_examples(split, labels)]
    for name, of in (("duplicates", "group"), ("hard_negatives", "near")):
        texts += [one["text"] for one in read_jsonl(DATA / f"{name}.jsonl") if side[one[of]] != "test"]
    return texts + [text.text for incident in load_paraphrases() for text in incident.texts]


def test_the_script_writes_the_committed_backlog_byte_for_byte(tmp_path):
    write(tmp_path / "backlog.csv")
    assert (tmp_path / "backlog.csv").read_bytes() == OUT.read_bytes()


def test_every_text_is_held_out_or_written_for_the_backlog_and_none_was_trained_on():
    texts = {row["text"] for row in committed_rows()}
    assert texts <= held_out_texts() | set(written_texts())
    assert set(written_texts()) <= texts
    assert not texts & set(trained_texts())


@pytest.mark.slow
def test_no_written_text_is_a_near_copy_of_a_text_that_was_trained_on():
    options = {"analyzer": "char", "ngram_range": (6, 6), "norm": None, "alternate_sign": False}
    shingles = HashingVectorizer(n_features=2**24, binary=True, **options)
    written, trained = written_texts(), trained_texts()
    ours, theirs = shingles.transform(written), shingles.transform(trained)
    shared = (ours @ theirs.T).tocoo()
    share = shared.data / ours.getnnz(1)[shared.row]
    assert len(written) > 100 and len(trained) > 50_000
    assert share.max() <= NEAR_COPY, written[shared.row[share.argmax()]]


def test_the_readme_tells_the_figures_of_the_file(rows):
    said = (ROOT / "examples/README.md").read_text(encoding="utf-8")
    sizes = Counter(Counter(row.incident for row in rows).values())
    again = sum(count for size, count in sizes.items() if size > 1)
    for figure in (
        f"{len(rows)} cases of {sum(sizes.values())} incidents",
        f"{again} of them are reported 2 to {max(sizes)} times",
        f"{len(written_texts())} texts were written",
        f"{rows[0].opened} to {rows[-1].opened}",
        f"{sum(row.sent_wrongly for row in rows)} cases went to a wrong one",
    ):
        assert figure in " ".join(said.split())


def test_the_notebook_that_is_committed_was_run_on_the_committed_backlog():
    notebook = json.loads((ROOT / "notebooks/03_backlog_and_report.ipynb").read_text(encoding="utf-8"))
    cells = notebook["cells"]
    shown = "".join(text for cell in cells for output in cell.get("outputs", []) for text in output.get("text", []))
    told = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    again = "python -m notebooks.execute notebooks/03_backlog_and_report.ipynb"
    assert f"backlog.csv {hashlib.sha256(OUT.read_bytes()).hexdigest()}\n" in shown, f"it is stale; run {again}"
    assert re.findall(r"(\d+) synthetic cases", told) == [str(len(committed_rows()))]


@pytest.mark.slow
def test_the_page_for_whoever_has_no_python_is_made_by_one_function(tmp_path):
    head = OUT.read_text(encoding="utf-8").splitlines(keepends=True)[:31]
    (tmp_path / "backlog.csv").write_text("".join(head), encoding="utf-8")
    made = write_page(tmp_path / "page.html", tmp_path / "backlog.csv")
    data = embedded(tmp_path / "page.html")
    assert made.rows == made.listed == 30 and data["source"] == "backlog.csv"
    assert data["dated"] and data["grouped"] and data["masked"] and data["names"]["routed"]


@pytest.mark.skipif(not PAGE.exists(), reason="no page is committed")
def test_the_page_that_is_committed_is_of_the_committed_backlog():
    again = "it is stale; run python -m examples.make_page"
    assert sorted(case[1] for case in embedded(PAGE)["cases"]) == [row["case_id"] for row in committed_rows()], again
    assert PAGE.stat().st_size < 1_000_000


@pytest.mark.slow
def test_the_grouping_of_the_committed_backlog_is_what_was_measured(rows):
    from eval.quality.example_backlog import RESULTS, measure

    stored = json.loads((RESULTS / "example_backlog.json").read_text(encoding="utf-8"))
    measured = measure(rows)
    of_the_file = ("cases", "incidents", "reported_again", "largest", "pairs")
    assert {name: stored[name] for name in of_the_file} == {name: measured[name] for name in of_the_file}
    # A processor without the usual instructions may decide a pair at the threshold otherwise.
    for name in ("precision", "recall", "f1"):
        assert stored[name] == pytest.approx(measured[name], abs=0.02)
