"""Choose the cases of a backlog that are worth labelling next.

A case is worth a label when the model is torn between two answers (margin), when it differs from the other chosen cases
(clusters of embeddings), and when it is no other report of an incident that is chosen already (the package's own
duplicate groups). ``eval/results/archive/active_learning.md`` has what this gains over random choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates import DuplicateGrouper
from tawasul_nlp.evaluation.evaluator import Progress, folded, loaded
from tawasul_nlp.model.folder import PAIRS, TaskConfig
from tawasul_nlp.model.label_sets import join_labels, set_probability
from tawasul_nlp.review.choose import first_of_groups
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.formats import WriteOptions
from tawasul_nlp.tables.io.write import write_records
from tawasul_nlp.tables.labelled import LabelledRow, LabelledSource, open_labelled

if TYPE_CHECKING:
    from rich.console import RenderableType

# Uncertain cases that compete for one pick; chosen on validation rows.
BREADTH = 3
SURE_PAIR = 0.9
_LISTED = 10
_ARROW_TYPES = {"int": "int64", "float": "double", "str": "string"}


@dataclass(frozen=True, slots=True)
class SelectedCase:
    """A case to be labelled, and why."""

    # Its rank, from 1: the most uncertain first.
    pick: int
    # Its row in the table, from 1.
    row: int
    # The two likeliest labels; of a multi-label task, the labels that are answered and those with the most doubtful one
    # changed, the likelier first.
    answer: str
    probability: float
    second: str
    second_probability: float
    # Cases of the table in its duplicate group, itself included.
    reports: int
    reason: str
    record: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Selection:
    """What :func:`select` chose. ``rich.print`` shows the first cases."""

    # As many as asked for, or fewer where the others are reports of the same incidents.
    cases: tuple[SelectedCase, ...]
    task: str
    # Rows that could be chosen, and those whose text is among the labelled ones.
    pool: int
    excluded: int
    # Number and reason of each row without a text.
    unusable: tuple[tuple[int, str], ...]

    def write(self, path: str | Path) -> None:
        """Write the cases: JSON lines if the name ends in ``.jsonl``, else CSV with a mark by which Excel reads Arabic.

        What was added to the rows comes first; an added name that they have begins with ``select_``.
        What a spreadsheet would run as a formula gets an apostrophe in a CSV; JSON lines keep every text.
        """
        columns = list(dict.fromkeys(name for case in self.cases for name in case.record))
        added = {field: _free(field.name, columns) for field in fields(SelectedCase) if field.name != "record"}
        rows = [
            {column: getattr(case, field.name) for field, column in added.items()}
            | {name: to_cell(case.record.get(name)) for name in columns}
            for case in self.cases
        ]
        types = {column: _ARROW_TYPES[str(field.type)] for field, column in added.items()}
        types |= dict.fromkeys(columns, "string")
        format = "jsonl" if Path(path).suffix == ".jsonl" else "csv"
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_records(path, types, rows, WriteOptions(format=format))

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        lines = [Text(f"{case.pick}. row {case.row}: {case.reason}") for case in self.cases[:_LISTED]]
        if len(self.cases) > _LISTED:
            lines.append(Text(f"and {len(self.cases) - _LISTED} more"))
        lost = f"{self.excluded} rows are labelled already, {len(self.unusable)} have no text"
        return Group(*lines, Text(f"{len(self.cases)} of {self.pool} cases to label for {self.task}; {lost}"))


@dataclass(frozen=True, slots=True)
class Pick:
    """A case to be labelled."""

    # Its position in the pool.
    index: int
    # Probability of the likeliest label minus that of the second.
    margin: float
    # Cases of the pool in its duplicate group, itself included.
    reports: int
    # Uncertain cases that it stands for, itself included.
    similar: int


def margins(probabilities: np.ndarray) -> np.ndarray:
    """Return the likeliest label's probability minus the second's: (n,), 0 for a model that is torn.

    >>> margins(np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]])).round(2).tolist()
    [0.5, 0.0]
    """
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    gap: np.ndarray = two[:, 1] - two[:, 0]
    return gap


def choose(
    probabilities: np.ndarray,
    vectors: np.ndarray,
    groups: np.ndarray,
    n: int,
    *,
    breadth: float = BREADTH,
    seed: int = 0,
) -> list[Pick]:
    """Choose cases by uncertainty and diversity, the most uncertain first.

    Of each duplicate group only the most uncertain case competes. The ``breadth * n`` most uncertain of these are cut
    into ``n`` clusters (k-means), and each cluster gives its most uncertain case (after Zhdanov 2019, "Diverse
    mini-batch active learning").

    Parameters
    ----------
    probabilities : ndarray, shape (n_cases, n_labels)
    vectors : ndarray, shape (n_cases, width)
        Of length 1.
    groups : ndarray of int, shape (n_cases,)
        Cases of one number report the same incident.
    n : int
        Fewer are chosen when there are fewer groups.
    breadth : float
        1 chooses by uncertainty alone; the larger, the more diversity counts.
    seed : int
    """
    from sklearn.cluster import KMeans

    if n < 1 or breadth < 1:
        raise ValueError(f"n is {n} and breadth is {breadth}, expected at least 1 each")
    margin = margins(probabilities)
    order = np.argsort(margin, kind="stable")
    candidates = first_of_groups(order, groups)[: max(n, int(breadth * n))]
    if len(candidates) > n:
        # k-means++ alone, with few rounds of refinement: the clusters only have to spread the picks.
        clusters = KMeans(n, n_init=1, max_iter=10, random_state=seed).fit_predict(vectors[candidates])
    else:
        clusters = np.arange(len(candidates))
    # Candidates rise in margin, so the first of each cluster is its most uncertain.
    chosen = np.unique(clusters, return_index=True)[1]
    sizes = np.bincount(clusters)
    codes = np.unique(groups, return_inverse=True)[1]
    reports = np.bincount(codes)[codes]
    rows = candidates[np.sort(chosen)].tolist()
    similar = sizes[clusters[np.sort(chosen)]].tolist()
    return [
        Pick(index=row, margin=float(margin[row]), reports=int(reports[row]), similar=count)
        for row, count in zip(rows, similar, strict=True)
    ]


def select(
    model: ComplaintClassifier | str | Path | None,
    data: Any,
    n: int,
    *,
    task: str | None = None,
    exclude: Any = None,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Selection:
    """Choose the rows of a table that are worth labelling next for one task of a model.

    Parameters
    ----------
    model : ComplaintClassifier, str, Path or None
        As for :func:`~tawasul_nlp.evaluation.evaluate`.
    data : str, Path or table
        Unlabelled cases, as for :func:`~tawasul_nlp.evaluation.evaluate`.
    n : int
    task : str or None
        None for the topic, or for the first task of a model without topics.
    exclude : str, Path, table or None
        Labelled cases: the same texts, apart from signs and spaces, are not chosen.
    seed : int
    on_progress : callable, optional
        Called with what is being done and the share of it that is done.

    Raises
    ------
    TableError
        If a table cannot be read, lacks the text column, or has no row with a text that is new.
    ValueError
        If the model has no such task, or ``n`` is below 1.

    Examples
    --------
    >>> chosen = select(None, {"text": ["الماي مقطوع", "السلام عليكم عندي طلب", "حفرة في الشارع"]}, 1)
    >>> chosen.cases[0].row, chosen.pool
    (2, 3)
    """
    advance = on_progress or (lambda *_: None)
    if n < 1:
        raise ValueError(f"n is {n}, expected at least 1")
    classifier = loaded(model)
    task = classifier.known_task(task)
    pool, excluded, unusable = _read_pool(open_labelled(data), exclude, lambda share: advance("reading", share))
    texts = [row.text for row in pool]
    advance("predicting", 0.0)
    probabilities, names = _answers(classifier, texts, task)
    vectors = classifier.encode(texts)
    advance("grouping", 0.0)
    picks = choose(probabilities, vectors, _incidents(classifier, texts), n, seed=seed)
    advance("grouping", 1.0)
    cases = [
        _case(number, pick, pool[pick.index], probabilities[pick.index], names[pick.index])
        for number, pick in enumerate(picks, 1)
    ]
    return Selection(tuple(cases), task, len(pool), excluded, tuple(unusable))


def _read_pool(
    source: LabelledSource, exclude: Any, on_progress: Callable[[float], None]
) -> tuple[list[LabelledRow], int, list[tuple[int, str]]]:
    """Return the rows that can be chosen, how many texts are labelled already, and which rows have none."""
    labelled = set()
    if exclude is not None:
        labelled = {folded(row.text) for row in open_labelled(exclude, source.text_column).rows() if not row.problem}
    rows = list(source.rows(on_progress))
    unusable = [(row.number, row.problem) for row in rows if row.problem]
    pool = [row for row in rows if not row.problem and folded(row.text) not in labelled]
    excluded = len(rows) - len(unusable) - len(pool)
    if not pool:
        raise TableError(
            f"{source.name} has no row with a new text in column {source.text_column!r}: {excluded} are labelled "
            f"already, {len(unusable)} cannot be used"
        )
    return pool, excluded, unusable


def _answers(
    classifier: ComplaintClassifier, texts: Sequence[str], task: str
) -> tuple[np.ndarray, Sequence[Sequence[str]]]:
    """Return the probabilities (n_texts, answers) of the answers to each text, and what these are called."""
    probabilities, settings = classifier.predict_proba(texts, task), classifier.config.tasks[task]
    if settings.multi_label:
        return _two_sets(probabilities, settings)
    return probabilities, [classifier.labels[task]] * len(texts)


def _incidents(classifier: ComplaintClassifier, texts: Sequence[str]) -> np.ndarray:
    """Return a number (n_texts,) for each text, the same for reports of one incident."""
    # A model that was trained on other labels knows no incidents. The bundled one finds them, but on texts that are no
    # reports of incidents it takes short likeness for sameness, so only its surest pairs count there.
    knows_incidents = PAIRS in classifier.config.files
    grouper = DuplicateGrouper(classifier) if knows_incidents else DuplicateGrouper.from_pretrained(threshold=SURE_PAIR)
    return grouper.group(texts).labels


def _case(number: int, pick: Pick, row: LabelledRow, probabilities: np.ndarray, names: Sequence[str]) -> SelectedCase:
    # A task of one label has no second answer.
    first, second = np.argsort(-probabilities, kind="stable")[:2].tolist() + [0] * (len(names) < 2)
    return SelectedCase(
        pick=number,
        row=row.number,
        answer=names[first],
        probability=round(float(probabilities[first]), 4),
        second=names[second],
        second_probability=round(float(probabilities[second]), 4),
        reports=pick.reports,
        reason=reason(names[first], names[second], pick),
        record=row.record,
    )


def _two_sets(probabilities: np.ndarray, task: TaskConfig) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Return the labels that a multi-label task answers to each text, and those with the most doubtful one changed.

    First the probabilities (n_texts, 2) of the two sets, then the sets as cells.
    """
    answered = probabilities >= task.label_threshold
    rows, doubtful = np.arange(len(answered)), np.abs(probabilities - 0.5).argmin(axis=1)
    other = answered.copy()
    other[rows, doubtful] ^= True
    shares = np.stack([set_probability(probabilities, chosen) for chosen in (answered, other)], axis=1)
    names = [
        (join_labels(compress(task.labels, one)), join_labels(compress(task.labels, two)))
        for one, two in zip(answered, other, strict=True)
    ]
    return shares, names


def reason(first: str, second: str, pick: Pick) -> str:
    """Say why a case was chosen.

    >>> reason("road_damage", "paving_sidewalks", Pick(7, 0.031, 2, 5))
    'torn between road_damage and paving_sidewalks (margin 0.03); stands for 5 uncertain cases; 2 reports of it'
    """
    parts = [f"torn between {first} and {second} (margin {pick.margin:.2f})"]
    if pick.similar > 1:
        parts.append(f"stands for {pick.similar} uncertain cases")
    if pick.reports > 1:
        parts.append(f"{pick.reports} reports of it")
    return "; ".join(parts)


def _free(name: str, taken: Sequence[str]) -> str:
    """Return the name of an added column; the table's own columns are never renamed or overwritten."""
    while name in taken:
        name = f"select_{name}"
    return name
