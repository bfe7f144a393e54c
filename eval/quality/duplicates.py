"""Measure the grouping of duplicates on held-out incidents, beside other tools in the same run.

There are two collections of a held-out split: its incidents with several reports or hard negatives (the bars apply to
these), and its backlog, which adds all of its other cases. Every pair of texts counts: a pair is positive if both
report one incident. Two different cases of the backlog count as different, though nobody checked that none of them
happens to report the same event.

Peers get the same texts. Those with a threshold get the best one on the validation split. Their pairs become
groups by connected components, as in their own programs.

Run ``python -m eval.quality.duplicates`` (writes ``eval/results/duplicates.json`` and ``duplicates.md``); with
``--data DIR`` also the question pairs of NSURL-2019 task 8 (``DIR/mawdoo3_q2q/train.csv``).
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eval.harness import RESULTS, provenance, publish_page, run_script
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex
from tawasul_nlp.duplicates import candidates as search
from tawasul_nlp.duplicates.candidates import candidate_pairs
from tawasul_nlp.duplicates.features import CaseFeatures, case_features
from tawasul_nlp.duplicates.pair_features import copied
from tawasul_nlp.text import Normalizer
from training.corpus import LabelSpace
from training.incident_groups import Collection, together
from training.incidents import load_incidents
from training.pairs import collect, held_out
from training.splits import DATA, read_jsonl

RELATIONS = ("copy_edit", "paraphrase", "other_dialect")
HARD_NEGATIVES = "look_alikes_merged"
BARS = {"f1": 0.90, "copy_edit": 0.98, "other_dialect": 0.85, HARD_NEGATIVES: 0.03, "candidate_recall": 0.99}
SHIPPED = "tawasul_nlp (as shipped)"
RESAMPLES = 1000

# A system turns a collection and its columns into a label for each text, given a threshold.
System = Callable[[Collection, CaseFeatures, float], np.ndarray]


def relations(collection: Collection) -> dict[str, str]:
    """Return the relation of each re-report to its case."""
    known = {report["id"]: report["relation"] for report in read_jsonl(DATA / "duplicates.jsonl")}
    return {str(case.id): known[case.id] for case in collection.texts if case.id in known}


def f1(right: int, found: int, wanted: int) -> float:
    """Return the harmonic mean of right/found and right/wanted."""
    return 2 * right / max(found + wanted, 1)


def score(labels: np.ndarray, collection: Collection) -> dict[str, Any]:
    """Score a grouping: pairwise precision, recall, F1, F1 by relation, and the share of hard negatives merged.

    The F1 of a relation counts the pairs of a case and its re-report of that relation; wrong are merged pairs of such a
    re-report and a text of another incident.
    """
    pairs = together(labels)
    right = collection.incident[pairs[:, 0]] == collection.incident[pairs[:, 1]]
    wanted = collection.duplicates
    result: dict[str, Any] = {
        "precision": round(float(right.mean()) if len(right) else 1.0, 4),
        "recall": round(int(right.sum()) / len(wanted), 4),
        "f1": round(f1(int(right.sum()), len(pairs), len(wanted)), 4),
        "f1_interval": interval(collection, pairs, right, wanted),
        "wrong_pairs": int((~right).sum()),
    }
    relation = relations(collection)
    kind = np.array([relation.get(str(case.id), "") for case in collection.texts])
    for name in RELATIONS:
        own = [(a, b) for a, b in wanted.tolist() if {kind[a], kind[b]} == {"", name}]
        hit = sum(int(labels[a] == labels[b]) for a, b in own)
        wrong = pairs[~right]
        false = int(((kind[wrong[:, 0]] == name) | (kind[wrong[:, 1]] == name)).sum())
        result[name] = round(f1(hit, hit + false, len(own)), 4)
    near = collection.hard_negatives
    result[HARD_NEGATIVES] = round(float((labels[near[:, 0]] == labels[near[:, 1]]).mean()), 4)
    return result


def interval(collection: Collection, pairs: np.ndarray, right: np.ndarray, wanted: np.ndarray) -> list[float]:
    """Return the bootstrap 95% interval of F1, drawing incidents (a wrong pair belongs to its first text's)."""
    n = int(collection.incident.max()) + 1
    hits = np.bincount(collection.incident[pairs[right, 0]], minlength=n)
    found = np.bincount(collection.incident[pairs[:, 0]], minlength=n)
    total = np.bincount(collection.incident[wanted[:, 0]], minlength=n)
    draws = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    values = 2 * hits[draws].sum(1) / np.maximum(found[draws].sum(1) + total[draws].sum(1), 1)
    return [round(float(value), 4) for value in np.quantile(values, (0.025, 0.975))]


def components(n: int, pairs: np.ndarray) -> np.ndarray:
    """Label the connected components of a graph of pairs."""
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    labels: np.ndarray = connected_components(graph, directed=False)[1]
    return labels


def by_cosine(vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Group by an exact cosine threshold."""
    similarity = np.triu(vectors @ vectors.T, 1)
    return components(len(vectors), np.argwhere(similarity >= threshold))


def by_minhash(collection: Collection, threshold: float) -> np.ndarray:
    """Group by datasketch's MinHash LSH on words' character shingles, as text-dedup does (verified by the estimate)."""
    from datasketch import MinHash, MinHashLSH

    fold = Normalizer("matching")
    sketches = []
    for text in collection.texts:
        folded = fold(text.text)
        sketch = MinHash(num_perm=128, seed=1)
        sketch.update_batch([folded[at : at + 4].encode() for at in range(max(1, len(folded) - 3))])
        sketches.append(sketch)
    index = MinHashLSH(threshold=threshold, num_perm=128)
    pairs = []
    for row, sketch in enumerate(sketches):
        pairs += [(other, row) for other in index.query(sketch) if sketches[other].jaccard(sketch) >= threshold]
        index.insert(row, sketch)
    return components(len(sketches), np.array(pairs, np.int64).reshape(-1, 2))


class _Given:
    """Hands semhash vectors that were computed before."""

    def __init__(self, texts: list[str], vectors: np.ndarray) -> None:
        self._rows = dict(zip(texts, vectors, strict=True))

    def encode(self, texts: Any, **_: Any) -> np.ndarray:
        return np.stack([self._rows[text] for text in texts])


def by_semhash(collection: Collection, vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Group by semhash with given vectors: every removed record joins the one that it is a duplicate of."""
    from semhash import SemHash

    texts = [text.text for text in collection.texts]
    rows = {text: row for row, text in enumerate(texts)}
    found = SemHash.from_records(records=texts, model=_Given(texts, vectors)).self_deduplicate(threshold=threshold)
    pairs = [(rows[gone.record], rows[gone.duplicate_of]) for gone in found.filtered if gone.duplicate_of is not None]
    return components(len(texts), np.array(pairs, np.int64).reshape(-1, 2))


def tuned(system: System, validation: tuple[Collection, CaseFeatures], thresholds: np.ndarray) -> float:
    """Return the threshold with the best F1 on validation."""
    return max(
        (round(float(value), 3) for value in thresholds),
        key=lambda value: score(system(*validation, value), validation[0])["f1"],
    )


def brute_force(grouper: DuplicateGrouper, columns: CaseFeatures, threshold: float) -> np.ndarray:
    """Return all pairs of all texts that score at least ``threshold``."""
    n = len(columns)
    found = []
    for row in range(n - 1):
        others = np.arange(row + 1, n)
        scores = grouper.scorer.score(columns, np.full(len(others), row), others)
        kept = others[scores >= threshold]
        found.append(np.stack([np.full(len(kept), row), kept], axis=1))
    return np.concatenate(found)


def candidate_recall(grouper: DuplicateGrouper, columns: CaseFeatures) -> dict[str, float]:
    """Return the share of the matching pairs that the candidates hold, with exact and with approximate search."""
    wanted = brute_force(grouper, columns, grouper.threshold)
    keys = {tuple(pair) for pair in wanted.tolist()}
    found = {}
    for name, below in (("exact", len(columns) + 1), ("approximate", 0)):
        usual, search.EXACT_BELOW = search.EXACT_BELOW, below
        try:
            pairs = {tuple(pair) for pair in candidate_pairs(columns).tolist()}
        finally:
            search.EXACT_BELOW = usual
        found[name] = round(len(keys & pairs) / max(len(keys), 1), 4)
    return {"pairs": len(keys), **found}


def one_by_one(grouper: DuplicateGrouper, collection: Collection, columns: CaseFeatures) -> np.ndarray:
    """Group by adding the texts to an index one by one, in a random order."""
    order = np.random.default_rng(5).permutation(len(collection.texts))
    with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(folder, grouper) as index:
        placed = np.zeros(len(order), np.int64)
        for row in order.tolist():
            placed[row] = index.add([collection.texts[row]])[0].incident_id
    return placed


def question_pairs(grouper: DuplicateGrouper, path: Path) -> dict[str, Any]:
    """Measure the question pairs: thresholds tuned on the even rows, F1 reported on the odd ones.

    A logistic regression of the scores, fitted on every tenth row, says what few pairs of the kind bring.
    """
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    truth = np.array([row["label"] == "1" for row in rows])
    columns = case_features(
        grouper.classifier, [Case(row[name]) for row in rows for name in ("question1", "question2")]
    )
    first = np.arange(0, 2 * len(rows), 2)
    scores = {
        "pair scorer": grouper.scorer.score(columns, first, first + 1),
        "cosine of incident vectors": np.einsum("ij,ij->i", columns.vectors[first], columns.vectors[first + 1]),
        "overlap of shingles": copied(columns, first, first + 1),
    }
    if grouper.verifier is not None:
        scores["both read together"] = grouper.verifier.read([(row["question1"], row["question2"]) for row in rows])
    tune, report = np.arange(len(rows)) % 2 == 0, np.arange(len(rows)) % 2 == 1
    result: dict[str, Any] = {"pairs": len(rows), "duplicates": int(truth.sum())}

    def f1_at(values: np.ndarray, threshold: float, rows_: np.ndarray) -> float:
        said = values[rows_] >= threshold
        return f1(int((said & truth[rows_]).sum()), int(said.sum()), int(truth[rows_].sum()))

    for name, values in scores.items():
        best = max(np.unique(np.quantile(values, np.linspace(0, 1, 201))), key=lambda t: f1_at(values, float(t), tune))
        result[name] = round(f1_at(values, float(best), report), 4)
    measures, tenth = np.column_stack(list(scores.values())), np.arange(0, len(rows), 10)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(measures[tenth], truth[tenth])
    weighed = fitted.predict_proba(measures)[:, 1]
    result["all of these, weighed on a tenth of the pairs"] = round(f1_at(weighed, 0.5, report), 4)
    return result


def collections(split: str, labels: LabelSpace) -> dict[str, Collection]:
    """Return the collections of a held-out split."""
    return {"incidents": collect(load_incidents(split, labels), []), "backlog": held_out(split, labels)}


def compare(grouper: DuplicateGrouper, tune: Collection, report: Collection) -> dict[str, Any]:
    """Group a collection by every system; return its scores, how one by one differs, and the candidates' recall."""
    sets = {id(each): case_features(grouper.classifier, each.texts) for each in (tune, report)}
    topic_vectors = {
        id(collection): grouper.classifier.encode([text.text for text in collection.texts])
        for collection in (tune, report)
    }

    def ours(collection: Collection, _: CaseFeatures, threshold: float) -> np.ndarray:
        return grouper.group(collection.texts).rethreshold(threshold).labels

    systems: dict[str, tuple[System, np.ndarray | float]] = {
        SHIPPED: (ours, grouper.threshold),
        "exact cosine, our incident vectors": (
            lambda c, columns, t: by_cosine(columns.vectors, t),
            np.arange(0.6, 0.99, 0.01),
        ),
        "exact cosine, our topic embeddings": (
            lambda c, columns, t: by_cosine(topic_vectors[id(c)], t),
            np.arange(0.6, 0.99, 0.01),
        ),
        "semhash, our incident vectors": (
            lambda c, columns, t: by_semhash(c, columns.vectors, t),
            np.arange(0.7, 0.99, 0.02),
        ),
        "datasketch MinHash LSH": (lambda c, columns, t: by_minhash(c, t), np.arange(0.2, 0.75, 0.05)),
    }
    if grouper.verifier is not None:
        unverified = DuplicateGrouper(grouper.classifier, verify=False)
        systems["tawasul_nlp, no pairs read together"] = (
            lambda c, columns, _: unverified.group_features(c.texts, columns).labels,
            unverified.threshold,
        )
    columns = sets[id(report)]
    labels: dict[str, np.ndarray] = {}
    results: dict[str, dict[str, Any]] = {}
    for name, (system, thresholds) in systems.items():
        fixed = isinstance(thresholds, float)
        threshold = float(thresholds) if fixed else tuned(system, (tune, sets[id(tune)]), np.asarray(thresholds))
        labels[name] = system(report, columns, threshold)
        results[name] = {"threshold": round(threshold, 3), **score(labels[name], report)}
        print(name, results[name], flush=True)
    alone = one_by_one(grouper, report, columns)
    results["tawasul_nlp, added one by one"] = {"threshold": round(grouper.threshold, 3), **score(alone, report)}
    a, b = ({tuple(pair) for pair in together(part).tolist()} for part in (labels[SHIPPED], alone))
    return {
        "texts": len(report.texts),
        "duplicate_pairs": len(report.duplicates),
        "look_alikes": len(report.hard_negatives),
        "systems": results,
        "batch_and_one_by_one": {"pairs_in_both": len(a & b), "only_batch": len(a - b), "only_one_by_one": len(b - a)},
        "candidate_recall": candidate_recall(grouper, columns),
    }


def evaluate(model: Path | None, split: str, data: Path | None) -> dict[str, Any]:
    """Run all measurements."""
    labels = LabelSpace.load()
    grouper = DuplicateGrouper(ComplaintClassifier.from_pretrained(model))
    tune, report = collections("validation", labels), collections(split, labels)
    return {
        **provenance("python -m eval.quality.duplicates" + (" --data DIR" if data else "")),
        "model_hash": grouper.classifier.config.model_hash,
        "split": split,
        "collections": {name: compare(grouper, tune[name], report[name]) for name in report},
        "question_pairs": question_pairs(grouper, data / "mawdoo3_q2q" / "train.csv") if data else None,
        "bars": BARS,
    }


def table(found: dict[str, Any], bars: dict[str, float] | None) -> list[str]:
    """Render the scores of one collection."""
    lines = [
        "| system | threshold | F1 | precision | recall | F1 copy edits | F1 paraphrases | F1 other dialect "
        "| hard negatives merged |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found["systems"].items():
        cells = [f"{100 * row[column]:.1f}" for column in ("f1", "precision", "recall", *RELATIONS, HARD_NEGATIVES)]
        low, high = row["f1_interval"]
        cells[0] += f" [{100 * low:.1f}, {100 * high:.1f}]"
        lines.append(f"| {name} | {row['threshold']} | " + " | ".join(cells) + " |")
    if bars:
        wanted = {name: f"{100 * value:.0f}" for name, value in bars.items()}
        lines.append(
            f"| *bar* | | {wanted['f1']} | | | {wanted['copy_edit']} | | {wanted['other_dialect']} "
            f"| {wanted[HARD_NEGATIVES]} |"
        )
    return lines


def order_and_candidates(found: dict[str, Any]) -> str:
    """Report how adding one by one differs, and what the candidates contain."""
    recall, both = found["candidate_recall"], found["batch_and_one_by_one"]
    return (
        f"Of the {recall['pairs']} pairs that match by score, the candidates hold {100 * recall['exact']:.1f}% with "
        f"exact and {100 * recall['approximate']:.1f}% with approximate search. Grouped at once and added one by one "
        f"in random order: {both['pairs_in_both']} merged pairs in both, {both['only_batch']} only at once, "
        f"{both['only_one_by_one']} only one by one."
    )


def markdown(result: dict[str, Any]) -> str:
    """Render the result as Markdown."""
    incidents, backlog = result["collections"]["incidents"], result["collections"]["backlog"]
    lines = [
        f"# Duplicates on the {result['split']} split",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`, model `{result['model_hash']}`. Per cent; F1 "
        "with a bootstrap 95% interval over incidents. All thresholds were chosen on the validation split: ours on its "
        "backlog, the others' on the collection of the table.",
        "",
        "## Incidents",
        "",
        "The held-out incidents that were reported more than once or have hard negatives: "
        f"{incidents['texts']} texts with {incidents['duplicate_pairs']} pairs of one incident and "
        f"{incidents['look_alikes']} hard negatives. The bars are about these.",
        "",
        *table(incidents, result["bars"]),
        "",
        order_and_candidates(incidents),
        "",
        "## Among a backlog",
        "",
        f"The same among all other cases of the split, {backlog['texts']} texts. Any pair of two of its cases "
        "counts as merged wrongly, though nobody checked that none of them happens to report the same event.",
        "",
        *table(backlog, None),
        "",
        order_and_candidates(backlog),
        "",
        "semhash's default model comes from a model hub and is not measured here.",
    ]
    if result["question_pairs"]:
        found = result["question_pairs"]
        lines += [
            "",
            f"Question pairs of NSURL-2019 task 8 ({found['pairs']} pairs, {found['duplicates']} duplicates; threshold "
            "tuned on the even rows, F1 on the odd ones): "
            + ", ".join(f"{name} {100 * found[name]:.1f}" for name in list(found)[2:])
            + ". Published systems reach 95 to 96, trained on such pairs with both questions in one encoder; our "
            "vectors were trained on citizens' cases, see one text at a time, and never saw a question of this set.",
        ]
    return "\n".join(lines) + "\n"


def main(
    model: Annotated[Path | None, "a model folder"] = None,
    split: Literal["validation", "test"] = "test",
    data: Annotated[Path | None, "folder of public data"] = None,
    out: Path = RESULTS / "duplicates",
) -> None:
    """Evaluate from the command line."""
    result = evaluate(model, split, data)
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
