"""Rows of a table as training rows: tokenised once, noised when they are drawn, and padded to batches.

Typing noise is the slips that hurried citizens make. Each change keeps the meaning, so the label stays true. Only
training texts are noised.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from datasets.fingerprint import generate_random_fingerprint
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.model.label_sets import split_labels
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from tawasul_nlp.training.config import Stage, TrainConfig
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.incident_groups import Pair
from tawasul_nlp.training.tables import label_column, second_column

IGNORE = -100
_RATES = (0.1, 0.3, 0.8)


class RowEncoder:
    """Turn rows of a data set into token ids and label distributions; for training, texts may be noised and masked."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, data: TrainingData, config: TrainConfig, stage: Stage, training: bool
    ) -> None:
        self.tokenizer = tokenizer
        self.normalizer = Normalizer(config.profile)
        self.max_tokens = config.max_tokens
        self.stage = stage
        self.training = training
        self.rng = random.Random(stage.seed)
        self.index = {task: {name: number for number, name in enumerate(names)} for task, names in data.labels.items()}
        self.multi_label = data.multi_label
        self.encode_marks = data.encode_marks if training else None

    def encode(self, texts: list[str]) -> dict[str, list[list[int]]]:
        """Return the token ids of clean texts, cut at the longest that is read."""
        normalized = list(map(self._clean, texts))
        ids: list[list[int]] = self.tokenizer(normalized, truncation=True, max_length=self.max_tokens).input_ids
        return {"input_ids": ids}

    def _clean(self, text: str) -> str:
        return self.normalizer(arabizi_to_arabic(text))

    def draw(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the training row of a row, which may have its token ids already."""
        incident = row.get("incident") or ""
        targets = {"training": self.training, "incident": incident, **self.targets(row)}
        marked = self.encode_marks and self.encode_marks(row, self.tokenizer, self.normalizer, self.max_tokens)
        if marked:
            return {**marked, **targets}  # noise would move what is marked
        ids = row.get("input_ids")
        noised = self.training and self.rng.random() < self.stage.noise_share
        if noised:
            ids = self.encode([add_noise(row["text"], self.rng, self.rng.choice(_RATES))])["input_ids"][0]
        elif ids is None:
            ids = self.encode([row["text"]])["input_ids"][0]
        return {"input_ids": ids, **targets}

    def draw_pair(self, pair: Pair) -> dict[str, Any]:
        """Return the training row of two texts that are read together; it has no labels."""
        texts = [pair.first, pair.second]
        for number, noised in enumerate(pair.noised):
            if noised:
                texts[number] = add_noise(texts[number], self.rng, self.rng.choice(_RATES))
        first, second = map(self._clean, texts)
        ids = self.tokenizer(first, second, truncation="longest_first", max_length=self.max_tokens).input_ids
        nothing = {
            task: np.full(len(index), -float(task in self.multi_label), np.float32)
            for task, index in self.index.items()
        }
        return {"input_ids": ids, "training": self.training, "incident": "", "pair": float(pair.same), **nothing}

    def targets(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the label distribution of each task; all zero where the row has no label of the task.

        Of a multi-label task, 1 for each label that the row has and else 0; all -1 where its labels are unknown.

        A second label gets ``secondary_share``.
        """
        targets = {}
        for task, index in self.index.items():
            label = row[label_column(task)]
            target = targets[task] = np.zeros(len(index), np.float32)
            if task in self.multi_label:
                target[[index[each] for each in split_labels(label) if each in index]] = 1.0
                target -= not label
                continue
            if label not in index:
                continue
            target[index[label]] = 1.0
            second = row.get(second_column(task))
            if second:
                target *= 1.0 - self.stage.secondary_share
                target[index[second]] += self.stage.secondary_share
        return targets


class HeldTexts(torch.utils.data.Dataset[dict[str, Any]]):
    """The rows of a data set in any order."""

    def __init__(self, rows: Dataset, encoder: RowEncoder) -> None:
        # Else the encoder is pickled for a fingerprint.
        new = generate_random_fingerprint()
        self.rows = rows.map(encoder.encode, input_columns="text", batched=True, new_fingerprint=new)
        self.encoder = encoder
        self.lengths = [len(ids) for ids in self.rows["input_ids"]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.encoder.draw(self.rows[index])


# A letter and what it is often typed as. Every pair was chosen as a slip of spelling, not as another word's letter.
_SLIPS = {
    pair[0]: pair[1]
    for pair in ["أا", "إا", "آا", "اأ", "ةه", "هة", "ىي", "يى", "ؤو", "ئي", "ضظ", "ظض", "گق", "چج", "جچ", "ڤف", "پب"]
}
_FINAL_ONLY = {"ه", "ة", "ي", "ى"}
_INITIAL_ONLY = {"ا"}
_PUNCTUATION = re.compile(r"[.,،؛:!؟?\-–—\"'«»()]+")
_TO_ARABIC_INDIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def add_noise(text: str, rng: random.Random, rate: float = 0.3) -> str:
    """Return a clean text with typing noise.

    ``rate`` is the chance that a letter which is often mistyped is, in this text.

    >>> add_noise("حفرة كبيرة أمام المدرسة", random.Random(3), rate=1.0)
    'حفره كبيره امام المدرسه'
    """
    words = text.split(" ")
    for index, word in enumerate(words):
        letters = list(word)
        for position, letter in enumerate(letters):
            slip = _SLIPS.get(letter)
            if slip is None:
                continue
            if letter in _FINAL_ONLY and position < len(letters) - 1 or letter in _INITIAL_ONLY:
                continue
            if rng.random() < rate:
                letters[position] = slip
        if len(letters) > 3 and rng.random() < 0.02:
            position = rng.randrange(1, len(letters))
            change = rng.randrange(3)
            if change == 0:  # a dropped letter
                del letters[position]
            elif change == 1:  # two letters in the wrong order
                letters[position - 1], letters[position] = letters[position], letters[position - 1]
            else:  # elongation
                letters[position:position] = [letters[position]] * rng.randrange(1, 4)
        words[index] = "".join(letters)
    noisy = " ".join(word for word in words if word)
    if rng.random() < 0.4:
        noisy = _PUNCTUATION.sub(" ", noisy)
    if rng.random() < 0.15:
        noisy = noisy.translate(_TO_ARABIC_INDIC)
    return " ".join(noisy.split())


class MaskingCollator:
    """Pad a batch and, in training, mask tokens and remember what they were.

    Each row has the label distribution of every task under its name. ``draw`` returns the rows that join each training
    batch (reports of the same incidents).
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
        texts = [torch.tensor(row["input_ids"]) for row in rows]
        ids = pad_sequence(texts, batch_first=True, padding_value=self.pad).numpy()
        mask = pad_sequence([torch.ones_like(text) for text in texts], batch_first=True)
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
            "attention_mask": mask,
            "mlm_labels": torch.from_numpy(labels),
            "incident": torch.tensor([self._number(row["incident"]) for row in rows]),
        }
        for task in self.tasks:
            batch[task] = torch.from_numpy(np.stack([row[task] for row in rows]))
        if training and any("pair" in row for row in rows):
            batch["pair"] = torch.tensor([row.get("pair", IGNORE) for row in rows], dtype=torch.float32)
        if training and any("marks" in row for row in rows):
            batch |= _padded_marks(rows, ids.shape[1])
        return batch

    def _number(self, incident: str) -> int:
        """Return the number of an incident; of an unknown one, a number of its own."""
        if incident:
            return self.incident_numbers.setdefault(incident, len(self.incident_numbers))
        self.unknown_incidents += 1
        return -self.unknown_incidents


def _padded_marks(rows: list[dict[str, Any]], width: int) -> dict[str, Tensor]:
    """Return each token's tag, evidence and clause (batch, tokens), and each clause's label (clauses,)."""
    batch = {name: torch.full((len(rows), width), IGNORE) for name in ("token_tags", "token_evidence", "token_clauses")}
    labels: list[int] = []
    for number, row in enumerate(rows):
        if "marks" in row:
            for name, of_batch in batch.items():
                values = torch.from_numpy(row["marks"][name])
                if name == "token_clauses":
                    values = torch.where(values == IGNORE, values, values + len(labels))
                of_batch[number, : len(values)] = values
            labels += row["marks"]["clause_labels"]
    return {**batch, "clause_labels": torch.tensor(labels, dtype=torch.long)}
