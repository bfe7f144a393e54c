"""Compare variants of the n-gram scorer on validation data (the encoder's figures are printed by its training).

Run ``python -m training.experiments``; each variant takes one to two minutes. ``training/EXPERIMENTS.md`` holds what
was found.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tawasul_nlp.model.ngram import NgramScorer
from tawasul_nlp.training.config import NgramConfig
from tawasul_nlp.training.dataset import truth_of
from tawasul_nlp.training.ngram_fitting import fit_ngram
from training.corpus import Example, LabelSpace, label_descriptions, load_examples, rows_of


def variants(labels: LabelSpace) -> dict[str, tuple[list[Example], NgramConfig]]:
    """Return the training texts and the settings of each variant."""
    first = load_examples("train", labels, second_batch=False)
    every = load_examples("train", labels)
    whole = NgramConfig(min_df=(3, 2), features=None, C=0.3)
    described = every + label_descriptions(labels)
    return {
        "first batch, min_df 3/2, C 0.5": (first, NgramConfig(min_df=(3, 2), features=None, C=0.5)),
        "first batch, min_df 2/2, C 0.5": (first, NgramConfig(min_df=(2, 2), features=None, C=0.5)),
        "both batches, min_df 3/2, C 0.3": (every, whole),
        "both batches and label descriptions, min_df 3/2, C 0.3": (
            described,
            NgramConfig(min_df=(3, 2), features=None, C=0.3),
        ),
        "both batches and label descriptions, min_df 3/2, C 0.6": (
            described,
            NgramConfig(min_df=(3, 2), features=None, C=0.6),
        ),
        "as shipped: and only 175,000 features": (described, whole.replace(features=175_000)),
    }


def main() -> None:
    """Train and score every variant."""
    labels = LabelSpace.load()
    validation = load_examples("validation", labels)
    names = {task: labels.of(task) for task in ("topic", "agency")}
    truth = truth_of(rows_of("validation", validation, labels), names)
    topic, agency = truth["topic"], truth["agency"]
    owner = np.array([labels.agencies.index(labels.agency_of[name]) for name in labels.topics])
    print("| variant | texts | MB | topic | top 3 | agency |\n|---|---|---|---|---|---|", flush=True)
    for name, (examples, config) in variants(labels).items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ngram.safetensors"
            target = truth_of(rows_of("train", examples, labels), {"topic": labels.topics})
            fit_ngram([example.text for example in examples], target, {"topic": labels.topics}, path, config)
            scores = NgramScorer.load(path).scores([example.text for example in validation])["topic"]
            size = path.stat().st_size / 1e6
        ranked = np.argsort(-scores, axis=1)
        hits = (ranked[:, 0] == topic).mean(), (ranked[:, :3] == topic[:, None]).any(1).mean()
        right = (owner[ranked[:, 0]] == agency).mean()
        print(f"| {name} | {len(examples)} | {size:.1f} | {hits[0]:.4f} | {hits[1]:.4f} | {right:.4f} |", flush=True)


if __name__ == "__main__":
    main()
