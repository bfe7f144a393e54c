"""Say whether two models differ by more than chance on the same rows.

``python -m eval.compare A.json B.json`` reads two results of ``eval.quality.classification`` and compares them row by row: the
paired bootstrap interval of the difference in accuracy, and the exact McNemar test. Different data are refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tawasul_nlp.evaluation.metrics import Difference, difference


class DifferentDataError(ValueError):
    """Two results are not about the same rows, so their difference would mean nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredRows:
    """What a result says about each row, in the order of the row keys, so that files in another order still match."""

    path: Path
    name: str
    keys: np.ndarray
    hits: dict[str, np.ndarray]
    groups: np.ndarray | None


def load_rows(path: Path) -> StoredRows:
    """Read the rows of a result of ``eval.quality.classification``.

    Raises
    ------
    ValueError
        If the file is no such result, or one from before rows were stored.
    """
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a JSON result ({error})") from error
    rows = result.get("rows") if isinstance(result, dict) else None
    if not isinstance(rows, dict) or not {"keys", "hits"} <= set(rows):
        raise ValueError(f"{path} holds no rows; make it anew with python -m eval.quality.classification")
    keys = np.array(rows["keys"])
    order = np.argsort(keys, kind="stable")
    hits = {task: np.array(list(marks))[order] for task, marks in rows["hits"].items()}
    if any(len(marks) != len(keys) for marks in hits.values()):
        raise ValueError(f"{path} is damaged: it has {len(keys)} rows, but another number of answers")
    groups = np.array(rows["groups"])[order] if "groups" in rows else None
    model = result.get("model", {}).get("hash", result.get("model_hash", ""))
    return StoredRows(path, f"{path.name} (model {model})", keys[order], hits, groups)


def compare(first: StoredRows, second: StoredRows, resamples: int = 2000) -> dict[str, Difference]:
    """Return the difference, first minus second, for each task that both have.

    Raises
    ------
    DifferentDataError
        If the rows differ: other texts, other labels, or other tasks.
    """
    if len(first.keys) != len(second.keys) or not np.array_equal(first.keys, second.keys):
        shared = len(set(first.keys.tolist()) & set(second.keys.tolist()))
        raise DifferentDataError(
            f"{first.path} is about {len(first.keys)} rows and {second.path} about {len(second.keys)}, of which "
            f"{shared} have the same text and labels; evaluate both models on one file with the same --label-columns"
        )
    tasks = [task for task in first.hits if task in second.hits]
    if not tasks:
        raise DifferentDataError(f"no task in common: {', '.join(first.hits)} and {', '.join(second.hits)}")
    found = {}
    for task in tasks:
        known = first.hits[task] != "-"
        if not np.array_equal(known, second.hits[task] != "-"):
            raise DifferentDataError(f"{task}: the two results have labels on different rows")
        # Rows that belong together do so whichever of the two evaluations was told.
        told = [each.groups for each in (first, second) if each.groups is not None]
        groups = told[0] if told else np.arange(len(first.keys))
        own = np.unique(groups[known], return_inverse=True)[1]
        found[task] = difference(first.hits[task][known] == "1", second.hits[task][known] == "1", own, resamples)
    return found


def shown(first: StoredRows, second: StoredRows, found: dict[str, Difference]) -> RenderableType:
    """Return the comparison for the terminal."""
    from tawasul_nlp.evaluation.show import p_text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("task", no_wrap=True)
    for header in ("A", "B", "A - B, points [95%]", "only A / only B", "McNemar"):
        table.add_column(header, justify="right", no_wrap=True)
    said = []
    for task, each in found.items():
        known = first.hits[task] != "-"
        shares = [f"{100 * float((rows.hits[task][known] == '1').mean()):.1f}" for rows in (first, second)]
        points = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*each.points)
        table.add_row(task, *shares, points, f"{each.first_only} / {each.second_only}", p_text(each.p_value))
        better = "A" if each.points[0] > 0 else "B"
        said.append(
            f"{task}: {better} is better, beyond chance."
            if each.significant
            else f"{task}: no difference beyond chance on these {int(known.sum())} rows."
        )
    head = f"A = {first.name}\nB = {second.name}"
    return Group(Text(head), table, *(Text(line) for line in said))


def main(argv: list[str] | None = None) -> int:
    """Compare from the command line; return 2 when the files cannot be compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, metavar="A.json")
    parser.add_argument("second", type=Path, metavar="B.json")
    parser.add_argument("--resamples", type=int, default=2000, help="bootstrap resamples (default 2000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    try:
        first, second = load_rows(arguments.first), load_rows(arguments.second)
        found = compare(first, second, arguments.resamples)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        tasks = {
            task: {
                "points": list(each.points),
                "first_only": each.first_only,
                "second_only": each.second_only,
                "p_value": each.p_value,
                "significant": each.significant,
            }
            for task, each in found.items()
        }
        print(json.dumps({"first": first.name, "second": second.name, "tasks": tasks}, indent=1, ensure_ascii=False))
    else:
        Console().print(shown(first, second, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
