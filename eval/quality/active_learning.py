"""Does labelling the cases that ``tawasul select`` chooses beat labelling random ones? A simulated run on the corpus.

The labels of the training cases (with their re-reports, as a backlog has them) are hidden. A cheap learner, ridge
regression on character and word TF-IDF, begins with a few random labels; then each strategy buys the next ones, round
by round. The bundled model takes no part: it has seen these labels. Strategies are compared on the validation split,
and only the chosen one and random choice are measured on the test split.

Run ``python -m eval.quality.active_learning``: it writes ``eval/results/active_learning.json``, ``.md`` and ``.png``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.results_files import RESULTS, provenance, publish_page
from tawasul_nlp.evaluation.selection import BREADTH, choose

RIDGE = 0.3  # like the scale of the probabilities: chosen on validation rows
SCALE = 8.0
NEAR_COPY = 0.6
WIDTH = 128


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a simulated run: cases of the backlog, first labels, labels bought in each round, and the rounds."""

    pool: int = 6000
    start: int = 500
    batch: int = 300
    rounds: int = 6

    def budgets(self) -> list[int]:
        """Return the number of labels at each measurement."""
        return [self.start + step * self.batch for step in range(self.rounds + 1)]


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """TF-IDF kernels and vectors of the training cases and of the rows on which accuracy is measured.

    Attributes
    ----------
    kernel : ndarray of float32, shape (n, n)
        Cosines of the training cases.
    measured : ndarray of float32, shape (m, n)
        Cosines of the measured rows with the training cases.
    vectors : ndarray of float32, shape (n, 128)
        Latent semantic vectors of the training cases, of length 1.
    labels, truth : ndarray of int
    """

    kernel: np.ndarray
    measured: np.ndarray
    vectors: np.ndarray
    labels: np.ndarray
    truth: np.ndarray


def load(splits: Sequence[str], limit: int | None = None) -> dict[str, Corpus]:
    """Prepare the corpus for measurements on each of ``splits``; ``limit`` takes only so many training cases."""
    from sklearn.decomposition import TruncatedSVD

    from tawasul_nlp.evaluation.baselines import tfidf_features
    from training.corpus import LabelSpace, load_examples

    space = LabelSpace.load()
    train = load_examples("train", space, second_batch=False)
    if limit is not None:
        train = [train[row] for row in np.random.default_rng(0).permutation(len(train))[:limit]]
    features = tfidf_features((2, 4))
    own = features.fit_transform([example.text for example in train]).astype(np.float32)
    vectors = TruncatedSVD(WIDTH, n_iter=2, random_state=0).fit_transform(own)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)).astype(np.float32)
    kernel = _cosines(own, own)
    labels = np.array([space.topics.index(example.topic) for example in train])
    found = {}
    for split in splits:
        measured = load_examples(split, space)
        other = features.transform([example.text for example in measured]).astype(np.float32)
        truth = np.array([space.topics.index(example.topic) for example in measured])
        found[split] = Corpus(kernel, _cosines(other, own), vectors, labels, truth)
    return found


def _cosines(rows: Any, columns: Any) -> np.ndarray:
    """Return half the dot products of two sparse blocks of length 1 each, a part at a time."""
    parts = [(rows[at : at + 1000] @ columns.T).toarray() / 2 for at in range(0, rows.shape[0], 1000)]
    return np.concatenate(parts).astype(np.float32)


def near_copies(kernel: np.ndarray) -> np.ndarray:
    """Number cases so that one joins the first earlier case whose cosine reaches ``NEAR_COPY``: (n,) int."""
    close = np.tril(kernel >= NEAR_COPY)
    np.fill_diagonal(close, True)
    return close.argmax(1)


def fit(corpus: Corpus, labelled: np.ndarray) -> np.ndarray:
    """Return the coefficients (labelled, labels) of kernel ridge regression on one column a label."""
    from scipy.linalg import solve

    kernel = corpus.kernel[np.ix_(labelled, labelled)] + RIDGE * np.eye(len(labelled), dtype=np.float32)
    targets = np.eye(int(corpus.labels.max()) + 1, dtype=np.float32)[corpus.labels[labelled]]
    coefficients: np.ndarray = solve(kernel, targets, assume_a="pos")
    return coefficients


