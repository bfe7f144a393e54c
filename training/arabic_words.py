"""Collect the Arabic words of citizens' cases, as which Arabizi is read (``tawasul_nlp/text/arabizi_reading.py``).

Run ``python -m training.arabic_words`` to write ``tawasul_nlp/text/arabic_words.txt``: the most frequent words of the
training texts without their article, the most frequent ones first, each in its most frequent spelling.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import tawasul_nlp.text
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi_reading import ARABIC_WORDS
from training.corpus import LabelSpace, load_examples

SIZE = 8000
LEAST_COUNT = 4
_WORD = re.compile("[\u0621-\u063a\u0641-\u064aچگپڤ]{2,}")
_ARTICLE = re.compile("(?:[وفبك]?ال|و?لل)(?=..)")


def arabic_words(texts: Iterable[str], size: int = SIZE) -> list[str]:
    """Return the most frequent words, counted without their article and whatever their hamza.

    >>> arabic_words(["الماي مقطوع", "ماي وماي", "المقطوع الماي", "الماي مقطوع مقطوع"], size=1)
    ['ماي']
    """
    normal, fold = Normalizer("default"), Normalizer("matching")
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for word in _WORD.findall(normal(text)):
            base = _ARTICLE.sub("", word, count=1) if _ARTICLE.match(word) else word
            spellings[fold(base)][base] += 1
    counts = {folded: sum(found.values()) for folded, found in spellings.items()}
    ranked = sorted((-count, folded) for folded, count in counts.items() if count >= LEAST_COUNT)
    return [spellings[folded].most_common(1)[0][0] for _, folded in ranked[:size]]


def main() -> None:
    """Write the file."""
    texts = [example.text for example in load_examples("train", LabelSpace.load())]
    words = arabic_words(texts)
    path = Path(tawasul_nlp.text.__path__[0]) / ARABIC_WORDS
    head = f"# The {len(words)} most frequent words of {len(texts)} training texts; python -m training.arabic_words"
    path.write_text("\n".join([head, *words]) + "\n", encoding="utf-8")
    print(f"wrote {path}: {len(words)} words, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
