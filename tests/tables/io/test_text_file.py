"""A file's encoding is told from its bytes, and one that is compressed is read as what is in it."""

import gzip
import io
import json
import zipfile

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tawasul_nlp.cli import main
from tawasul_nlp.tables import ReadOptions
from tawasul_nlp.tables.errors import OversizedTableError, TableError
from tawasul_nlp.tables.io import chunk
from tawasul_nlp.tables.io.formats import open_reader
from tawasul_nlp.tables.io.text_file import named_encoding, sniff_encoding
from tests.table_files import write
from tests.tables.run.test_classify import records, run
from tests.tables.run.test_resume import a_backlog

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


def zipped(path, target=None, **others):
    target = target or path.with_name(f"{path.name}.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        archive.writestr("__MACOSX/._backlog", b"\0\5\26\7")
        archive.write(path, f"folder/{path.name}")
        for name, content in others.items():
            archive.writestr(name, content)
    return target


def gzipped(path, target=None):
    target = target or path.with_name(f"{path.name}.gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    return target


PACKINGS = pytest.mark.parametrize("pack", [gzipped, zipped])


@PACKINGS
@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_compressed_table_is_classified_as_it_is_outside(tmp_path, pack, ending):
    source = write(tmp_path / f"backlog{ending}", records())
    plain = run(source, tmp_path / "plain.csv")
    packed = run(pack(source), tmp_path / "packed.csv")
    assert packed.output.read_bytes() == plain.output.read_bytes()
    # Whatever its name is.
    assert run(pack(source, tmp_path / "backlog"), tmp_path / "o.csv").output.read_bytes() == plain.output.read_bytes()


@PACKINGS
@pytest.mark.parametrize("encoding", ["windows-1256", "utf-16", "utf-8-sig"])
def test_its_encoding_is_recognised(tmp_path, pack, encoding):
    source = a_backlog(tmp_path / "backlog.csv", 300)
    source.write_text(source.read_text(encoding="utf-8"), encoding=encoding)
    reader = open_reader(pack(source))
    chunks = list(reader.chunks(50))
    whole = [row for chunk in chunks for row in chunk.records()]
    assert whole == [row for chunk in open_reader(source).chunks() for row in chunk.records()]
    assert list(reader.chunks(50)) == chunks and reader.fraction_read() == 1.0


def test_a_compressed_table_comes_in_by_a_pipe(tmp_path, monkeypatch, capfdbinary):
    packed = gzipped(write(tmp_path / "backlog.jsonl", [{"text": "الماي مقطوع عندنا"}]))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(packed.open("rb")))
    assert main(["classify", "-", "-t", "text", "-o", "-", "-q"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["topic"] == "water_outage_pressure"


def encrypted(path):
    """An archive that says that its file is encrypted."""
    packed = bytearray(zipped(path).read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := packed.find(mark, place + 1)) >= 0:
            packed[place + at] |= 1
    return bytes(packed)


def misnamed(path):
    """An archive whose file has a name that is not in its encoding, where the file begins."""
    path = path.rename(path.with_name("شكاوى.csv"))
    return zipped(path).read_bytes().replace("شكاوى".encode(), "شكاوى".encode()[:-1] + b"x", 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda path: zipped(path, second="id,text").read_bytes(), "a zip archive of 2 files, expected one table"),
        (lambda path: gzipped(path).read_bytes()[:-40], "it is damaged or cut off: Compressed file"),
        (lambda path: gzipped(path).read_bytes()[:30] + b"x" * 60, "cannot be unpacked, it is damaged or cut off"),
        (encrypted, "cannot be unpacked: File 'folder/backlog.csv' is encrypted"),
        (misnamed, "cannot be unpacked: 'utf-8' codec can't decode"),
        (lambda path: gzip.compress(gzipped(path).read_bytes()), "is compressed twice; unpack it"),
    ],
    ids=["several files", "cut off", "damaged", "encrypted", "misnamed", "twice"],
)
def test_what_cannot_be_unpacked_to_one_table_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "backlog.csv.gz"
    path.write_bytes(content(a_backlog(tmp_path / "backlog.csv", 200)))
    with pytest.raises(TableError, match=f"backlog.csv.gz .*{said}|backlog.csv.gz {said}"):
        list(open_reader(path).chunks())


@PACKINGS
def test_a_table_of_a_format_that_is_compressed_itself_is_to_be_unpacked(tmp_path, pack):
    source = write(tmp_path / "backlog.parquet", records())
    assert pq.read_metadata(source).num_rows == len(records())
    for target in (None, tmp_path / "backlog"):
        with pytest.raises(TableError, match="is compressed and holds a Parquet file; unpack it"):
            open_reader(pack(source, target))
    book = run(source, tmp_path / "book.xlsx").output
    with pytest.raises(TableError, match="a zip archive or a damaged Excel workbook; unpack it"):
        open_reader(pack(book))


@PACKINGS
def test_a_small_file_that_unpacks_to_very_much_is_refused_and_read_when_asked_for(tmp_path, monkeypatch, pack):
    monkeypatch.setitem(chunk.ROOM, "bytes", (1_000, 200))
    path = tmp_path / "backlog.csv"
    path.write_text("id,text\n" + "1,الماي مقطوع\n" * 100_000, encoding="utf-8")
    packed = pack(path)
    with pytest.raises(OversizedTableError, match=r"unpacks to more than [\d,]+ bytes, .*--any-size"):
        list(open_reader(packed).chunks())
    rows = sum(len(chunk.numbers) for chunk in open_reader(packed, ReadOptions(any_size=True)).chunks())
    assert rows == 100_000
