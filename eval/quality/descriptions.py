"""What descriptions of labels are worth where labels have few examples or none, on ArBanking77.

The data (SinaLab, CC BY-SA 4.0) stay outside the repository: ``--data DIR`` has ``MSA_PAL_train.csv`` and
``MSA_PAL_val.csv``. The descriptions of the 77 intents are ours, a sentence each, written from the intents' names and
one or two training rows. ``python -m eval.quality.descriptions --data DIR`` trains by the preset ``few_shot`` and
writes ``eval/results/descriptions.json`` and ``.md``; finished trainings in ``--work`` are not done again.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.results_files import RESULTS, provenance, publish_page
from tawasul_nlp.evaluation import evaluate
from tawasul_nlp.evaluation.output import per_cent
from tawasul_nlp.tables.labelled import open_labelled
from tawasul_nlp.training import TrainConfig, train

DESCRIPTIONS = Path(__file__).parents[1] / "data" / "arbanking77_descriptions.csv"
# Rows of each intent that calibrate; the rest of the validation file is measured on.
_CALIBRATES = 6
_NEW_LABELS, _KNOWN_ROWS = 10, 8
_EPOCHS = 5
_SEED = 1

Rows = dict[str, list[str]]  # the texts of each intent


@dataclass(frozen=True)
class Point:
    """One training: how many rows each intent has, and whether it is described."""

    name: str
    examples: Mapping[str, int]
    described: bool


def points(intents: list[str]) -> Iterator[Point]:
    """Yield the trainings: few rows of every intent, and some intents without rows among others that have some."""
    for count in (0, 1, 4):
        for described in (False, True):
            if count or described:  # nothing can be learned from nothing
                yield Point(f"{count} a label", dict.fromkeys(intents, count), described)
    new = random.Random(_SEED).sample(intents, _NEW_LABELS)
    counts = {intent: 0 if intent in new else _KNOWN_ROWS for intent in intents}
    yield Point(f"{_NEW_LABELS} labels without examples, the others with {_KNOWN_ROWS}", counts, True)


def by_intent(path: Path) -> Rows:
    """Return the texts of each intent in a shuffled order."""
    table = open_labelled(path).read(["label_en"])
    rows = list(zip(table.texts, table.columns["label_en"], strict=True))
    random.Random(_SEED).shuffle(rows)
    found: Rows = defaultdict(list)
    for text, intent in rows:
        found[intent].append(text)
    return found


def table_of(rows: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the columns of a table."""
    pairs = [(text, intent) for intent, texts in sorted(rows.items()) for text in texts]
    return {"text": [text for text, _ in pairs], "intent": [intent for _, intent in pairs]}


def measure(point: Point, training: Rows, validation: Rows, work: Path) -> dict[str, Any]:
    """Train one point, and measure it on rows that took no part in it."""
    descriptions = open_labelled(DESCRIPTIONS, "description").read(["label"])
    described = dict(zip(descriptions.columns["label"], descriptions.texts, strict=True))
    rows = {intent: training[intent][:count] for intent, count in point.examples.items()}
    none = not any(point.examples.values())
    # Without a single case, the descriptions are the table.
    cases = {intent: [described[intent]] for intent in rows} if none else rows
    run = train(
        table_of(cases),
        label_columns=["intent"],
        validation=table_of({intent: validation[intent][:_CALIBRATES] for intent in rows}),
        descriptions=described if point.described and not none else None,
        config=TrainConfig.preset("few_shot", epochs=_EPOCHS, max_tokens=64, label_issues=False),
        duplicates="identical",
        leave_out=True,
        output=work / f"{point.name}{' described' * point.described}".replace(" ", "_").replace(",", ""),
    )
    sets = {"all": list(rows)}
    if len(set(point.examples.values())) > 1:
        sets |= {
            "labels without examples": [intent for intent, count in point.examples.items() if not count],
            "the others": [intent for intent, count in point.examples.items() if count],
        }
    figures = {}
    for name, intents in sets.items():
        unseen = table_of({intent: validation[intent][_CALIBRATES:] for intent in intents})
        part = evaluate(run.model, unseen, label_columns=["intent"]).tasks["intent"]
        figures[name] = {"n": part.n, **asdict(part.metrics)}
    return {"examples": point.name, "described": point.described, "sets": figures}


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a page."""
    lines = [
        "# Descriptions of labels",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`. ArBanking77, {result['labels']} intents, "
        f"preset `few_shot` with {_EPOCHS} epochs; {_CALIBRATES} rows of each intent in the validation file calibrate, "
        "the others are measured on. Per cent, with bootstrap 95% intervals over rows; one draw of the examples.",
        "",
        "| examples | descriptions | measured on | rows | accuracy | right in top 3 |",
        "|---|---|---|---|---|---|",
    ]
    for point in result["points"]:
        for name, found in point["sets"].items():
            cells = " | ".join(per_cent(found[figure]) for figure in ("accuracy", "top3"))
            learned = "learned from" if point["described"] else "none"
            lines.append(f"| {point['examples']} | {learned} | {name} | {found['n']} | {cells} |")
    lines += [
        "",
        "A description is learned from like a training row. Without any example the table of descriptions is itself "
        "the table that is trained on.",
    ]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the CSV files")
    parser.add_argument("--work", type=Path, default=Path("build/eval/descriptions"))
    parser.add_argument("--out", type=Path, default=RESULTS / "descriptions", metavar="PREFIX")
    options = parser.parse_args(argv)
    training, validation = (by_intent(options.data / f"MSA_PAL_{name}.csv") for name in ("train", "val"))
    found = [measure(point, training, validation, options.work) for point in points(sorted(training))]
    result = {**provenance("python -m eval.quality.descriptions --data DIR"), "labels": len(training), "points": found}
    publish_page(result, markdown(result), options.out)


if __name__ == "__main__":
    main()
