"""Turn training rows into padded batches, with a share of the tokens masked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.training.marks import IGNORE, Marks


class MaskingCollator:
    """Pad a batch and, in training, mask tokens and remember what they were.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    tasks : sequence of str
        Each row has the label distribution of every task under its name.
    mask_share : float
    seed : int
    draw : callable or None
        Returns the rows that join each training batch (reports of the same incidents).
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        tasks: Sequence[str],
        mask_share: float,
        seed: int,
        draw: Callable[[], list[dict[str, Any]]] | None = None,
    ) -> None:
        if tokenizer.pad_token_id is None:
            raise ValueError("the tokenizer has no padding token; use a backbone of the BERT or XLM-R family")
        if tokenizer.mask_token_id is None and mask_share:
            raise ValueError("the tokenizer has no token for hidden words; set mask_share=0")
        self.pad = tokenizer.pad_token_id
        self.mask = tokenizer.mask_token_id
        self.tasks = tuple(tasks)
        self.ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
        self.mask_share = mask_share
        self.draw = draw
        self.incident_numbers: dict[str, int] = {}
        self.unknown_incidents = 0
        self.rng = np.random.default_rng(seed)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return input_ids, attention_mask, mlm_labels, incident numbers and one soft-label matrix for each task.

        In training, with what is known of pairs, and of marked texts' tokens and clauses. Texts that are not for
        training are never masked.
        """
        training = rows[0]["training"]
        if self.draw is not None and training:
            rows = rows + self.draw()
        width = max(len(row["input_ids"]) for row in rows)
        ids = np.full((len(rows), width), self.pad, np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row["input_ids"])] = row["input_ids"]
            mask[index, : len(row["input_ids"])] = 1
        labels = np.full_like(ids, IGNORE)
        # Three in ten texts are left whole, so that the heads also see what they will see in use.
        masked_rows = (self.rng.random(len(rows)) < 0.7) & np.array([row["training"] for row in rows])
        chosen = (self.rng.random(ids.shape) < self.mask_share) & masked_rows[:, None] & np.isin(ids, self.ordinary)
        labels[chosen] = ids[chosen]
        action = self.rng.random(ids.shape)
        ids[chosen & (action < 0.8)] = self.mask
        swap = chosen & (action >= 0.9)
        ids[swap] = self.ordinary[self.rng.integers(0, len(self.ordinary), swap.sum())]
        batch = {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
            "mlm_labels": torch.from_numpy(labels),
            "incident": torch.tensor([self._number(row["incident"]) for row in rows]),
        }
        for task in self.tasks:
            batch[task] = torch.from_numpy(np.stack([row[task] for row in rows]))
        if training and any("pair" in row for row in rows):
            batch["pair"] = torch.tensor([row.get("pair", IGNORE) for row in rows], dtype=torch.float32)
        if training and any("marks" in row for row in rows):
            batch |= _padded_marks(rows, width)
        return batch

    def _number(self, incident: str) -> int:
        """Return the number of an incident; of an unknown one, a number of its own."""
        if incident:
            return self.incident_numbers.setdefault(incident, len(self.incident_numbers))
        self.unknown_incidents += 1
        return -self.unknown_incidents


def _padded_marks(rows: list[dict[str, Any]], width: int) -> dict[str, Tensor]:
    """Return each token's tag, evidence and clause (batch, tokens), and each clause's label (clauses,)."""
    tags, evidence, clauses = (np.full((len(rows), width), IGNORE, np.int64) for _ in range(3))
    labels: list[int] = []
    for at, row in enumerate(rows):
        if "marks" in row:
            marks: Marks = row["marks"]
            own = slice(0, len(marks.tags))
            tags[at, own], evidence[at, own] = marks.tags, marks.evidence
            clauses[at, own] = np.where(marks.clauses == IGNORE, IGNORE, marks.clauses + len(labels))
            labels += marks.labels
    return {
        "token_tags": torch.from_numpy(tags),
        "token_evidence": torch.from_numpy(evidence),
        "token_clauses": torch.from_numpy(clauses),
        "clause_labels": torch.tensor(labels, dtype=torch.long),
    }
