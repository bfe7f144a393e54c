"""Texts that say nearly the same letter by letter."""

from collections.abc import Sequence

from sklearn.feature_extraction.text import HashingVectorizer

_PART = 2_000


def near_copies(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Return those of our texts that share half of their six-letter shingles with one of theirs."""
    shingles = HashingVectorizer(
        analyzer="char", ngram_range=(6, 6), n_features=2**24, binary=True, norm=None, alternate_sign=False
    )
    other = shingles.transform(theirs)
    found = []
    for start in range(0, len(ours), _PART):
        part = shingles.transform(ours[start : start + _PART])
        shared = (part @ other.T).tocoo()
        union = part.getnnz(1)[shared.row] + other.getnnz(1)[shared.col] - shared.data
        found += [ours[start + row] for row in shared.row[shared.data / union >= 0.5]]
    return found