def run(corpus: Corpus, strategy: str, plan: Plan, seed: int) -> np.ndarray:
    """Buy labels by one strategy; return which measured rows are right at each budget: (rounds + 1, m), bool.

    Backlog and first labels depend on the seed alone, so that strategies can be compared seed by seed.
    """
    rng = np.random.default_rng(seed)
    pool = rng.permutation(len(corpus.labels))[: plan.pool]
    labelled, left = pool[: plan.start], pool[plan.start :]
    groups = near_copies(corpus.kernel[np.ix_(pool, pool)])
    number = dict(zip(pool.tolist(), groups.tolist(), strict=True))
    hits = []
    for step in range(plan.rounds + 1):
        coefficients = fit(corpus, labelled)
        hits.append((corpus.measured[:, labelled] @ coefficients).argmax(1) == corpus.truth)
        if step == plan.rounds:
            break
        if strategy == "random":
            bought = np.arange(plan.batch)  # what is left is in random order
        else:
            scores = SCALE * (corpus.kernel[np.ix_(left, labelled)] @ coefficients)
            shares = np.exp(scores - scores.max(1, keepdims=True))
            own = np.array([number[case] for case in left.tolist()])
            picks = choose(
                shares / shares.sum(1, keepdims=True),
                corpus.vectors[left],
                own,
                plan.batch,
                breadth=float(strategy.removeprefix("breadth ")),
                seed=seed,
            )
            bought = np.array([pick.index for pick in picks])
        labelled = np.concatenate([labelled, left[bought]])
        left = np.delete(left, bought)
    return np.array(hits)


def simulate(corpus: Corpus, strategies: Sequence[str], plan: Plan, seeds: int) -> dict[str, np.ndarray]:
    """Return each strategy's hits: (seeds, rounds + 1, m)."""
    found = {}
    for strategy in strategies:
        found[strategy] = np.array([run(corpus, strategy, plan, seed) for seed in range(seeds)])
        curve = ", ".join(f"{100 * share:.1f}" for share in found[strategy].mean((0, 2)))
        print(f"{strategy}: {curve}", flush=True)
    return found


def intervals(hits: np.ndarray, resamples: int = 1000) -> list[list[float]]:
    """Return the mean at each budget with its 95% interval, from resampled seeds and resampled rows together.

    Parameters
    ----------
    hits : ndarray, shape (seeds, budgets, rows)
        Of one strategy, or the difference of two.
    resamples : int
    """
    rng = np.random.default_rng(0)
    seeds, _, rows = hits.shape
    means = []
    for _ in range(resamples):
        over_seeds = hits[rng.integers(seeds, size=seeds)].mean(0)
        means.append(over_seeds[:, rng.integers(rows, size=rows)].mean(1))
    low, high = np.quantile(np.array(means), [0.025, 0.975], axis=0)
    return [[round(float(value), 4) for value in each] for each in zip(hits.mean((0, 2)), low, high, strict=True)]


def labels_saved(budgets: Sequence[int], chosen: Sequence[float], random: Sequence[float]) -> float:
    """Return how many fewer labels the chosen cases need to be as good as all random ones together.

    >>> labels_saved([300, 500, 700], [0.3, 0.5, 0.6], [0.3, 0.4, 0.5])
    200.0
    """
    needed = np.interp(random[-1], np.maximum.accumulate(chosen), budgets)
    return float(budgets[-1] - round(needed))


