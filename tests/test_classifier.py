"""The predict API with the real bundled model."""

import copy
import io
import json
import logging
import multiprocessing
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tawasul_nlp import ComplaintClassifier, Normalizer, find_places, mask_personal_data, normalize, predict
from tawasul_nlp.answers import Answers
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.routing import find_named_agencies
from tawasul_nlp.duplicates.cases import as_cases
from tawasul_nlp.errors import InvalidTextError, ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, read_config
from tawasul_nlp.model.scorers import ModelOutput
from tawasul_nlp.prediction import LabelScore, Prediction
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from tests.packs import BAHRAIN, changed_domain, written
from tests.waiting import HANG
from training.splits import DATA, load_splits, read_jsonl

SEWAGE = "المجاري طافحة عندنا من اسبوع في مجمع 714 والريحة ما تنطاق"


@pytest.fixture(scope="module")
def clf():
    return ComplaintClassifier.from_pretrained()


@pytest.fixture(scope="module")
def cases():
    side = load_splits()
    return [case for case in read_jsonl(DATA / "cases.jsonl") if side[case["id"]] == "test"][:96]


def test_one_text_gives_one_prediction_and_a_list_gives_a_list_in_order(clf):
    texts = [SEWAGE, "شكرا لموظفي مركز المحرق الصحي على حسن الاستقبال"]
    one = clf.predict(SEWAGE)
    many = clf.predict(texts)
    assert one.topic.id == "sewage_overflow" and one.agency.id == "works" and one.kind.id == "complaint"
    assert [p.text for p in many] == texts
    assert many[1].kind.id == "praise"
    assert clf.predict([]) == []


def test_a_municipal_case_goes_to_the_municipality_of_its_place_or_waits_for_one(clf):
    placed = clf.predict("الزبالة متراكمة في الحاويات بالمحرق من ثلاثة أيام ولم يرفعها أحد")
    lost = clf.predict("الزبالة متراكمة في الحاويات من ثلاثة أيام ولم يرفعها أحد")
    assert placed.agency.id == "muharraq_municipality" and placed.places.governorate == "muharraq"
    assert lost.agency.id == "municipality" and "place_needed" in lost.reasons and lost.needs_review


def test_answers_do_not_depend_on_batch_size_or_order(clf, cases):
    texts = [case["text"] for case in cases]
    for task in clf.labels:
        whole = clf.predict_proba(texts, task, batch_size=64)
        assert np.abs(clf.predict_proba(texts, task, batch_size=7) - whole).max() < 1e-4
        assert np.abs(clf.predict_proba(texts[::-1], task, batch_size=1)[::-1] - whole).max() < 1e-4
        assert np.allclose(whole.sum(1), 1)
        assert whole.shape == (len(texts), len(clf.labels[task]))
    alone = clf.encode(texts[:8], batch_size=1)
    assert np.abs(clf.encode(texts)[:8] - alone).max() < 1e-4
    assert np.allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-5)


def test_most_held_out_cases_are_read_right(clf, cases):
    # Far below the measured accuracy (eval/results/classification.md): this only catches a broken model.
    hits = [p.topic.id == c["topic"] for p, c in zip(clf.predict([c["text"] for c in cases]), cases, strict=True)]
    assert np.mean(hits) > 0.6


@pytest.mark.parametrize("text", ["", "   \n\t", "😀😀🔥", "؟!...", "\x00\x07", "\u200f\u202b"])
def test_a_text_with_nothing_to_read_is_out_of_scope_and_for_review_and_no_words_explain_it(clf, text):
    p = clf.predict(text)
    assert p.topic.id == "out_of_scope" and p.agency.id == "none"
    assert p.needs_review and p.reasons == ("empty_text",)
    (issue,) = p.issues
    assert (issue.topic.id, issue.agency.id, issue.start, issue.end) == ("out_of_scope", "none", 0, len(text))
    assert (p.urgency.id, p.urgency.probability) == ("normal", 1.0)
    for task in ("topic", "agency", "kind"):
        explanation, answer = clf.explain(text, task), p.labels[task]
        assert (explanation.label, explanation.probability, explanation.spans) == (answer.id, answer.probability, ())
        assert explanation.top() == []


