"""A BERT checkpoint of AraBERT's kind that is small enough to train in a test, and a table of real cases."""

import csv
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

from tawasul_nlp.training import LabelledData, TrainConfig, train
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.splitting import WholeTable
from training.corpus import LabelSpace, load_examples

Result = TypeVar("Result")
ROOT = Path(__file__).parents[2]
PLACEHOLDERS = ["[رابط]", "[بريد]", "[مستخدم]"]
DEPARTMENTS = {
    "ewa": "هيئة الكهرباء والماء",
    "works": "وزارة الأشغال",
    "municipality": "البلديات",
    "education": "وزارة التربية والتعليم",
}
STYLES = {"msa": "فصحى", "bahraini": "بحريني"}


@pytest.fixture(scope="session")
def cases():
    """Return 160 cases of the corpus under label columns that are not the taxonomy's."""
    found = []
    left = dict.fromkeys(DEPARTMENTS, 40)
    for example in load_examples("train", LabelSpace.load(), second_batch=False, reports=False):
        if left.get(example.agency, 0) and example.register in STYLES:
            left[example.agency] -= 1
            found.append({"نص": example.text, "الجهة": DEPARTMENTS[example.agency], "style": STYLES[example.register]})
    assert not any(left.values()), left
    return found


@pytest.fixture(scope="session")
def known(cases):
    """Return the cases of three departments."""
    return [{"text": case["نص"], "dept": case["الجهة"]} for case in cases if case["الجهة"] != DEPARTMENTS["education"]]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory, cases):
    """Write a checkpoint with the files, the architecture and the tokenizer class of bert-base-arabertv02."""
    folder = tmp_path_factory.mktemp("tiny-arabert")
    pieces = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    pieces.train_from_iterator((case["نص"] for case in cases), vocab_size=900, show_progress=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [word for word in sorted(pieces.get_vocab(), key=pieces.get_vocab().get) if word not in special]
    vocabulary = special + PLACEHOLDERS + words
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=False, strip_accents=False)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,  # 16 numbers in each, and not 32 as in the bundled model
        intermediate_size=128,
        max_position_embeddings=512,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


def settings(bert, **changes):
    quick: dict[str, Any] = {"learning_rate": 1e-3, "head_learning_rate": 1e-2, "bf16": False, "mlm_weight": 0.1}
    steps: dict[str, Any] = {"gradient_accumulation": 2, "batch_size": 8}
    return TrainConfig.preset("arabert", backbone=str(bert), **quick, **steps).replace(**changes)


def _tagged(cases):
    """Yield cases with a department and a dialect as tags; those about education have no tag of a department."""
    for row, case in enumerate(cases):
        tags = [] if case["الجهة"] == DEPARTMENTS["education"] else [case["الجهة"]]
        tags += ["بحريني"] if case["style"] == "بحريني" else []
        # Written as people do: in any order, with blanks, one twice. Every 20th case was never tagged.
        cell = " | ".join(sorted(tags, reverse=bool(row % 2)) + tags[:1]) or "|"
        yield {**case, "وسوم": "" if row % 20 == 0 else cell}


@pytest.fixture(scope="session")
def table(cases):
    return list(_tagged(cases))


@pytest.fixture(scope="session")
def run(table, tiny_bert, tmp_path_factory):
    """Train the model of all tests that need some trained one: two tasks of one label, and one of several."""
    folder = tmp_path_factory.mktemp("run")
    return on_table(
        train,
        write_csv(folder / "cases.csv", table),
        text_column="نص",
        label_columns={"dept": "الجهة", "style": "style"},
        multi_label_columns={"tags": "وسوم"},
        output=folder / "out",
        duplicates="identical",
        config=settings(tiny_bert, epochs=6, early_stopping=0, report_to=("tensorboard",)),
    )


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def on_table(function, source, **options):
    """Call a function with a labelled table of some of the options, and with the others."""
    own = {item.name for item in fields(LabelledData)}
    data = LabelledData(source, **{name: value for name, value in options.items() if name in own})
    return function(data, **{name: value for name, value in options.items() if name not in own})


def whole_table(labels, groups, texts=(), multi_label=()):
    """Return rows of given labels and groups as a table that was read."""
    columns = {f"label.{task}": cells for task, cells in labels.items()}
    count = len(groups)
    rows = {"file": ["cases.csv"] * count, "row": list(range(1, count + 1)), "text": list(texts) or [""] * count}
    alone = [task for task in labels if task not in multi_label]
    return WholeTable(
        data=LabelledData("cases.csv", label_columns=alone, multi_label_columns=multi_label),
        rows=Dataset.from_dict(rows | columns),
        alike=groups,
        groups=groups,
        second=np.zeros(count, bool),
    )


def training_data(labels, cells, **more):
    """Return training rows with these cells of each task."""
    rows = Dataset.from_dict({f"label.{task}": of_task for task, of_task in cells.items()})
    nothing: dict[str, Any] = {"files": {}, "reading": {}, "findings": ()}
    groups = np.arange(len(rows))
    return TrainingData(train=rows, validation=rows, labels=labels, groups=groups, **nothing, **more)
