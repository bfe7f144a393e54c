"""Every character of a normalised text knows where it comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tawasul_nlp.text import PROFILES, Normalizer, Profile
from tests.text.test_normalize import ANYTHING

NAMED = Profile("named", ("unicode", "invisible", "mentions", "name_emoji", "casefold", "elongation", "whitespace"))
NORMALIZERS = [*map(Normalizer, PROFILES), Normalizer(NAMED)]
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
        ("default", "AT&amp;T", "&", "&amp;"),
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