@pytest.mark.parametrize(
    "text",
    ["س" * 1_000_000, "كلمة " * 200_000, "a\ud800ب", "\u0627\x00\x1b[31m", "ا\u0301" * 5000, "water 断水 вода पानी 😀"],
)
def test_hostile_texts_have_an_answer(clf, text):
    p = clf.predict(text)
    assert 0 <= p.topic.probability <= 1
    assert json.loads(p.to_json())["topic"]["id"] == p.topic.id
    p.to_json().encode("utf-8")


def test_control_characters_and_lone_surrogates_count_as_spaces(clf):
    odd, plain = "المجاري\x00طافحة\ud83d عندنا\x1b من\udc00اسبوع", "المجاري طافحة عندنا من اسبوع"
    for task in clf.labels:
        assert np.array_equal(clf.predict_proba(odd, task), clf.predict_proba(plain, task))


@pytest.mark.parametrize(
    ("review_on", "reasons"),
    [
        (None, ("low_agency_confidence", "low_topic_confidence")),
        ("agency", ("low_agency_confidence",)),
        (["kind", "agency"], ("low_agency_confidence", "low_confidence")),
    ],
)
def test_a_doubt_sends_a_case_to_review_if_it_is_about_a_task_of_review_on(review_on, reasons):
    classifier = ComplaintClassifier.from_pretrained(review_on=review_on)
    # So sure no answer is.
    assert classifier.predict(SEWAGE, target_error=1e-6).reasons == reasons
    assert classifier.info()["review_on"] == list(classifier.review_on)


@pytest.mark.parametrize("review_on", [[], "dept", ["topic", "dept"]])
def test_review_on_names_tasks_of_the_model(review_on):
    with pytest.raises(ValueError, match="expected some of the model's tasks: topic, agency, kind, urgency"):
        ComplaintClassifier.from_pretrained(review_on=review_on)


def test_a_long_text_says_that_only_its_start_was_read(clf):
    assert "long_text" in clf.predict((SEWAGE + " ") * 100).reasons
    assert "long_text" not in clf.predict(SEWAGE).reasons


@pytest.mark.parametrize(
    ("bad", "index"),
    [
        ([SEWAGE, None], 1),
        ([3.5], 0),
        (None, 0),
        (b"abc", 0),
        ([SEWAGE, "", 7], 2),
        (np.array(SEWAGE), 0),
        (np.array([SEWAGE, None], object), 1),
        ({SEWAGE}, 0),
    ],
)
def test_what_is_no_text_is_refused_with_its_position(clf, bad, index):
    with pytest.raises(InvalidTextError, match="expected") as caught:
        clf.predict(bad)
    assert caught.value.index == index
    assert pickle.loads(pickle.dumps(caught.value)).index == index


def test_texts_of_a_numpy_array_are_plain_strings_afterwards(clf):
    array: Any = np.array([SEWAGE, "شكرا"])
    several: Any = iter([SEWAGE])
    for p in (*clf.predict(array), clf.predict(np.str_(SEWAGE)), *clf.predict(several)):
        assert type(p.text) is str and "np.str_" not in repr(p)


@pytest.mark.parametrize("bad", [None, SEWAGE.encode(), 7, float("nan"), [SEWAGE]])
def test_what_is_no_text_is_refused_alike_at_every_door_and_is_not_quoted(clf, bad):
    doors: list[Callable[[Any], object]] = [
        lambda given: clf.predict(["نص", given]),
        lambda given: clf.predict_proba([given]),
        lambda given: clf.explain(given),
        lambda given: Normalizer().normalize_with_offsets(given),
        lambda given: as_cases([{"text": given}]),
        normalize,
        arabizi_to_arabic,
        mask_personal_data,
        find_places,
        find_named_agencies,
    ]
    for door in doors:
        with pytest.raises(InvalidTextError, match=f"is a {type(bad).__name__}, expected a str; ") as caught:
            door(bad)
        assert isinstance(caught.value, TypeError) and isinstance(caught.value, ValueError)
        assert "المجاري" not in str(caught.value) and repr(SEWAGE.encode())[2:20] not in str(caught.value)


