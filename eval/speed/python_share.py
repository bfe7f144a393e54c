"""Measure what a text costs outside the encoder: in normalisation, tokens, n-grams, places, routing and the answer.

The encoder's place takes a runtime that answers zeros at once, so what is left of ``predict`` is ours; topics then come
from the n-gram scorer alone. Processor time counts, of all threads, and every round reads texts that the process has
not read before, after 2,000 others that fill the caches as a long run does: medians of the rounds.

Run ``python -m eval.speed.python_share``; it writes ``eval/results/python_share.json`` and ``.md``. With ``--before
FILE`` the page also has the numbers of an earlier version, which this command wrote there with ``--out``.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from eval.results_files import RESULTS, provenance, publish_page
from tawasul_nlp import ComplaintClassifier, Prediction, classify_table
from tawasul_nlp.domain import find_named_agencies, find_places, route
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.runtime import TOKEN_OUTPUTS, Batch
from training.corpus import LabelSpace, load_examples

WARM_UP, ROUND, ROUNDS = 2_000, 500, 7
TOGETHER, ALONE = "predict, together", "predict, one text a call"
TABLE = "classify: read and write a CSV row"


class NoEncoder:
    """A runtime that answers zeros."""

    batch_tokens = 512
    name = "none"

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes

    def sizes(self) -> Mapping[str, int]:
        """Return the number of columns of each output."""
        return self._sizes

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Return zeros for each output; of a text that has them for each token, that none reports an issue."""
        texts, tokens = input_ids.shape
        return {
            name: np.zeros((texts, tokens, size) if name in TOKEN_OUTPUTS else (texts, size), np.float32)
            for name, size in self._sizes.items()
        }

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Return zeros for each batch."""
        return (self.run(*batch) for batch in batches)


class Answered:
    """A classifier whose answers are there already, so that a run with it costs what its table costs."""

    def __init__(self, predictions: Sequence[Prediction]) -> None:
        self._of_text = {prediction.text: prediction for prediction in predictions}

    def predict(self, texts: list[str], /) -> list[Prediction]:
        """Look the answers up."""
        return [self._of_text[text] for text in texts]


def without_encoder() -> ComplaintClassifier:
    """Return the bundled model with its encoder taken out."""
    model = ComplaintClassifier.from_pretrained(threads=1)
    model._scorers.runtime = model._scorers.encoder.runtime = NoEncoder(model._scorers.runtime.sizes())
    return model


def parts(model: ComplaintClassifier, texts: list[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what is done with texts, by name, in the order of ``predict``."""
    scorers, domain = model._scorers, model.domain
    yield "normalise and tokenise", lambda: scorers.encoder.tokenize(texts)
    yield "n-gram scores", lambda: scorers.ngram.scores(texts)  # type: ignore[union-attr]  # the bundled model has them
    scores = {"ngram": scorers.ngram.scores(texts), "encoder": NoEncoder(scorers.runtime.sizes()).run(*_shape(texts))}  # type: ignore[union-attr]
    yield "probabilities", lambda: combine(model.config.tasks, scores)
    yield (
        "places and named agencies",
        lambda: [(find_places(text, domain), find_named_agencies(text, domain)) for text in texts],
    )
    asked = [
        (text, model.labels["topic"][row.argmax()], find_places(text, domain), find_named_agencies(text, domain))
        for text, row in zip(texts, combine(model.config.tasks, scores)["topic"], strict=True)
    ]
    yield "routing", lambda: [route(topic, where, named, text, domain) for text, topic, where, named in asked]


def _shape(texts: list[str]) -> Batch:
    return np.zeros((len(texts), 1), np.int64), np.zeros((len(texts), 1), np.int64)


def milliseconds(work: Callable[[], Any], texts: int) -> float:
    """Return the processor time of one call, in ms a text."""
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began) / texts


def in_a_table(predictions: Sequence[Prediction]) -> float:
    """Return the processor time of a run over a table whose answers are there already, in ms a row."""
    with TemporaryDirectory() as scratch:
        source = Path(scratch, "cases.csv")
        with source.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["id", "text"], *enumerate(prediction.text for prediction in predictions)])
        return milliseconds(
            lambda: classify_table(Answered(predictions), source, Path(scratch, "out.csv"), text_column="text"),
            len(predictions),
        )


def measure() -> dict[str, list[float]]:
    """Return the milliseconds a text of each part, a value for each round."""
    model = without_encoder()
    unread = iter(dict.fromkeys(example.text for example in load_examples("train", LabelSpace.load())))
    model.predict([next(unread) for _ in range(WARM_UP)])
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        texts = [next(unread) for _ in range(ROUND)]
        for name, work in parts(model, texts):
            found.setdefault(name, []).append(milliseconds(work, ROUND))
        texts = [next(unread) for _ in range(ROUND)]
        found.setdefault(TOGETHER, []).append(milliseconds(lambda texts=texts: model.predict(texts), ROUND))  # type: ignore[misc]
        found.setdefault(TABLE, []).append(in_a_table(model.predict(texts)))
        few = [next(unread) for _ in range(100)]
        alone = milliseconds(lambda few=few: [model.predict(text) for text in few], len(few))  # type: ignore[misc]
        found.setdefault(ALONE, []).append(alone)
    return found


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a Markdown page."""
    before = result["before"]
    lines = [
        "# Outside the encoder",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`, model `{result['model']}`.",
        "",
        f"Processor time in milliseconds a text, of all threads; the encoder answers zeros at once. Medians of "
        f"{ROUNDS} rounds of {ROUND} texts that the process has not read before (range in brackets), after "
        f"{WARM_UP:,} others. *Predict* is all of its parts, the batches of the encoder and the answer itself.",
        "",
        "| part | ms a text |" + (" before |" if before else ""),
        "|---|--:|" + ("--:|" if before else ""),
    ]
    for name, values in result["ms_per_text"].items():
        line = f"| {name} | {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f}) |"
        if before:
            line += f" {statistics.median(before['ms_per_text'][name]):.3f} |"
        lines.append(line)
    if before:
        lines += ["", f"*Before*: an earlier version of the package, on {before['date']}, {before['machine']}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="FILE", type=Path, help="JSON that this command wrote for another version")
    parser.add_argument("--out", type=Path, default=RESULTS / "python_share")
    options = parser.parse_args()
    result = {
        **provenance("python -m eval.speed.python_share", *sys.argv[1:]),
        "model": ComplaintClassifier.from_pretrained().config.model_hash,
        "ms_per_text": measure(),
        "before": json.loads(options.before.read_text("utf-8")) if options.before else None,
    }
    publish_page(result, markdown(result), options.out)


if __name__ == "__main__":
    main()
