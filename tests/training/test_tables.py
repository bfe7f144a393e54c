"""Any table becomes the same rows, with the numbers by which its owner finds them again."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from tawasul_nlp.tables import TableError
from tawasul_nlp.training import LabelledData
from tawasul_nlp.training.tables import read_table

DATA = LabelledData(None, "نص", "الجهة,code=رمز")
ROWS = [
    {"نص": "انقطاع الكهرباء في مدينة عيسى", "الجهة": "الكهرباء", "رمز": "007"},
    {"نص": "  ", "الجهة": "الكهرباء", "رمز": "1"},
    {"نص": "حفرة في الشارع", "الجهة": " الأشغال ", "رمز": ""},
    {"نص": "شكرا لكم", "الجهة": "", "رمز": ""},
    {"نص": "؟؟؟", "الجهة": "الأشغال", "رمز": "2"},
]


def as_csv(encoding: str) -> bytes:
    lines = ["نص,الجهة,رمز", *(",".join(row.values()) for row in ROWS)]
    return "\r\n".join(lines).encode(encoding)


def written(folder: Path, form: str) -> Path:
    path = folder / f"cases.{form.split('-')[0]}"
    if form.startswith("csv"):
        path.write_bytes(as_csv("cp1256" if form.endswith("windows") else "utf-8-sig"))
    elif form == "xlsx":
        book = Workbook()
        book.active.append(list(ROWS[0]))
        for row in ROWS:
            book.active.append(list(row.values()))
        book.save(path)
    elif form == "jsonl":
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("form", ["csv", "csv-windows", "jsonl", "parquet", "xlsx"])
def test_every_format_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    path = written(tmp_path, form)
    rows = read_table(path, DATA, "cases")
    assert rows["row"][:] == [1, 2, 3, 4, 5]
    assert rows["label.الجهة"][:] == ["الكهرباء", "الكهرباء", "الأشغال", "", "الأشغال"]
    assert rows["label.code"][0] == "007"
    assert [bool(problem) for problem in rows["problem"]] == [False, True, False, True, True]
    assert "missing" in rows["problem"][1] and "label" in rows["problem"][3] and "letters" in rows["problem"][4]


def test_a_broken_row_keeps_its_number_and_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    path.write_text("نص,الجهة,رمز\nأ ب,ج,1\nأ ب,ج,2,زائد\nأ ب,ج,3\n", encoding="utf-8")
    rows = read_table(path, DATA, "cases")
    assert rows["row"][:] == [1, 2, 3]
    assert "4 fields" in rows["problem"][1]


def test_a_table_that_is_damaged_midway_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    table = {"نص": [f"بلاغ رقم {number}" for number in range(20_000)], "الجهة": ["طرق"] * 20_000, "رمز": ["1"] * 20_000}
    pq.write_table(pa.table(table), path, row_group_size=1000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\xff" * 400
    path.write_bytes(data)
    with pytest.raises(TableError, match=r"cases\.parquet is damaged after row [1-9]"):
        read_table(path, DATA, "cases")


def test_whole_numbers_of_typed_tables_are_the_same_labels_as_in_text_ones(tmp_path: Path) -> None:
    path = tmp_path / "typed.parquet"
    table = {"نص": ["نص أول", "نص ثان"], "الجهة": [3, None], "رمز": [1.0, 2.5]}
    pq.write_table(pa.table(table), path)
    rows = read_table(path, DATA, "cases")
    assert (rows["label.الجهة"][:], rows["label.code"][:]) == (["3", ""], ["1", "2.5"])


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no column 'dept'; its columns are 'نص', 'الجهة', 'رمز'"):
        read_table(written(tmp_path, "csv"), LabelledData(None, "نص", "dept"), "cases")


@pytest.mark.parametrize("labels", ["type", "input_ids", "my.dept", "dept,dept", "", "2024"])
def test_names_that_a_task_cannot_have_are_refused(labels: str) -> None:
    with pytest.raises(ValueError, match="task=|twice|no label column"):
        LabelledData(None, label_columns=labels).tasks  # noqa: B018
