"""Every form of the encoder that is measured gives the same answers, and its workers tell what reading took."""

import numpy as np
import pytest

from eval.processes import answering
from eval.speed.threads import FORMS, ONE_SESSION, OURS, classifier, command, read_in
from tawasul_nlp import ComplaintClassifier

pytestmark = pytest.mark.slow

TEXTS = [
    f"{what} في مجمع {block}" for block in range(301, 341) for what in ("المجاري طافحة عندنا", "الماي مقطوع من امس")
]


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return ComplaintClassifier.from_pretrained(threads=1).predict_proba(TEXTS)


@pytest.mark.parametrize("form", [form for form in FORMS if form != OURS])
def test_a_form_gives_the_same_answers(form: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(classifier(form, 3).predict_proba(TEXTS), expected, atol=1e-5)


def test_a_worker_reads_with_its_form() -> None:
    with answering(command(ONE_SESSION, 2)) as process:
        took = read_in(process, TEXTS[:4], one_by_one=True)
    assert min(took["seconds"], took["cpu_seconds"]) > 0 and took["peak_mb"] > 50
