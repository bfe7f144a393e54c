"""What the encoder of the bundled model learns from: soft labels, and heads that start as a probe."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.training.config import BUNDLED_RECIPE, read_recipe
from training.corpus import Example, LabelSpace, load_examples
from training.finetune import fine_tune, soft_targets


@pytest.fixture(scope="module")
def labels() -> LabelSpace:
    return LabelSpace.load()


def shares(example: Example, labels: LabelSpace, task: str, *amounts: float) -> dict[str, float]:
    target = soft_targets(example, labels, task, *amounts)
    assert target.sum() == pytest.approx(1)
    return {name: round(float(share), 6) for name, share in zip(labels.of(task), target, strict=True) if share}


@pytest.fixture
def example() -> Example:
    return Example("1", "نص", "debris_dumping", "municipality", "complaint", "", "msa", "")


def test_confusable_topics_share_a_part_of_the_label(example: Example, labels: LabelSpace) -> None:
    others = labels.confusable["debris_dumping"]
    assert len(others) > 1
    assert shares(example, labels, "topic", 0.15, 0.1) == {
        "debris_dumping": 0.9,
        **dict.fromkeys(others, round(0.1 / len(others), 6)),
    }
    assert shares(example, labels, "agency", 0.15, 0.1) == {"municipality": 1}
    assert shares(example, labels, "topic", 0.15) == {"debris_dumping": 1}


def test_a_secondary_topic_keeps_its_share_beside_confusable_ones(example: Example, labels: LabelSpace) -> None:
    second = labels.confusable["debris_dumping"][0]
    found = shares(replace(example, secondary_topic=second), labels, "topic", 0.2, 0.1)
    assert found["debris_dumping"] == pytest.approx(0.72)
    assert found[second] == pytest.approx(0.2 + 0.08 / len(labels.confusable["debris_dumping"]), abs=1e-5)


def test_a_stage_starts_its_heads_as_a_probe(tiny_bert: Path, labels: LabelSpace, tmp_path: Path) -> None:
    chosen = ("waste_collection", "power_outage", "passport_visa_residency", "fishing_harbours")
    examples = [
        example
        for example in load_examples("train", labels, second_batch=False, reports=False)
        if example.topic in chosen
    ]
    raw = read_recipe(BUNDLED_RECIPE)
    # Nothing is learned by steps: what the heads know, they know from their start.
    still = {"epochs": 0.1, "rate": 0.0, "head_rate": 0.0, "bf16": False}
    settings = {**raw["encoder"], **raw["stages"][0], **still}

    def right(name: str, settings: dict[str, Any]) -> float:
        network = fine_tune(examples, examples[:8], labels, tiny_bert, tmp_path / name, settings)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny_bert)
        batch = tokenizer([example.text for example in examples], truncation=True, max_length=160, padding=True)
        with torch.inference_mode():
            outputs = network(torch.tensor(batch["input_ids"]), torch.tensor(batch["attention_mask"]))
        answers = dict(zip(network.outputs, outputs, strict=True))["topic"].argmax(1)
        truth = torch.tensor([labels.topics.index(example.topic) for example in examples])
        return float((answers == truth).float().mean())

    settings.pop("head_start", None)
    assert right("without", settings) < 0.3
    assert right("probe", {**settings, "head_start": "probe"}) > 0.6