def test_arrow_arrays_are_read_whole_and_in_chunks(clf):
    arrow = pytest.importorskip("pyarrow")
    texts = [SEWAGE, "شكرا لعمال النظافة في المحرق", SEWAGE]
    expected = clf.predict(texts)
    whole = arrow.array(texts)
    chunked = arrow.chunked_array([texts[:1], texts[1:]])
    for given in (whole, whole.cast(arrow.large_string()), chunked, whole.dictionary_encode()):
        assert clf.predict(given) == expected
    with pytest.raises(InvalidTextError, match="text 1 is a NoneType, expected a str; fill or drop") as caught:
        clf.predict(arrow.chunked_array([[SEWAGE], [None]]))
    assert caught.value.index == 1
    with pytest.raises(InvalidTextError, match=r"got a Table; pass its column of texts"):
        clf.predict(arrow.table({"text": texts}))


def test_the_log_tells_of_loading_and_nothing_is_shown_unless_the_program_listens(caplog):
    with caplog.at_level(logging.INFO, "tawasul_nlp"):
        clf = ComplaintClassifier.from_pretrained(threads=1)
        clf.predict(SEWAGE)
    loaded, opened = (record.getMessage() for record in caplog.records if record.name == "tawasul_nlp")
    assert f"model {clf.config.model_hash} loaded in " in loaded and "ONNX Runtime" in loaded
    assert "opened in " in opened and "with 1 of 1 threads" in opened
    assert SEWAGE not in caplog.text
    quiet = "import tawasul_nlp, logging; tawasul_nlp.predict('نص'); logging.getLogger('tawasul_nlp').error('loud')"
    done = subprocess.run([sys.executable, "-c", quiet], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_threads_come_from_the_call_or_else_from_the_environment(monkeypatch):
    monkeypatch.setenv("TAWASUL_THREADS", "3")
    assert ComplaintClassifier.from_pretrained()._scorers.runtime._count == 3
    assert pickle.loads(pickle.dumps(ComplaintClassifier.from_pretrained(threads=2)))._scorers.runtime._count == 2
    assert predict(SEWAGE, threads=1).topic.id == predict([SEWAGE], threads=1)[0].topic.id == "sewage_overflow"
    with pytest.raises(ValueError, match="threads is 0, expected a whole number, at least 1"):
        predict(SEWAGE, threads=0)
    monkeypatch.setenv("TAWASUL_THREADS", "all")
    with pytest.raises(ValueError, match="TAWASUL_THREADS is 'all', expected a whole number, at least 1"):
        ComplaintClassifier.from_pretrained()


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", None, True])
def test_a_count_that_is_none_is_refused(clf, count):
    for ask in (clf.predict, clf.predict_proba, clf.encode, clf.encode_incidents, clf._forward):
        with pytest.raises(ValueError, match=f"batch_size is {count!r}, expected a whole number, at least 1"):
            ask([SEWAGE], batch_size=count)
    if count is not None:
        with pytest.raises(ValueError, match=f"threads is {count!r}, expected a whole number, at least 1"):
            ComplaintClassifier.from_pretrained(threads=count)
    assert len(clf.encode([SEWAGE], batch_size=np.int64(2))) == 1


def test_a_text_cannot_give_orders_to_the_terminal(clf):
    from rich.console import Console

    text = "[bold]المجاري[/bold] طافحة عندنا :fire: \x1b]0;owned\x07\x1b[2J\x9b31m"
    for markup in (True, False):
        console = Console(file=io.StringIO(), width=200, markup=markup, emoji=markup)
        for shown in (clf.predict(text), clf.explain(text)):
            console.print(shown)
            written = console.file.getvalue()
            assert "[bold]المجاري[/bold] طافحة عندنا :fire:" in written
            assert not {"\x1b", "\x07", "\x9b"} & set(written)


def test_a_prediction_can_be_hashed_pickled_and_copied_and_its_labels_cannot_be_changed(clf):
    one, again = clf.predict([SEWAGE, SEWAGE])
    for same in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one), clf.predict(SEWAGE)):
        assert {one, again, same} == {one} and same.labels == one.labels == dict(one.labels)
    for p in (one, copy.deepcopy(one)):
        with pytest.raises(TypeError, match="does not support item assignment"):
            p.labels["topic"] = p.labels["kind"]
        assert not hasattr(p.labels, "pop") and not hasattr(p.labels, "update")
    assert again.topic.id == "sewage_overflow"


def test_many_threads_get_the_same_answers(clf, cases):
    texts = [case["text"] for case in cases[:24]]
    expected = [p.topic.id for p in clf.predict(texts)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: clf.predict(text).topic.id, texts)) == expected


