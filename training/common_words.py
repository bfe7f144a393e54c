"""Count how common words and places are in citizens' cases, for the comparison of texts.

Run ``python -m training.common_words`` to write ``common_words.txt`` of ``tawasul_nlp/duplicates`` and
``common_places.txt`` of the bundled pack: one line a level of rarity, with the stems or places of that level. Counted
are the training texts without the incidents that the pair scorer learns from, whose shared words would look more common
to it than those of new incidents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import tawasul_nlp.duplicates
from tawasul_nlp._packs import DEFAULT, PACKS
from tawasul_nlp.domain import Domain, find_places
from tawasul_nlp.duplicates.case_places import area_name
from tawasul_nlp.duplicates.terms import COMMON_WORDS, level, stems
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from training.corpus import LabelSpace, load_examples
from training.incidents import load_incidents

COMMON_PLACES = "common_places.txt"
# What fewer texts have is left out: what is not listed is the rarest.
LEAST_TEXTS = {COMMON_WORDS: 4, COMMON_PLACES: 16}


def by_level(entries: Sequence[set[str]], least: int) -> dict[int, list[str]]:
    """Return what at least ``least`` texts have, sorted, by level of rarity; ``entries`` says what each text has.

    >>> by_level([{"a"}, {"a", "b"}, {"a"}], 2)
    {0: ['a']}
    """
    levels: dict[int, list[str]] = defaultdict(list)
    for entry, count in sorted(Counter(chain.from_iterable(entries)).items()):
        if count >= least:
            levels[level(len(entries), count)].append(entry)
    return dict(sorted(levels.items()))


def places(text: str) -> set[str]:
    """Return the areas and landmarks that a text names."""
    domain = Domain.bundled()
    return {name for mention in find_places(text).mentions if (name := area_name(mention, domain))}


def write_levels(path: Path, kind: str, entries: Sequence[set[str]]) -> None:
    """Write a file of the package; ``entries`` says what each text has."""
    lines = [f"# {kind} of {len(entries)} training texts by level of rarity; python -m training.common_words"]
    lines += [" ".join([str(number), *listed]) for number, listed in by_level(entries, LEAST_TEXTS[path.name]).items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {path}: {sum(len(line.split()) - 1 for line in lines[1:])} entries, {path.stat().st_size} bytes")


def write_common() -> None:
    """Write both files."""
    labels = LabelSpace.load()
    kept_apart = {incident.id for incident in load_incidents("train", labels, use="scorer")}
    texts = [example.text for example in load_examples("train", labels) if example.incident not in kept_apart]
    fold = Normalizer("matching")
    duplicates = Path(tawasul_nlp.duplicates.__path__[0])
    write_levels(duplicates / COMMON_WORDS, "Stems", [stems(fold(arabizi_to_arabic(text))) for text in texts])
    write_levels(PACKS / DEFAULT / COMMON_PLACES, "Places", list(map(places, texts)))


if __name__ == "__main__":
    write_common()
