"""What is measured is counted rightly, on marked cases that are well formed and apart from what is learned."""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from eval.harness import run_script
from eval.quality import classification, issues, urgency
from eval.quality.corrections import TASKS, corpus, slice_cases
from eval.quality.duplicates import HARD_NEGATIVES, RELATIONS, collections, score
from eval.quality.incidents import COLLECTIONS, OWN_WORDS, SEEDS, Report, found_share, load_backlog, mistyped, scores
from eval.quality.masks import judge_masks, measure_masks, read_lines, read_marks
from eval.quality.places import TOWNS, score_areas
from eval.quality.rewriting import MASKS, REWRITING, answer_words, is_accepted, measure_arabizi, read_words
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.text.personal.mask import DEFAULT_KINDS
from training.corpus import LabelSpace, load_examples
from training.splits import load_splits, read_jsonl

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


def test_cases_of_the_slice_have_labels_of_the_taxonomy():
    reviewed, measured = slice_cases("review"), slice_cases("measure")
    assert len(reviewed) >= 300 and len(measured) >= 300
    taxonomy = Domain.bundled().taxonomy
    assert all(case["agency"] == taxonomy.agency_group(case["topic"]) for case in reviewed + measured)
    assert all(set(case) == {"text", *TASKS} for case in reviewed + measured)


def test_no_measured_case_is_learned_from():
    learned = {case["text"] for case in slice_cases("review") + corpus("train", reports=True)}
    measured = {case["text"] for case in slice_cases("measure") + corpus("test", reports=False)}
    assert not learned & measured


def test_a_perfect_grouping_scores_one_and_both_collections_hold_the_same_incidents():
    found = collections("validation", LabelSpace.load())
    incidents, backlog = found["incidents"], found["backlog"]
    assert {text.id for text in incidents.texts} < {text.id for text in backlog.texts}
    for collection in (incidents, backlog):
        assert (len(collection.duplicates), len(collection.hard_negatives)) == (86, 31)
        perfect = score(collection.incident, collection)
        assert [perfect[name] for name in ("f1", "precision", "recall", *RELATIONS, HARD_NEGATIVES)] == [1] * 6 + [0]
        alone = score(np.arange(len(collection.texts)), collection)
        assert (alone["f1"], alone["recall"], alone["wrong_pairs"]) == (0, 0, 0)


def test_what_is_merged_wrongly_costs_precision_where_it_is_a_text_of_the_collection():
    found = collections("validation", LabelSpace.load())
    incidents = found["incidents"]
    labels = incidents.incident.copy()
    case, hard_negative = incidents.hard_negatives[0]
    labels[labels == labels[hard_negative]] = labels[case]
    wrong = score(labels, incidents)
    assert wrong["recall"] == 1 and wrong["precision"] < 1 and wrong["wrong_pairs"] > 0
    assert wrong[HARD_NEGATIVES] == round(1 / len(incidents.hard_negatives), 4)


REPORTS = [
    Report("a-1", "الكهربا طافية", "a", None, "report"),
    Report("a-2", "انقطع التيار", "a", None, "report"),
    Report("a-3", "الكهربا طافيه", "a", None, "copy"),
    Report("n-1", "كهربة بيتنا طافية", "n-1", "a", "hard negative"),
    Report("b-1", "حفرة", "b", None, "report"),
    Report("c-1", "شكرا", "c-1", None, "other"),
]


def test_a_perfect_grouping_scores_one_and_what_is_missed_or_merged_costs() -> None:
    perfect = scores(np.array([0, 0, 0, 1, 2, 3]), REPORTS)
    assert (perfect["f1"], perfect["precision"], perfect["recall"], perfect["hard_negatives_merged"]) == (1, 1, 1, 0)
    missed = scores(np.array([0, 4, 0, 1, 2, 3]), REPORTS)
    assert (missed["recall"], missed["recall_of_copies"], missed["precision"]) == (round(1 / 3, 4), 0.5, 1)
    merged = scores(np.array([0, 0, 0, 0, 2, 3]), REPORTS)
    assert (merged["precision"], merged["hard_negatives_merged"]) == (0.5, 1)
    # One report of the incident is enough to be merged with it.
    assert scores(np.array([0, 4, 0, 4, 2, 3]), REPORTS)["hard_negatives_merged"] == 1


