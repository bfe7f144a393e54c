"""The page about two periods, in Arabic and in English, without a script."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files

from tawasul_nlp.evaluation.case_labels import REVIEW
from tawasul_nlp.evaluation.drift_findings import DriftFindings
from tawasul_nlp.evaluation.drift_wording import Language, Wording, percent, unmarked
from tawasul_nlp.evaluation.shifts import LabelChange, WordShift
from tawasul_nlp.report.document import document, resource

_LABELS = 6


def drift_page(result: DriftFindings) -> bytes:
    """Return the page as UTF-8; all that comes from tables is escaped."""
    arabic, english = Wording("ar", result), Wording("en", result)
    parts = {"arabic": _page(arabic, result), "english": _page(english, result)}
    title = unmarked(arabic.word("title"))
    here = files(__package__)
    style = resource("page.css") + here.joinpath("drift.css").read_text(encoding="utf-8")
    return document(here.joinpath("drift.html").read_text(encoding="utf-8"), parts, title=title, style=style)


def _page(wording: Wording, result: DriftFindings) -> str:
    """Return the page in one language."""
    language: Language = wording.language
    panels = [
        _panel(wording.word("summary"), [_element("p", wording.verdict()), _summary(wording)], "full"),
        *(_mix_panel(wording, result, dimension) for dimension in result.mixes if dimension != REVIEW),
        _word_panel(wording, result),
        _panel(wording.word("notes"), [_notes(wording, result)], "full"),
    ]
    return (
        f'<div class="page" lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"><header class="top"><div>'
        f"{_element('h1', wording.word('title'))}{_periods(wording, result)}</div></header>"
        f"<main>{''.join(panels)}</main></div>"
    )


def _panel(title: str, parts: Sequence[str], width: str = "half") -> str:
    return f'<section class="panel {width}">{_element("h2", title)}{"".join(parts)}</section>'


def _element(tag: str, text: str, classes: str = "") -> str:
    """Return an element with a text."""
    named = f' class="{classes}"' if classes else ""
    return f"<{tag}{named}>{html.escape(text)}</{tag}>"


def _periods(wording: Wording, result: DriftFindings) -> str:
    rows = (
        f'<dt><i class="{key}"></i>{html.escape(wording.word(key))}</dt>{_element("dd", wording.period(facts))}'
        for key, facts in (("before", result.reference), ("now", result.new))
    )
    return f'<dl class="facts-of">{"".join(rows)}</dl>'


def _summary(wording: Wording) -> str:
    lines = []
    for said in wording.sentences():
        outcome = _element("span", wording.word(said.outcome), f"outcome {said.outcome}")
        lines.append(f"<li>{outcome}{_element('span', said.text)}</li>")
    return f'<ul class="said">{"".join(lines)}</ul>'


def _mix_panel(wording: Wording, result: DriftFindings, dimension: str) -> str:
    """Return the section of a dimension: the labels beyond chance, then those that changed most."""
    changes = sorted(result.mixes[dimension].changes, key=lambda each: not each.beyond_chance)
    shown = changes[: max(_LABELS, sum(each.beyond_chance for each in changes))]
    longest = max(max(each.reference, each.new) for each in shown)
    headings = {"label": "", "before": "n", "now": "n", "change": "n", "chance": "chance"}
    parts = [_table(wording, headings, (_row(wording, dimension, each, longest) for each in shown))]
    if len(shown) < len(changes):
        said = wording.word("shownOf", shown=len(shown), all=f"{len(changes):,}")
        parts.append(_element("p", said, "quiet"))
    return _panel(wording.dimension(dimension), parts)


def _row(wording: Wording, dimension: str, change: LabelChange, longest: float) -> str:
    name = html.escape(wording.label(dimension, change))
    return (
        f'<tr class="{"beyond" if change.beyond_chance else "doubtful"}">'
        f'<th scope="row">{name}{_bars(change, longest)}</th>'
        f'<td class="n">{percent(change.reference)}</td><td class="n">{percent(change.new)}</td>'
        f'<td class="n by"><bdi>{_points(change.new - change.reference)}</bdi></td>'
        f"{_element('td', wording.chance(change.adjusted_p), 'chance')}</tr>"
    )


def _points(difference: float) -> str:
    """Write a difference of shares in percentage points.

    >>> _points(0.021), _points(-0.0001)
    ('+2.1', '0.0')
    """
    points = round(100 * difference, 1)
    return f"{points:+.1f}" if points else "0.0"


def _bars(change: LabelChange, longest: float) -> str:
    """Draw a share before and now below its name; the figures stand beside it."""
    before, now = (100 * share / longest for share in (change.reference, change.new))
    return (
        '<svg viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="before" width="{before:.1f}" height="8"/><rect class="now" y="11" width="{now:.1f}" height="8"/>'
        "</svg>"
    )


def _word_panel(wording: Wording, result: DriftFindings) -> str:
    shifts = [each for each in result.words if each.beyond_chance]
    lists = (
        f"<div>{_element('h3', wording.word(key))}"
        f"{_word_table(wording, result, [each for each in shifts if each.z * sign > 0])}</div>"
        for key, sign in (("more", 1), ("less", -1))
    )
    about = [] if shifts else [_element("p", wording.word("noWords"), "nothing")]
    return _panel(wording.dimension("vocabulary"), about or [f'<div class="words">{"".join(lists)}</div>'], "full")


def _word_table(wording: Wording, result: DriftFindings, shifts: Sequence[WordShift]) -> str:
    if not shifts:
        return _element("p", wording.word("noWords"), "nothing")
    rows = (
        f'<tr><th scope="row"><bdi>{html.escape(each.word)}</bdi></th>'
        f'<td class="n">{_texts(each.reference, result.reference.rows)}</td>'
        f'<td class="n">{_texts(each.new, result.new.rows)}</td></tr>'
        for each in shifts
    )
    return _table(wording, {"word": "", "before": "n", "now": "n"}, rows)


def _table(wording: Wording, headings: Mapping[str, str], rows: Iterable[str]) -> str:
    """Return a table; headings are words with the class of their column."""
    head = "".join(
        f'<th scope="col" class="{classes}">{html.escape(wording.word(key))}</th>' for key, classes in headings.items()
    )
    return f'<table class="shares"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _texts(count: int, rows: int) -> str:
    return f"<bdi>{count:,} ({percent(count / rows)})</bdi>"


def _notes(wording: Wording, result: DriftFindings) -> str:
    return f'<ul class="notes">{"".join(_element("li", said) for said in _said_below(wording, result))}</ul>'


def _said_below(wording: Wording, result: DriftFindings) -> Iterator[str]:
    yield wording.word("noteChance", rounds=f"{result.rounds:,}")
    yield wording.word("noteShares")
    yield wording.word("noteReports")
    if result.model is None:
        yield wording.word("noteColumns")
    else:
        yield wording.word("noteModel", model=f"{result.model.folder} ({result.model.hash})")
    yield wording.word("noteWords")
    undated = sum(table.undated for table in result.tables)
    if all(table.date_column is None for table in result.tables):
        yield wording.word("noteNoDates", option="--date-column")
    elif undated:
        yield wording.word("noteUndated" if result.since is None else "noteUndatedOut", n=f"{undated:,}")
    for table in result.tables:
        if table.unusable:
            yield wording.word("noteUnusable", table=table.name, n=f"{len(table.unusable):,}")
    yield wording.word("made", date=result.date)
