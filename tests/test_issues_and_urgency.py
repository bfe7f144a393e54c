"""A prediction has the separate issues of a case and its urgency, from whatever the model's heads found in the text."""

import copy
import io
import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.answers import Answers
from tawasul_nlp.domain import Domain
from tawasul_nlp.model.folder import BUNDLED, TaskConfig, read_config
from tawasul_nlp.model.issues import FoundIssue
from tawasul_nlp.model.scorers import ModelOutput
from tawasul_nlp.tables.added_columns import TASKS
from tests.model.tiny_model import TEXTS, change_config, write_tiny_model
from tests.packs import changed_domain

LEVELS = ("emergency", "urgent", "normal")
URGENCY = TaskConfig(LEVELS, {"encoder": 1.0}, preferred={"emergency": 0.2})
TEXT = "الزبالة متراكمة في المحرق من أسبوع، وبعد عندنا حفرة كبيرة في شارع الرفاع الشرقي"
WASTE, ROAD = "الزبالة متراكمة في المحرق من أسبوع", "حفرة كبيرة في شارع الرفاع الشرقي"
BAHRAIN = Domain.bundled()


@pytest.fixture(scope="module")
def answer():
    """Return what answers a text of which a model found some labels, issues and words."""
    bundled = read_config(BUNDLED)
    config = replace(bundled, tasks={**bundled.tasks, "urgency": URGENCY})
    answers = Answers(config, BAHRAIN, BAHRAIN)

    def predict(text, labels=(), issues=None, evidence=(), emergency=0.0):
        def span(words):
            return text.index(words), text.index(words) + len(words)

        chosen = {"topic": "waste_collection", "agency": "municipality", "kind": "complaint"} | dict(labels)
        tables = {task: one_hot(config.tasks[task].labels, label) for task, label in chosen.items()}
        tables["urgency"] = np.array([[emergency, 0.0, 1 - emergency]])
        if issues is not None:
            topics = config.tasks["topic"].labels
            issues = [tuple(FoundIssue(topics.index(topic), 0.75, *span(quote)) for topic, quote in issues.items())]
        output = ModelOutput(tables, np.zeros((1, 4)), None, np.array([False]), issues, [tuple(map(span, evidence))])
        (prediction,) = answers.predictions([text], output, dict.fromkeys(config.tasks, 0.5))
        return prediction

    return predict


def one_hot(labels, label):
    return np.array([[float(one == label) for one in labels]])


def test_each_issue_has_its_clause_and_the_recipient_of_its_own_place(answer):
    prediction = answer(TEXT, issues={"waste_collection": WASTE, "road_damage": ROAD, "municipal_fees": "شارع الرفاع"})
    quotes = [prediction.text[issue.start : issue.end] for issue in prediction.issues]
    assert quotes == [WASTE, ROAD, "شارع الرفاع"]
    assert [issue.topic.id for issue in prediction.issues] == ["waste_collection", "road_damage", "municipal_fees"]
    agencies = ["muharraq_municipality", BAHRAIN.taxonomy.topic("road_damage").agency, "southern_municipality"]
    assert [issue.agency.id for issue in prediction.issues] == agencies
    assert prediction.places.governorate == "muharraq"
    assert "place_needed" not in prediction.reasons
    prediction = answer(TEXT, issues={"road_damage": ROAD, "waste_collection": WASTE})
    main = prediction.issues[0]  # that of the prediction
    assert (main.topic, main.agency, main.routing) == (prediction.topic, prediction.agency, prediction.routing)
    assert main.topic.id == "waste_collection" and main.topic.probability == 1.0 and main.probability == 0.75
    assert prediction.text[main.start : main.end] == WASTE
    assert [issue.topic.id for issue in prediction.issues[1:]] == ["road_damage"]


def test_an_issue_without_a_place_of_its_own_is_where_the_text_says(answer):
    text = "أنا من سكان المحرق. الزبالة متراكمة، والبعوض أكلنا"
    prediction = answer(text, issues={"waste_collection": "الزبالة متراكمة", "pests_rodents": "البعوض أكلنا"})
    assert [issue.agency.id for issue in prediction.issues] == ["muharraq_municipality"] * 2
    single = answer(text, issues={"waste_collection": "الزبالة متراكمة"})
    assert single.agency.id == "muharraq_municipality" and single.issues[0].start == 20