def test_each_incident_has_one_mistyped_copy_of_its_first_report() -> None:
    copies = mistyped(REPORTS, 0)
    assert [(copy.id, copy.incident) for copy in copies] == [("a-1-0", "a"), ("b-1-0", "b")]
    assert mistyped(REPORTS, 0) == copies
    assert found_share(np.array([0, 0, 0, 1, 2, 3, 0, 3]), REPORTS, copies) == 0.5


def test_the_backlog_holds_all_reports_and_as_many_other_cases_as_the_page_says() -> None:
    reports = load_backlog(COLLECTIONS[OWN_WORDS]())
    kinds = {"report": 1213, "copy": 99, "hard negative": 332, "other": 1200}
    assert Counter(report.relation for report in reports) == kinds
    assert len({report.id for report in reports}) == len(reports)
    assert all(len(mistyped(reports, seed)) == 328 for seed in SEEDS)


TRUTH = [{"roads": (0, 10), "light": (20, 30)}, {"water": (0, 8)}, {"water": (4, 8)}]
SAID = [{"roads": (0, 5)}, {"water": (0, 8), "power": (8, 12)}, {"power": (0, 8)}]


def test_pairs_second_issues_and_clauses_are_counted_over_the_cases():
    figures = issues.summariser(TRUTH, SAID)(np.ones(3))
    assert figures["precision"] == pytest.approx(2 / 4) and figures["recall"] == pytest.approx(2 / 4)
    assert figures["f1"] == pytest.approx(2 / 4) and figures["second"] == pytest.approx(1 / 2)
    assert figures["overlap"] == pytest.approx((0.5 + 1.0) / 2)
    assert set(figures) == set(issues.FIGURES)


def test_the_likeliest_topic_is_answered_below_the_threshold_and_the_best_threshold_is_that_of_f1():
    labels = ("roads", "light", "water", "power")
    probabilities = np.array([[0.5, 0.4, 0.05, 0.05], [0.1, 0.1, 0.6, 0.2], [0.1, 0.2, 0.4, 0.3]])
    truth = [{"roads": (0, 1), "light": (1, 2)}, {"water": (0, 1)}, {"water": (0, 1)}]
    least = issues.best_threshold(labels, probabilities, truth)
    assert 0.3 < least <= 0.4
    assert [set(topics) for topics in issues.from_threshold(labels, probabilities, least, ["نص"] * 3)] == list(
        map(set, truth)
    )
    assert [len(topics) for topics in issues.from_threshold(labels, probabilities, 0.99, ["نص"] * 3)] == [1, 1, 1]


