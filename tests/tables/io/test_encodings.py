"""What a file is, told from its bytes."""

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tawasul_nlp.tables import TableError
from tawasul_nlp.tables.io.encodings import named_encoding, sniff_encoding, sniff_format

SENTENCE = "المجاري طافحة عندنا من اسبوع في مجمع 714، والريحة ما تنطاق؟"


@pytest.mark.parametrize(
    ("codec", "expected"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("windows-1256", "cp1256"), ("utf-16", "utf-16")],
)
def test_the_encodings_that_arabic_exports_come_in_are_told_apart(codec, expected):
    sniffed = sniff_encoding(io.BytesIO(SENTENCE.encode(codec)))
    assert sniffed.codec == expected
    assert SENTENCE.encode(codec).decode(sniffed.codec) == SENTENCE


@given(st.text(st.sampled_from("ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءآأإؤئ ،؟؛ 0123"), min_size=12))
def test_windows_1256_is_not_taken_for_utf_8(text):
    raw = text.encode("windows-1256")
    if not raw.isascii() and sum(ch.isalpha() for ch in text) > sum(ch in "،؟؛" for ch in text):
        assert sniff_encoding(io.BytesIO(raw)).codec == "cp1256"


def test_one_broken_byte_does_not_make_a_utf_8_file_windows_1256():
    assert sniff_encoding(io.BytesIO((SENTENCE * 10).encode() + b"\xe9\n")).codec == "utf-8"


def test_windows_1256_is_seen_even_when_it_begins_after_megabytes_of_ascii():
    raw = b"plain text\n" * 300_000 + SENTENCE.encode("windows-1256")
    assert sniff_encoding(io.BytesIO(raw)).codec == "cp1256"


def test_a_character_cut_by_a_block_end_is_still_utf_8():
    assert sniff_encoding(io.BytesIO(b"a" + "ش".encode() * 1_500_000)).codec == "utf-8"


@pytest.mark.parametrize("name", ["arabic-windows", "base64", "hex", "rot13", "undefined"])
def test_an_unknown_encoding_and_one_that_is_not_of_text_are_refused_by_name(name):
    with pytest.raises(TableError, match=f"unknown encoding '{name}'"):
        named_encoding(name)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"PK\x03\x04rest", "a zip archive or a damaged Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel"),
        (gzip.compress(b"id,text"), "unpack it"),
    ],
)
def test_files_that_are_no_tables_are_refused_with_advice(tmp_path, content, advice):
    path = tmp_path / "backlog.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=advice):
        sniff_format(path)


def test_a_json_array_is_refused_with_the_command_that_helps(tmp_path):
    path = tmp_path / "backlog.json"
    path.write_text('[{"text": "الشارع مظلم"}]')
    with pytest.raises(TableError, match="jq -c"):
        sniff_format(path)


def test_a_file_without_an_ending_is_known_by_its_content(tmp_path):
    path = tmp_path / "backlog"
    path.write_text('{"text": "الشارع مظلم"}\n')
    assert sniff_format(path) == "jsonl"
    path.write_text("id,text\n1,الشارع مظلم\n")
    assert sniff_format(path) == "csv"
