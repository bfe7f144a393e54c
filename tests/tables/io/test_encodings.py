"""The encoding of a file, told from its bytes."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tawasul_nlp.tables import TableError
from tawasul_nlp.tables.io.text_file import named_encoding, sniff_encoding

SENTENCE = "المجاري طافحة عندنا من اسبوع في مجمع 714، والريحة ما تنطاق؟"


@pytest.mark.parametrize(
    ("codec", "expected"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("windows-1256", "cp1256"), ("utf-16", "utf-16")],
)
def test_the_encodings_that_arabic_exports_come_in_are_told_apart(codec, expected):
    sniffed = sniff_encoding(io.BytesIO(SENTENCE.encode(codec)))
    assert sniffed == expected
    assert SENTENCE.encode(codec).decode(sniffed) == SENTENCE


@example("00آ،0ءآ،0000")
@given(st.text(st.sampled_from("ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءآأإؤئ ،؟؛ 0123"), min_size=12))
def test_windows_1256_is_not_taken_for_utf_8(text):
    raw = text.encode("windows-1256")
    if not raw.isascii() and sum(ch.isalpha() for ch in text) > sum(ch in "،؟؛" for ch in text):
        assert sniff_encoding(io.BytesIO(raw)) == "cp1256"


def test_one_broken_byte_does_not_make_a_utf_8_file_windows_1256():
    assert sniff_encoding(io.BytesIO((SENTENCE * 10).encode() + b"\xe9\n")) == "utf-8"


def test_windows_1256_is_seen_even_when_it_begins_after_megabytes_of_ascii():
    raw = b"plain text\n" * 300_000 + SENTENCE.encode("windows-1256")
    assert sniff_encoding(io.BytesIO(raw)) == "cp1256"


def test_a_character_cut_by_a_block_end_is_still_utf_8():
    assert sniff_encoding(io.BytesIO(b"a" + "ش".encode() * 1_500_000)) == "utf-8"


@pytest.mark.parametrize("name", ["arabic-windows", "base64", "hex", "rot13", "undefined"])
def test_an_unknown_encoding_and_one_that_is_not_of_text_are_refused_by_name(name):
    with pytest.raises(TableError, match=f"unknown encoding '{name}'"):
        named_encoding(name)
