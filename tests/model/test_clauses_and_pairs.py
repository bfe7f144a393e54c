"""A model with heads for clauses and pairs answers the same on every runtime, and a folder without them has none."""

from dataclasses import replace

import numpy as np
import pytest

from tawasul_nlp import ComplaintClassifier, ModelFormatError
from tawasul_nlp.model.folder import read_config
from tawasul_nlp.model.issues import IssueConfig
from tests.model.tiny_model import TEXTS, write_tiny_model

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
    assert output.issues is not None and output.evidence is not None
    for text, issues, evidence, probabilities in zip(
        texts, output.issues, output.evidence, output.probabilities["subject"], strict=True
    ):
        assert issues[0].label == probabilities.argmax()
        assert len({issue.label for issue in issues}) == len(issues)
        for start, end in [*((issue.start, issue.end) for issue in issues), *evidence]:
            assert 0 <= start <= end <= len(text)
            assert text[start:end] == text[start:end].strip() or not text.strip()


def test_both_runtimes_and_every_batch_size_find_the_same(folder):
    expected = read(folder, TEXTS)
    for other in (read(folder, TEXTS, "torch"), read(folder, TEXTS, batch_size=1)):
        assert other.issues is not None and expected.issues is not None
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
