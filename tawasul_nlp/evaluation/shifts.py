"""Statistics of what changed between two samples of cases; each test of change is a permutation test.

A permutation test asks how often the same rows, dealt at random into two samples of these sizes, differ as much as the
two given samples do. It needs no assumption about counts or distributions, only that rows are exchangeable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ALPHA = 0.05
MMD_ROWS = 1000


@dataclass(frozen=True, slots=True)
class WordShift:
    """A word that the new sample uses more (z > 0) or less than the reference.

    Attributes
    ----------
    word : str
    reference, new : int
        Texts of each sample that have it.
    z : float
        Log-odds ratio with an informative Dirichlet prior over its standard deviation (Monroe et al. 2008).
    beyond_chance : bool
        Whether random halves show any word with so large a z less than once in twenty times.
    """

    word: str
    reference: int
    new: int
    z: float
    beyond_chance: bool


@dataclass(frozen=True, slots=True)
class LabelChange:
    """How one label's share changed.

    Attributes
    ----------
    label : str
    reference, new : float
        Its share of each sample.
    adjusted_p : float
        P-value held to a false discovery rate.
    beyond_chance : bool
        Whether ``adjusted_p`` is below 0.05.
    """

    label: str
    reference: float
    new: float
    adjusted_p: float
    beyond_chance: bool


def permutation_p(observed: float, drawn: np.ndarray) -> float:
    """Return the share of random dealings that differ at least as much, the given one counted among them."""
    return float((1 + (drawn >= observed - 1e-12).sum()) / (1 + len(drawn)))


def permuted(
    statistic: Callable[[np.ndarray], float], is_new: np.ndarray, rounds: int, seed: int = 0
) -> tuple[float, float]:
    """Return the statistic of the samples and its permutation p-value.

    Parameters
    ----------
    statistic : callable
        From a mask (n,) of the rows of the new sample to a number that grows with the difference.
    is_new : ndarray of bool, shape (n,)
    rounds : int
        Random dealings; the least p-value is 1 / (rounds + 1).
    seed : int
    """
    rng = np.random.default_rng(seed)
    observed = statistic(is_new)
    return observed, permutation_p(observed, np.array([statistic(rng.permutation(is_new)) for _ in range(rounds)]))


def chi_square(codes: np.ndarray, is_new: np.ndarray) -> float:
    """Return the chi-square statistic of labels (n,) against samples; its p-value should come from permutations."""
    size = int(codes.max()) + 1
    total = np.bincount(codes, minlength=size).astype(float)
    new = np.bincount(codes[is_new], minlength=size)
    share = is_new.mean()
    present = total > 0
    expected = total[present] * share
    return float(((new[present] - expected) ** 2 / (expected * (1 - share))).sum())


def mix_change(codes: np.ndarray, is_new: np.ndarray, rounds: int, seed: int = 0) -> tuple[float, float]:
    """Return the chi-square statistic of labels (n,) against samples, and the p-value of a change of the mix.

    Chi-square sees what many labels do together, but among a hundred labels misses one that grew from nothing; the
    least of the labels' Fisher p-values sees that one. The smaller of the two permutation p-values is the statistic of
    the test, with the same dealings (Pesarin 2001, nonparametric combination by Tippett).
    """
    rng = np.random.default_rng(seed)
    dealings = [is_new, *(rng.permutation(is_new) for _ in range(rounds))]
    together = np.array([chi_square(codes, dealing) for dealing in dealings])
    single = -np.log(_least_fisher_p(codes, dealings))
    # Of each dealing, in how many it is at least as marked: the rank from the top, ties given the lower one.
    ranks = [len(drawn) - np.searchsorted(np.sort(drawn), drawn - 1e-9) for drawn in (together, single)]
    best = -np.minimum(*ranks)
    return float(together[0]), permutation_p(float(best[0]), best[1:])


def _least_fisher_p(codes: np.ndarray, dealings: Sequence[np.ndarray]) -> np.ndarray:
    """Return the least of the labels' p-values by Fisher's exact test, for each dealing of the rows."""
    from scipy.stats import hypergeom

    totals = np.bincount(codes)
    counts = np.array([np.bincount(codes[dealing], minlength=len(totals)) for dealing in dealings])
    least = np.ones(len(dealings))
    for total in np.unique(totals[totals > 0]).tolist():
        chances = hypergeom.pmf(np.arange(total + 1), len(codes), total, int(dealings[0].sum()))
        # Two-sided as in scipy: all counts that are no likelier than the one that came.
        p_values = np.array([chances[chances <= chance * (1 + 1e-7)].sum() for chance in chances])
        least = np.minimum(least, p_values[counts[:, totals == total]].min(axis=1))
    return least


def population_stability(reference: np.ndarray, new: np.ndarray) -> float:
    """Return the population stability index of two count vectors, with half a case added to every label.

    By custom, below 0.1 means little change and above 0.25 much; with many labels and few rows chance alone gives
    more, so the permutation test decides.

    >>> round(population_stability(np.array([50, 50]), np.array([80, 20])), 3)
    0.406
    """
    first = (reference + 0.5) / (reference + 0.5).sum()
    second = (new + 0.5) / (new + 0.5).sum()
    return float(((second - first) * np.log(second / first)).sum())


def jensen_shannon(reference: np.ndarray, new: np.ndarray) -> float:
    """Return the Jensen-Shannon distance of two count vectors: 0 for equal shares, 1 for no label in common."""
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(reference, new, base=2))


def label_changes(codes: np.ndarray, is_new: np.ndarray, names: Sequence[str]) -> list[LabelChange]:
    """Return each label's shares, the largest change first, with a p-value held to a false discovery rate.

    Fisher's exact test of each label, adjusted over the labels by Benjamini and Hochberg.
    """
    from scipy.stats import false_discovery_control, fisher_exact

    old_n, new_n = int((~is_new).sum()), int(is_new.sum())
    old = np.bincount(codes[~is_new], minlength=len(names))
    new = np.bincount(codes[is_new], minlength=len(names))
    used = np.flatnonzero(old + new)
    p_values = [fisher_exact([[old[i], old_n - old[i]], [new[i], new_n - new[i]]]).pvalue for i in used]
    adjusted = false_discovery_control(p_values)
    rows = [
        LabelChange(
            names[i],
            round(float(old[i] / old_n), 4),
            round(float(new[i] / new_n), 4),
            round(float(adjusted[at]), 5),
            bool(round(float(adjusted[at]), 5) < ALPHA),
        )
        for at, i in enumerate(used.tolist())
    ]
    return sorted(rows, key=lambda row: (-abs(row.new - row.reference), row.label))


def word_counts(texts: Sequence[str]) -> tuple[Any, np.ndarray]:
    """Return which folded words each text has, as a sparse 0/1 matrix, and the words; words of one text are left out.

    A word counts once a text: a word repeated in one long case is no trend.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    from tawasul_nlp.text import Normalizer

    counter = CountVectorizer(
        preprocessor=Normalizer("matching"),
        token_pattern=r"(?u)\b[^\W\d]{2,}\b",
        binary=True,
        min_df=2,
        dtype=np.float32,
    )
    try:
        matrix = counter.fit_transform(texts)
    except ValueError:  # no word in two texts
        return np.zeros((len(texts), 0), np.float32), np.zeros(0, dtype=object)
    return matrix.tocsr(), counter.get_feature_names_out()


