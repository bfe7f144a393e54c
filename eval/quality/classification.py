"""Quality of a model: on a labelled table of your own, or of the shipped model on the stored test split.

``python -m eval.quality.classification --model DIR --data FILE`` shows the figures on the terminal and writes them to
``PREFIX.json`` and, with plots, to ``PREFIX.html``. ``python -m eval.compare`` tells two such JSON files apart.

Without ``--data``, every system of ``eval.quality.stored_split`` is measured on the stored split, and the results go to
``eval/results/classification.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from pathlib import Path
from typing import Any

from eval.results_files import RESULTS, publish_page


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", type=Path, default=None, help="a model folder (default: the bundled model)")
    made.add_argument("--out", type=Path, metavar="PREFIX", help="where to write, without .json and .html")
    own = made.add_argument_group("a labelled table")
    own.add_argument("--data", type=Path, metavar="FILE", help="CSV, JSONL or Parquet")
    own.add_argument("--text-column", default="text", metavar="NAME")
    own.add_argument(
        "--label-columns",
        metavar="NAMES",
        help="columns of the labels, such as topic,agency or topic=category (default: every task of the model)",
    )
    own.add_argument("--slices", default="", metavar="NAMES", help="columns by whose values accuracy is shown")
    own.add_argument("--group-column", metavar="NAME", help="rows with one value are resampled together")
    own.add_argument("--train", type=Path, metavar="FILE", help="training rows, to fit baselines on")
    own.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples (default 1000)")
    stored = made.add_argument_group("the stored split (without --data)")
    stored.add_argument("--split", default="test", choices=("validation", "test"))
    stored.add_argument("--base", type=Path, default=Path("build/train/base"), help="the untuned base encoder")
    stored.add_argument("--cache", type=Path, default=Path("build/eval"))
    return made


def measure_table(arguments: argparse.Namespace) -> dict[str, Any]:
    """Evaluate the model on the table that the options name."""
    from tawasul_nlp import ComplaintClassifier
    from tawasul_nlp._system import machine
    from tawasul_nlp.evaluation.evaluator import data_columns, evaluate
    from tawasul_nlp.evaluation.text_table import read_table, task_columns

    classifier = ComplaintClassifier.from_pretrained(arguments.model)
    tasks = task_columns(arguments.label_columns, list(classifier.labels))
    slices = [name.strip() for name in arguments.slices.split(",") if name.strip()]
    columns = data_columns(tasks, slices, arguments.group_column)
    table = read_table(arguments.data, arguments.text_column, columns)
    train = None
    if arguments.train is not None:
        train = read_table(arguments.train, arguments.text_column, list(tasks.values()))
    result = evaluate(
        classifier,
        table,
        tasks,
        slices=slices,
        group_column=arguments.group_column,
        train=train,
        resamples=arguments.resamples,
    )
    head = {"date": datetime.date.today().isoformat(), "machine": machine()}
    return {**head, "command": shlex.join(["python", "-m", "eval.quality.classification", *sys.argv[1:]]), **result}


def main(argv: list[str] | None = None) -> int:
    """Evaluate from the command line; return 2 when the input cannot be used."""
    arguments = parser().parse_args(argv)
    if arguments.data is None:
        return _stored(arguments)
    from eval.results_files import publish
    from tawasul_nlp.evaluation.show import html, terminal

    try:
        publish(measure_table(arguments), terminal, html, arguments.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _stored(arguments: argparse.Namespace) -> int:
    from eval.quality.stored_split import evaluate, markdown

    result = evaluate(arguments.model, arguments.base, arguments.cache, arguments.split)
    publish_page(result, markdown(result), arguments.out or RESULTS / "classification")
    return 0


if __name__ == "__main__":
    sys.exit(main())
