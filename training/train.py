"""Train a model by a recipe: the bundled one from the project's corpus, or one on a table with any labels.

``python -m training.train`` (or ``make train``) rebuilds the bundled model; ``--install`` copies it into the package.
``python -m training.train --data my.csv --text-column text --label-columns dept,subject`` trains on a table. A killed
run goes on where it stopped when the same command is given again; delete its folder to start anew.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.training.config import BUNDLED_RECIPE, TABLE_RECIPE, Recipe, read_recipe, table_recipe

if TYPE_CHECKING:
    from tawasul_nlp.training.dataset import Material


def main(arguments: list[str] | None = None) -> None:
    """Train from the command line; bad input ends with a message and status 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.threads < 0:
        parser.error(f"--threads is {options.threads}, expected at least 1, or 0 for all cores")
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        _train(options)
    except (ValueError, OSError) as error:  # OSError: a folder that cannot be written, a disk that is full
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _train(options: argparse.Namespace) -> None:
    recipe_path = options.recipe or (TABLE_RECIPE if options.data else BUNDLED_RECIPE)
    raw = read_recipe(recipe_path, options.set)
    if "stages" in raw:
        if options.data:
            raise ValueError(
                f"{recipe_path} has stages, made for the project's own corpus; take {TABLE_RECIPE} for --data"
            )
        from training.stages import train_in_stages

        if (options.first_stage > 1) != (options.from_model is not None):
            raise ValueError("--first-stage above 1 and --from-model need each other")
        folder = train_in_stages(
            raw, options.out or Path("build/train"), first_stage=options.first_stage, from_model=options.from_model
        )
    else:
        if options.install:
            raise ValueError("--install is for the bundled model; name the folder of another to from_pretrained")
        recipe = table_recipe(raw, str(recipe_path))
        out = options.out or Path("build/runs") / recipe_path.stem
        material = _material(options, recipe, out)
        if options.check_only:
            return
        from tawasul_nlp.training.run import retrain

        folder = retrain(material, recipe, out)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for name, task in config["tasks"].items():
        print(name, task["weights"], f"temperature {task['temperature']:.3f}", task["thresholds"])
    print(f"model: {folder}")
    if options.install:
        _install(folder)
        print(f"installed into {BUNDLED}; now run python -m eval.quality.classification")


def _install(folder: Path) -> None:
    """Put a model folder in the bundled one's place, which stays until the new one is there as a whole."""
    with tempfile.TemporaryDirectory(dir=BUNDLED.parent) as unfinished:
        shutil.copytree(folder, Path(unfinished) / "new")
        if BUNDLED.exists():
            BUNDLED.rename(Path(unfinished) / "old")
        (Path(unfinished) / "new").rename(BUNDLED)


def _material(options: argparse.Namespace, recipe: Recipe, out: Path) -> Material:
    """Read and check the data, print what was found, and stop where training must not start."""
    from tawasul_nlp.training import dataset as reading
    from tawasul_nlp.training.tables import Columns

    if options.data is None:
        from training.corpus import corpus_material

        corpus = corpus_material()
        _needs_tasks(recipe, corpus.labels)
        return corpus
    if options.label_columns is None:
        raise ValueError("--data needs --label-columns, the columns that hold the labels")
    columns = Columns.parse(options.text_column, options.label_columns, options.group_column)
    _needs_tasks(recipe, columns.labels)
    if options.streaming:
        if options.validation is None:
            raise ValueError("--streaming needs a --validation table, because a stream cannot be split")
        found = reading.stream_material(options.data, columns, out / "cache", options.validation)
    else:
        found = reading.read_material(
            options.data,
            columns,
            recipe,
            out / "cache",
            validation=options.validation,
            duplicates=options.duplicates,
        )
    for finding in found.findings:
        print(finding, flush=True)
    print(f"{found.rows} training rows, {len(found.validation)} validation rows, {found.left_out} rows left out")
    report = [finding.to_dict() for finding in found.findings]
    (out / "checks.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    fatal = [finding for finding in found.findings if finding.fatal and not (options.leave_out and finding.rows)]
    if fatal:
        raise ValueError(
            f"{len(fatal)} kinds of errors in the data ({out / 'checks.json'} has every row); mend them, or add "
            "--leave-out to train without these rows"
        )
    return found


def _needs_tasks(recipe: Recipe, tasks: Iterable[str]) -> None:
    """Raise ValueError if a weight is given to something that is no task, where it would do nothing."""
    known = list(tasks)
    unknown = [str(task) for task in recipe.task_weights if task not in known]
    if unknown:
        raise ValueError(f"task_weights has {', '.join(unknown)}, expected some of the tasks {', '.join(known)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, help=f"default: {TABLE_RECIPE.name} with --data, else bundled.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, as in ngram.C=0.5"
    )
    parser.add_argument("--out", "--work", type=Path, help="run folder; default: build/runs/RECIPE, build/train")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all")
    parser.add_argument("--install", action="store_true", help="put the finished model into the package")
    table = parser.add_argument_group("a table of your own")
    table.add_argument("--data", type=Path, help="CSV, JSONL or Parquet with a header")
    table.add_argument("--text-column", default="text")
    table.add_argument("--label-columns", metavar="A,B", help="one task each; task=column names the task otherwise")
    table.add_argument("--validation", type=Path, help="a second table; default: a part of --data")
    table.add_argument("--group-column", help="rows with the same value stay on one side of the split")
    table.add_argument(
        "--duplicates",
        choices=("incidents", "identical"),
        default="incidents",
        help="what counts as a duplicate: texts that tell of one event (reads every text with the bundled model), or "
        "only texts that are identical after folding (for large tables)",
    )
    table.add_argument("--leave-out", action="store_true", help="train without the rows that have errors")
    table.add_argument("--check-only", action="store_true", help="report what the checks find, and stop")
    table.add_argument("--streaming", action="store_true", help="never hold --data in memory; no n-gram reader then")
    stages = parser.add_argument_group("the bundled model")
    stages.add_argument("--from-model", type=Path, help="start from this model folder, at --first-stage")
    stages.add_argument("--first-stage", type=int, default=1, help="stage of the recipe to start with")
    return parser


if __name__ == "__main__":
    main()
