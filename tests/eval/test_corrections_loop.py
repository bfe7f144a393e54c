"""What the measurement of corrections learns from and what it measures on have no case in common."""

from pathlib import Path

from eval.quality.corrections import TASKS, corpus, issue_cases
from tawasul_nlp.domain import Taxonomy

ROOT = Path(__file__).parents[2]
LEARNED, MEASURED = ROOT / "training" / "data" / "issues.jsonl", ROOT / "eval" / "data" / "issues.jsonl"


def test_cases_of_the_slice_have_the_labels_of_their_main_matter():
    cases, others = (issue_cases(MEASURED, several=several) for several in (True, False))
    assert len(cases) == len(others) == 300
    taxonomy = Taxonomy.load()
    assert all(case["agency"] == taxonomy.agency_group(case["topic"]) for case in cases + others)
    assert all(set(case) == {"text", *TASKS} for case in cases + others)


def test_no_measured_case_is_learned_from():
    learned = {case["text"] for several in (True, False) for case in issue_cases(LEARNED, several=several)}
    learned |= {case["text"] for case in corpus("train")}
    measured = {case["text"] for several in (True, False) for case in issue_cases(MEASURED, several=several)}
    assert not learned & (measured | {case["text"] for case in corpus("test")})