def log_odds_z(matrix: Any, is_new: np.ndarray) -> np.ndarray:
    """Return each word's z-score: (words,), positive for words that the new sample uses more.

    Log-odds ratio with an informative Dirichlet prior: the words' counts over both samples (Monroe, Colaresi and
    Quinn 2008, "Fightin' Words", equations 16 and 20-22), scaled to a tenth of the smaller sample.
    """
    total = np.asarray(matrix.sum(0)).ravel()
    new = np.asarray(is_new.astype(np.float32) @ matrix).ravel()
    old = total - new
    n_new, n_old = float(new.sum()), float(old.sum())
    prior = total * (0.1 * min(n_new, n_old) / max(float(total.sum()), 1.0))
    strength = float(prior.sum())

    def odds(count: np.ndarray, n: float) -> np.ndarray:
        logs: np.ndarray = np.log((count + prior) / (n + strength - count - prior))
        return logs

    z: np.ndarray = (odds(new, n_new) - odds(old, n_old)) / np.sqrt(1 / (new + prior) + 1 / (old + prior))
    return z


def word_shifts(
    texts: Sequence[str], is_new: np.ndarray, rounds: int, seed: int = 0, limit: int = 25
) -> tuple[float, list[WordShift], list[WordShift]]:
    """Compare the vocabulary of two samples.

    Returns
    -------
    p_value : float
        Of the largest absolute z-score among all words, against random dealings.
    changed : list of WordShift
        The words with the largest absolute z-scores.
    unseen : list of WordShift
        Words that only the new sample has, the most frequent first.
    """
    matrix, words = word_counts(texts)
    if not len(words):
        return 1.0, [], []
    rng = np.random.default_rng(seed)
    z = log_odds_z(matrix, is_new)
    drawn = np.array([np.abs(log_odds_z(matrix, rng.permutation(is_new))).max() for _ in range(rounds)])
    bar = float(np.quantile(drawn, 0.95))
    new = np.asarray(is_new.astype(np.float32) @ matrix).ravel().astype(int)
    old = np.asarray(matrix.sum(0)).ravel().astype(int) - new

    def shift(at: int) -> WordShift:
        return WordShift(str(words[at]), int(old[at]), int(new[at]), round(float(z[at]), 2), bool(abs(z[at]) > bar))

    changed = [shift(at) for at in np.argsort(-np.abs(z), kind="stable")[:limit]]
    only_new = np.flatnonzero(old == 0)
    unseen = [shift(at) for at in only_new[np.argsort(-new[only_new], kind="stable")][:limit]]
    return permutation_p(float(np.abs(z).max()), drawn), changed, unseen


