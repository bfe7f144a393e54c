"""What a file declares, and what is in it, bound what is unpacked; damage ends no process."""

import random
import subprocess
import sys

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.tables.errors import OversizedTableError, TableError
from tawasul_nlp.tables.io.formats import open_reader
from tests.robustness.small_tables import SMALL
from tests.table_files import read
from tests.tables.run.test_classify import run


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 3])
def test_a_small_file_that_declares_gigabytes_is_refused_before_anything_is_unpacked(tmp_path, groups):
    path = tmp_path / "bomb.parquet"
    column = pa.array(["ماي " * (60_000_000 // groups)])
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())]), compression="zstd", use_dictionary=False) as writer:
        for _ in range(groups):
            writer.write_table(pa.table({"text": column}))
    assert path.stat().st_size < 100_000
    with pytest.raises(OversizedTableError, match="unpacks to more than [0-9,]+ bytes"):
        open_reader(path)


READ = """
import sys
from eval.processes import peak_kb
from tawasul_nlp.tables.errors import OversizedTableError
from tawasul_nlp.tables.io.formats import open_reader
try:
    open_reader(sys.argv[1])
except OversizedTableError:
    print(peak_kb())
"""
HUGE = 64 << 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"dictionary_pagesize_limit": 1 << 30}, {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}],
    ids=["a dictionary", "shared beginnings"],
)
def test_a_huge_value_that_stands_once_for_many_rows_is_not_unpacked_for_all_of_them(tmp_path, options):
    path = tmp_path / "shared.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 24, pa.int32()), pa.array(["x" * HUGE]))
    column = column if "dictionary_pagesize_limit" in options else column.dictionary_decode()
    pq.write_table(pa.table({"text": column}), path, compression="zstd", store_schema=False, **options)
    read = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True)
    assert int(read.stdout) < 18 * HUGE // 1024, "all rows at once would take twenty-four times the value"


def test_damage_is_reported_in_one_line(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["ماي"] * 100, "n": list(range(100))}), path)
    whole = path.read_bytes()
    refused = 0
    for at in range(len(whole) - 800, len(whole) - 8, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            list(open_reader(path).chunks())
        except TableError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


def test_statistics_that_do_not_fit_the_schema_do_not_end_the_process(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["ماي"] * 10}), path)
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
def test_a_file_without_a_sound_footer_is_refused(tmp_path, length):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1" + b"\x00" * 20 + length.to_bytes(4, "little") + b"PAR1")
    with pytest.raises(TableError, match="t.parquet .*read"):
        open_reader(path)


class Largest(random.Random):
    """Draws the largest of everything."""

    def random(self):
        return 0.999


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
def test_a_small_file_that_unpacks_to_very_much_is_refused(tmp_path, kind):
    path = SMALL[kind](tmp_path, Largest(1))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(OversizedTableError, match=r"has [\d,]+ bytes and .* so it was not read; .* save it as CSV"):
        list(open_reader(path).chunks())  # a workbook shows only while it is read what it holds


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["classify", "-o", "out.csv", "-t", "text"],
        ["group", "-o", "out.csv", "-t", "text"],
        ["index", "add", "ix", "-t", "text", "--id-column", "text"],
        ["report", "-o", "out.html"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_refuses_such_a_file(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    path = SMALL["Parquet, texts that share their beginning"](tmp_path, Largest(1))
    assert main([*command, str(path)]) == 1
    assert "save it as CSV" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_honest_tables_that_are_wide_or_repeat_themselves_pass(tmp_path):
    texts = [f"{'المجاري طافحة عندنا من اسبوع ' * 8}{n % 200}" for n in range(20_000)]
    pq.write_table(pa.table({"text": texts, "note": ["تطبيق"] * 20_000}), tmp_path / "same.parquet", compression="zstd")
    assert open_reader(tmp_path / "same.parquet").columns == ("text", "note")
    book = openpyxl.Workbook()
    book.active.append(["text", *(f"حقل {n}" for n in range(199))])
    for n in range(1_000):
        book.active.append([f"ماي {n}"])
    book.active.cell(500, 16_384, "بعيد")  # one cell that somebody left there
    book.save(tmp_path / "wide.xlsx")
    report = run(tmp_path / "wide.xlsx", tmp_path / "out.jsonl")
    assert (report.rows_written, report.rows_rejected) == (999, 1) and read(report.output)[0]["text"] == "ماي 0"


@pytest.mark.slow
def test_damage_in_a_parquet_file_that_is_unpacked_to_be_measured_is_reported_by_the_reader(tmp_path):
    path = tmp_path / "t.parquet"
    texts = [f"{'ماي ' * 1_000} {n % 9}" for n in range(50_000)]
    pq.write_table(pa.table({"text": texts, "n": [[n] for n in range(50_000)]}), path, row_group_size=10_000)
    whole = bytearray(path.read_bytes())
    at = pq.ParquetFile(path).metadata.row_group(3).column(1).data_page_offset + 40
    whole[at : at + 60] = b"\xff" * 60
    path.write_bytes(whole)
    with pytest.raises(TableError, match="damaged"):
        list(open_reader(path).chunks())
