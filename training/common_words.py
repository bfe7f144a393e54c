"""Count how common words are in citizens' cases, for the comparison of texts (``tawasul_nlp/duplicates/terms.py``).

Run ``python -m training.common_words`` to write ``tawasul_nlp/duplicates/common_words.txt``: one line a level of
rarity, with the stems of that level. Counted are the training texts without the incidents that the pair scorer learns
from, whose shared words would look more common to it than those of new incidents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import tawasul_nlp.duplicates
from tawasul_nlp.duplicates.terms import COMMON_WORDS, level, stems
from tawasul_nlp.text import Normalizer, arabizi_to_arabic
from training.corpus import LabelSpace, load_examples
from training.incidents import load_incidents

# Rarer words are left out: a word that is not listed is the rarest.
LEAST_TEXTS = 4


def common_words(texts: list[str]) -> dict[int, list[str]]:
    """Return the stems that at least :data:`LEAST_TEXTS` texts have, sorted, by level of rarity."""
    fold = Normalizer("matching")
    counts = Counter(stem for text in texts for stem in stems(fold(arabizi_to_arabic(text))))
    levels: dict[int, list[str]] = defaultdict(list)
    for stem, count in sorted(counts.items()):
        if count >= LEAST_TEXTS:
            levels[level(len(texts), count)].append(stem)
    return dict(sorted(levels.items()))


def write_common_words() -> None:
    """Write the file."""
    labels = LabelSpace.load()
    kept_apart = {incident.id for incident in load_incidents("train", labels, use="scorer")}
    texts = [example.text for example in load_examples("train", labels) if example.incident not in kept_apart]
    path = Path(tawasul_nlp.duplicates.__path__[0]) / COMMON_WORDS
    lines = [f"# Stems of {len(texts)} training texts by level of rarity; python -m training.common_words"]
    lines += [" ".join([str(number), *words]) for number, words in common_words(texts).items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {path}: {sum(len(line.split()) - 1 for line in lines[1:])} stems, {path.stat().st_size} bytes")


if __name__ == "__main__":
    write_common_words()