def mean_discrepancy(vectors: np.ndarray, is_new: np.ndarray, rounds: int, seed: int = 0) -> tuple[float, float]:
    """Return the squared maximum mean discrepancy of two samples of vectors, and its permutation p-value.

    Gaussian kernel with the median distance as its width, unbiased estimate (Gretton et al. 2012), on at most 1,000
    rows of each sample.
    """
    from scipy.spatial.distance import pdist, squareform

    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(side))[:MMD_ROWS] for side in (~is_new, is_new)])
    squared = pdist(vectors[rows].astype(np.float64), "sqeuclidean")
    kernel = np.exp(-squareform(squared) / max(float(np.median(squared)), 1e-12))
    np.fill_diagonal(kernel, 0.0)
    sums = kernel.sum(1)
    everything = sums.sum()

    def discrepancy(mask: np.ndarray) -> float:
        m = int(mask.sum())
        n = len(mask) - m
        side = mask.astype(float)
        inside = float(side @ kernel @ side)
        across = float(side @ sums) - inside
        outside = float(everything) - inside - 2 * across
        return inside / max(m * (m - 1), 1) + outside / max(n * (n - 1), 1) - 2 * across / (m * n)

    return permuted(discrepancy, is_new[rows], rounds, seed)


def told_apart(vectors: np.ndarray, is_new: np.ndarray, seed: int = 0) -> float:
    """Return the area under the ROC curve of a classifier that must tell the samples apart: 0.5 when nothing changed.

    Out-of-fold scores of logistic regression (classifier two-sample test, Lopez-Paz and Oquab 2017). It sizes the
    change; :func:`mean_discrepancy` tests it.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(5, int(min(is_new.sum(), (~is_new).sum())))
    if folds < 2:
        return 0.5
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200, class_weight="balanced"))
    scores = cross_val_predict(
        model, vectors, is_new, cv=StratifiedKFold(folds, shuffle=True, random_state=seed), method="decision_function"
    )
    return float(roc_auc_score(is_new, scores))


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Adjust p-values for the number of tests (Holm 1979): one alarm in twenty at most when nothing changed.

    >>> holm({"a": 0.01, "b": 0.04})
    {'a': 0.02, 'b': 0.04}
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_value))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def coded(values: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Number the distinct values by falling frequency: codes (n,), names."""
    names = [name for name, _ in Counter(values).most_common()]
    at = {name: index for index, name in enumerate(names)}
    return np.array([at[value] for value in values], dtype=np.int64), names
