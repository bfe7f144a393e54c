"""The pages of a Parquet file are measured as its writer counted them, and what would take gigabytes is refused."""

import io
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tawasul_nlp.tables import TableError
from tawasul_nlp.tables.io import parquet_pages
from tawasul_nlp.tables.io.readers import open_reader

TEXTS = [f"المجاري طافحة عندنا في مجمع {n} " * (n % 7) for n in range(3_000)]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_pages_add_up_to_what_the_writer_counted(tmp_path, version, compression, dictionary):
    table = pa.table(
        {
            "text": TEXTS,
            "few": ["ماي", None, "كهرباء"] * 1_000,
            "number": pa.array(range(3_000), pa.int64()),
            "yes": [True, False, None] * 1_000,
            "words": [text.split() for text in TEXTS],
            "pair": [{"id": n, "name": {"ar": str(n)}} for n in range(3_000)],
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(
        table,
        path,
        data_page_version=version,
        compression=compression,
        use_dictionary=dictionary,
        row_group_size=1_000,
        data_page_size=4_096,
        write_page_checksum=True,
    )
    file, metadata = io.BytesIO(path.read_bytes()), pq.ParquetFile(path).metadata
    groups = parquet_pages.row_groups(file)
    assert len(groups) == metadata.num_row_groups == 3
    pages = 0
    for group, chunks in zip(map(metadata.row_group, range(3)), groups, strict=True):
        for column, chunk in zip(map(group.column, range(group.num_columns)), chunks, strict=True):
            assert chunk == (column.dictionary_page_offset or column.data_page_offset, column.total_compressed_size)
            sizes, shared = zip(*parquet_pages.pages(file, chunk), strict=True)
            pages += len(sizes)
            assert any(shared) == (dictionary and column.physical_type != "BOOLEAN")
            # The writer counts headers too, of which each takes less than a kilobyte.
            assert 0 < column.total_uncompressed_size - sum(sizes) < 1_000 * len(sizes)
    assert pages > 50
    assert sum(len(chunk.numbers) for chunk in open_reader(path).chunks()) == 3_000


def test_a_small_file_whose_pages_unpack_to_more_than_may_be_held_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_pages, "MAX_UNPACKED", 40_000_000)
    bomb, sound = tmp_path / "bomb.parquet", tmp_path / "sound.parquet"
    for path, times in ((bomb, 10_000_000), (sound, 1_000)):
        table = pa.table({"text": ["ماي " * times], "note": ["كهرباء " * times]})
        pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(TableError, match=r"pages that unpack to [\d,]+ bytes at once, and 40,000,000 may be held"):
        open_reader(bomb)
    assert [len(chunk.numbers) for chunk in open_reader(sound).chunks()] == [1]


READ = """
import sys
from eval.memory import peak_kb
from tawasul_nlp.tables import ReadOptions
from tawasul_nlp.tables.io.readers import open_reader
print(sum(len(chunk.rejects) for chunk in open_reader(sys.argv[1], ReadOptions(any_size=True)).chunks()))
print(peak_kb())
"""


def test_a_huge_value_that_stands_once_for_many_rows_is_not_unpacked_for_all_of_them(tmp_path):
    path, huge = tmp_path / "shared.parquet", 64 << 20
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int32()), pa.array(["x" * huge]))
    pq.write_table(pa.table({"text": column}), path, dictionary_pagesize_limit=1 << 30, store_schema=False)
    read = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True)
    rejects, peak_kb = map(int, read.stdout.split())
    assert rejects == 40
    assert peak_kb < 24 * huge // 1024, "all rows at once would take forty times the value"


def test_what_rows_may_share_is_counted_over_columns_and_of_the_largest_row_group(tmp_path):
    path = tmp_path / "t.parquet"
    texts = ["ماي " * 50_000] * 20 + ["ماي " * 90_000] * 20
    table = pa.table({"text": texts, "note": texts, "number": range(40)})

    def shared(**options):
        pq.write_table(table, path, row_group_size=20, **options)
        return parquet_pages.check_pages(path)

    most = 2 * len(texts[-1].encode())
    assert most <= shared() < most + 1_000
    prefixes = dict.fromkeys(("text", "note"), "DELTA_BYTE_ARRAY")
    assert most <= shared(use_dictionary=False, column_encoding=prefixes) < most + 1_000
    assert shared(use_dictionary=False) == 0


def test_a_page_that_states_a_size_which_the_footer_does_not_know_is_found(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": TEXTS[:50]}), path, compression="none", use_dictionary=False)
    ((column,),) = parquet_pages.row_groups(io.BytesIO(path.read_bytes()))
    ((size, _),) = parquet_pages.pages(io.BytesIO(path.read_bytes()), column)
    header = path.read_bytes()[column.start :]
    varint = header[3 : header.index(0x15, 3)]  # the second field, behind the kind of the page and its own head
    data = path.read_bytes().replace(b"\x15\x00\x15" + varint, b"\x15\x00\x15" + b"\xfe\xff\xff\xff\x0f", 1)
    assert next(parquet_pages.pages(io.BytesIO(data), column)).size == 2**31 - 1 and size < 2**20


def test_statistics_that_do_not_fit_the_schema_do_not_end_the_process(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": TEXTS[:10]}), path)
    data = path.read_bytes()
    # How often each level occurs: no repetition levels, and two definition levels; the other way round it is wrong.
    none, two = b"\x19\x06", b"\x19\x26\x00\x14"
    assert data.count(none + two) == 1
    path.write_bytes(data.replace(none + two, two + none))
    with pytest.raises(OSError, match="histogram size mismatch"):  # asked for its metadata, pyarrow would abort
        pq.read_table(path)
    with pytest.raises(TableError, match="damaged after row 0: .*histogram size mismatch"):
        list(open_reader(path).chunks())


@pytest.mark.parametrize("length", [0, 5, 1 << 31])
def test_a_footer_that_is_none_is_refused(tmp_path, length):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1" + b"\x00" * 20 + length.to_bytes(4, "little") + b"PAR1")
    with pytest.raises(TableError, match="read"):
        open_reader(path)
    with pytest.raises(TableError, match="its footer cannot be read"):
        parquet_pages.check_pages(path)
