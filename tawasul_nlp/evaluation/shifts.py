"""Statistics of what changed between two samples of cases; each test of change is a permutation test.

A permutation test asks how often the same rows, dealt at random into two samples of these sizes, differ as much as the
two samples do. It needs no assumption about counts or distributions, only that rows are exchangeable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from tawasul_nlp.report.names import Name

ALPHA = 0.05
_WORD = re.compile(r"\b[^\W\d]{2,}\b")
# Texts in which the spelling of a word is looked up.
_SPELT = 50


@dataclass(frozen=True, slots=True)
class DriftTest:
    """The p-value of one change, adjusted for the number of tests (Holm), and whether it is beyond chance."""

    p: float
    adjusted_p: float
    beyond_chance: bool


@dataclass(frozen=True, slots=True)
class WordShift:
    """A word that the new sample uses more (z > 0) or less than the reference."""

    # In its most frequent spelling.
    word: str
    # Texts of each sample that have it.
    reference: int
    new: int
    # Log-odds ratio with an informative Dirichlet prior over its standard deviation (Monroe et al. 2008).
    z: float
    # Whether random halves show any word with so large a z less than once in twenty times.
    beyond_chance: bool


@dataclass(frozen=True, slots=True)
class LabelChange:
    """How one label's share changed."""

    # Its id; empty for the cases without one.
    label: str
    name_ar: str
    name_en: str
    # Its share of each sample.
    reference: float
    new: float
    # Held to a false discovery rate.
    adjusted_p: float
    beyond_chance: bool


def permutation_p(observed: float, drawn: np.ndarray) -> float:
    """Return the share of random dealings that differ at least as much, the observed one counted among them."""
    return float((1 + (drawn >= observed - 1e-12).sum()) / (1 + len(drawn)))


