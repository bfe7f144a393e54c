"""Choose the cases of a backlog that are worth labelling next.

``python -m training.select --model DIR --pool backlog.csv -n 200 -o to_label.csv`` writes the chosen rows, each with
the reason. A case is worth a label when the model is torn between two answers (margin), when it differs from the other
chosen cases (clusters of embeddings), and when it is no other report of an incident that is chosen already (the
package's own duplicate groups). ``python -m eval.quality.active_learning`` measures what this gains over random choice.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Uncertain cases that compete for one pick; eval.quality.active_learning chose it on validation rows.
BREADTH = 3
SURE_PAIR = 0.9
ADDED = ("pick", "row", "answer", "probability", "second", "second_probability", "reports", "reason")


@dataclass(frozen=True, slots=True)
class Pick:
    """A case to be labelled.

    Attributes
    ----------
    index : int
        Its position in the pool.
    margin : float
        Probability of the likeliest label minus that of the second.
    reports : int
        Cases of the pool in its duplicate group, itself included.
    similar : int
        Uncertain cases that it stands for, itself included.
    """

    index: int
    margin: float
    reports: int
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
        Cases of one number tell of the same incident.
    n : int
    breadth : float
        1 chooses by uncertainty alone; the larger, the more diversity counts.
    seed : int

    Returns
    -------
    list of Pick
        ``n``, or fewer when there are fewer groups.

    Raises
    ------
    ValueError
        If ``n`` is below 1 or ``breadth`` below 1.
    """
    from sklearn.cluster import KMeans

    if n < 1 or breadth < 1:
        raise ValueError(f"n is {n} and breadth is {breadth}, expected at least 1 each")
    margin = margins(probabilities)
    order = np.argsort(margin, kind="stable")
    firsts = order[np.sort(np.unique(groups[order], return_index=True)[1])]
    candidates = firsts[: max(n, int(breadth * n))]
    if len(candidates) > n:
        # k-means++ alone, with few rounds of refinement: the clusters only have to spread the picks.
        clusters = KMeans(n, n_init=1, max_iter=10, random_state=seed).fit_predict(vectors[candidates])
    else:
        clusters = np.arange(len(candidates))
    # Candidates rise in margin, so the first of each cluster is its most uncertain.
    chosen = np.unique(clusters, return_index=True)[1]
    sizes = np.bincount(clusters)
    reports = np.bincount(np.unique(groups, return_inverse=True)[1])[np.unique(groups, return_inverse=True)[1]]
    return [
        Pick(int(row), float(margin[row]), int(reports[row]), int(sizes[clusters[at]]))
        for at in np.sort(chosen)
        for row in [candidates[at]]
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The rows of a backlog that have a text."""

    numbers: list[int]
    texts: list[str]
    records: list[dict[str, Any]]
    skipped: int


def read_pool(path: Path, text_column: str, exclude: Sequence[str] = ()) -> Pool:
    """Read a CSV, JSONL or Parquet table without the texts of ``exclude`` (apart from signs and spaces).

    Raises
    ------
    TableError
        If the file is no table, has no such column, or has no row with a text.
    """
    from tawasul_nlp.tables import MissingColumnError, TableError
    from tawasul_nlp.tables.io.readers import open_reader

    reader = open_reader(path, text_column=text_column)
    if reader.columns and text_column not in reader.columns:
        raise MissingColumnError(text_column, reader.columns)
    known = {_folded(text) for text in exclude}
    pool = Pool([], [], [], 0)
    skipped = 0
    for chunk in reader.chunks():
        skipped += len(chunk.rejects)
        for number, record in zip(chunk.numbers, chunk.records(), strict=True):
            text = record.get(text_column)
            if not isinstance(text, str) or not text.strip() or _folded(text) in known:
                skipped += 1
                continue
            pool.numbers.append(number)
            pool.texts.append(text)
            pool.records.append(record)
    if not pool.texts:
        raise TableError(f"{path} has no row with a new text in column {text_column!r}")
    return Pool(pool.numbers, pool.texts, pool.records, skipped)


def select(pool: Pool, model: Path | None, n: int, task: str | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """Choose the rows of a pool for one task of a model and say why.

    Returns
    -------
    list of dict
        For each pick the columns :data:`ADDED`, followed by the row's own.

    Raises
    ------
    ValueError
        If the model has no such task.
    """
    from tawasul_nlp import ComplaintClassifier, DuplicateGrouper
    from tawasul_nlp.model.folder import PAIRS
    from tawasul_nlp.tables.io.chunk import to_cell

    classifier = ComplaintClassifier.from_pretrained(model)
    task = task or ("topic" if "topic" in classifier.labels else next(iter(classifier.labels)))
    if task not in classifier.labels:
        raise ValueError(f"--task is {task!r}, but the model has {', '.join(classifier.labels)}")
    probabilities = classifier.predict_proba(pool.texts, task)
    vectors = classifier.encode(pool.texts)
    # A model that was trained on other labels knows no incidents. The bundled one finds them, but on texts that are no
    # reports of incidents it takes short likeness for sameness, so only its surest pairs count there.
    own = PAIRS in classifier.config.files
    grouper = DuplicateGrouper(classifier) if own else DuplicateGrouper.from_pretrained(threshold=SURE_PAIR)
    groups = grouper.group(pool.texts).labels
    names = classifier.labels[task]
    rows = []
    for number, pick in enumerate(choose(probabilities, vectors, groups, n, seed=seed), 1):
        first, second = np.argsort(-probabilities[pick.index], kind="stable")[:2].tolist() + [0] * (len(names) < 2)
        share = probabilities[pick.index]
        values = (
            number,
            pool.numbers[pick.index],
            names[first],
            round(float(share[first]), 4),
            names[second],
            round(float(share[second]), 4),
            pick.reports,
            reason(names[first], names[second], pick),
        )
        record = {name: to_cell(value) for name, value in pool.records[pick.index].items()}
        rows.append({_free(name, record): value for name, value in zip(ADDED, values, strict=True)} | record)
    return rows


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


def write_rows(rows: list[dict[str, Any]], path: Path) -> None:
    """Write JSON lines if the name ends in ``.jsonl``, else CSV with the mark that lets Excel read Arabic.

    What a spreadsheet would run as a formula gets an apostrophe in a CSV; JSON lines keep every text.
    """
    from tawasul_nlp.tables.io.escaping import escaped_row

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(escaped_row(columns))
        writer.writerows(escaped_row(row.get(name, "") for name in columns) for row in rows)


def _folded(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _free(name: str, taken: dict[str, Any]) -> str:
    """Return the name of an added column; the table's own columns are never renamed or overwritten."""
    while name in taken:
        name = f"select_{name}"
    return name


def main(argv: list[str] | None = None) -> int:
    """Choose from the command line; return 2 when the input cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=None, help="a model folder (default: the bundled model)")
    parser.add_argument("--pool", type=Path, required=True, metavar="FILE", help="unlabelled cases")
    parser.add_argument("-n", type=int, required=True, help="how many cases to choose")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help=".csv or .jsonl")
    parser.add_argument("--text-column", default="text", metavar="NAME")
    parser.add_argument("--task", help="the task to label for (default: topic, or the model's first)")
    parser.add_argument("--exclude", type=Path, metavar="FILE", help="labelled cases: the same texts are not chosen")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    if arguments.n < 1:
        parser.error(f"-n is {arguments.n}, expected at least 1")
    try:
        known = read_pool(arguments.exclude, arguments.text_column).texts if arguments.exclude else []
        pool = read_pool(arguments.pool, arguments.text_column, known)
        rows = select(pool, arguments.model, arguments.n, arguments.task, arguments.seed)
        write_rows(rows, arguments.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{arguments.out}: {len(rows)} of {len(pool.texts)} cases to label; {pool.skipped} rows had no text of their "
        "own to offer (empty, unreadable or excluded)"
    )
    if len(rows) < arguments.n:
        print(f"fewer than {arguments.n}: the pool has no more cases that are not reports of one another")
    return 0


if __name__ == "__main__":
    sys.exit(main())
