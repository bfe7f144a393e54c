"""What changed between two periods, which can be read, stored as JSON, printed as tables, and shown as a page."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.evaluation.output import p_text, per_cent, to_plain, write_json, write_text
from tawasul_nlp.evaluation.plot_page import Page
from tawasul_nlp.evaluation.plots import BLUE, ORANGE, figure
from tawasul_nlp.evaluation.shifts import LabelChange, WordShift
from tawasul_nlp.evaluation.task_result import ModelFacts

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

_LABELS = 12

Points = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class PeriodFacts:
    """One of the two tables: its name, its rows, and with a column of dates the days they are from.

    Attributes
    ----------
    name : str
    rows : int
    unusable : tuple of (int, str)
        Number and reason of each row that was not used.
    first, last : str or None
        ISO dates.
    dates_unread : int
        Rows without a date that can be read.
    days : dict of str to int
        Rows of each day.
    """

    name: str
    rows: int
    unusable: tuple[tuple[int, str], ...]
    first: str | None = None
    last: str | None = None
    dates_unread: int = 0
    days: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DriftTest:
    """The p-value of one change, adjusted for the number of tests (Holm), and whether it is beyond chance."""

    p: float
    adjusted_p: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class LabelMix:
    """How the shares of a task's labels changed together, and one by one, the largest change first."""

    chi_square: float
    psi: float
    jensen_shannon: float
    changes: tuple[LabelChange, ...]


@dataclass(frozen=True, slots=True)
class ConfidenceShift:
    """The model's confidence in the reference and in the new table: means, distance, and histograms of shares."""

    mean: tuple[float, float]
    ks: float
    histograms: tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class EmbeddingShift:
    """How far the embeddings moved, and some of each table on the plane that spreads them most."""

    mmd_squared: float
    auc: float
    reference: Points
    new: Points


@dataclass(frozen=True, slots=True, repr=False)
class DriftResult:
    """What :func:`drift` found. ``rich.print`` shows it as tables.

    Attributes
    ----------
    model : ModelFacts
    reference, new : PeriodFacts
    tests : dict of str to DriftTest
        Of each task's mix and confidence, of the vocabulary and of the embedding.
    labels_are : {"true", "answered"}
        Whose mix was compared.
    labels : dict of str to LabelMix
    confidence : dict of str to ConfidenceShift
    changed_words : tuple of WordShift
        The most changed.
    unseen_words : tuple of WordShift
        That the reference lacks, the most frequent first.
    embedding : EmbeddingShift
    rounds : int
        Random dealings of each permutation test.
    date, machine, command : str
        When and where it was measured, and what to run to measure it again, if it was a command.
    """

    model: ModelFacts
    reference: PeriodFacts
    new: PeriodFacts
    tests: dict[str, DriftTest]
    labels_are: str
    labels: dict[str, LabelMix]
    confidence: dict[str, ConfidenceShift]
    changed_words: tuple[WordShift, ...]
    unseen_words: tuple[WordShift, ...]
    embedding: EmbeddingShift
    rounds: int
    date: str
    machine: str
    command: str = ""

    @property
    def alarms(self) -> tuple[str, ...]:
        """Names of the tests that are beyond chance."""
        return tuple(name for name, test in self.tests.items() if test.alarm)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as what JSON holds."""
        return to_plain(self)

    def to_json(self, path: str | Path) -> None:
        """Write the result as JSON."""
        write_json(self.to_dict(), path)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained page with plots, which needs no network.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        write_text(_html(self), path)

    def __rich__(self) -> RenderableType:
        return _terminal(self)

    def __repr__(self) -> str:
        return f"DriftResult({self.new.name} since {self.reference.name}: {_verdict(self)})"


def _about(result: DriftResult) -> str:
    """Say in a few words what was compared with what."""
    sides = []
    for name, table in (("reference", result.reference), ("new", result.new)):
        period = f", {table.first} to {table.last}" if table.first else ""
        unread = f", {table.dates_unread} without a readable date" if table.dates_unread else ""
        lost = f", {len(table.unusable)} not usable" if table.unusable else ""
        sides.append(f"{name}: {table.name} ({table.rows} rows{lost}{period}{unread})")
    return f"{result.date}, {result.machine}. Model {result.model.hash}. {'; '.join(sides)}."


def _sizes(result: DriftResult, test: str) -> str:
    """Return the size of the change that a test is about."""
    if test == "vocabulary":
        words = [word.word for word in result.changed_words if word.beyond_chance]
        return f"{len(words)} of the most changed words beyond chance" + (f": {'، '.join(words[:4])}" if words else "")
    if test == "embedding":
        return f"told apart with AUC {result.embedding.auc:.2f} (0.5 = not at all)"
    task, what = test.rsplit(" ", 1)
    if what == "mix":
        mix = result.labels[task]
        return f"PSI {mix.psi:.2f}, Jensen-Shannon {mix.jensen_shannon:.2f}"
    shift = result.confidence[task]
    return f"mean {shift.mean[0]:.3f} -> {shift.mean[1]:.3f}, KS {shift.ks:.2f}"


def _verdict(result: DriftResult) -> str:
    """Say in one sentence whether anything changed beyond chance."""
    return f"Changed beyond chance: {', '.join(result.alarms)}." if result.alarms else "No change beyond chance."


def _terminal(result: DriftResult) -> RenderableType:
    """Return the tests and the largest changes as tables for the terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what", no_wrap=True)
    table.add_column("beyond chance", no_wrap=True)
    table.add_column("adjusted p", justify="right", no_wrap=True)
    table.add_column("size")
    for name, test in result.tests.items():
        mark = Text("yes", "bold red") if test.alarm else Text("no")
        table.add_row(Text(name), mark, p_text(test.adjusted_p).removeprefix("p = "), Text(_sizes(result, name)))
    parts: list[RenderableType] = [Text(_about(result)), table, Text(_verdict(result), "bold")]
    for task, mix in result.labels.items():
        changed = [row for row in mix.changes if row.beyond_chance][:5]
        if changed:
            listed = "; ".join(f"{row.label} {per_cent(row.reference)}% -> {per_cent(row.new)}%" for row in changed)
            parts.append(Text(f"{task}: {listed}"))
    unseen = [word for word in result.unseen_words if word.beyond_chance][:8]
    if unseen:
        parts.append(Text("new words: " + "; ".join(f"{word.word} ({word.new})" for word in unseen)))
    return Group(*parts)


