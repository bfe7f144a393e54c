"""A small file that holds very much is refused before it is read, and read when its owner says so."""

import random

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.tables import OversizedTableError, ReadOptions, TableError
from tawasul_nlp.tables.io.formats import open_reader
from tests.robustness.small_tables import SMALL
from tests.tables.run.test_classify import read, run


class Largest(random.Random):
    """Draws the largest of everything."""

    def random(self):
        return 0.999


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
def test_a_small_file_that_unpacks_to_very_much_is_refused_and_opened_when_asked_for(tmp_path, kind):
    path = SMALL[kind](tmp_path, Largest(1))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(
        OversizedTableError, match=r"has [\d,]+ bytes and .* such a file, so it was not read; .*--any-size"
    ):
        list(open_reader(path).chunks())  # a workbook shows only while it is read what it holds
    assert "text" in open_reader(path, ReadOptions(any_size=True)).columns


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["classify", "-o", "out.csv", "-t", "txt"], "did you mean --text-column 'text'"),
        (["group", "-o", "out.csv", "-t", "txt"], "did you mean --text-column 'text'"),
        (["index", "add", "ix", "-t", "txt", "--id-column", "text"], "did you mean --text-column 'text'"),
        (["report", "-o", "out.html"], "classif"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_every_command_refuses_such_a_file_and_has_the_option_to_read_it(tmp_path, monkeypatch, capsys, command, said):
    monkeypatch.chdir(tmp_path)
    path = SMALL["Parquet, texts that share their beginning"](tmp_path, Largest(1))
    assert main([*command, str(path)]) == 1
    assert "--any-size" in capsys.readouterr().err
    assert main([*command, str(path), "--any-size"]) == 1
    assert said in capsys.readouterr().err
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
