"""What changed between two periods: a value that can be read, stored as JSON, printed, and shown as a page.

The terminal, and a page in Arabic and in English, say it in the same sentences.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tawasul_nlp.evaluation.output import JsonResult, p_text, rendered, write_text
from tawasul_nlp.evaluation.shifts import DriftTest, LabelChange, WordShift
from tawasul_nlp.prediction import without_controls
from tawasul_nlp.report.page import document, resource

if TYPE_CHECKING:
    from rich.console import RenderableType

REVIEW = "needs_review"
Outcome = Literal["changed", "unchanged", "unknown"]
_LABELS_NAMED, _WORDS_NAMED = 3, 5
_LEFT_TO_RIGHT, _BY_FIRST_LETTER, _END, _NO_BREAK = "\u2066", "\u2068", "\u2069", "\u2060"


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table that was read."""

    name: str
    # Number and reason of each row that was not used.
    unusable: tuple[tuple[int, str], ...]
    date_column: str | None = None
    # Usable rows without a date that can be read.
    undated: int = 0


@dataclass(frozen=True, slots=True)
class PeriodFacts:
    """One of the two periods: its table, its cases, and its first and last day as ISO dates if there are dates."""

    table: str
    rows: int
    first: str | None = None
    last: str | None = None

    @property
    def a_day(self) -> float | None:
        """How many cases a day has; None without dates.

        >>> PeriodFacts("cases.csv", 60, "2026-04-01", "2026-04-30").a_day
        2.0
        """
        if self.first is None or self.last is None:
            return None
        return self.rows / ((dt.date.fromisoformat(self.last) - dt.date.fromisoformat(self.first)).days + 1)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a dimension was not compared: the reason, and the column that would have it."""

    reason: Literal["no_column", "no_value"]
    column: str


@dataclass(frozen=True, slots=True, repr=False)
class DriftResult(JsonResult):
    """What :func:`drift` found. ``rich.print`` shows it in sentences."""

    reference: PeriodFacts
    new: PeriodFacts
    # Those that were read, one or two.
    tables: tuple[TableFacts, ...]
    # The first day of the later period, as an ISO date, if it divides one table.
    since: str | None
    # Of each mix, and of ``vocabulary``.
    tests: dict[str, DriftTest]
    # By dimension (tasks, places, urgency, whether cases need review) each label, the largest change first.
    mixes: dict[str, tuple[LabelChange, ...]]
    # Why other dimensions were not compared.
    unknown: dict[str, Unknown]
    # Those that rose most, then those that fell most.
    words: tuple[WordShift, ...]
    # What the country calls governorates, blocks and towns, in Arabic and in English.
    levels: dict[str, tuple[str, str]]
    date: str
    machine: str
    # What to run to compare again, if it was a command.
    command: str = ""

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of what changed beyond chance."""
        return tuple(name for name, test in self.tests.items() if test.beyond_chance)

    def to_html(self, path: str | Path) -> None:
        """Write one self-contained page in Arabic and English, which needs no network and no script."""
        write_text(_drift_page(self), path)

    def __rich__(self) -> RenderableType:
        return _terminal(self)

    def __repr__(self) -> str:
        changed = ", ".join(self.changed) or "nothing"
        return f"DriftResult({self.new.table} since {self.reference.table}: {changed} changed beyond chance)"


