"""Display of results on a terminal.

Arabic comes last on its line, without a rule after it: a terminal that supports right-to-left text reorders only that
part, and one that does not still keeps the columns aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tawasul_nlp.cli.terminal import one_line
from tawasul_nlp.domain.taxonomy import NORMAL
from tawasul_nlp.report.build import Highlights
from tawasul_nlp.tables.run.classify import BatchReport
from tawasul_nlp.tables.run.group import GroupReport

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import IncidentEvent, Match

_SHOWN_CHARS = 72  # with its indent a text fits on one line of an 80-column terminal


def summary(report: BatchReport) -> RenderableType:
    """Return the table of agencies (or of a custom model's first task), and the counts of rows."""
    table = _table(Text(f"Cases by {report.task}"), ("cases", "share", "for review"), report.task)
    for count in report.counts:
        table.add_row(
            f"{count.rows:,}",
            _percent(count.rows, report.rows_written),
            _percent(count.needs_review, count.rows),
            Text(count.id),
            Text(count.name_ar if count.name_ar != count.id else ""),
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
    if report.needs_review < report.rows_written:
        lines.append(
            f"{report.needs_review:,} cases ({_percent(report.needs_review, report.rows_written)}) need review; of the "
            f"others probably {report.expected_error:.1%} have another {report.task} than the right one"
        )
    if report.emergencies:
        noun = "emergency" if report.emergencies == 1 else "emergencies"
        share = 1000 * report.emergencies / report.rows_written
        lines.append(f"{report.emergencies:,} {noun} answered, {share:.1f} per 1,000 cases: look at them first")
    if report.resumed:
        lines.insert(1, f"resumed after {report.resumed} {'break' if report.resumed == 1 else 'breaks'}")
    if report.rejects is not None:
        lines.append(f"rejected rows and reasons: {report.rejects}")
    return Group(table, *(Text(one_line(line)) for line in lines))


def grouped(report: GroupReport) -> RenderableType:
    """Return the largest incidents of a table, and the counts of incidents and rows."""
    parts: list[RenderableType] = []
    if report.largest:
        table = _table("Largest incidents", ("reports", "incident"), "urgency")
        for group in report.largest:
            pressing = group.urgency not in (None, NORMAL)
            urgency = str(group.urgency) if pressing else ""
            table.add_row(f"{group.size:,}", str(group.id), urgency, Text(shortened(group.text)))
            if pressing:  # the report whose words say so
                table.add_row("", "", Text(one_line(group.most_urgent or "")), Text(shortened(group.urgency_words)))
        parts.append(table)
    lines = [
        f"{report.cases:,} cases = {report.incidents:,} incidents; {report.grouped_cases:,} cases "
        f"({_percent(report.grouped_cases, report.cases)}) are in {report.groups:,} "
        f"{'incident' if report.groups == 1 else 'incidents'} of several reports"
    ]
    if report.known is not None:
        lines.append(f"{report.cases - report.known:,} added to the index, {report.known:,} were there already")
    if report.pairs_read is not None:
        lines.append(f"{report.pairs_read:,} unsure pairs of cases were verified by reading both texts")
    if report.without_text:
        lines.append(f"{report.without_text:,} rows have no text and are in no incident")
    if report.dates_unread:
        lines.append(f"{report.dates_unread:,} dates could not be read: these cases were grouped without one")
    lines.append(
        f"{report.rows_read:,} rows read = {report.rows_written:,} written + {report.rows_rejected:,} rejected "
        f"({report.seconds:.1f} s)"
        if report.output is not None
        else f"{report.rows_read:,} rows read, {report.rows_rejected:,} rejected ({report.seconds:.1f} s)"
    )
    lines += [f"note: {note}" for note in report.notes]
    if report.rejects is not None:
        lines.append(f"rejected rows and reasons: {report.rejects}")
    return Group(*parts, *(Text(one_line(line)) for line in lines))


def matched(matches: Sequence[Match]) -> RenderableType:
    """Return the incidents that a case may belong to as blocks: score and reason, then the representative's text."""
    if not matches:
        return Text("the index has no similar case")
    blocks: list[RenderableType] = []
    for match in matches:
        head = Text.assemble(
            (f"{match.score:.0%}", "bold"),
            "  ",
            ("duplicate", "green") if match.is_duplicate else ("another incident", "yellow"),
            f" · incident {match.incident_id}{' (closed)' if match.is_closed else ''} · ",
            f"{match.size:,} {'report' if match.size == 1 else 'reports'} · ",
            one_line(f"{match.representative} · {match.reason}"),
        )
        why_not = [] if match.obstacle is None else [Text(f"    {match.obstacle}")]
        blocks += [head, *why_not, Text("    " + shortened(match.text))]
    return Group(*blocks)


def happened(events: Sequence[IncidentEvent]) -> RenderableType:
    """Return what happened to incidents, a line each: when, what, who and why."""
    table = Table.grid(padding=(0, 2))
    for event in events:
        case = f" case {event.case_id}" if event.case_id is not None and event.kind != "merged" else ""
        other = f" ({_OTHERS[event.kind]} {event.other})" if event.other is not None else ""
        who = (event.by or "a person") if event.by_person else "by itself"
        why = ": ".join(filter(None, (who, "; ".join(filter(None, (event.note, event.reason))))))
        what = Text(one_line(f"incident {event.incident} {event.kind}{case}{other}"))
        table.add_row(f"{event.at:%Y-%m-%d %H:%M}", what, Text(one_line(why)))
    return table


# What the other incident of an event is.
_OTHERS = {"created": "repeats", "merged": "with", "moved": "from", "split": "from"}


def shortened(text: str) -> str:
    """Return the beginning of a text that fits on one line of a terminal."""
    text = one_line(text)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS].rsplit(" ", 1)[0] + " …"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def highlighted(highlights: Highlights, place_columns: Sequence[str]) -> RenderableType:
    """Return the largest incidents and the most unusual problems as tables, or the reason for having none.

    >>> from rich.console import Console
    >>> nothing = Highlights((), (), grouped=True, dated=True, placed=False)
    >>> Console(width=120).print(highlighted(nothing, ["block", "town"]))
    Largest incidents: none was reported more than once
    Keeps coming back: unknown, as there is no column block or town; tawasul classify adds places
    """
    return Group(_largest(highlights), _coming_back(highlights, place_columns))


def _largest(highlights: Highlights) -> RenderableType:
    if not highlights.grouped:
        return Text("Largest incidents: unknown, as the table is not grouped; run tawasul group on it")
    if not highlights.largest:
        return Text("Largest incidents: none was reported more than once")
    table = _table("Largest incidents", ("reports",), "topic")
    for incident in highlights.largest:
        table.add_row(f"{incident.reports:,}", Text(one_line(incident.topic)), _arabic(incident.text))
    return table


def _coming_back(highlights: Highlights, place_columns: Sequence[str]) -> RenderableType:
    if not highlights.dated:
        return Text("Keeps coming back: unknown, as no column holds dates; name it with --date-column")
    if not highlights.placed:
        missing = " or ".join(place_columns)
        return Text(f"Keeps coming back: unknown, as there is no column {missing}; tawasul classify adds places")
    if not highlights.coming_back:
        return Text("Keeps coming back: nothing; the report describes the search")
    title = "Keeps coming back" + ("" if highlights.grouped else " (not grouped: every case counts as an incident)")
    table = _table(title, ("incidents", "expected", "weeks", "reports"), "topic")
    for one in highlights.coming_back:
        table.add_row(
            f"{one.incidents:,}",
            f"{one.expected:.1f}",
            f"{one.weeks:,}",
            f"{one.reports:,}",
            Text(one_line(one.topic)),
            _arabic(f"{one.topic_name_ar}، {one.place}"),
        )
    return table


def _table(title: str | Text, counts: Sequence[str], *names: str) -> Table:
    """Return a table of counts, then of names; its last column, without a heading, shrinks on a narrow terminal."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for heading in (*counts, *names):
        table.add_column(heading, justify="right" if heading in counts else "left", no_wrap=True)
    table.add_column("")
    return table


def _arabic(text: str) -> Text:
    return Text(shortened(text), no_wrap=True, overflow="ellipsis")