def test_a_case_needs_a_place_if_any_of_its_issues_does(answer):
    text = "طلبت رخصة عمل ورفضوها، والزبالة متراكمة"
    labels = {"topic": "work_permit_services", "agency": BAHRAIN.taxonomy.topic("work_permit_services").agency}
    issues = {"work_permit_services": "طلبت رخصة عمل ورفضوها", "waste_collection": "الزبالة متراكمة"}
    prediction = answer(text, labels=labels, issues=issues)
    main, other = prediction.issues
    assert main.routing is not None and main.routing.needs == () and other.agency.id == "municipality"
    assert prediction.reasons == ("place_needed",)


@pytest.mark.parametrize("issues", [None, {}])
def test_without_issues_found_the_whole_text_reports_the_main_one(answer, issues):
    text = f"{WASTE} وما جانا أحد"
    prediction = answer(text, issues=issues)
    (main,) = prediction.issues
    assert (main.topic, main.agency) == (prediction.topic, prediction.agency)
    assert (main.start, main.end, main.probability) == (0, len(text), prediction.topic.probability)
    assert prediction.agency.id == "muharraq_municipality"


def test_an_emergency_is_answered_from_its_own_probability_on_and_reviewed_first(answer):
    text = "سلك كهرباء مكشوف عند باب المدرسة"
    prediction = answer(text, evidence=("سلك كهرباء مكشوف", "باب المدرسة"), emergency=0.25)
    urgency = prediction.urgency
    assert urgency is not None and (urgency.id, urgency.name_ar, urgency.name_en) == ("emergency", "طارئ", "Emergency")
    assert urgency.probability == 0.25 and [other.id for other in urgency.alternatives] == ["normal", "urgent"]
    assert [text[reason.start : reason.end] for reason in urgency.reasons] == ["سلك كهرباء مكشوف", "باب المدرسة"]
    assert [reason.text for reason in urgency.reasons] == ["سلك كهرباء مكشوف", "باب المدرسة"]
    assert prediction.reasons == ("emergency", "place_needed") and "urgency" not in prediction.labels


@pytest.mark.parametrize(("emergency", "reasons"), [(0.4, ("emergency",)), (0.1, ()), (0.0, ())])
def test_an_unsure_urgency_is_no_reason_for_a_review_but_an_emergency_is(answer, emergency, reasons):
    prediction = answer(WASTE, evidence=("متراكمة",), emergency=emergency)
    assert prediction.reasons == reasons
    assert (prediction.urgency.id, len(prediction.urgency.reasons)) == (("emergency", 1) if reasons else ("normal", 0))


def test_issues_and_urgency_are_plain_data_and_shown_and_can_be_copied(answer):
    issues = {"waste_collection": WASTE, "road_damage": ROAD}
    prediction = answer(TEXT, issues=issues, evidence=("حفرة كبيرة",), emergency=0.6)
    plain: dict[str, Any] = json.loads(prediction.to_json())
    assert [TEXT[issue["start"] : issue["end"]] for issue in plain["issues"]] == [WASTE, ROAD]
    assert [issue["agency"]["id"] for issue in plain["issues"]] == [issue.agency.id for issue in prediction.issues]
    assert plain["urgency"]["id"] == "emergency" and plain["urgency"]["reasons"][0]["text"] == "حفرة كبيرة"
    for copied in (pickle.loads(pickle.dumps(prediction)), copy.deepcopy(prediction)):
        assert copied == prediction and hash(copied) == hash(prediction)
    assert "also=road_damage (0.75), urgency=emergency (0.60), review: emergency" in repr(prediction)
    screen = io.StringIO()
    Console(width=160, file=screen).print(prediction)
    assert all(part in screen.getvalue() for part in ("also", "road_damage", "emergency", "حفرة كبيرة", "طارئ"))