def evaluate(plan: Plan, seeds: int, limit: int | None = None) -> dict[str, Any]:
    """Choose the strategy on validation rows and measure it, with random choice, on the test rows."""
    corpora = load(("validation", "test"), limit)
    strategies = ["random", "breadth 1", "breadth 3", "breadth 10"]
    tried = simulate(corpora["validation"], strategies, plan, max(2, seeds // 2))
    area = {name: round(float(hits[:, 1:].mean()), 4) for name, hits in tried.items()}
    best = max(strategies[1:], key=lambda name: area[name])
    found = simulate(corpora["test"], ["random", best], plan, seeds)
    gain = found[best].astype(float) - found["random"]
    curves = {name: intervals(hits.astype(float)) for name, hits in found.items()}
    return {
        "plan": {"pool": plan.pool, "start": plan.start, "batch": plan.batch, "rounds": plan.rounds, "seeds": seeds},
        "budgets": plan.budgets(),
        "labels": len(np.unique(corpora["test"].labels)),
        "validation_mean_accuracy": area,
        "chosen": best,
        "shipped_breadth": BREADTH,
        "test": curves,
        "gain": intervals(gain),
        "mean_gain": intervals(gain[:, 1:].mean(1, keepdims=True))[0],
        "labels_saved": labels_saved(
            plan.budgets(), [each[0] for each in curves[best]], [each[0] for each in curves["random"]]
        ),
    }


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a page."""
    plan, best = result["plan"], result["chosen"]
    mean, low, high = (100 * value for value in result["mean_gain"])
    if low > 0:
        verdict = (
            f"Choosing beats random choice by {mean:.1f} points of accuracy on average over the budgets "
            f"[{low:.1f}, {high:.1f}]. With {result['budgets'][-1] - result['labels_saved']:.0f} chosen labels the "
            f"learner is as good as with {result['budgets'][-1]} random ones: {result['labels_saved']:.0f} fewer."
        )
    else:
        verdict = f"Choosing does **not** beat random choice here: {mean:+.1f} points [{low:+.1f}, {high:+.1f}]."
    lines = [
        "# Choosing what to label",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`. Backlogs of {plan['pool']} training cases with "
        f"hidden labels, {plan['start']} random labels to begin with, {plan['batch']} bought in each round; "
        f"{plan['seeds']} seeds. Learner: ridge regression on TF-IDF, {result['labels']} topics. Accuracy in per cent, "
        "with 95% intervals from resampled seeds and rows.",
        "",
        verdict,
        "",
        "![Accuracy against labels](active_learning.png)",
        "",
        f"| labels | random | chosen ({best}) | gain, points |",
        "|---:|---:|---:|---:|",
    ]
    for at, budget in enumerate(result["budgets"]):
        random, chosen, gain = (
            [100 * value for value in part[at]]
            for part in (result["test"]["random"], result["test"][best], result["gain"])
        )
        lines.append(
            f"| {budget} | {random[0]:.1f} [{random[1]:.1f}, {random[2]:.1f}] "
            f"| {chosen[0]:.1f} [{chosen[1]:.1f}, {chosen[2]:.1f}] | {gain[0]:+.1f} [{gain[1]:+.1f}, {gain[2]:+.1f}] |"
        )
    tried = ", ".join(f"{name} {100 * value:.1f}" for name, value in result["validation_mean_accuracy"].items())
    lines += [
        "",
        f"The strategy was chosen on the validation split (mean accuracy over the budgets: {tried}). Breadth is how "
        "many uncertain cases compete for one pick: 1 is uncertainty alone, more gives diversity more weight. "
        f"`tawasul select` uses {result['shipped_breadth']}. The learner is cheap and weak; a fine-tuned encoder was "
        "not simulated, and other labels than these topics may behave otherwise.",
    ]
    return "\n".join(lines) + "\n"


def plot(result: dict[str, Any]) -> Any:
    """Draw accuracy against the number of labels, with intervals."""
    from tawasul_nlp.evaluation.plots import BLUE, GREY, figure

    made, axes = figure(9.6, 3.8, columns=2)
    best = result["chosen"]
    names = (("random", GREY, "random choice"), (best, BLUE, f"chosen ({best})"))
    for name, colour, title in names:
        points = 100 * np.array(result["test"][name])
        axes[0].plot(result["budgets"], points[:, 0], marker="o", color=colour, label=title)
        axes[0].fill_between(result["budgets"], points[:, 1], points[:, 2], color=colour, alpha=0.18, linewidth=0)
    axes[0].set(xlabel="labels", ylabel="topic accuracy on the test split, %")
    axes[0].legend(frameon=False, loc="lower right")
    gain = 100 * np.array(result["gain"])
    axes[1].axhline(0, color="#555555", linewidth=0.8)
    axes[1].plot(result["budgets"], gain[:, 0], marker="o", color=BLUE)
    axes[1].fill_between(result["budgets"], gain[:, 1], gain[:, 2], color=BLUE, alpha=0.18, linewidth=0)
    axes[1].set(xlabel="labels", ylabel="gain over random choice, points (95% interval)")
    return made


def main() -> None:
    """Simulate and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="simulated runs of each strategy (default 8)")
    parser.add_argument("--out", type=Path, default=RESULTS / "active_learning", metavar="PREFIX")
    arguments = parser.parse_args()
    result = {
        **provenance(f"python -m eval.quality.active_learning --seeds {arguments.seeds}"),
        **evaluate(Plan(), arguments.seeds),
    }
    publish_page(result, markdown(result), arguments.out, plot(result))


if __name__ == "__main__":
    main()
