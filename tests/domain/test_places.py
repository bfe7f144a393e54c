"""find_places reads addresses and names, keeps spans on the original, and says what the governorate rests on."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tawasul_nlp.domain import Domain, find_places
from tawasul_nlp.domain.words import fold_word, split_words
from tawasul_nlp.text import Normalizer
from tests.growth import LINEAR, growth
from tests.packs import changed_domain

# Each says what it shows, and what is read in its text.
EXAMPLES = [json.loads(line) for line in (Path(__file__).parent / "places.jsonl").read_text("utf-8").splitlines()]


def named(text, kind=None):
    return [text[m.start : m.end] for m in find_places(text).mentions if kind is None or m.kind == kind]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["what"])
def test_every_example_is_read_as_it_says(example):
    places = find_places(example["text"])
    mentions = places.mentions
    seen = {
        "governorate": places.governorate,
        "area": places.area,
        "strong": sum(mention.strength == "strong" for mention in mentions),
        "blocks": [mention.number for mention in mentions if mention.kind == "block"],
        "parts": [[mention.kind, mention.number] for mention in mentions],
    }
    assert {name: seen[name] for name in example.keys() - {"what", "text"}} == {
        name: value for name, value in example.items() if name not in ("what", "text")
    }
    assert bool(places) == bool(mentions) and bool(places.evidence) >= (places.governorate is not None)


def test_an_institution_of_the_whole_country_places_a_case_only_when_the_text_says_near():
    assert find_places("طلبة جامعة البحرين يطلبون باص").governorate is None
    assert find_places("حفرة قرب جامعة البحرين").governorate == "southern"


def test_spans_lie_on_the_original_text_without_the_attached_particle():
    assert named("ساكنين بالمُحَرَّق") == ["المُحَرَّق"]
    assert named("نقل للرفاع") == ["لرفاع"]
    assert named("blk714 road 1425") == ["blk714", "road 1425"]


def test_a_block_outweighs_an_area_and_an_area_outweighs_a_place_that_everyone_visits():
    assert find_places("نروح المحرق كل يوم، بيتنا مجمع 925").governorate == "southern"
    far = find_places("السلمانية ما يردون علينا واحنا من قلالي")
    assert (far.governorate, far.area) == ("muharraq", "galali")
    assert any(sentence.startswith("but ") for sentence in far.evidence)


def test_a_recollected_block_is_read_and_told_but_no_case_is_routed_by_it_alone():
    for text, block in (("الحديقة في مجمع ١٢١٦ مسكرة", 1216), ("حفرة في مجمع 732", 732)):
        places = find_places(text)
        assert (places.block, places.governorate, places.mentions[0].governorate) == (block, None, "northern")
    assert "recollected" in find_places("الحديقة في مجمع ١٢١٦ مسكرة").evidence[0]
    assert find_places("عالي 732").block == 732


def test_every_block_of_the_gazetteer_keeps_the_governorate_of_its_area():
    gazetteer = Domain.bundled().gazetteer
    for place in gazetteer.places.values():
        for block in place.blocks_seen:
            assert gazetteer.block_governorate(block) == (place.governorate, "strong")
        for block in place.blocks_recollected:
            assert gazetteer.block_governorate(block)[0] == place.governorate or place.governorate is None


def test_a_block_that_is_recollected_for_places_of_two_governorates_is_of_none(tmp_path):
    old, new = "blocks_recollected: [721]", "blocks_recollected: [721, 732]"
    gazetteer = changed_domain(tmp_path, "gazetteer", old, new).gazetteer
    assert [gazetteer.block_governorate(block)[0] for block in (721, 732)] == ["capital", None]


def test_every_place_is_found_by_its_own_names_after_a_word_for_place():
    for place in Domain.bundled().gazetteer.places.values():
        for name in (place.name_ar, place.name_en):
            ids = [mention.id for mention in find_places(f"نسكن في منطقة {name}").mentions]
            assert place.id in ids, (name, ids)


ALPHABET = "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئىةگچپ ًَُّْـ٠١٢٣٤٥٦٧٨٩0123456789abmu7ar.,:-()\n\u200f\u200d"


@settings(max_examples=150)
@given(st.one_of(st.text(alphabet=ALPHABET, max_size=80), st.text(max_size=60)))
def test_spans_are_always_valid_and_in_order(text):
    end = 0
    for mention in find_places(text).mentions:
        assert 0 <= mention.start < mention.end <= len(text)
        assert mention.start >= end
        end = mention.end


@settings(max_examples=60)
@given(st.sampled_from(["المحرق", "بوكوارة", "سماهيج", "توبلي", "مدينة حمد"]), st.integers(0, 4), st.booleans())
def test_tatweel_marks_and_digits_do_not_hide_a_place(name, position, marked):
    spelled = name[: position + 1] + ("ُ" if marked else "ـ") + name[position + 1 :]
    assert find_places(f"في {spelled}").area == find_places(f"في {name}").area is not None


@pytest.mark.parametrize("unit", ["ا", "المحرق ", "مجمع 226 ", "و", "بال", "7a", "el mu7arraq "])
def test_time_grows_linearly_with_the_text(unit):
    def find(text):
        split_words.cache_clear()
        find_places(text)

    assert growth(find, unit * (160_000 // len(unit))) < LINEAR


# The profile reads two alefs in a row as a slip (جراات); a lexicon has no such words but these plurals.
DOUBLE_ALEF = "اا"


def test_the_fold_agrees_with_the_matching_profile_on_every_arabic_word_of_the_data():
    matching = Normalizer("matching")
    names = [place.name_ar for place in Domain.bundled().gazetteer.places.values()]
    names += [agency.name_ar for agency in Domain.bundled().taxonomy.agencies.values()]
    for topic in Domain.bundled().taxonomy.topics.values():
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
