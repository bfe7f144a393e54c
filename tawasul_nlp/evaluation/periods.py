"""Say what changed between two periods of cases, and which changes are more than chance.

``python -m eval.drift --reference A --new B`` compares the mix of labels, the model's confidence, the vocabulary and
the embeddings of two tables. Each change has a test, and the tests share one budget of false alarms: when both tables
are random halves of one, 19 in 20 runs raise no alarm at all. ``--out PREFIX`` writes JSON and a page with plots.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.evaluation.shifts import (
    coded,
    holm,
    jensen_shannon,
    label_changes,
    mean_discrepancy,
    mix_change,
    population_stability,
    told_apart,
    word_shifts,
)
from tawasul_nlp.evaluation.text_table import TextTable, read_table, task_columns

ALPHA = 0.05
_CHUNK = 4096
_HISTOGRAM = np.linspace(0, 1, 21)


def compare(
    reference: TextTable,
    new: TextTable,
    classifier: ComplaintClassifier,
    *,
    tasks: dict[str, str] | None = None,
    date_column: str | None = None,
    rounds: int = 499,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two tables.

    Parameters
    ----------
    reference, new : TextTable
    classifier : ComplaintClassifier
        Its answers are compared, and its embeddings.
    tasks : dict of str to str, or None
        Column of the true labels of each task whose mix is compared; None compares the mix of the model's answers.
    date_column : str or None
        Column of both tables with dates: the report shows the periods.
    rounds : int
        Random dealings of each permutation test.
    seed : int

    Returns
    -------
    dict
        ``tests`` (p-value, adjusted p-value and alarm of each), and what the plots show.

    Raises
    ------
    ValueError
        If a table has fewer than 10 rows, or the rounds are too few for any test to show a change.
    """
    for table in (reference, new):
        if len(table) < 10:
            raise ValueError(f"{table.path} has {len(table)} usable rows; a comparison needs at least 10")
    tests = len(classifier.labels) + len(tasks or classifier.labels) + 2
    # The least p-value that dealing the rows anew can give is 1 / (rounds + 1), and Holm multiplies it by the tests.
    if tests / (rounds + 1) >= ALPHA:
        raise ValueError(f"{rounds} rounds cannot show a change by {tests} tests; give at least {round(tests / ALPHA)}")
    texts = reference.texts + new.texts
    is_new = np.arange(len(texts)) >= len(reference)
    probabilities, vectors = read_everything(classifier, texts)
    p_values: dict[str, float] = {}
    labels: dict[str, Any] = {}
    confidence: dict[str, Any] = {}
    for task, shares in probabilities.items():
        if tasks is None:
            codes, names = coded([classifier.labels[task][index] for index in shares.argmax(1)])
            labels[task], p_values[f"{task} mix"] = label_mix(codes, names, is_new, rounds, seed)
        confidence[task], p_values[f"{task} confidence"] = confidence_shift(shares.max(1), is_new)
    for task, column in (tasks or {}).items():
        codes, names = coded([value or "(none)" for value in reference.columns[column] + new.columns[column]])
        labels[task], p_values[f"{task} mix"] = label_mix(codes, names, is_new, rounds, seed)
    p_values["vocabulary"], *words = word_shifts(texts, is_new, rounds, seed)
    distance, p_values["embedding"] = mean_discrepancy(vectors, is_new, rounds, seed)
    adjusted = holm(p_values)
    # Single words are only named where the vocabulary as a whole changed: one budget of false alarms for everything.
    certain = adjusted["vocabulary"] < ALPHA
    # So are single labels: one is as certain as its own test and its mix's, whichever says less (Meinshausen 2008).
    for task, mix in labels.items():
        for row in mix["changes"]:
            row["adjusted_p"] = round(max(row["adjusted_p"], adjusted[f"{task} mix"]), 5)
            row["beyond_chance"] = row["adjusted_p"] < ALPHA
    changed, unseen = (
        [{**asdict(word), "beyond_chance": word.beyond_chance and certain} for word in shifts] for shifts in words
    )
    return {
        "model": {"folder": classifier.folder.name, "hash": classifier.config.model_hash},
        "tables": {
            side: {"file": table.path.name, "rows": len(table), "not_usable": len(table.skipped)}
            | _period(table, date_column)
            for side, table in (("reference", reference), ("new", new))
        },
        "rounds": rounds,
        "tests": {
            name: {"p": round(p, 5), "adjusted_p": round(adjusted[name], 5), "alarm": adjusted[name] < ALPHA}
            for name, p in p_values.items()
        },
        "labels_are": "true" if tasks is not None else "answered",
        "labels": labels,
        "confidence": confidence,
        "vocabulary": {"changed": changed, "unseen": unseen},
        "embedding": {
            "mmd_squared": round(distance, 6),
            "auc": round(told_apart(vectors, is_new, seed), 4),
            "map": _map(vectors, is_new, seed),
        },
    }


