"""What the measurement of corrections learns from and what it measures on have no case in common."""

from eval.quality.corrections import TASKS, corpus, slice_cases
from tawasul_nlp.domain import Taxonomy


def test_cases_of_the_slice_have_labels_of_the_taxonomy():
    reviewed, measured = slice_cases("review"), slice_cases("measure")
    assert len(reviewed) >= 300 and len(measured) >= 300
    taxonomy = Taxonomy.load()
    assert all(case["agency"] == taxonomy.agency_group(case["topic"]) for case in reviewed + measured)
    assert all(set(case) == {"text", *TASKS} for case in reviewed + measured)


def test_no_measured_case_is_learned_from():
    learned = {case["text"] for case in slice_cases("review") + corpus("train", reports=True)}
    measured = {case["text"] for case in slice_cases("measure") + corpus("test", reports=False)}
    assert not learned & measured
