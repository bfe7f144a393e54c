"""Any table becomes the same rows, with the numbers by which its owner finds them again."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tawasul_nlp.tables.errors import TableError
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


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    lines = ["نص,الجهة,رمز", *(",".join(row.values()) for row in ROWS)]
    (tmp_path / "cases.csv").write_bytes("\r\n".join(lines).encode("cp1256"))
    return tmp_path / "cases.csv"


def test_rows_keep_their_numbers_and_say_what_is_wrong(cases: Path) -> None:
    rows = read_table(cases, DATA, "cases")
    assert rows["row"][:] == [1, 2, 3, 4, 5]
    assert rows["label.الجهة"][:] == ["الكهرباء", "الكهرباء", "الأشغال", "", "الأشغال"]
    assert rows["label.code"][0] == "007"
    assert [bool(problem) for problem in rows["problem"]] == [False, True, False, True, True]
    assert "missing" in rows["problem"][1] and "label" in rows["problem"][3] and "letters" in rows["problem"][4]


def test_a_table_that_is_damaged_midway_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    table = {"نص": [f"بلاغ رقم {number}" for number in range(20_000)], "الجهة": ["طرق"] * 20_000, "رمز": ["1"] * 20_000}
    pq.write_table(pa.table(table), path, row_group_size=1000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\xff" * 400
    path.write_bytes(data)
    with pytest.raises(TableError, match=r"cases\.parquet is damaged after row [1-9]"):
        read_table(path, DATA, "cases")


def test_a_missing_column_is_named_beside_those_that_are_there(cases: Path) -> None:
    with pytest.raises(ValueError, match=r"no column 'dept'; its columns are 'نص', 'الجهة', 'رمز'"):
        read_table(cases, LabelledData(None, "نص", "dept"), "cases")


@pytest.mark.parametrize("labels", ["type", "input_ids", "my.dept", "dept,dept", "", "2024"])
def test_names_that_a_task_cannot_have_are_refused(labels: str) -> None:
    with pytest.raises(ValueError, match="task=|twice|no label column"):
        LabelledData(None, label_columns=labels).tasks  # noqa: B018
