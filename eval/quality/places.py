"""Measure the governorate that ``find_places`` reads from a text, and the areas and blocks that it finds there.

The governorate is compared with the corpus's ``governorate`` field.

The label holds "only what the text itself tells" and is empty for many national services even where the writer's home
is named, so a filled answer on an empty label is not always an error of reading. Precision is therefore given twice:

- over *all* cases: every governorate that we give counts, also where the label is empty;
- over *labelled* cases: those whose label is not empty (did we read the right governorate where there is one?).

Recall is over the labelled cases. A third figure covers the *municipal* topics alone, where the governorate decides the
recipient, over all their cases. The lexicon was tuned on train and validation; test was read only for this report.

Areas and blocks are compared with ``eval/data/towns.jsonl``: what 300 cases of the test split name, by area and again
by town, a part counting as its town. Each counts once a case. An area that only gives a national body or a monument its
name (``either``) may be found or not.

Run ``python -m eval.quality.places`` (writes ``eval/results/places.json`` and ``places.md``), or ``--errors train`` to
list errors of a split instead.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.quality.masks import ratio
from tawasul_nlp.domain import Domain, find_places
from training.splits import DATA, load_splits, read_jsonl

TOWNS = Path(__file__).parents[1] / "data" / "towns.jsonl"
PRECISION_BAR = 0.97
RECALL_BAR = 0.90


def scores(pairs: Iterable[tuple[str, str]]) -> dict[str, float | int | None]:
    """Score pairs of label and answer; an empty string is "none".

    Undefined ratios are None.
    """
    counts: Counter[str] = Counter()
    for label, answer in pairs:
        counts["cases"] += 1
        counts["labelled"] += bool(label)
        counts["answered"] += bool(answer)
        counts["right"] += bool(answer) and answer == label
        counts["other_governorate"] += bool(answer) and bool(label) and answer != label
        counts["label_empty"] += bool(answer) and not label
    right = counts["right"]
    on_labelled = right + counts["other_governorate"]
    return {
        "cases": counts["cases"],
        "labelled": counts["labelled"],
        "answered": counts["answered"],
        "right": right,
        "other_governorate": counts["other_governorate"],
        "label_empty": counts["label_empty"],
        "precision_all": right / counts["answered"] if counts["answered"] else None,
        "precision_labelled": right / on_labelled if on_labelled else None,
        "recall": right / counts["labelled"] if counts["labelled"] else None,
    }


def read_cases() -> dict[str, list[dict[str, Any]]]:
    """Read the corpus with our answers, by split."""
    side = load_splits()
    by_split: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in read_jsonl(DATA / "cases.jsonl"):
        places = find_places(case["text"])
        by_split[side[case["id"]]].append({**case, "answer": places.governorate or "", "evidence": places.evidence})
    return by_split


def score_areas(labelled: Iterable[dict[str, Any]], texts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Compare the areas, towns and blocks that cases name with those that are found in their texts."""
    whole_of = Domain.bundled().gazetteer.whole_of
    wanted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for label in labelled:
        mentions = find_places(texts[label["id"]]).mentions
        areas = {mention.id or "" for mention in mentions if mention.kind == "area"} - set(label["either"])
        blocks = {mention.number for mention in mentions if mention.kind == "block"}
        for level, expected, given in (
            ("area", set(label["areas"]), areas),
            ("town", set(map(whole_of, label["areas"])), set(map(whole_of, areas))),
            ("block", set(label["blocks"]), blocks),
        ):
            wanted[level] += len(expected)
            found[level] += len(given)
            right[level] += len(expected & given)
    return {
        level: {"precision": ratio(right[level], found[level]), "recall": ratio(right[level], wanted[level])}
        for level in wanted
    }