def read_everything(classifier: ComplaintClassifier, texts: list[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return each task's probabilities (n_texts, labels) and the embeddings (n_texts, hidden)."""
    readings = [classifier._forward(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)]
    tasks = list(readings[0].probabilities)
    return (
        {task: np.concatenate([each.probabilities[task] for each in readings]) for task in tasks},
        np.concatenate([each.embedding for each in readings]),
    )


def label_mix(
    codes: np.ndarray, names: list[str], is_new: np.ndarray, rounds: int, seed: int
) -> tuple[dict[str, Any], float]:
    """Return how the mix of labels changed, and its p-value."""
    statistic, p_value = mix_change(codes, is_new, rounds, seed)
    old = np.bincount(codes[~is_new], minlength=len(names))
    fresh = np.bincount(codes[is_new], minlength=len(names))
    return {
        "chi_square": round(statistic, 2),
        "psi": round(population_stability(old, fresh), 4),
        "jensen_shannon": round(jensen_shannon(old, fresh), 4),
        "changes": label_changes(codes, is_new, names),
    }, p_value


def confidence_shift(confidence: np.ndarray, is_new: np.ndarray) -> tuple[dict[str, Any], float]:
    """Return how the model's confidence changed, and the p-value of the Kolmogorov-Smirnov test."""
    from scipy.stats import ks_2samp

    old, fresh = confidence[~is_new], confidence[is_new]
    test = ks_2samp(old, fresh)
    return {
        "mean": [round(float(old.mean()), 4), round(float(fresh.mean()), 4)],
        "ks": round(float(test.statistic), 4),
        "histograms": [(np.histogram(side, _HISTOGRAM)[0] / len(side)).round(4).tolist() for side in (old, fresh)],
    }, float(test.pvalue)


def _map(vectors: np.ndarray, is_new: np.ndarray, seed: int, points: int = 400) -> dict[str, list[list[float]]]:
    """Return at most ``points`` rows of each table on the plane that spreads the embeddings most."""
    from sklearn.decomposition import PCA

    plane = PCA(2, random_state=seed).fit_transform(vectors)
    rng = np.random.default_rng(seed)
    return {
        name: plane[rng.permutation(np.flatnonzero(side))[:points]].round(3).tolist()
        for name, side in (("reference", ~is_new), ("new", is_new))
    }


def _period(table: TextTable, date_column: str | None) -> dict[str, Any]:
    """Return the days of a table's rows: first, last, count of each day, and how many rows have no readable date."""
    from tawasul_nlp.tables.run.case_rows import read_date

    if date_column is None:
        return {}
    days: dict[str, int] = {}
    unread = 0
    for value in table.columns[date_column]:
        try:
            moment = read_date(value)
        except ValueError:
            moment = None
        if moment is None:
            unread += 1
        else:
            days[moment.date().isoformat()] = days.get(moment.date().isoformat(), 0) + 1
    if not days:
        raise ValueError(f"no date of column {date_column!r} in {table.path} can be read; write 2026-03-01 or 1/3/2026")
    return {"first": min(days), "last": max(days), "dates_unread": unread, "days": dict(sorted(days.items()))}


def main(argv: list[str] | None = None) -> int:
    """Compare from the command line; return 2 when the input cannot be used."""
    from eval.results_files import publish
    from tawasul_nlp._system import machine
    from tawasul_nlp.evaluation.show_drift import html, terminal

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True, metavar="FILE", help="the earlier cases")
    parser.add_argument("--new", type=Path, required=True, metavar="FILE", help="the later cases")
    parser.add_argument("--model", type=Path, default=None, help="a model folder (default: the bundled model)")
    parser.add_argument("--text-column", default="text", metavar="NAME")
    parser.add_argument("--label-columns", metavar="NAMES", help="true labels whose mix is compared (default: answers)")
    parser.add_argument("--date-column", metavar="NAME", help="dates, to show the periods")
    parser.add_argument("--rounds", type=int, default=499, help="random dealings of each test (default 499)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="PREFIX", help="where to write, without .json and .html")
    arguments = parser.parse_args(argv)
    try:
        classifier = ComplaintClassifier.from_pretrained(arguments.model)
        given = arguments.label_columns
        tasks = task_columns(given, list(classifier.labels)) if given else None
        columns = [*(tasks or {}).values(), *([arguments.date_column] if arguments.date_column else [])]
        result = compare(
            read_table(arguments.reference, arguments.text_column, columns),
            read_table(arguments.new, arguments.text_column, columns),
            classifier,
            tasks=tasks,
            date_column=arguments.date_column,
            rounds=arguments.rounds,
            seed=arguments.seed,
        )
        head = {"date": datetime.date.today().isoformat(), "machine": machine()}
        result = {**head, "command": shlex.join(["python", "-m", "eval.drift", *(argv or sys.argv[1:])]), **result}
        publish(result, terminal, html, arguments.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
