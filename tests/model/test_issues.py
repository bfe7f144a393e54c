"""The issues of a text are its clauses that another team would act on; every runtime finds the same, and reads pairs alike."""

from dataclasses import replace

import numpy as np
import pytest

from tawasul_nlp import ComplaintClassifier, ModelFormatError
from tawasul_nlp.model.folder import read_config
from tawasul_nlp.model.issues import FoundIssue, IssueConfig, find_clauses, find_issues, whole_clauses
from tests.model.tiny_model import TEXTS, write_tiny_model

WATER, LIGHT, BUS = range(3)
OUTSIDE, BEGIN, INSIDE = (np.array(row, float) for row in ([9, 0, 0, -9], [0, 9, 0, -9], [0, 0, 9, -9]))
# A clause counts by how surely its tokens are one, from even odds on.
CONFIG = IssueConfig("topic", weights=(1.0, 0.0, 0.0, 0.0))


def about(label):
    return np.eye(3)[label] * 9


def test_clauses_begin_where_they_say_so_and_end_where_another_begins_or_nothing_is_reported():
    tags = np.stack([OUTSIDE, BEGIN, INSIDE, BEGIN, INSIDE, OUTSIDE, INSIDE])
    labels = np.stack([about(BUS), *[about(WATER)] * 2, *[about(LIGHT)] * 2, about(BUS), about(BUS)])
    found = find_clauses(tags, labels, np.full(3, 1 / 3))
    assert [(clause.label, clause.start, clause.end) for clause in found] == [(WATER, 1, 3), (LIGHT, 3, 5), (BUS, 6, 7)]


def test_a_clause_whose_tokens_waver_is_about_what_the_text_speaks_of():
    labels = np.array([[2.0, 1.9, 0.0]])
    (clause,) = find_clauses(np.stack([BEGIN]), labels, np.array([0.1, 0.3, 0.6]))
    assert clause.label == LIGHT


def test_the_main_issue_is_the_texts_likeliest_label_wherever_it_stands():
    tags, labels = np.stack([BEGIN, BEGIN, BEGIN]), np.stack([about(LIGHT), about(WATER), about(LIGHT)])
    text = np.array([0.6, 0.3, 0.1])
    issues = find_issues(find_clauses(tags, labels, text), text, CONFIG, 3)
    assert [(issue.label, issue.start, issue.end) for issue in issues] == [(WATER, 1, 2), (LIGHT, 0, 1)]
    assert issues[0].probability == 0.6 and issues[1].probability > 0.99


def test_without_a_clause_for_it_the_main_issue_is_the_whole_text_and_one_below_the_threshold_is_none():
    text = np.array([0.2, 0.1, 0.7])
    (only,) = find_issues(find_clauses(np.stack([OUTSIDE] * 4), np.zeros((4, 3)), text), text, CONFIG, 4)
    assert (only.label, only.start, only.end) == (BUS, 0, 4)
    sure = np.array([0.9, 0.05, 0.05])
    clauses = find_clauses(np.stack([BEGIN, BEGIN]), np.stack([about(WATER), about(LIGHT)]), sure)
    strict = IssueConfig("topic", weights=(0.0, 0.0, 1.0, 0.0), threshold=0.5)
    assert len(find_issues(clauses, sure, strict, 2)) == 1


@pytest.mark.parametrize(
    ("text", "places", "clauses"),
    [
        ("الماي مقطوع من أمس، والليت خربان", ["مقطوع", "ربان"], ["الماي مقطوع من أمس", "والليت خربان"]),
        ("شارعنا مظلم والماي مقطوع من أمس", ["مظلم", "الماي مقطوع من أ"], ["شارعنا مظلم", "والماي مقطوع من أمس"]),
        ("المبلغ 3,500 دينار - ناقص", ["3"], ["المبلغ 3,500 دينار"]),
        ("الشَّارِعُ مظلمٌ!", ["الشَّارِعُ مظلمٌ!"], ["الشَّارِعُ مظلمٌ!"]),
        ("... 😀 ؟", ["😀"], ["😀"]),
    ],
)
def test_a_clause_cuts_no_word_and_one_of_few_words_is_what_stands_between_signs_or_other_issues(text, places, clauses):
    issues = [FoundIssue(WATER, 0.9, text.index(place), text.index(place) + len(place)) for place in places]
    assert [text[issue.start : issue.end] for issue in whole_clauses(text, issues)] == clauses


def test_weights_that_are_not_those_of_the_features_are_refused():
    with pytest.raises(ValueError, match="2 weights, expected 4"):
        IssueConfig("topic", weights=(1.0, 2.0))
    with pytest.raises(ValueError, match="finite"):
        IssueConfig("topic", bias=float("nan"))


PAIRS = [(TEXTS[0], TEXTS[3]), (TEXTS[1], TEXTS[1]), (TEXTS[2], "")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model"), clauses="subject", pairs=True, torch_files=True)


def read(folder, texts, runtime=None, batch_size=8):
    (output,) = ComplaintClassifier.from_pretrained(folder, runtime=runtime)._scorers.forward(texts, batch_size)
    return output


def test_a_folder_says_what_its_graph_can_and_one_that_promises_more_is_refused(folder, tmp_path):
    assert read_config(folder).reads_pairs and read_config(folder).issues.task == "subject"
    plain = write_tiny_model(tmp_path / "plain")
    assert read(plain, TEXTS).issues is None
    config = read_config(plain)
    for changes, output in (({"separator": 3}, "pair"), ({"issues": IssueConfig("subject")}, "token_tags")):
        replace(config, **changes).save(plain)
        with pytest.raises(ModelFormatError, match=f"no output '{output}'"):
            ComplaintClassifier.from_pretrained(plain).predict(TEXTS)


def test_issues_lie_in_the_text_and_begin_with_its_likeliest_label(folder):
    texts = [*TEXTS, "😀", "  حفرة ", "abc 3arabi"]
    output = read(folder, texts)
    likeliest = output.probabilities["subject"].argmax(1)
    for text, issues, evidence, label in zip(texts, output.issues, output.evidence, likeliest, strict=True):
        assert issues[0].label == label
        assert len({issue.label for issue in issues}) == len(issues)
        for start, end in [*((issue.start, issue.end) for issue in issues), *evidence]:
            assert 0 <= start <= end <= len(text)
            assert text[start:end] == text[start:end].strip() or not text.strip()


def test_both_runtimes_and_every_batch_size_find_the_same(folder):
    expected = read(folder, TEXTS)
    for other in (read(folder, TEXTS, "torch"), read(folder, TEXTS, batch_size=1)):
        for mine, theirs in zip(other.issues, expected.issues, strict=True):
            assert [(i.label, i.start, i.end) for i in mine] == [(i.label, i.start, i.end) for i in theirs]
        np.testing.assert_allclose(other.probabilities["subject"], expected.probabilities["subject"], atol=1e-4)
        assert other.evidence == expected.evidence


def test_pairs_are_read_together_in_their_order_whatever_the_batch(folder):
    logits = [
        ComplaintClassifier.from_pretrained(folder, runtime=runtime)._scorers.pair_logits(PAIRS, batch_size)
        for runtime, batch_size in (("onnx", 1), ("onnx", 8), ("torch", 8))
    ]
    assert len(set(logits[0].round(4).tolist())) == len(PAIRS)
    for found in logits:
        assert found.shape == (len(PAIRS),)
        np.testing.assert_allclose(found, logits[0], atol=1e-4)