def measure() -> dict[str, Any]:
    """Measure every split; break the test split down by register and by kind of topic."""
    taxonomy = Domain.bundled().taxonomy
    by_split = read_cases()
    texts = [case["text"] for cases in by_split.values() for case in cases]
    start = time.process_time()  # other programs take none of it
    for text in texts:
        find_places(text)
    per_second = len(texts) / (time.process_time() - start)

    def score(cases: Iterable[dict[str, Any]]) -> dict[str, float | int | None]:
        return scores((case["governorate"], case["answer"]) for case in cases)

    test = by_split["test"]
    municipal = [case for case in test if taxonomy.agency_group(case["topic"]) == "municipality"]
    empty = Counter(case["topic"] for case in test if case["answer"] and not case["governorate"])
    return {
        **provenance("python -m eval.quality.places"),
        "texts_per_second": round(per_second),
        "bars": {"precision": PRECISION_BAR, "recall": RECALL_BAR},
        "splits": {name: score(by_split[name]) for name in ("train", "validation", "test")},
        "test_municipal_topics": score(municipal),
        "test_by_register": {
            register: score(case for case in test if case["register"] == register)
            for register in sorted({case["register"] for case in test})
        },
        "test_topics_of_answers_on_empty_labels": dict(empty.most_common(10)),
        "test_areas": score_areas(read_jsonl(TOWNS), {case["id"]: case["text"] for case in test}),
    }


def table(result: dict[str, Any]) -> str:
    """Lay the result out as Markdown."""
    lines = [
        "# Governorate read from the text",
        "",
        f"{result['date']}, {result['machine']}; `{result['command']}`; "
        f"{result['texts_per_second']:,} texts/s in one process.",
        "",
        "*Precision, all*: over every answer, also where the label is empty. *Precision, labelled*: over answers on",
        "cases with a label. *Recall*: over cases with a label. The label is empty for many national services even",
        "where the text names a place, so the answers in *label empty* are not all errors of reading; *other*: another",
        f"governorate than the label's. Bars: precision {PRECISION_BAR}, recall {RECALL_BAR}. The lexicon was tuned on",
        "train and validation.",
        "",
        "| cases | n | labelled | right | other | label empty | precision, all | precision, labelled | recall |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows = {
        **result["splits"],
        "test, municipal topics": result["test_municipal_topics"],
        **{f"test, {register}": score for register, score in result["test_by_register"].items()},
    }
    for name, row in rows.items():
        ratios = [row["precision_all"], row["precision_labelled"], row["recall"]]
        shown = " | ".join("–" if ratio is None else f"{ratio:.4f}" for ratio in ratios)
        lines.append(
            f"| {name} | {row['cases']} | {row['labelled']} | {row['right']} | {row['other_governorate']} "
            f"| {row['label_empty']} | {shown} |"
        )
    topics = ", ".join(f"`{topic}` {n}" for topic, n in result["test_topics_of_answers_on_empty_labels"].items())
    lines += [
        "",
        f"Topics of the test answers on empty labels: {topics}.",
        "",
        "Areas, towns (a part counts as its town) and blocks that 300 cases of the test split name, each once a case:",
        "",
        "| named | precision | of | recall | of |",
        "|---|---|--:|---|--:|",
    ]
    for level, score in result["test_areas"].items():
        cells = [f"{share['share']:.3f} {interval(share)} | {share['n']}" for share in score.values()]
        lines.append(f"| {level} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def interval(share: dict[str, Any]) -> str:
    """Return the 95% interval of a share."""
    low, high = share["interval"]
    return f"[{low:.3f}, {high:.3f}]"


def show_errors(split: str) -> None:
    """Print the cases of one split on which label and answer differ."""
    for case in read_cases()[split]:
        if case["answer"] != case["governorate"]:
            print(f"{case['id']} label={case['governorate'] or '-'} answer={case['answer'] or '-'} {case['topic']}")
            print(f"    {case['text']}\n    {'; '.join(case['evidence'])}")


def main(
    errors: Annotated[Literal["train", "validation"] | None, "list the errors of this split and stop"] = None,
) -> None:
    """Measure and write the results, or list errors."""
    if errors:
        show_errors(errors)
        return
    result = measure()
    publish_page(result, table(result), RESULTS / "places")


if __name__ == "__main__":
    sys.exit(run_script(main))
