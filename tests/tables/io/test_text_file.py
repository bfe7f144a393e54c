"""A file's encoding is told from its bytes."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.formats import open_reader
from tawasul_nlp.tables.io.text_file import named_encoding, sniff_encoding

SENTENCE = "المجاري طافحة عندنا من اسبوع في مجمع 714، والريحة ما تنطاق؟"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        *(
            (SENTENCE.encode(codec), codec)
            for codec in ("utf-8", "utf-8-sig", "cp1256", "iso8859_6", "utf-16", "utf-32")
        ),
        (SENTENCE.translate(dict.fromkeys(map(ord, "،؟"))).encode("cp720"), "cp720"),  # which lacks these signs
        ((SENTENCE * 10).encode() + b"\xe9\n", "utf-8"),
        (b"plain text\n" * 300_000 + SENTENCE.encode("windows-1256"), "cp1256"),
        (b"a" + "ش".encode() * 1_500_000, "utf-8"),
    ],
    ids=[
        "UTF-8",
        "with a mark",
        "Windows-1256",
        "ISO-8859-6",
        "UTF-16",
        "UTF-32",
        "cp720",
        "a broken byte",
        "after megabytes of ASCII",
        "cut by a block",
    ],
)
def test_the_encodings_that_arabic_exports_come_in_are_told_apart(raw, expected):
    assert sniff_encoding(io.BytesIO(raw)) == expected


@example("00آ،0ءآ،0000")
@given(st.text(st.sampled_from("ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءآأإؤئ ،؟؛ 0123"), min_size=12))
def test_windows_1256_is_not_taken_for_utf_8(text):
    raw = text.encode("windows-1256")
    if not raw.isascii() and sum(ch.isalpha() for ch in text) > sum(ch in "،؟؛" for ch in text):
        assert sniff_encoding(io.BytesIO(raw)) != "utf-8"


@pytest.mark.parametrize(("most", "few"), [("windows-1256", "utf-8"), ("utf-8", "windows-1256")])
def test_rows_that_were_pasted_from_another_encoding_are_read_by_their_own_and_an_impossible_mix_is_rejected(
    tmp_path, most, few
):
    rows = [f"{number},{SENTENCE.replace('،', '')}\n" for number in range(9)]
    raw = [row.encode(few if number == 4 else most) for number, row in enumerate(rows)]
    raw[6] = SENTENCE.encode("utf-8") + b"," + SENTENCE.encode("windows-1256") + b"\n"
    (tmp_path / "pasted.csv").write_bytes(b"id,text\n" + b"".join(raw))
    (chunk,) = open_reader(tmp_path / "pasted.csv").chunks()
    assert {record["text"] for record in chunk.records()} == {SENTENCE.replace("،", "")}
    assert [(reject.row, "not valid" in reject.reason) for reject in chunk.rejects] == [(7, True)]


@pytest.mark.parametrize("name", ["arabic-windows", "base64", "hex", "rot13", "undefined"])
def test_an_unknown_encoding_and_one_that_is_not_of_text_are_refused_by_name(name):
    with pytest.raises(TableError, match=f"unknown encoding '{name}'"):
        named_encoding(name)
