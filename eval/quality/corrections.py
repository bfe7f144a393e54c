"""Do officers' corrections teach the bundled model what it is weak at, and does that cost anything elsewhere?

The slice: cases in Urdu and Hindi written in Latin letters (``eval/data/roman_urdu.jsonl``), of which the corpus has
none. The whole loop runs on those for review: classify, ``tawasul review`` (the unsure cases), an officer who fills in
the recorded labels, ``tawasul corrections apply``, and ``tawasul update`` with the corpus as the replay. Measured are,
before and after, the slice's other cases, by other authors, and the test split of the corpus.

Run ``python -m eval.quality.corrections``: it writes ``eval/results/corrections.json`` and ``.md``. The run folder, in
which a killed training resumes, is ``build/corrections``.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from eval.harness import RESULTS, provenance, publish_page, run_script
from tawasul_nlp import ComplaintClassifier, classify_table
from tawasul_nlp.evaluation import ComparisonResult, compare, evaluate
from tawasul_nlp.evaluation.output import signed
from tawasul_nlp.review import CorrectionReport, ReviewPlan, apply_corrections, write_review
from tawasul_nlp.tables.io.write import write_records
from tawasul_nlp.training import LabelledData, TrainConfig, update
from tawasul_nlp.training.update import update_config
from training.corpus import Example, LabelSpace, load_examples

TASKS = ("kind", "topic", "agency")
UNKNOWN = "unknown"
_COLUMNS = dict.fromkeys(("text", *TASKS, "urgency"), "string")
_SLICE = Path(__file__).parents[1] / "data" / "roman_urdu.jsonl"


def slice_cases(use: str) -> list[dict[str, str]]:
    """Return the cases of the slice for this use, ``"review"`` or ``"measure"``."""
    agency_of = LabelSpace.load().agency_of
    cases = map(json.loads, _SLICE.read_text(encoding="utf-8").splitlines())
    return [
        {"text": case["text"], "kind": case["kind"], "topic": case["topic"], "agency": agency_of[case["topic"]]}
        for case in cases
        if case["use"] == use
    ]


def corpus(split: str, *, reports: bool, rows: int | None = None) -> list[dict[str, str]]:
    """Return the cases of a split of the corpus, perhaps with the reports of its incidents, or so many at random."""
    examples: list[Example] = load_examples(split, LabelSpace.load(), reports=reports)
    if rows is not None:
        examples = random.Random(0).sample(examples, min(rows, len(examples)))
    return [
        {"text": case.text, "urgency": case.urgency or UNKNOWN, **{task: getattr(case, task) for task in TASKS}}
        for case in examples
    ]


def corrections(
    model: ComplaintClassifier, folder: Path, backlog: list[dict[str, str]], count: int
) -> CorrectionReport:
    """Classify the backlog, write a review, fill it in with the recorded labels, and apply it."""
    write_records(folder / "backlog.csv", {"text": "string"}, backlog)
    classify_table(model, folder / "backlog.csv", folder / "classified.csv", text_column="text")
    write_review(
        folder / "classified.csv", folder / "review.csv", ReviewPlan(count, urgent=0, diverse=0), overwrite=True
    )
    labels = {case["text"]: case for case in backlog}
    with (folder / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        right = labels[row["text"]]
        row |= {"checked": "yes", **{f"correct_{task}": right[task] for task in ("kind", "topic")}}
    write_records(folder / "reviewed.csv", dict.fromkeys(rows[0], "string"), rows)
    lessons = folder / "corrections.csv"
    lessons.unlink(missing_ok=True)
    reviewed, classified = folder / "reviewed.csv", folder / "classified.csv"
    return apply_corrections(reviewed, classified, folder / "corrected.csv", append_to=lessons)


def comparisons(
    before: ComplaintClassifier, after: ComplaintClassifier, tables: Mapping[str, list[dict[str, str]]]
) -> dict[str, ComparisonResult]:
    """Compare the two models on each table, after minus before."""
    found = {}
    for name, rows in tables.items():
        table = {column: [row[column] for row in rows] for column in ("text", *TASKS)}
        found[name] = compare(*(evaluate(model, table, label_columns=list(TASKS)) for model in (after, before)))
    return found


def page(result: Mapping[str, Any], compared: Mapping[str, ComparisonResult]) -> str:
    """Return the result as Markdown."""
    lines = [
        "# Corrections that teach",
        "",
        f"{result['reviewed']} of {result['backlog']:,} cases in Urdu and Hindi written in Latin letters were "
        f"reviewed, the least sure, and {result['changed']['topic']} topics corrected; "
        f"a replay of {result['replay']:,} texts of which the encoder saw {result['encoder_rows']:,}, "
        f"{result['epochs']:g} epochs. Model before: `{result['model']}`. Corrections and measured cases are by "
        "different authors; nothing was trained or chosen on the measured ones.",
        "",
        "| measured on | task | cases | before | after | difference, points [95%] | only after / only before right |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, comparison in compared.items():
        for task, each in comparison.tasks.items():
            after, before = (f"{100 * share:.1f}" for share in each.accuracy)
            apart = f"{each.first_only} / {each.second_only}"
            lines.append(f"| {name} | {task} | {each.n:,} | {before} | {after} | {signed(each.points)} | {apart} |")
    about = result["provenance"]
    lines += ["", f"{about['date']}, {about['machine']}: `{about['command']}`"]
    return "\n".join(lines) + "\n"


def main(
    count: Annotated[int, "cases to review"] = 300,
    replay: Annotated[int | None, "texts of the corpus to replay"] = None,
    encoder_rows: Annotated[int, "those of them that the encoder sees"] = 1000,
    measured: Annotated[int | None, "cases of each measured table"] = None,
    epochs: float = 2.0,
    folder: Path = Path("build/corrections"),
    out: Path = RESULTS / "corrections",
) -> None:
    """Run the loop and write what it found."""
    folder.mkdir(parents=True, exist_ok=True)
    before = ComplaintClassifier.from_pretrained()
    backlog = slice_cases("review")
    applied = corrections(before, folder, backlog, count)
    replayed = corpus("train", reports=True, rows=replay)
    write_records(folder / "replay.csv", _COLUMNS, replayed)
    config: TrainConfig = update_config(before).replace(epochs=epochs, validation_share=0.03, label_issues=False)
    run = update(
        before,
        folder / "corrections.csv",
        LabelledData(folder / "replay.csv", duplicates="identical", missing_labels=[UNKNOWN], leave_out=True),
        config,
        output=folder / "run",
        held_out=0.03,
        encoder_rows=encoder_rows,
    ).run
    tables = {
        "slice": slice_cases("measure"),
        "test split": corpus("test", reports=False),
    }
    compared = comparisons(before, run.model, {name: rows[:measured] for name, rows in tables.items()})
    result = {
        "provenance": provenance("python -m eval.quality.corrections", *sys.argv[1:]),
        "model": before.config.model_hash,
        "backlog": len(backlog),
        "reviewed": count,
        "changed": dict(applied.changed),
        "replay": len(replayed),
        "encoder_rows": encoder_rows,
        "epochs": epochs,
        "compared": {name: comparison.to_dict() for name, comparison in compared.items()},
    }
    publish_page(result, page(result, compared), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