def chi_square(totals: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return the chi-square statistics of label counts against samples; p-values should come from permutations.

    Parameters
    ----------
    totals : ndarray of int, shape (labels,)
        Cases of each label in both samples.
    new : ndarray of int, shape (dealings, labels)
        Of these, the ones in the new sample.
    """
    share = new.sum(axis=1, keepdims=True) / totals.sum()
    expected = totals * share
    statistics: np.ndarray = ((new - expected) ** 2 / (expected * (1 - share))).sum(axis=1)
    return statistics


def mix_change(reference: np.ndarray, new: np.ndarray, rounds: int, seed: int = 0) -> float:
    """Return the p-value of a change of the mix of labels, of each of which some case was counted.

    Chi-square sees what many labels do together, but among a hundred labels misses one that grew from nothing; the
    least of the labels' Fisher p-values sees that one. The smaller of the two permutation p-values is the statistic of
    the test, with the same dealings (Pesarin 2001, nonparametric combination by Tippett). The counts that dealing the
    rows at random gives are drawn without the rows: their distribution is the multivariate hypergeometric one.
    """
    totals = reference + new
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_hypergeometric(totals, int(new.sum()), size=rounds, method="marginals")
    dealings = np.vstack([new, drawn])
    together = chi_square(totals, dealings)
    single = -np.log(least_fisher_p(totals, dealings))
    # Of each dealing, in how many it is at least as marked: the rank from the top, ties given the lower one.
    ranks = [len(marks) - np.searchsorted(np.sort(marks), marks - 1e-9) for marks in (together, single)]
    best = -np.minimum(*ranks)
    return permutation_p(float(best[0]), best[1:])


def least_fisher_p(totals: np.ndarray, dealings: np.ndarray) -> np.ndarray:
    """Return the least of the labels' p-values by Fisher's exact test, for each dealing (dealings, labels)."""
    from scipy.stats import hypergeom

    least = np.ones(len(dealings))
    for total in np.unique(totals).tolist():
        chances = hypergeom.pmf(np.arange(total + 1), int(totals.sum()), total, int(dealings[0].sum()))
        # Two-sided as in scipy: the chance of all counts that are no likelier than the one that came.
        rising = np.sort(chances)
        p_values = np.cumsum(rising)[np.searchsorted(rising, chances * (1 + 1e-7), side="right") - 1]
        least = np.minimum(least, p_values[dealings[:, totals == total]].min(axis=1))
    return np.maximum(least, np.finfo(float).tiny)


def label_changes(reference: np.ndarray, new: np.ndarray, names: Sequence[Name]) -> tuple[LabelChange, ...]:
    """Return each label's shares, the largest change first, with a p-value held to a false discovery rate.

    Fisher's exact test of each label, adjusted over the labels by Benjamini and Hochberg.
    """
    from scipy.stats import false_discovery_control, fisher_exact

    old_n, new_n = int(reference.sum()), int(new.sum())
    counts = list(zip(reference.tolist(), new.tolist(), strict=True))
    adjusted = false_discovery_control([fisher_exact([[a, old_n - a], [b, new_n - b]]).pvalue for a, b in counts])
    changes = [
        LabelChange(
            label=name.id,
            name_ar=name.arabic,
            name_en=name.english,
            reference=round(old / old_n, 4),
            new=round(now / new_n, 4),
            adjusted_p=p,
            beyond_chance=p < ALPHA,
        )
        for name, (old, now), p in zip(names, counts, adjusted.round(5).tolist(), strict=True)
    ]
    return tuple(sorted(changes, key=lambda change: (-abs(change.new - change.reference), change.label)))


def word_counts(texts: Sequence[str]) -> tuple[Any, np.ndarray]:
    """Return which folded words each text has, as a sparse 0/1 matrix, and the words; words of one text are left out.

    A word counts once a text: a word repeated in one long case is no trend.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    from tawasul_nlp.text import Normalizer

    counter = CountVectorizer(
        preprocessor=Normalizer("matching"), token_pattern=_WORD.pattern, binary=True, min_df=2, dtype=np.float32
    )
    try:
        matrix = counter.fit_transform(texts)
    except ValueError:  # no word in two texts
        return np.zeros((len(texts), 0), np.float32), np.zeros(0, dtype=object)
    return matrix.tocsr(), counter.get_feature_names_out()


def log_odds_z(total: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return each word's z-score: (words,), positive for words that the new sample uses more.

    Log-odds ratio with an informative Dirichlet prior: the words' counts over both samples (Monroe, Colaresi and
    Quinn 2008, "Fightin' Words", equations 16 and 20-22), scaled to a tenth of the smaller sample.

    Parameters
    ----------
    total, new : ndarray, shape (words,)
        How often each word stands in both samples, and in the new one.
    """
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
    texts: Sequence[str],
    is_new: np.ndarray,
    rounds: int,
    seed: int = 0,
    *,
    limit: int = 12,
    cleaned: Callable[[str], str] = str,
) -> tuple[float, list[WordShift]]:
    """Return the p-value of the largest change of a word's use, and the words that rose most and that fell most.

    Parameters
    ----------
    texts : sequence of str
    is_new : ndarray of bool, shape (n_texts,)
    rounds, seed : int
    limit : int
        Words that rose, and that fell.
    cleaned : callable
        From a text to what of it may be shown; a word that stands in nothing of this is left out. Cleaning all texts
        would take longer than all else.
    """
    matrix, words = word_counts(texts)
    if not len(words):
        return 1.0, []
    rng = np.random.default_rng(seed)
    total = np.asarray(matrix.sum(0)).ravel()

    def counted(mask: np.ndarray) -> np.ndarray:
        return np.asarray(mask.astype(np.float32) @ matrix).ravel()

    new = counted(is_new)
    z = log_odds_z(total, new)
    drawn = np.array([np.abs(log_odds_z(total, counted(rng.permutation(is_new)))).max() for _ in range(rounds)])
    bar = float(np.quantile(drawn, 0.95))
    columns = matrix.tocsc()

    def shifts(order: np.ndarray) -> Iterator[WordShift]:
        for index in order.tolist():
            rows = columns[:, [index]].indices[:_SPELT].tolist()
            word = spelling(str(words[index]), [cleaned(texts[row]) for row in rows])
            if word is not None:
                yield WordShift(
                    word=word,
                    reference=int(total[index] - new[index]),
                    new=int(new[index]),
                    z=round(float(z[index]), 2),
                    beyond_chance=bool(abs(z[index]) > bar),
                )

    order = np.argsort(-np.abs(z), kind="stable")
    largest = [*islice(shifts(order[z[order] > 0]), limit), *islice(shifts(order[z[order] < 0]), limit)]
    return permutation_p(float(np.abs(z).max()), drawn), sorted(largest, key=lambda shift: -abs(shift.z))


def spelling(word: str, texts: Sequence[str]) -> str | None:
    """Return how texts spell a folded word most often; None if none of them has it.

    >>> spelling("العاصفه", ["بعد العاصفة", "العاصفة قوية", "العاصفه"])
    'العاصفة'
    """
    from tawasul_nlp.text import Normalizer

    folded = Normalizer("matching").normalize
    spellings = Counter(each for text in texts for each in _WORD.findall(text) if folded(each) == word)
    return spellings.most_common(1)[0][0] if spellings else None


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
