"""A table that memory cannot hold, as what a model is trained on."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from datasets import IterableDataset

from tawasul_nlp.model.folder import file_hash
from tawasul_nlp.training.checks import Finding, class_sizes, doubtful_labels, unknown_labels, unusable, unusable_rows
from tawasul_nlp.training.dataset import TrainingData, chosen, count_labels, counted, need_labels, need_two_tables
from tawasul_nlp.training.splitting import folded
from tawasul_nlp.training.tables import Columns, label_column, label_names, read_table, stream_table


def stream_data(data: Path, columns: Columns, cache: Path, validation: Path) -> TrainingData:
    """Read a table that memory cannot hold once through, check what can be checked so, and return it as a stream.

    Duplicates are only found where a validation text equals a training text after folding; texts of training are not
    compared with each other.
    """
    need_two_tables(data, validation)
    if columns.incident is not None:
        raise ValueError("a stream cannot learn incidents, whose reports must be held together; read the whole table")
    held_out = read_table(validation, columns, cache)
    findings = unusable(str(validation), held_out)
    held_out = chosen(held_out, [not problem for problem in held_out["problem"]])
    stream = stream_table(data, columns)
    passed = _first_pass(str(data), stream, columns, folded(list(held_out["text"])))
    findings += unusable_rows(passed.problems)
    labels = {task: label_names(counter) for task, counter in passed.counts.items()}
    counts = {task: counted(passed.counts[task], names) for task, names in labels.items()}
    unknown = unknown_labels(str(validation), held_out, labels, columns.multi_label)
    strange = {row for finding in unknown for _, row in finding.rows}
    known = np.array([row not in strange for row in held_out["row"]], bool)
    if not known.any() or not passed.total:
        raise ValueError(f"{validation} and {data} have no usable rows with labels in common")
    held_out, leaked = chosen(held_out, known.tolist()), passed.leaked[known]
    need_labels({task: held_out[label_column(task)] for task in labels})
    findings += unknown
    for task, names in labels.items():
        found = dict(zip(names, counts[task].tolist(), strict=True))
        findings += class_sizes(task, found, labelled=passed.labelled.get(task))
        findings += doubtful_labels(task, found, multi_label=task in columns.multi_label)
    if leaked.any():
        places = tuple((str(validation), row) for row, hit in zip(held_out["row"], leaked, strict=True) if hit)
        message = "rows of validation are identical to a row of training"
        findings.append(Finding("identical across splits", False, message, places))
    return TrainingData(
        stream.filter(_is_usable, input_columns="problem"),
        held_out,
        labels,
        counts,
        passed.total,
        np.zeros(0, np.int64),
        leaked,
        {str(path): file_hash(path) for path in (data, validation)},
        {"columns": asdict(columns)},
        tuple(findings),
        multi_label=passed.labelled,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Passed:
    """What one pass over a stream finds: usable rows, rows of each label, problems, and which texts occur in it.

    ``labelled`` has the multi-label tasks, with the rows whose labels are known.
    """

    total: int
    counts: dict[str, Counter[str]]
    labelled: dict[str, int]
    problems: dict[str, list[tuple[str, int]]]
    leaked: np.ndarray


def _first_pass(file: str, stream: IterableDataset, columns: Columns, held_out: list[str]) -> _Passed:
    position: dict[str, list[int]] = defaultdict(list)
    for at, text in enumerate(held_out):
        position[text].append(at)
    leaked = np.zeros(len(held_out), bool)
    counts: dict[str, Counter[str]] = {task: Counter() for task in columns.labels}
    labelled = dict.fromkeys(columns.multi_label, 0)
    problems: dict[str, list[tuple[str, int]]] = defaultdict(list)
    total = 0
    for batch in stream.iter(1000):
        good = [at for at, problem in enumerate(batch["problem"]) if not problem]
        total += len(good)
        for row, problem in zip(batch["row"], batch["problem"], strict=True):
            if problem:
                problems[problem].append((file, row))
        for task, counter in counts.items():
            cells = [batch[label_column(task)][at] for at in good]
            counter.update(count_labels(cells, task in columns.multi_label))
            if task in labelled:
                labelled[task] += sum(map(bool, cells))
        for text in folded([batch["text"][at] for at in good]):
            leaked[position.get(text, [])] = True
    return _Passed(total, counts, labelled, problems, leaked)


def _is_usable(problem: str) -> bool:
    return not problem
