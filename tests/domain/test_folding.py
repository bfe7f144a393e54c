"""The lexicon's word fold agrees with the package's own matching profile, and splits words where a reader would."""

import pytest

from tawasul_nlp.domain import Gazetteer, Taxonomy
from tawasul_nlp.domain.words import fold_word, split_words
from tawasul_nlp.text import Normalizer

# The profile reads two alefs in a row as a slip (جراات); a lexicon has no such words but these plurals.
DOUBLE_ALEF = "اا"


def test_the_fold_agrees_with_the_matching_profile_on_every_arabic_word_of_the_data():
    matching = Normalizer("matching")
    names = [place.name_ar for place in Gazetteer.load().places.values()]
    names += [agency.name_ar for agency in Taxonomy.load().agencies.values()]
    for topic in Taxonomy.load().topics.values():
        names += [topic.name_ar, *topic.terms_msa, *topic.terms_dialect]
    words = [name[start:end] for name in names for start, end in spans(name) if not name[start:end].isascii()]
    assert len(words) > 1000
    for word in words:
        if DOUBLE_ALEF not in fold_word(word):
            assert fold_word(word) == matching.normalize(word)


def spans(text):
    words = split_words(text)
    return list(zip(words.starts, words.ends, strict=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("مجمع٧١٤", ["مجمع", "714"]),
        ("blk714", ["blk", "714"]),
        ("mu7arraq 7amad", ["mu7arraq", "7amad"]),
        ("ال\u200dمحرق", ["المحرق"]),
        ("الـــمحرق،سترة", ["المحرق", "ستره"]),
        ("ﺍﻟﻤﺤﺮﻕ", ["المحرق"]),
        ("المحررررق", ["المحرق"]),
        ("😀 🚧", []),
    ],
)
def test_words_are_split_and_folded(text, words):
    assert split_words(text).folded == words
