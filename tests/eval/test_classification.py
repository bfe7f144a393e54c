"""The table of the stored split holds the shipped model's own answers, and the documents quote it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from eval.harness import run_script
from eval.quality import classification
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.folder import BUNDLED
from training.corpus import LabelSpace, load_examples

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_table_is_made_of_the_models_own_answers(tmp_path, monkeypatch, capsys):
    labels = LabelSpace.load()
    cases = {
        "train": load_examples("train", labels, second_batch=False)[:150],
        "validation": load_examples("validation", labels)[:40],
    }
    monkeypatch.setattr(classification, "load_examples", lambda split, labels, **options: cases[split])
    monkeypatch.setattr(classification, "first_model", lambda folder: BUNDLED)  # it is in the history alone
    out = tmp_path / "results" / "v1.2"
    given = ["--split", "validation", "--cache", str(tmp_path / "cache"), "--out", str(out)]
    assert run_script(classification.main, given) == 0
    result = json.loads(Path(f"{out}.json").read_text(encoding="utf-8"))
    page = Path(f"{out}.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out and page.startswith("# Classification on the validation split")
    answers = ComplaintClassifier.from_pretrained().predict_proba([case.text for case in cases["validation"]], "topic")
    right = np.array([labels.topics[at] for at in answers.argmax(1)]) == [case.topic for case in cases["validation"]]
    assert result["systems"]["shipped model"]["topic"][0] == pytest.approx(right.mean(), abs=1e-4)
    assert result["rows"]["hits"]["topic"] == "".join("1" if hit else "0" for hit in right)
    assert result["gains_in_points"]["topic over the first model"] == [0, 0, 0]
    assert sum(pair["n"] for pair in result["most_confused"]) == min((~right).sum(), 15)
    coverage = {target: row["coverage"] for target, row in result["review"]["topic"].items()}
    assert 0 < coverage["0.02"] <= coverage["0.05"] <= 1


def test_the_figures_of_the_model_card_are_those_of_the_results_page():
    page = (ROOT / "eval" / "results" / "classification.md").read_text(encoding="utf-8")
    measured = {tuple(map(str.strip, line.split("|"))) for line in page.splitlines() if line.startswith("|")}
    document = (ROOT / "docs" / "model_card.md").read_text(encoding="utf-8")
    table = document[document.index("| system | topic | topic in top 3 |") :].split("\n\n")[0]
    rows = [tuple(map(str.strip, line.split("|"))) for line in table.splitlines()]
    assert len(rows) > 5 and set(rows) <= measured
    said = re.search(r"By register \(topic / agency\): (.*?)\.(?:\s|$)", document)
    result = json.loads((ROOT / "eval" / "results" / "classification.json").read_text(encoding="utf-8"))
    by_register = result["systems"]["shipped model"]["by_register"]
    assert said is not None and said[1] == ", ".join(
        f"{register} {100 * row['topic']:.1f} / {100 * row['agency']:.1f} (n={row['n']})"
        for register, row in by_register.items()
    )