def test_a_model_without_the_heads_has_the_main_issue_and_no_urgency_and_one_without_topics_no_issues(tmp_path):
    tasks = {task: read_config(BUNDLED).tasks[task].labels for task in TASKS}
    folder = write_tiny_model(tmp_path / "ours", tasks=tasks)
    prediction = ComplaintClassifier.from_pretrained(folder, threads=1).predict(TEXT)
    (main,) = prediction.issues
    assert (main.topic, main.agency, main.routing) == (prediction.topic, prediction.agency, prediction.routing)
    assert prediction.urgency is None and json.loads(prediction.to_json())["urgency"] is None
    clf = ComplaintClassifier.from_pretrained(write_tiny_model(tmp_path / "own"), threads=1)
    assert all(prediction.issues == () for prediction in clf.predict(TEXTS))


def test_a_task_of_the_three_levels_is_the_urgency_and_one_of_other_labels_is_a_task(tmp_path):
    def predicted(labels):
        folder = write_tiny_model(tmp_path / labels[0], tasks={"urgency": labels})
        return ComplaintClassifier.from_pretrained(folder, threads=1).predict(TEXTS[0])

    ours, theirs = predicted(LEVELS), predicted(("عاجل", "عادي"))
    assert ours.urgency.id in LEVELS and not ours.labels
    assert theirs.urgency is None and theirs.labels["urgency"].id in ("عاجل", "عادي")
    assert json.loads(theirs.to_json())["urgency"]["id"] == theirs.labels["urgency"].id


def test_a_domain_names_the_urgency_but_need_not_know_a_task_that_is_called_so(tmp_path):
    domain = changed_domain(tmp_path, "taxonomy", "name_ar: طارئ", "name_ar: خطر")
    bundled = read_config(BUNDLED)
    for labels in (LEVELS, ("عاجل", "عادي")):
        task = TaskConfig(labels, {"encoder": 1.0})
        answers = Answers(replace(bundled, tasks={"urgency": task}), domain, BAHRAIN, complete=True)
        output = ModelOutput({"urgency": one_hot(labels, labels[0])}, np.zeros((1, 4)), None, np.array([False]))
        (found,) = answers.predictions([WASTE], output, {"urgency": 0.0})
        name = found.labels["urgency"].name_ar if found.urgency is None else found.urgency.name_ar
        assert name == ("خطر" if labels == LEVELS else "عاجل")


def test_an_explanation_weighs_the_words_for_the_urgency_that_is_answered(tmp_path):
    folder = write_tiny_model(tmp_path / "model", tasks={"urgency": LEVELS})
    for level in LEVELS:
        clf = ComplaintClassifier.from_pretrained(preferring(folder, {level: 0.0001}), threads=1)
        told, urgency = clf.explain(TEXTS[0], "urgency"), clf.predict(TEXTS[0]).urgency
        assert urgency is not None and urgency.id == told.label == level
        assert told.probability == pytest.approx(urgency.probability) and len(told.spans) == len(TEXTS[0].split())
        nothing = clf.explain("؟!", "urgency")
        assert (nothing.label, nothing.probability, nothing.spans) == ("normal", 1.0, ())
        assert clf.explain(TEXTS[0], "urgency", label="urgent").label == "urgent"


def preferring(folder, preferred):
    """Change the preferred labels of the task of urgency in a folder."""
    return change_config(folder, lambda config: config["tasks"]["urgency"].update(preferred=preferred))


def test_a_folder_keeps_its_preferred_labels(tmp_path):
    folder = write_tiny_model(tmp_path / "model", tasks={"urgency": LEVELS})
    clf = ComplaintClassifier.from_pretrained(folder, threads=1)
    stored = read_config(preferring(folder, {"urgent": 0.01, "normal": 0.01}))
    stored.save(folder)
    assert read_config(folder) == stored
    again = ComplaintClassifier.from_pretrained(folder, threads=1)
    for before, after in zip(clf.predict(TEXTS[:4]), again.predict(TEXTS[:4]), strict=True):
        told = {label.id: label.probability for label in (before.urgency, *before.urgency.alternatives)}
        order = ("urgent", "normal", before.urgency.id)
        assert after.urgency.id == next(label for label in order if told[label] >= 0.01)
        assert after.urgency.probability == told[after.urgency.id]
