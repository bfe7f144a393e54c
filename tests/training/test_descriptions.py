"""Descriptions of labels are learned from, so that a label without a row is not unknown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from tawasul_nlp import ComplaintClassifier, DataError
from tawasul_nlp.cli import main
from tawasul_nlp.tables.errors import MissingColumnError
from tawasul_nlp.training import LabelledData
from tawasul_nlp.training.dataset import read_data
from tawasul_nlp.training.folds import cross_validate
from tawasul_nlp.training.tables import read_descriptions
from tests.training.conftest import DEPARTMENTS, settings, write_csv

pytestmark = pytest.mark.slow

EDUCATION = DEPARTMENTS["education"]
TOLD = {
    DEPARTMENTS["ewa"]: "انقطاع الكهرباء أو الماء والفواتير والعدادات",
    DEPARTMENTS["works"]: ["حفر الشوارع والأرصفة", "المجاري ومياه الأمطار"],
    EDUCATION: "المدارس والمعلمون والطلبة والحافلات المدرسية",
}


def described(source: object, labels: str = "dept") -> Dataset:
    return read_descriptions(LabelledData(None, label_columns=labels, descriptions=source))


def pairs(rows: Dataset, task: str = "dept") -> list[tuple[str, str]]:
    return list(zip(rows[f"label.{task}"], rows["text"], strict=True))


def test_a_mapping_yaml_and_a_table_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "labels.yaml").write_text(json.dumps(TOLD, ensure_ascii=False), encoding="utf-8")
    rows = [
        {"label": label, "description": text}
        for label, texts in TOLD.items()
        for text in ([texts] if isinstance(texts, str) else texts)
    ]
    write_csv(tmp_path / "labels.csv", rows)
    expected = [(row["label"], row["description"]) for row in rows]
    for source in (TOLD, tmp_path / "labels.yaml", tmp_path / "labels.csv", Dataset.from_list(rows)):
        assert pairs(described(source)) == expected


def test_of_several_tasks_each_description_names_its_own() -> None:
    table = Dataset.from_list([{"task": "style", "label": "فصحى", "description": "لغة رسمية"}])
    for source in ({"dept": TOLD, "style": {"فصحى": "لغة رسمية"}}, table):
        found = described(source, "dept,style")
        assert ("فصحى", "لغة رسمية") in pairs(found, "style") and ("", "لغة رسمية") in pairs(found)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (TOLD, "names no task, expected the task of each label: there are dept, style"),
        ({"section": {"a": "نص"}}, "describes 'section', expected one of the tasks dept, style"),
        ({"dept": {"a": "..."}}, "description 1 has no letters or digits"),
        ({"dept": {"": "نص"}}, "description 1 has no label"),
        ({"dept": {"a": "نص"}, "style": "نص"}, "'style' beside tasks"),
        ({"dept": {}}, "has no description"),
    ],
)
def test_descriptions_that_cannot_be_learned_from_are_refused(source: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        described(source, "dept,style")


def test_a_file_that_describes_nothing_is_refused_with_its_line_or_column(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    for text in ("a: نص\nb:\n", "a: نص\na: نص\n", "a: نص\nb: [{c: d}]\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"labels\.yaml:2: "):
            described(path)
    with pytest.raises(MissingColumnError, match="--descriptions"):
        described(write_csv(tmp_path / "labels.csv", [{"name": "a", "description": "نص"}]))


def test_a_described_label_without_rows_is_a_label_and_is_reported(known: list[dict[str, str]], tmp_path: Path) -> None:
    options: dict[str, Any] = {"label_columns": "dept", "duplicates": "identical", "descriptions": TOLD}
    data = read_data(LabelledData(Dataset.from_list(known), **options), settings(tmp_path), tmp_path)
    assert EDUCATION in data.labels["dept"] and data.counts["dept"][data.labels["dept"].index(EDUCATION)] == 0
    assert any(finding.kind == "label without rows" and EDUCATION in str(finding) for finding in data.findings)
    texts = list(data.learned["text"])
    assert len(texts) == len(data.train) + 4 and texts[-1] == TOLD[EDUCATION]
    assert TOLD[EDUCATION] not in [*data.train["text"], *data.validation["text"]]


def test_a_label_that_is_only_described_in_a_file_can_be_answered(known, tiny_bert, tmp_path, capsys):
    data, described_in = write_csv(tmp_path / "cases.csv", known), tmp_path / "labels.yaml"
    described_in.write_text(json.dumps(TOLD, ensure_ascii=False), encoding="utf-8")
    arguments = ["train", str(data), "--label-columns", "dept", "--duplicates", "identical", "--preset", "arabert"]
    for setting in (f"backbone={tiny_bert}", "epochs=4", "bf16=false", "learning_rate=1e-3", "head_learning_rate=1e-2"):
        arguments += ["--set", setting]
    arguments += ["--set", "batch_size=8", "--descriptions", str(described_in), "-o", str(tmp_path / "out")]
    assert main(arguments) == 0
    run = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert EDUCATION in run["labels"]["dept"] and str(described_in) in run["files"]
    model = ComplaintClassifier.from_pretrained(tmp_path / "out" / "model")
    assert set(model.labels["dept"]) == set(DEPARTMENTS.values())
    column = model.labels["dept"].index(EDUCATION)
    likely = model.predict_proba([str(TOLD[EDUCATION]), *(case["text"] for case in known)])[:, column]
    assert likely[0] == likely.max() > 2 * np.median(likely)
    described_in.write_text(json.dumps({**TOLD, EDUCATION: "المدارس"}, ensure_ascii=False), encoding="utf-8")
    capsys.readouterr()
    assert main(arguments) == 1 and "other texts" in " ".join(capsys.readouterr().err.split())


def test_cross_validation_learns_from_descriptions_and_measures_the_labels_that_rows_have(known, tiny_bert, tmp_path):
    data = LabelledData(Dataset.from_list(known), label_columns="dept", descriptions=TOLD, duplicates="identical")
    result = cross_validate(data, settings(tiny_bert, epochs=1), output=tmp_path, folds=2)
    assert result.tasks["dept"].n == len(known)
    assert EDUCATION in json.loads((tmp_path / "folds/fold1/run.json").read_text(encoding="utf-8"))["labels"]["dept"]