def _topic(arguments):
    return arguments[0].predict(arguments[1]).topic.id


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_classifier_works_in_process_pools(clf, method):
    clf.predict(SEWAGE)  # the parent's session is open when the child is made
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert list(pool.map(_topic, [(clf, SEWAGE)], timeout=HANG)) == ["sewage_overflow"]


def test_a_domain_with_places_of_its_own_routes_by_them(tmp_path):
    own = "- {id: salam, name_ar: فريق السلام, name_en: Salam, kind: quarter, region: southern}"
    domain = changed_domain(tmp_path, "gazetteer", "\nplaces:\n", f"\nplaces:\n{own}\n")
    clf = ComplaintClassifier.from_pretrained(domain=domain)
    answer = clf.predict("الزبالة متراكمة في فريق السلام من ثلاثة أيام ولم يرفعها أحد")
    assert (answer.places.governorate, answer.agency.id) == ("southern", "southern_municipality")


def test_a_domain_without_some_of_the_labels_is_refused_with_their_names(tmp_path):
    content = (BAHRAIN / "taxonomy.yaml").read_text(encoding="utf-8")
    domain = Domain.load(written(tmp_path, taxonomy=re.sub(r"\bpests_rodents\b", "pests", content)))
    with pytest.raises(ValueError, match=r"lacks 1 label\(s\) of the model's task 'topic': pests_rodents; add them"):
        ComplaintClassifier.from_pretrained(domain=domain)


def test_an_unknown_model_or_task_is_named(clf, tmp_path):
    with pytest.raises(ModelFormatError, match="no model folder"):
        ComplaintClassifier.from_pretrained(tmp_path / "nowhere")
    for task in ("mood", ["topic"]):
        with pytest.raises(ValueError, match="this model has topic, agency, kind"):
            clf.predict_proba([SEWAGE], task=task)
    with pytest.raises(TypeError, match="domain is a PosixPath, expected a Domain; read it with Domain.load"):
        ComplaintClassifier.from_pretrained(domain=tmp_path)


def test_an_explanation_points_at_the_words_of_the_original(clf):
    from rich.console import Console

    text = "السلام عليكم،  المجاري   طافحة عندنا من اسبوع"
    explanation = clf.explain(text)
    assert explanation.label == "sewage_overflow"
    assert {"المجاري", "طافحة"} & set(explanation.top(2))
    assert all(text[span.start : span.end].split() for span in explanation.spans)
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(explanation)
    assert "طافحة" in console.export_text()
    assert "<script>" not in clf.explain("<script>alert(1)</script> المجاري طافحة")._repr_html_()
    assert len(clf.explain("كلمة " * 300).spans) <= 64


def test_a_model_without_a_pack_is_routed_by_that_of_its_user(tmp_path):
    """Its topics may have names that the default domain has as well, under agencies of other names."""
    config = read_config(BUNDLED)
    labels = tuple("roads" if label == "works" else label for label in config.tasks["agency"].labels)
    config = replace(config, tasks={**config.tasks, "agency": replace(config.tasks["agency"], labels=labels)})
    domain = changed_domain(tmp_path, "agencies", "- id: works\n", "- id: roads\n  codes: [works]\n")
    answers = Answers(config, domain, Domain.bundled(), complete=True)
    topics = config.tasks["topic"].labels
    probabilities = {name: np.zeros((1, len(task.labels))) for name, task in config.tasks.items()}
    probabilities["topic"][0, topics.index("sewage_overflow")] = 1.0
    probabilities["agency"][0, labels.index("roads")] = 1.0
    probabilities["urgency"][0, config.tasks["urgency"].labels.index("normal")] = 1.0
    thresholds = dict.fromkeys(config.tasks, 0.0)
    output = ModelOutput(probabilities, np.zeros((1, 4)), None, np.array([False]))
    (answer,) = answers.predictions([SEWAGE], output, thresholds)
    assert answer.agency.id == "roads" and answer.routing is not None and answer.reasons == ()


def test_a_reason_of_a_classifier_of_ones_own_sends_a_case_to_review_behind_ours():
    label = LabelScore("roads", "طرق", "roads", 0.4)
    prediction = Prediction("حفرة", {"dept": label}, reasons=("our_rule", "low_confidence", "emergency", "our_rule"))
    assert prediction.reasons == ("emergency", "low_confidence", "our_rule")
    assert Prediction("حفرة", {"dept": label}, reasons=("our_rule",)).needs_review
