"""What the command shows of a prediction."""

import io

from rich.console import Console

from tawasul_nlp.cli.display import examples
from tests.tables.keyword_classifier import KeywordClassifier, SeveralIssues


def shown(classifier, text):
    screen = io.StringIO()
    (prediction,) = classifier.predict([text])
    Console(width=120, file=screen).print(examples([({"id": "T-1", "text": text}, prediction)], "text"))
    return screen.getvalue()


def test_an_example_names_its_other_issues_and_an_urgency_that_cannot_wait():
    head, *_ = shown(SeveralIssues(), "حريق عند المجاري والماي مقطوع").splitlines()
    assert head.endswith("· also water_outage_pressure · emergency")
    text = "المجاري طافحة"
    assert shown(SeveralIssues(), text) == shown(KeywordClassifier(), text), "one issue that can wait is as short"