class Wording:
    """Says in one language what a comparison found."""

    def __init__(self, language: Literal["ar", "en"], result: DriftResult) -> None:
        self.language = language
        self._words = _words()[language]
        self._result = result

    def word(self, key: str, **values: object) -> str:
        """Return a word or sentence with values, each of which is isolated from the direction of what is around it."""
        return str(self._words[key]).format_map({name: _isolated(value) for name, value in values.items()})

    def dimension(self, name: str) -> str:
        """Return what a dimension, or the vocabulary, is called."""
        if name in self._result.levels:
            return self._result.levels[name][self.language == "en"]
        return str(self._words["dimensions"].get(name, name))

    def label(self, dimension: str, change: LabelChange) -> str:
        """Return what a label is called; a block's number follows the word for a block."""
        if not change.label:
            return self.word("none")
        name = change.name_ar if self.language == "ar" else change.name_en
        return self.word("numbered", level=self.dimension("block"), number=name) if dimension == "block" else name

    def period(self, facts: PeriodFacts) -> str:
        """Return what is known of a period."""
        rows = f"{facts.rows:,}"
        if facts.a_day is None:
            return self.word("period", rows=rows, table=facts.table)
        rate = f"{facts.a_day:,.1f}"
        return self.word("periodDated", rows=rows, first=facts.first, last=facts.last, rate=rate, table=facts.table)

    def verdict(self) -> str:
        """Return in one sentence whether anything changed beyond chance."""
        changed = [self.dimension(name) for name in self._result.changed]
        return self.word("changedNames", names=self._listed(changed)) if changed else self.word("nothingChanged")

    def sentences(self) -> Iterator[tuple[Outcome, str]]:
        """Yield what is to be said of everything, what changed first and what is unknown last."""
        for outcome in (True, False):
            for name, test in self._result.tests.items():
                if test.beyond_chance == outcome:
                    yield "changed" if outcome else "unchanged", self._sentence(name)
        for name, each in self._result.unknown.items():
            yield "unknown", self.word(each.reason, what=self.dimension(name), column=each.column)

    def notes(self) -> Iterator[str]:
        """Yield what must be known of how it was compared."""
        result, tables = self._result, self._result.tables
        yield self.word("noteChance")
        yield self.word("noteReports")
        yield self.word("noteColumns")
        yield self.word("noteWords")
        undated = sum(table.undated for table in tables)
        if all(table.date_column is None for table in tables):
            yield self.word("noteNoDates", option="--date-column")
        elif undated:
            yield self.word("noteUndated" if result.since is None else "noteUndatedOut", n=f"{undated:,}")
        for table in tables:
            if table.unusable:
                yield self.word("noteUnusable", table=table.name, n=f"{len(table.unusable):,}")
        yield self.word("made", date=result.date)

    def _sentence(self, name: str) -> str:
        outcome = "Changed" if self._result.tests[name].beyond_chance else "Unchanged"
        what = self.dimension(name)
        if name == "vocabulary":
            return self.word(f"words{outcome}", what=what, changes=self._words_changed())
        mix = self._result.mixes[name]
        if name == REVIEW:
            before, now = next(((each.reference, each.new) for each in mix if each.label == "true"), (0.0, 0.0))
            return self.word(f"share{outcome}", what=what, before=percent(before), now=percent(now))
        return self.word(f"mix{outcome}", what=what, changes=self._labels_changed(name, mix))

    def _labels_changed(self, dimension: str, mix: Sequence[LabelChange]) -> str:
        # Where labels changed together, and none by itself, the most changed ones are named.
        changes = [each for each in mix if each.beyond_chance] or mix
        return self._joined(
            self.word(
                "rose" if each.new > each.reference else "fell",
                label=self.label(dimension, each),
                before=percent(each.reference),
                now=percent(each.new),
            )
            for each in changes[:_LABELS_NAMED]
        )

    def _words_changed(self) -> str:
        changed = [each for each in self._result.words if each.beyond_chance]
        more, less = ([each.word for each in changed if each.rose == rose][:_WORDS_NAMED] for rose in (True, False))
        clauses = (("usedMore", more), ("usedLess", less))
        return self._joined(self.word(key, words=self._listed(words)) for key, words in clauses if words)

    def _listed(self, names: Iterable[str]) -> str:
        return ("، " if self.language == "ar" else ", ").join(map(_isolated, names))

    def _joined(self, clauses: Iterable[str]) -> str:
        return ("؛ " if self.language == "ar" else "; ").join(clauses)


def _terminal(result: DriftResult) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    def plain(text: str) -> Text:
        return Text(without_controls(_unmarked(text)))

    wording = Wording("en", result)
    periods, sentences = Table.grid(padding=(0, 2)), Table.grid(padding=(0, 2))
    for name, facts in (("before", result.reference), ("now", result.new)):
        periods.add_row(wording.word(name), plain(wording.period(facts)))
    for outcome, sentence in wording.sentences():
        sentences.add_row(Text(wording.word(outcome), "bold red" if outcome == "changed" else ""), plain(sentence))
    return Group(periods, "", plain(wording.verdict()), sentences)


def _drift_page(result: DriftResult) -> bytes:
    """Return the page as UTF-8; all that comes from tables is escaped."""
    languages = Wording("ar", result), Wording("en", result)
    style = resource("page.css") + files(__package__).joinpath("drift.css").read_text(encoding="utf-8")
    filters = {"percent": percent, "points": _points, "p_text": p_text}
    page = rendered(Path(__file__).with_name("drift.html"), filters, result=result, languages=languages)
    title = _unmarked(languages[0].word("title"))
    return document("{{page}}", {"page": page}, title=title, style=style)


def percent(share: float) -> str:
    """Write a share.

    >>> percent(0.0814)
    '8.1%'
    """
    return f"{100 * share:.1f}%"


def _points(difference: float) -> str:
    """Write a difference of shares in percentage points.

    >>> _points(0.021), _points(-0.0001)
    ('+2.1', '0.0')
    """
    points = round(100 * difference, 1)
    return f"{points:+.1f}" if points else "0.0"


def _unmarked(text: str) -> str:
    """Return a text without the invisible marks of direction, which not every terminal hides."""
    return text.translate(dict.fromkeys(map(ord, (_LEFT_TO_RIGHT, _BY_FIRST_LETTER, _END, _NO_BREAK))))


def _isolated(value: object) -> str:
    """Return a value so that a line of the other direction does not reorder its parts, and no date is broken.

    A number, and a date with its hyphens, reads from left to right; of a name, its first letter decides. What holds
    such values already is a part of the sentence.
    """
    text = re.sub(r"(\d-)(?=\d)", rf"\1{_NO_BREAK}", str(value))
    if _END in text:
        return text
    return f"{_BY_FIRST_LETTER if any(map(str.isalpha, text)) else _LEFT_TO_RIGHT}{text}{_END}"


@cache
def _words() -> dict[str, dict[str, Any]]:
    words: dict[str, dict[str, Any]] = json.loads(
        files(__package__).joinpath("drift_words.json").read_text(encoding="utf-8")
    )
    return words
