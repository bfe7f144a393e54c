"""Rows of a table as training rows: tokenised once, noised when they are drawn, and padded to batches.

Typing noise is the slips that hurried citizens make. Each change keeps the meaning, so the label stays true. Only
training texts are noised.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
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
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.tables import label_column

IGNORE = -100
_RATES = (0.1, 0.3, 0.8)


class RowEncoder:
    """Turn rows of a data set into token ids and label distributions; for training, texts may be noised and masked."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, data: TrainingData, config: TrainConfig, *, training: bool
    ) -> None:
        self.tokenizer = tokenizer
        self.normalizer = Normalizer(config.profile)
        self.max_tokens = config.max_tokens
        self.noise_share = config.noise_share if training else 0.0
        self.training = training
        self.rng = random.Random(config.seed)
        self.index = {task: {name: number for number, name in enumerate(names)} for task, names in data.labels.items()}
        self.multi_label = data.multi_label

    def encode(self, texts: list[str]) -> dict[str, list[list[int]]]:
        """Return the token ids of clean texts, cut at the longest that is read."""
        normalized = list(map(self.clean, texts))
        ids: list[list[int]] = self.tokenizer(normalized, truncation=True, max_length=self.max_tokens).input_ids
        return {"input_ids": ids}

    def clean(self, text: str) -> str:
        """Return a text as the encoder reads it in use."""
        return self.normalizer(arabizi_to_arabic(text))

    def draw(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the training row of a row, which may have its token ids already."""
        ids = row.get("input_ids")
        if self.rng.random() < self.noise_share:
            ids = self.encode([self.noised(row["text"])])["input_ids"][0]
        elif ids is None:
            ids = self.encode([row["text"]])["input_ids"][0]
        return {"input_ids": ids, "training": self.training, **self.targets(row)}

    def noised(self, text: str) -> str:
        """Return a text with typing noise at one of three rates."""
        return add_noise(text, self.rng, self.rng.choice(_RATES))

    def targets(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the label distribution of each task; all zero where the row has no label of the task.

        Of a multi-label task, 1 for each label that the row has and else 0; all -1 where its labels are unknown.
        """
        targets = {}
        for task, index in self.index.items():
            label = row[label_column(task)]
            target = targets[task] = np.zeros(len(index), np.float32)
            if task in self.multi_label:
                target[[index[each] for each in split_labels(label) if each in index]] = 1.0
                target -= not label
            elif label in index:
                target[index[label]] = 1.0
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

    Each row has the label distribution of every task under its name.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, tasks: Sequence[str], mask_share: float, seed: int) -> None:
        if tokenizer.pad_token_id is None:
            raise ValueError("the tokenizer has no padding token; use a backbone of the BERT or XLM-R family")
        if tokenizer.mask_token_id is None and mask_share:
            raise ValueError("the tokenizer has no token for hidden words; set mask_share=0")
        self.pad = tokenizer.pad_token_id
        self.mask = tokenizer.mask_token_id
        self.tasks = tuple(tasks)
        self.ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
        self.mask_share = mask_share
        self.rng = np.random.default_rng(seed)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return input_ids, attention_mask, mlm_labels and one soft-label matrix for each task.

        Texts that are not for training are never masked.
        """
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
        }
        for task in self.tasks:
            batch[task] = torch.from_numpy(np.stack([row[task] for row in rows]))
        return batch