def _html(result: DriftResult) -> str:
    """Return the self-contained page."""
    page = Page("What changed between two periods", _about(result))
    page.note(_verdict(result))
    page.table(
        ["what", "beyond chance", "size", "p", "adjusted p"],
        [
            [name, "yes" if test.alarm else "no", _sizes(result, name), f"{test.p:.4f}", f"{test.adjusted_p:.4f}"]
            for name, test in result.tests.items()
        ],
        numbers_from=3,
    )
    page.note(
        f"Mixes, vocabulary and embeddings: permutation tests ({result.rounds} random dealings of the rows); "
        "confidence: Kolmogorov-Smirnov. A mix changes by many labels together or by one. Adjusted by Holm, so that "
        "all tests together raise a false alarm in at most one of twenty comparisons; a label or word is beyond chance "
        "only where its test is. Reports of one incident count as so many rows: one flooded street can be a change."
    )
    if result.new.first:
        page.heading("Periods")
        page.plots(_period_plot(result.reference, result.new))
    for task, mix in result.labels.items():
        page.heading(f"{task}: mix of the labels ({result.labels_are})")
        page.plots(_mix_plot(mix.changes[:_LABELS], result.reference.rows, result.new.rows))
        page.table(
            ["label", "beyond chance", "reference, %", "new, %", "adjusted p (of all tests and labels)"],
            [
                [
                    row.label,
                    "yes" if row.beyond_chance else "no",
                    per_cent(row.reference),
                    per_cent(row.new),
                    f"{row.adjusted_p:.4f}",
                ]
                for row in mix.changes[:_LABELS]
            ],
            numbers_from=2,
        )
    page.heading("Confidence")
    page.plots(*(_confidence_plot(task, shift) for task, shift in result.confidence.items()))
    page.heading("Vocabulary")
    if result.changed_words:
        page.plots(_word_plot(result.changed_words))
        page.note(
            "Full colour: beyond chance for the largest of all words' z-scores. Words are folded (alef, ya, ...)."
        )
    if result.unseen_words:
        page.table(
            ["word that the reference lacks", "texts of the new table", "beyond chance"],
            [[word.word, word.new, "yes" if word.beyond_chance else "no"] for word in result.unseen_words[:15]],
        )
    page.heading("Embeddings")
    page.plots(_map_plot(result.embedding))
    if result.command:
        page.note(f"Made by: {result.command}")
    return page.html()


