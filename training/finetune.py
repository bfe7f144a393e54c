"""Fine-tune the encoder on the corpus, all tasks at once, with masked-token prediction as a companion loss.

Every training text is seen with a share of its tokens masked. The classification heads must answer from what is left
(a regulariser: no single word may decide), and a masked-language head predicts the hidden tokens in the same forward
pass, which heals the 4-bit weights and teaches the encoder the vocabulary of cases at almost no extra cost.

A stage with ``incident_groups`` also draws reports of the same incident into every batch: their incident vectors are
pulled together and pushed away from those of every other text (a supervised contrastive loss, Khosla et al. 2020).
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import BertModel, PreTrainedTokenizerFast

from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.text import Normalizer, arabizi_to_arabic
from tawasul_nlp.training.batches import MaskingCollator
from tawasul_nlp.training.heads import MOST_TEXTS, start_heads
from tawasul_nlp.training.losses import TrainingNetwork
from tawasul_nlp.training.noise import add_noise
from tawasul_nlp.training.trainer import STATE, last_checkpoint, save_state, train_network
from training.corpus import Example, LabelSpace
from training.incidents import IncidentDraws, load_incidents, load_parallel

TASKS = ("topic", "agency", "kind")


def soft_targets(
    example: Example, labels: LabelSpace, task: str, secondary: float, confusable: float = 0.0
) -> np.ndarray:
    """Return the label distribution of one example; all zero if the task is not defined for it.

    A secondary topic gets the share ``secondary`` (and its agency likewise). Of the rest, the topics that the taxonomy
    names as confusable with the first get the share ``confusable`` together.
    """
    names = labels.of(task)
    target = np.zeros(len(names), np.float32)
    first = getattr(example, task)
    if not first:
        return target
    target[names.index(first)] = 1.0
    if example.secondary_topic and task in ("topic", "agency"):
        second = example.secondary_topic if task == "topic" else labels.agency_of[example.secondary_topic]
        target *= 1.0 - secondary
        target[names.index(second)] += secondary
    others = labels.confusable[first] if task == "topic" else ()
    if others:
        moved = confusable * target[names.index(first)]
        target[names.index(first)] -= moved
        target[[names.index(other) for other in others]] += moved / len(others)
    return target


class TrainingTexts(torch.utils.data.Dataset[dict[str, Any]]):
    """Examples that are noised and tokenised afresh each time they are drawn."""

    def __init__(
        self,
        examples: list[Example],
        labels: LabelSpace,
        tokenizer: PreTrainedTokenizerFast,
        recipe: dict[str, Any],
        training: bool,
    ) -> None:
        self.normalizer = Normalizer("default")
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.training = training
        self.rng = random.Random(recipe["seed"])
        self.texts = [example.text for example in examples]
        self.incidents = [example.incident for example in examples]
        self.labels = labels
        self.targets = [self._targets(example) for example in examples]
        self.lengths = [len(ids) for ids in self._tokenize([self._clean(text) for text in self.texts])]

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(texts, truncation=True, max_length=self.recipe["max_tokens"]).input_ids
        return ids

    def _clean(self, text: str) -> str:
        return self.normalizer(arabizi_to_arabic(text))

    def _targets(self, example: Example) -> dict[str, np.ndarray]:
        shares = self.recipe["secondary"], self.recipe.get("confusable", 0.0)
        return {task: soft_targets(example, self.labels, task, *shares) for task in TASKS}

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._row(self.texts[index], self.targets[index], self.incidents[index])

    def sample(self, most: int) -> tuple[list[list[int]], dict[str, np.ndarray]]:
        """Return the token ids of at most so many texts without noise, and the index of each one's label, or -1."""
        chosen = random.Random(self.recipe["seed"]).sample(range(len(self)), min(most, len(self)))
        rows = self._tokenize([self._clean(self.texts[at]) for at in chosen])
        known = {task: np.stack([self.targets[at][task] for at in chosen]) for task in TASKS}
        return rows, {task: np.where(each.any(1), each.argmax(1), -1) for task, each in known.items()}

    def row(self, example: Example) -> dict[str, Any]:
        """Return the training row of a text that is not one of the numbered examples."""
        return self._row(example.text, self._targets(example), example.incident)

    def _row(self, text: str, targets: dict[str, np.ndarray], incident: str) -> dict[str, Any]:
        if self.training and self.rng.random() < self.recipe["noise_share"]:
            text = add_noise(text, self.rng, self.rng.choice((0.1, 0.3, 0.8)))
        ids = self._tokenize([self._clean(text)])[0]
        return {"input_ids": ids, "training": self.training, "incident": incident, **targets}


def fine_tune(
    train: list[Example],
    validation: list[Example],
    labels: LabelSpace,
    base: Path,
    out: Path,
    recipe: dict[str, Any],
    start: Path | MultiTaskNetwork | None = None,
) -> MultiTaskNetwork:
    """Train the network by ``recipe`` and write its state to ``out``, where a killed run finds its last checkpoint.

    ``start`` is the saved state of an earlier stage, or a network, to go on from.
    """
    torch.manual_seed(recipe["seed"])
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    encoder = BertModel.from_pretrained(
        base,
        add_pooling_layer=False,
        # Dropout on attention forces a slow path on CPU (1.5 times the time); masking tokens regularises instead.
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=recipe["dropout"],
        attn_implementation="eager",
    )
    tasks = {task: len(labels.of(task)) for task in TASKS}
    model = TrainingNetwork(MultiTaskNetwork(encoder, tasks, recipe["dropout"]), recipe)
    if isinstance(start, Path):
        model.load_state_dict(load_file(start))
    elif start is not None:
        model.network.load_state_dict(start.state_dict())
    texts = TrainingTexts(train, labels, tokenizer, recipe, training=True)
    if "head_start" in recipe and last_checkpoint(out) is None:
        rows, targets = texts.sample(MOST_TEXTS)
        start_heads(model.network, rows, tokenizer.pad_token_id, targets, recipe["head_start"], bf16=recipe["bf16"])
    draw = None
    if recipe.get("incident_groups"):
        draws = IncidentDraws(load_incidents("train", labels), load_parallel(), labels.agency_of, recipe["seed"])

        def draw() -> list[dict[str, Any]]:
            return [texts.row(example) for example in draws.draw(recipe["incident_groups"])]

    train_network(
        model,
        texts,
        TrainingTexts(validation, labels, tokenizer, recipe, training=False),
        MaskingCollator(tokenizer, TASKS, recipe["mask_share"], recipe["seed"], draw),
        out,
        recipe,
        TASKS,
    )
    save_state(model.state_dict(), out / STATE)
    return model.network.eval()