def test_the_figures_of_urgency_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, said = (rng.choice(urgency.LEVELS, 200, p=[0.1, 0.2, 0.7]).tolist() for _ in range(2))
    figures = urgency.summariser(truth, said)(np.ones(200))
    assert figures["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    emergencies = {"labels": ["emergency"], "average": "micro"}
    assert figures["recall"] == pytest.approx(recall_score(truth, said, **emergencies))
    assert figures["precision"] == pytest.approx(precision_score(truth, said, **emergencies))
    pressing = [[level != "normal" for level in side] for side in (truth, said)]
    assert figures["pressing_recall"] == pytest.approx(recall_score(*pressing))
    assert figures["alarms"] == said.count("emergency") / 200
    assert set(figures) == set(urgency.FIGURES)


def test_the_test_split_is_not_among_what_is_learned_from():
    learned, held_out = set(urgency.training_labels()[0]), urgency.test_split()
    assert len(held_out.texts) == len(held_out.first) > 1000 and learned.isdisjoint(held_out.texts)
    assert learned.isdisjoint(urgency.cases_of_issues().texts)


def counted(score):
    return {
        level: (one["precision"]["right"], one["precision"]["n"], one["recall"]["n"]) for level, one in score.items()
    }


def test_areas_are_counted_once_and_parts_count_as_their_town():
    texts = {"a": "من الرفاع إلى الرفاع الغربي ثم الرفاع", "b": "مريض في مستشفى السلمانية ساكن سترة مجمع 606"}
    labels = [
        {"id": "a", "areas": ["west_riffa"], "either": [], "blocks": []},
        {"id": "b", "areas": ["sitra"], "either": ["salmaniya"], "blocks": [606, 607]},
    ]
    assert counted(score_areas(labels, texts)) == {"area": (2, 3, 2), "town": (2, 2, 2), "block": (1, 1, 2)}


def test_the_labels_are_of_test_cases_and_name_areas_of_the_gazetteer():
    labels, areas, side = list(read_jsonl(TOWNS)), Domain.bundled().gazetteer.places, load_splits()
    assert len(labels) == 300 and {side[label["id"]] for label in labels} == {"test"}
    assert all(areas[name].is_area for label in labels for name in (*label["areas"], *label["either"]))


GOLD = [*read_lines(REWRITING), *read_lines(MASKS)]


def test_every_text_is_of_one_half_and_one_task_and_stands_there_once() -> None:
    assert len({line["id"] for line in GOLD}) == len(GOLD)
    assert all(line["half"] in ("tune", "test") and ("masks" in line) != ("words" in line) for line in GOLD)
    texts = [line.get("masks") or line["words"] for line in GOLD]
    assert len(set(texts)) == len(texts)


def test_marks_are_of_a_kind_and_stand_on_what_they_mark() -> None:
    for line in (line for line in GOLD if "masks" in line):
        text, marks = read_marks(line["masks"])
        assert not set("{}") & set(text), line["id"]
        last = 0
        for mark in marks:
            marked = text[mark.start : mark.end]
            assert mark.kind in DEFAULT_KINDS | {"name"} and f"{{{mark.kind}:{marked}}}" in line["masks"], line["id"]
            assert last <= mark.start < mark.end <= len(text), line["id"]
            digits = sum(unicodedata.digit(char, None) is not None for char in marked)
            assert mark.kind in ("email", "name") or digits >= 3, line["id"]
            last = mark.end


def test_words_are_latin_their_spellings_arabic_and_their_answers_are_found_again() -> None:
    spelling = re.compile(r"[\u0621-\u064a\u0686\u06af ]+")
    for line in (line for line in GOLD if "words" in line):
        words = read_words(line["words"])
        assert any(word.accepted for word in words), line["id"]
        for word in words:
            assert word.written.isascii() and all(map(spelling.fullmatch, word.accepted)), line["id"]
        assert [word for word, _ in answer_words(words)] == words, line["id"]


def test_masks_are_counted_by_kind() -> None:
    line = {"masks": "رقم الطلب {cpr:40217}، هاتف {phone:39001234} وعنوان {email:غير معروف}"}
    assert judge_masks(line) == {
        "wanted": [("cpr", True, False), ("phone", True, True), ("email", False, False)],
        "given": [("request", False), ("phone", True)],
        "others": [],
    }
    counted = measure_masks([line])["kinds"]["all"]
    assert (counted["masked"]["right"], counted["masked"]["n"]) == (2, 3)
    assert (counted["precision"]["right"], counted["precision"]["n"]) == (1, 2)


def test_words_are_counted_that_became_arabic_that_are_accepted_and_that_stayed() -> None:
    words = "el_may=الماي magtoo3=مفتوح|مسكر 3ndna=عندنا EWA bill el_AC=? 12"
    counted = measure_arabizi([{"words": words}])
    found = {name: (row["right"], row["n"]) for name, row in counted.items() if name != "texts"}
    assert found == {"converted": (3, 3), "accepted": (2, 3), "stayed": (2, 2)}


def test_spellings_differ_by_hamza_and_ta_marbuta_at_most() -> None:
    (word,) = read_words("el_omoor=الأمورة")
    assert is_accepted(word, "الاموره") and not is_accepted(word, "الامر")
