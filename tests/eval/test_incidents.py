"""How groupings of incidents that many reported are scored."""

import numpy as np

from eval.quality.incidents import SEEDS, Report, found_share, load_backlog, mistyped, scores

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
    reports = load_backlog()
    kinds = [report.relation for report in reports]
    assert {kind: kinds.count(kind) for kind in ("report", "copy", "hard negative", "other")} == {
        "report": 1213,
        "copy": 99,
        "hard negative": 332,
        "other": 1200,
    }
    assert len({report.id for report in reports}) == len(reports)
    assert all(len(mistyped(reports, seed)) == 328 for seed in SEEDS)
