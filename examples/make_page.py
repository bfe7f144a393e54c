"""Make the report's page of the example backlog, for a look at it without Python.

``python -m examples.make_page`` writes ``examples/report.html``, by the bundled model: make it anew when that changes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from examples.make_backlog import OUT as BACKLOG
from tawasul_nlp import ComplaintClassifier, DuplicateGrouper, classify_table, group_table, write_report
from tawasul_nlp.report import ReportSummary
from tawasul_nlp.tables import open_classified

PAGE = Path(__file__).parent / "report.html"


def write_page(page: Path = PAGE, backlog: Path = BACKLOG) -> ReportSummary:
    """Classify and group a backlog, and write the page about it."""
    with tempfile.TemporaryDirectory() as folder:
        classified = Path(folder) / "classified.csv"
        grouped = Path(folder) / backlog.name  # which the page names
        classify_table(ComplaintClassifier.from_pretrained(review_on="agency"), backlog, classified, text_column="text")
        group_table(
            DuplicateGrouper.from_pretrained(),
            classified,
            grouped,
            text_column="text",
            id_column="case_id",
            date_column="opened",
        )
        return write_report(open_classified(grouped, routed_column="routed_to"), page)


if __name__ == "__main__":
    made = write_page()
    print(f"{made.output}: {made.rows} cases, {made.bytes / 1e3:.0f} kB")
