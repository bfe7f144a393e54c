"""Statistics of what changed between two samples of cases: exact tests of each label, each word and each mix.

The p-values of the labels of one mix, or of all words, are held to a false discovery rate (Benjamini and Hochberg), so
where nothing changed, one in twenty mixes at most has any label below 0.05.
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
# Random tables for chi-square.
_DRAWS = 9999
# Texts in which the spelling of a word is looked up.
_SPELT = 50


@dataclass(frozen=True, slots=True)
class DriftTest:
    """The p-value of one change, adjusted over all tests (Benjamini and Hochberg), and whether it is beyond chance."""

    p: float
    adjusted_p: float
    beyond_chance: bool


@dataclass(frozen=True, slots=True)
class WordShift:
    """A word that the new sample uses more or less than the reference."""

    # In its most frequent spelling.
    word: str
    # Texts of each sample that have it.
    reference: int
    new: int
    rose: bool
    # Held to a false discovery rate.
    adjusted_p: float
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


def fisher_p(totals: np.ndarray, new: np.ndarray, cases: int, new_cases: int) -> np.ndarray:
    """Return the p-values of Fisher's exact test, adjusted over all of them by Benjamini and Hochberg.

    Two-sided: twice the less likely of the two tails.

    Parameters
    ----------
    totals, new : ndarray of int, shape (n,)
        Cases of both samples, and of the new one, that have each label or word.
    cases, new_cases : int
        Cases of both samples, and of the new one.
    """
    from scipy.stats import false_discovery_control, hypergeom

    at_most = hypergeom.cdf(new, cases, totals, new_cases)
    at_least = hypergeom.sf(new - 1, cases, totals, new_cases)
    adjusted: np.ndarray = false_discovery_control(np.minimum(1.0, 2 * np.minimum(at_most, at_least)))
    return adjusted


def label_changes(
    reference: np.ndarray, new: np.ndarray, names: Sequence[Name], of_mix: float = 0.0
) -> tuple[LabelChange, ...]:
    """Return each label's shares and p-value, the largest change first; each label was counted in some case.

    Single labels are held to the test of their mix, ``of_mix``: each is as certain as the less certain (Meinshausen
    2008).
    """
    old_n, new_n = int(reference.sum()), int(new.sum())
    p_values = np.maximum(fisher_p(reference + new, new, old_n + new_n, new_n), of_mix).round(5).tolist()
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
        for name, old, now, p in zip(names, reference.tolist(), new.tolist(), p_values, strict=True)
    ]
    return tuple(sorted(changes, key=lambda change: (-abs(change.new - change.reference), change.label)))


def mix_p(reference: np.ndarray, new: np.ndarray) -> float:
    """Return the p-value of a change of a mix: of one label by itself, or of many that change a little each.

    Fisher's tests see the one, and among a hundred labels one that grew from nothing; chi-square sees the other. The
    smaller of the two counts, doubled since there are two (Bonferroni). Chi-square's distribution is drawn with the
    margins of the table, since labels may be rare.
    """
    from scipy.stats import MonteCarloMethod, chi2_contingency

    drawn = MonteCarloMethod(n_resamples=_DRAWS, rng=np.random.default_rng(0))
    together = float(chi2_contingency([reference, new], correction=False, method=drawn).pvalue) if len(new) > 1 else 1.0
    alone = fisher_p(reference + new, new, int(reference.sum() + new.sum()), int(new.sum()))
    return min(1.0, 2 * min(together, float(alone.min())))


def word_counts(texts: Sequence[str]) -> tuple[Any, np.ndarray]:
    """Return which folded words each text has, as a sparse 0/1 matrix, and the words; words of one text are left out.

    A word counts once a text: a word repeated in one long case is no trend.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    from tawasul_nlp.text import Normalizer

    counter = CountVectorizer(
        preprocessor=Normalizer("matching"), token_pattern=_WORD.pattern, binary=True, min_df=2, dtype=np.int32
    )
    try:
        matrix = counter.fit_transform(texts)
    except ValueError:  # no word in two texts
        return np.zeros((len(texts), 0), np.int32), np.zeros(0, dtype=object)
    return matrix.tocsr(), counter.get_feature_names_out()


def word_shifts(
    texts: Sequence[str], is_new: np.ndarray, *, limit: int = 12, cleaned: Callable[[str], str] = str
) -> tuple[float, list[WordShift]]:
    """Return the p-value of the most certain change of a word's use, the words that rose most, and those that fell.

    Parameters
    ----------
    texts : sequence of str
    is_new : ndarray of bool, shape (n_texts,)
    limit : int
        Words that rose, and that fell.
    cleaned : callable
        From a text to what of it may be shown; a word that stands in nothing of this is left out. Cleaning all texts
        would take longer than all else.
    """
    matrix, words = word_counts(texts)
    if not len(words):
        return 1.0, []
    total, new = (np.asarray(rows.sum(0), np.int64).ravel() for rows in (matrix, matrix[is_new]))
    adjusted = fisher_p(total, new, len(texts), int(is_new.sum()))
    difference = new / is_new.sum() - (total - new) / (~is_new).sum()
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
                    rose=bool(difference[index] > 0),
                    adjusted_p=float(adjusted[index]),
                    beyond_chance=bool(adjusted[index] < ALPHA),
                )

    order = np.lexsort((-np.abs(difference), adjusted))
    sides = (order[difference[order] > 0], order[difference[order] < 0])
    return float(adjusted.min()), [shift for side in sides for shift in islice(shifts(side), limit)]


def spelling(word: str, texts: Sequence[str]) -> str | None:
    """Return how texts spell a folded word most often; None if none of them has it.

    >>> spelling("العاصفه", ["بعد العاصفة", "العاصفة قوية", "العاصفه"])
    'العاصفة'
    """
    from tawasul_nlp.text import Normalizer

    folded = Normalizer("matching").normalize
    spellings = Counter(each for text in texts for each in _WORD.findall(text) if folded(each) == word)
    return spellings.most_common(1)[0][0] if spellings else None