def _mix_plot(changes: Sequence[LabelChange], reference_rows: int, new_rows: int) -> Figure:
    """Draw the shares of the labels that changed most, in both tables."""
    made, axis = figure(7.2, 1.3 + 0.32 * len(changes))
    at = np.arange(len(changes))[::-1]
    old = np.array([100 * row.reference for row in changes])
    new = np.array([100 * row.new for row in changes])
    axis.hlines(at, old, new, color="#c5cad1", linewidth=2.5)
    axis.plot(old, at, "o", color=BLUE, label=f"reference ({reference_rows})")
    axis.plot(new, at, "o", color=ORANGE, label=f"new ({new_rows})")
    stars = [row.label + (" *" if row.beyond_chance else "") for row in changes]
    axis.set_yticks(at, stars, fontsize=8)
    axis.set(xlabel="share of the cases, %   (* beyond chance)", ylim=(-0.6, len(changes) - 0.4))
    axis.legend(frameon=False, fontsize=8, loc="best")
    return made


def _confidence_plot(task: str, shift: ConfidenceShift) -> Figure:
    """Draw the distribution of the model's confidence in both tables."""
    made, axis = figure(4.4, 3.2)
    edges = np.linspace(0, 1, len(shift.histograms[0]) + 1)
    for name, heights, colour in zip(("reference", "new"), shift.histograms, (BLUE, ORANGE), strict=True):
        axis.stairs(100 * np.array(heights), edges, color=colour, fill=True, alpha=0.25)
        axis.stairs(100 * np.array(heights), edges, color=colour, linewidth=1.5, label=name)
    axis.set(xlabel="confidence", ylabel="cases, %", title=task, xlim=(0, 1))
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    return made


def _word_plot(changed: Sequence[WordShift], limit: int = 20) -> Figure:
    """Draw the words whose use changed most."""
    rows = sorted(changed[:limit], key=lambda word: word.z)
    made, axis = figure(6.4, 1.2 + 0.27 * len(rows))
    colours = [ORANGE if word.z > 0 else BLUE for word in rows]
    bars = axis.barh(np.arange(len(rows)), [word.z for word in rows], color=colours)
    for bar, word in zip(bars, rows, strict=True):
        bar.set_alpha(1.0 if word.beyond_chance else 0.3)
    axis.set_yticks(np.arange(len(rows)), [word.word for word in rows], fontsize=9)
    # The counts stand apart from the words: beside an Arabic one they would be read from the right.
    for at, word in enumerate(rows):
        side = 1 if word.z > 0 else -1
        counts = f"{word.reference} → {word.new}"
        place = {"xytext": (4 * side, 0), "textcoords": "offset points", "ha": "left" if side > 0 else "right"}
        axis.annotate(counts, (word.z, at), va="center", fontsize=7, color="#444444", **place)
    axis.margins(x=0.15)
    axis.axvline(0, color="#555555", linewidth=0.8)
    axis.set(xlabel="less in the new table  |  z  |  more", title="Words (texts of the reference → of the new table)")
    return made


def _map_plot(embedding: EmbeddingShift) -> Figure:
    """Draw both tables on the plane that spreads the embeddings most."""
    made, axis = figure(5.6, 4.6)
    for name, rows, colour in (("reference", embedding.reference, BLUE), ("new", embedding.new, ORANGE)):
        points = np.array(rows)
        axis.scatter(points[:, 0], points[:, 1], s=9, alpha=0.5, color=colour, label=name, linewidths=0)
    axis.set(xticks=[], yticks=[], title=f"Embeddings (two principal components; AUC {embedding.auc:.2f})")
    axis.legend(frameon=False, fontsize=8)
    return made


def _period_plot(reference: PeriodFacts, new: PeriodFacts) -> Figure:
    """Draw how many cases each table has over time, a bar a day, week or month."""
    every = [dt.date.fromisoformat(day) for table in (reference, new) for day in table.days]
    span = (max(every) - min(every)).days
    made, axis = figure(7.2, 2.8)
    for name, table, colour in (("reference", reference, BLUE), ("new", new, ORANGE)):
        counts: Counter[dt.date] = Counter()
        for day, count in table.days.items():
            date = dt.date.fromisoformat(day)
            if span > 400:
                date = date.replace(day=1)
            elif span > 45:
                date -= dt.timedelta(days=date.weekday())
            counts[date] += count
        width = 26 if span > 400 else 6 if span > 45 else 0.8
        axis.bar(list(counts), list(counts.values()), width=width, align="edge", alpha=0.6, color=colour, label=name)
    unit = "month" if span > 400 else "week" if span > 45 else "day"
    axis.set(ylabel=f"cases a {unit}")
    axis.legend(frameon=False, fontsize=8)
    made.autofmt_xdate(rotation=30)
    return made
