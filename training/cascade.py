"""Fit a cascade for a model folder: where may the n-gram reader answer alone?

On validation data only. The n-gram reader gets temperatures and thresholds of its own for each task. It may answer a
text alone if its likeliest labels all reach one probability: the least one from which on no task has lost more than
five answers in a thousand (``--tolerance``) to the whole model.

Run ``python -m training.cascade --model FOLDER``; ``--write`` stores the cascade in the folder's ``config.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import BUNDLED, NGRAM, CascadeConfig, ModelConfig, TaskConfig, read_config
from tawasul_nlp.model.ngram import NgramReader
from training.bundle import read_with_encoder
from training.calibrate import expected_calibration_error, fit_task, with_thresholds
from training.corpus import LabelSpace, load_examples
from training.ngram import truth_of

# Answers that a task may lose, as a share of all texts.
TOLERANCE = 0.005


def ngram_tasks(
    config: ModelConfig, ngram: Mapping[str, np.ndarray], truths: Mapping[str, np.ndarray]
) -> dict[str, TaskConfig]:
    """Return the model's tasks as the n-gram reader alone reads them, calibrated.

    Raises
    ------
    ValueError
        If it cannot read one of them.
    """
    tasks: dict[str, TaskConfig] = {}
    for name, task in config.tasks.items():
        reader = "ngram" if name in ngram else "parent"
        if reader == "parent" and task.parent is None:
            raise ValueError(f"the n-gram reader does not read task {name!r}: a model with such a task has no cascade")
        tasks[name] = replace(task, weights={reader: 1.0})
        tasks[name] = fit_task(name, tasks, {"ngram": ngram}, truths[name])
        tasks[name] = with_thresholds(tasks[name], combine(tasks, {"ngram": ngram})[name], truths[name])
    return tasks


def least_sure(
    confidence: np.ndarray, changes: Mapping[str, np.ndarray], tolerance: float = TOLERANCE
) -> tuple[float, float]:
    """Return the least probability from which on no task loses more than ``tolerance``, and the share that reaches it.

    Few answers change, so losses do not rise evenly: higher probabilities may have lost more.

    Parameters
    ----------
    confidence : ndarray, shape (n_texts,)
        The least probability of a text's answers by the n-gram reader.
    changes : mapping of str to ndarray of int
        For each task and text, 1 where the n-gram reader is right and the model is not, -1 where it is the other way.
    tolerance : float

    Examples
    --------
    >>> least_sure(np.array([0.9, 0.8, 0.7, 0.6]), {"topic": np.array([0, 0, -1, 0])}, 0.0)
    (0.8, 0.5)
    """
    order = np.argsort(-confidence, kind="stable")
    allowed = np.ones(len(order), bool)
    for change in changes.values():
        allowed &= np.cumsum(change[order]) >= -tolerance * len(order)
    reached = int(np.flatnonzero(allowed)[-1]) + 1 if allowed.any() else 0
    # Texts of the same confidence are taken or left together.
    while 0 < reached < len(order) and confidence[order[reached]] == confidence[order[reached - 1]]:
        reached -= 1
    return (float(confidence[order[reached - 1]]), reached / len(order)) if reached else (1.0, 0.0)


def fit_cascade(folder: Path, tolerance: float = TOLERANCE) -> CascadeConfig:
    """Fit a cascade for the model folder ``folder`` and print what it does on validation data."""
    config = read_config(folder)
    labels = LabelSpace.load()
    validation = load_examples("validation", labels)
    texts = [example.text for example in validation]
    truths = {name: truth_of(validation, labels, name) for name in config.tasks}
    ngram = NgramReader.load(folder / NGRAM).scores(texts)
    tasks = ngram_tasks(config, ngram, truths)
    alone = combine(tasks, {"ngram": ngram})
    whole = combine(config.tasks, {"encoder": read_with_encoder(folder, texts), "ngram": ngram})
    right = {
        name: [(values.argmax(1) == truths[name])[truths[name] >= 0] for values in (alone[name], whole[name])]
        for name in tasks
    }
    changes = {}
    for name, truth in truths.items():
        changes[name] = np.zeros(len(texts), int)
        changes[name][truth >= 0] = right[name][0].astype(int) - right[name][1].astype(int)
    confidence = np.exp(np.min([values.max(1) for values in alone.values()], axis=0))
    sure, share = least_sure(confidence, changes, tolerance)
    for name, values in alone.items():
        known = truths[name] >= 0
        error = expected_calibration_error(np.exp(values[known].max(1)), right[name][0])
        lost = changes[name][confidence >= sure].sum()
        print(
            f"{name}: n-grams alone {right[name][0].mean():.4f} (calibration error {error:.3f}), "
            f"whole model {right[name][1].mean():.4f}, the cascade changes {lost:+d} of {len(texts)} texts"
        )
    print(f"sure from {sure:.4f} on: {share:.1%} of the texts are spared the encoder")
    return CascadeConfig(tasks, dict.fromkeys(tasks, sure))


def add_cascade(folder: Path, tolerance: float = TOLERANCE) -> None:
    """Fit a cascade and store it in the folder's configuration."""
    cascade = fit_cascade(folder, tolerance)
    replace(read_config(folder), cascade=cascade).save(folder)
    print(f"wrote {folder}")


def main() -> None:
    """Fit a cascade from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="model folder (default: the bundled one)")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="share of answers that a task may lose")
    parser.add_argument("--write", action="store_true", help="store the cascade in the folder's configuration")
    arguments = parser.parse_args()
    (add_cascade if arguments.write else fit_cascade)(arguments.model, arguments.tolerance)


if __name__ == "__main__":
    main()
