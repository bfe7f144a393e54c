"""How a run is shown on a terminal.

Arabic stands at the end of its line and no rule follows it: a terminal that writes right-to-left text the right way
round reorders only that stretch, and one that does not still keeps the columns in line.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tawasul_nlp.batch.run import BatchReport

if TYPE_CHECKING:
    from tawasul_nlp.prediction import Prediction

_SHOWN_CHARS = 72  # with its indent a text stays on one line of an 80-column terminal


def summary(report: BatchReport) -> RenderableType:
    """Return the table of agencies with their counts, and what became of the rows."""
    table = Table(box=box.SIMPLE_HEAD, title="Cases by agency", title_justify="left", pad_edge=False)
    for heading in ("cases", "share", "for review"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("agency", no_wrap=True)
    table.add_column("")
    for agency in report.agencies:
        table.add_row(
            f"{agency.rows:,}",
            _percent(agency.rows, report.rows_written),
            _percent(agency.needs_review, agency.rows),
            agency.id,
            agency.name_ar,
        )
    table.add_section()
    table.add_row(
        f"{report.rows_written:,}", "100%", _percent(report.needs_review, report.rows_written), "all", "", style="bold"
    )
    speed = f"{report.rows_read / report.seconds:,.0f} rows/s" if report.seconds > 0 else "at once"
    lines = [
        f"{report.rows_read:,} rows read = {report.rows_written:,} written + {report.rows_rejected:,} rejected "
        f"({report.seconds:.1f} s, {speed})",
        *(f"note: {note}" for note in report.notes),
    ]
    if report.rejects is not None:
        lines.append(f"rejected rows and reasons: {report.rejects}")
    return Group(table, *(Text(line) for line in lines))


def examples(shown: Iterable[tuple[dict[str, Any], Prediction]], text_column: str) -> RenderableType:
    """Return classified rows as blocks: the answer, then the text on lines of its own."""
    blocks: list[RenderableType] = []
    for record, prediction in shown:
        label = next((str(value) for name, value in record.items() if name != text_column and value), "")
        head = Text.assemble(
            (label, "bold"),
            "  " if label else "",
            (prediction.kind.id, "cyan"),
            " · ",
            (f"{prediction.topic.id} {prediction.topic.probability:.0%}", "green"),
            " · ",
            (f"{prediction.agency.id} {prediction.agency.probability:.0%}", "magenta"),
        )
        text = " ".join(prediction.text.split())
        if len(text) > _SHOWN_CHARS:
            text = text[:_SHOWN_CHARS].rsplit(" ", 1)[0] + " …"
        answer = f"{prediction.agency.name_ar}: {prediction.topic.name_ar}"
        review = [Text(f"    review: {', '.join(prediction.reasons)}", "yellow")] if prediction.needs_review else []
        blocks += [head, Text("    " + text), Text("    " + answer), *review, ""]
    return Group(*blocks)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"
