"""The multi-task network together with what it learns from: soft labels and masked tokens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tawasul_nlp.model.network import MultiTaskNetwork, head_name
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.rows import IGNORE

PARTS = 6  # of a batch, whose lengths differ in a small table and beside reports of incidents


class TrainingNetwork(nn.Module):
    """The multi-task network together with its training losses."""

    # The loss is a mean over the batch, so the Trainer has to divide it when it gathers gradients over several.
    accepts_loss_kwargs = False

    def __init__(
        self,
        network: MultiTaskNetwork,
        settings: TrainConfig,
        class_weights: Mapping[str, np.ndarray] | None = None,
        multi_label: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.class_weights = {task: torch.from_numpy(weights) for task, weights in (class_weights or {}).items()}
        self.multi_label = frozenset(multi_label)
        self.network = network
        # Not `config`: transformers' Trainer takes that for its own.
        self.settings = settings
        hidden = network.encoder.config.hidden_size
        self.transform = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden))
        self.bias = nn.Parameter(torch.zeros(network.encoder.config.vocab_size))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, mlm_labels: Tensor, **targets: Tensor
    ) -> dict[str, Any]:
        """Return the summed loss and the logits of each task; ``targets`` are those of the tasks."""
        network, settings = self.network, self.settings
        tokens, pooled, loss = self.read(input_ids, attention_mask, targets)
        out: dict[str, Any] = {}
        for task in network.tasks:
            logits = network.heads[head_name(task)](network.dropout(pooled)).float()
            of_task = binary_loss if task in self.multi_label else softmax_loss
            mean = of_task(logits, targets[task], settings.label_smoothing, self.class_weights.get(task))
            loss = loss + settings.task_weights.get(task, 1.0) * mean
            out[task] = logits
        hidden = mlm_labels != IGNORE
        if self.training and settings.mlm_weight and bool(hidden.any()):
            guesses = self.transform(tokens(hidden))
            vocabulary = nn.functional.linear(guesses, network.encoder.embeddings.word_embeddings.weight, self.bias)
            masked = nn.functional.cross_entropy(vocabulary.float(), mlm_labels[hidden])
            loss = loss + settings.mlm_weight * masked
        return {"loss": loss, **out}

    def read(
        self, input_ids: Tensor, attention_mask: Tensor, targets: Mapping[str, Tensor]
    ) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor]:
        """Read a batch.

        Returns what gives the states of the tokens that a mask (batch, tokens) chooses, the pooled vectors, and the
        loss of what else is learned: here nothing.
        """
        tokens, pooled, _ = self.read_in_parts(input_ids, attention_mask)
        return tokens, pooled, torch.zeros(())

    def read_in_parts(
        self, input_ids: Tensor, attention_mask: Tensor
    ) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor | None]:
        """Read the batch in parts of similar length, so that little time goes into padding.

        Returns what gives the states of the tokens that a mask (batch, tokens) chooses, the pooled vectors, and the
        incident vectors.
        """
        lengths = attention_mask.sum(1)
        order = lengths.argsort()
        parts = order.chunk(PARTS if len(order) >= 2 * PARTS else 1)
        # Looked up once: every look-up has a gradient as large as the whole table.
        words = self.network.words(input_ids)
        read = []
        for part in parts:
            cut = part, slice(int(lengths[part].max()))
            read.append(self.network.encode(words[cut], attention_mask[cut]))
        back = order.argsort()

        def tokens(chosen: Tensor) -> Tensor:
            # The mask is read row by row, so the states must be put in the order of the batch as well.
            rows = [row for encoded in read for row in encoded.states]
            return torch.cat([rows[place][chosen[row, : len(rows[place])]] for row, place in enumerate(back.tolist())])

        vectors = [encoded.incident for encoded in read if encoded.incident is not None]
        pooled = torch.cat([encoded.pooled for encoded in read])[back]
        return tokens, pooled, torch.cat(vectors)[back] if vectors else None


def softmax_loss(logits: Tensor, target: Tensor, smoothing: float, weights: Tensor | None) -> Tensor:
    """Return the mean cross-entropy of the texts with a label; without one, a text's target (labels,) is all zero."""
    smoothed = target * (1 - smoothing) + smoothing / target.shape[1]
    each = -(smoothed * logits.log_softmax(1)).sum(1)
    if weights is not None:
        weight = target @ weights.to(target.device)
        return (each * weight).sum() / weight.sum().clamp(min=1e-6)
    labelled = target.sum(1) > 0
    return (each * labelled).sum() / labelled.sum().clamp(min=1)


def binary_loss(logits: Tensor, target: Tensor, smoothing: float, weights: Tensor | None) -> Tensor:
    """Return the binary cross-entropy, summed over labels, as a mean over the texts whose labels are known.

    As a sum it weighs as much beside the losses of other tasks as a cross-entropy does, however many labels there are.
    Targets (batch, labels) are all -1 where a text's labels are unknown. ``smoothing`` is the share of the target that
    is drawn to one half; ``weights`` (labels,) are of each label's loss in the texts that have it.
    """
    labelled = target[:, 0] >= 0
    smoothed = target.clamp(min=0) * (1 - smoothing) + smoothing / 2
    positive = None if weights is None else weights.to(target.device)
    each = nn.functional.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=positive, reduction="none")
    return (each.sum(1) * labelled).sum() / labelled.sum().clamp(min=1)


def class_weights(rule: str | Mapping[str, float], data: TrainingData) -> dict[str, np.ndarray]:
    """Return the weight of each label of each task, as the setting says; nothing where all weigh the same.

    For a multi-label task balanced means that the texts with a label weigh as much as those without.
    """
    if isinstance(rule, Mapping):
        weights = {task: np.array([rule.get(name, 1.0) for name in names]) for task, names in data.labels.items()}
        weights = {task: values for task, values in weights.items() if (values != 1.0).any()}
    elif rule == "balanced":
        labelled = data.labelled
        weights = {
            task: (labelled[task] - values) / np.maximum(values, 1)
            if task in data.multi_label
            else values.sum() / (len(values) * np.maximum(values, 1))
            for task, values in data.counts.items()
        }
    else:
        weights = {}
    return {task: values.astype(np.float32) for task, values in weights.items()}
