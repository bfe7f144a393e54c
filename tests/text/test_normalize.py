"""What the profiles `default` and `matching` do to citizens' texts, and where every character of the result comes from."""

import html
import json
import unicodedata
from pathlib import Path

import pytest
from camel_tools.utils import normalize as camel
from camel_tools.utils.charmap import CharMapper
from camel_tools.utils.charsets import AR_DIAC_CHARSET
from camel_tools.utils.dediac import dediac_ar
from hypothesis import given
from hypothesis import strategies as st

from tawasul_nlp.text import Normalizer, normalize
from tawasul_nlp.text.profiles import PROFILES, Profile
from tests.growth import LINEAR, growth

ARCLEAN = CharMapper.builtin_mapper("arclean")
LETTERS = "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءأإآؤئ"
ARABIC = st.text(st.sampled_from(LETTERS + "چگڤپ" + "".join(sorted(AR_DIAC_CHARSET)) + " .،؟!1٢۳aZ"), max_size=60)
ANYTHING = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cs", "Cc", "Cf", "Mn"]),
        st.sampled_from(LETTERS + "ــًّٰﷲﻻﹶ\u0653\u0654\u200d\u200f\ufe0f😡👍🏽♀<>&;#@/:.wхhtp[]()0٣۴ \n"),
        st.sampled_from("\ud83d\ude00"),
    ),
    max_size=80,
)


def examples(name):
    """Return texts and what becomes of them: by the profile ``default``, or where Arabizi is converted."""
    lines = (Path(__file__).parent / "examples.jsonl").read_text("utf-8").splitlines()
    return [(text, expected) for of, text, expected in map(json.loads, lines) if of == name]


@pytest.mark.parametrize(("text", "expected"), examples("default"))
def test_default_keeps_the_spelling_and_drops_the_noise(text, expected):
    assert normalize(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("چذي گالوا لي", "جذي قالوا لي"),
        ("المدرسة الإعدادية!", "المدرسه الاعداديه"),
        ("شيء مسؤول", "شي مسوول"),
        ("EWA قطعت الماء", "ewa قطعت الما"),
        ("جداا زين 😡", "جدا زين"),
    ],
)
def test_matching_gives_one_form_to_spellings_of_the_same_words(one, other):
    assert normalize(one, "matching") == normalize(other, "matching")


def test_steps_of_ones_own_drop_emoji_and_mask_mentions():
    assert normalize("تعبنا 😡 والله", Profile("d", ("drop_emoji", "whitespace"))) == "تعبنا والله"
    assert normalize("يا @moi_bahrain ردوا", Profile("m", ("mentions",))) == "يا [مستخدم] ردوا"


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_to_do_gives_the_very_same_object_and_what_is_no_str_is_refused(name):
    text = "".join(["المجاري طافحه عندنا من اسبوع"])
    assert Normalizer(name).normalize(text) is text
    for wrong in (None, 5, b"abc", ["نص"]):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            Normalizer(name).normalize(wrong)


@given(ANYTHING)
def test_default_and_matching_leave_nothing_harmful(text):
    for name in ("default", "matching"):
        result = normalize(text, name)
        result.encode("utf-8")
        assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in result)
        assert result == result.strip() and "  " not in result


@given(ANYTHING.filter(lambda text: not set(unicodedata.normalize("NFKC", text)) & set("&@#.:")))
def test_normalising_twice_changes_nothing_more(text):
    # With "&", "@" and the like one pass can uncover another: &am&#112;lt; becomes &amp;lt;
    for name in ("default", "matching"):
        once = normalize(text, name)
        assert normalize(once, name) == once


@given(ARABIC)
def test_diacritics_go_and_letters_are_folded_as_camel_tools_does(text):
    assert normalize(text, Profile("d", ("diacritics",))) == dediac_ar(text)
    folded = camel.normalize_alef_maksura_ar(camel.normalize_alef_ar(text))
    folded = camel.normalize_teh_marbuta_ar(folded)
    assert normalize(text, Profile("f", ("fold_alef", "fold_ya", "fold_ta_marbuta"))) == folded


@given(st.text(st.sampled_from(LETTERS + "کڪېےۓہھۀۂۃٱ٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٪ aZ5."), max_size=40))
def test_keyboard_letters_and_digits_become_what_camel_tools_makes_of_them(text):
    # Of the letters that its "arclean" map has otherwise, the Persian ya becomes alef maqsura there, for one.
    assert normalize(text, Profile("k", ("keyboard_letters", "digits"))) == ARCLEAN(text)


@given(st.text(st.sampled_from(LETTERS + "ﷲﻻﺑﺎﺏﭖﮎ①½²ｗ５\u0653\u0654é\u0301\u0327 "), max_size=40))
def test_unicode_is_normalised_as_camel_tools_does(text):
    assert normalize(text, Profile("u", ("unicode",))) == camel.normalize_unicode(text)


@given(st.text(st.sampled_from("abقل <>&"), max_size=30))
def test_escaped_html_is_read_as_the_standard_library_reads_it(text):
    assert normalize(html.escape(text), Profile("h", ("html_entities",))) == html.unescape(html.escape(text))


UNITS = "م a ا a. a.b@ < &amp & http:// www. @a #ا_ a\u0327\u0301 َ 1 😡 - \ud83d a.com."


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("unit", UNITS.split())
def test_time_grows_no_faster_than_the_text(name, unit):
    assert growth(Normalizer(name), unit * (80_000 // len(unit))) < LINEAR


OWN = Profile("own", ("unicode", "invisible", "mentions", "drop_emoji", "casefold", "elongation", "whitespace"))
NORMALIZERS = [*map(Normalizer, PROFILES), Normalizer(OWN)]
# What the passes look for, which characters by chance hardly ever form.
PIECES = ["www.", "WWW.", "https://", "a@b", ".bh", "&amp;", "&semi;", "&lt", "&#x39", "#", "بوابة", "x", ".", " "]


@given(ANYTHING | st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_spans_are_valid_ascending_and_the_text_is_that_of_normalize(text):
    for normalizer in NORMALIZERS:
        result = normalizer.normalize_with_offsets(text)
        assert result.text == normalizer.normalize(text)
        assert len(result.spans) == len(result.text)
        assert all(0 <= start < end <= len(text) for start, end in result.spans)
        assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in zip(result.spans, result.spans[1:], strict=False))


@pytest.mark.parametrize(
    ("profile", "text", "part", "source"),
    [
        ("default", "في الشـــارع رقم ٧١٤ مظلم", "714", "٧١٤"),
        ("default", "في الشـــارعِ رقم ٧١٤ مظلم", "الشارع", "الشـــارع"),
        ("default", "&lt;نص&gt; ﷲ أكبر", "الله", "ﷲ"),
        ("default", "الماء &amp; الكهرباء", "&", "&amp;"),
        ("default", "&amp;amp;lt;", "<", "&amp;amp;lt;"),
        ("default", "الماء&semi;الكهرباء", ";", "&semi;"),
        ("default", "قال &amp;foo; هنا", "foo;", "foo;"),
        ("default", "قال &amp;foo; هنا", "&", "&amp;"),
        ("default", "AT&T", "&", "&"),
        ("default", "شوف https://ewa.bh/x. ضروري", "[رابط]", "https://ewa.bh/x"),
        ("default", "وسم #انقطاع_الكهرباء هنا", "الكهرباء", "الكهرباء"),
        ("default", "حرف \ud83d\ude00 هنا", "😀", "\ud83d\ude00"),
        ("matching", "قال: چذي، يوم", "جذي", "چذي"),
        ("arabert", "بمبلغ ٥كيلو،و", "5", "٥"),
        ("arabert", "الماء &gt; الكهرباء", ">", "&gt;"),
        ("arabert", "مجمع &#x39", "9", "&#x39"),
        ("arabert", "الماء &semi;و", ";", "&semi;"),
        ("arabert", "الماء &notفي البيت", "في", "في"),
        ("arabert", "راسل a@b ضروري", "[بريد]", "a@b"),
    ],
)
def test_a_part_of_the_result_leads_back_to_its_source(profile, text, part, source):
    result = Normalizer(profile).normalize_with_offsets(text)
    at = result.text.index(part)
    start, end = result.source_span(at, at + len(part))
    assert text[start:end] == source


@pytest.mark.parametrize(("start", "end"), [(0, 0), (2, 1), (0, 99), (-1, 2)])
def test_a_span_outside_the_text_is_refused(start, end):
    with pytest.raises(ValueError, match="not a non-empty span"):
        Normalizer().normalize_with_offsets("الشارع").source_span(start, end)
