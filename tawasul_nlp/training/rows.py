"""Rows of a table as training rows: tokenised once and cached, noised afresh when they are drawn."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.model.label_sets import split_labels
from tawasul_nlp.text import Normalizer, arabizi_to_arabic
from tawasul_nlp.training.config import Stage, TrainConfig
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.incident_groups import Pair
from tawasul_nlp.training.marks import encode_marks, is_marked
from tawasul_nlp.training.noise import add_noise
from tawasul_nlp.training.tables import label_column, second_column

_RATES = (0.1, 0.3, 0.8)


class RowEncoder:
    """Turn rows of a data set into token ids and label distributions.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    data : TrainingData
        Whose labels, and related labels, are the targets.
    config : TrainConfig
    stage : Stage
    training : bool
        Whether texts may be noised, and their tokens masked.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, data: TrainingData, config: TrainConfig, stage: Stage, training: bool
    ) -> None:
        self.tokenizer = tokenizer
        self.normalizer = Normalizer(config.profile)
        self.max_tokens = config.max_tokens
        self.stage = stage
        self.training = training
        self.rng = random.Random(stage.seed)
        self.index = {task: {name: at for at, name in enumerate(names)} for task, names in data.labels.items()}
        self.related = data.related
        self.multi_label = data.multi_label
        self.clauses = data.clauses

    def encode(self, texts: list[str]) -> dict[str, list[list[int]]]:
        """Return the token ids of clean texts, cut at the longest that is read."""
        normalized = list(map(self._clean, texts))
        ids: list[list[int]] = self.tokenizer(normalized, truncation=True, max_length=self.max_tokens).input_ids
        return {"input_ids": ids}

    def _clean(self, text: str) -> str:
        return self.normalizer(arabizi_to_arabic(text))

    def encode_all(self, rows: Dataset) -> Dataset:
        """Return the rows with their token ids; computed once and then read from the data set's cache."""
        parts = (
            rows._fingerprint,
            self.tokenizer.backend_tokenizer.to_str(),
            self.normalizer.profile.fingerprint(),
            str(self.max_tokens),
        )
        name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        return rows.map(self.encode, input_columns="text", batched=True, new_fingerprint=name)

    def draw(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the training row of a row, which may have its token ids already."""
        incident = row.get("incident") or ""
        found = {"training": self.training, "incident": incident, **self.targets(row)}
        if self.clauses is not None and self.training and is_marked(row):  # noise would move what is marked
            index = self.index[self.clauses]
            marked_ids, marks = encode_marks(row, self.tokenizer, self.normalizer, self.max_tokens, index)
            return {"input_ids": marked_ids, "marks": marks, **found}
        ids = row.get("input_ids")
        noised = self.training and self.rng.random() < self.stage.noise_share
        if noised:
            ids = self.encode([add_noise(row["text"], self.rng, self.rng.choice(_RATES))])["input_ids"][0]
        elif ids is None:
            ids = self.encode([row["text"]])["input_ids"][0]
        return {"input_ids": ids, **found}

    def draw_pair(self, pair: Pair) -> dict[str, Any]:
        """Return the training row of two texts that are read together; it has no labels."""
        texts = [pair.first, pair.second]
        for at, noised in enumerate(pair.noised):
            if noised:
                texts[at] = add_noise(texts[at], self.rng, self.rng.choice(_RATES))
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

        A second label gets ``secondary_share``. Of the rest, the labels that are related to the first get
        ``confusable_share`` together.
        """
        found = {}
        for task, index in self.index.items():
            label = row[label_column(task)]
            target = found[task] = np.zeros(len(index), np.float32)
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
            others = self.related.get(task, {}).get(label, ())
            if others:
                moved = self.stage.confusable_share * target[index[label]]
                target[index[label]] -= moved
                target[[index[other] for other in others]] += moved / len(others)
        return found


class HeldTexts(torch.utils.data.Dataset[dict[str, Any]]):
    """The rows of a data set in any order."""

    def __init__(self, rows: Dataset, encoder: RowEncoder) -> None:
        self.rows = encoder.encode_all(rows)
        self.encoder = encoder
        self.lengths = [len(ids) for ids in self.rows["input_ids"]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.encoder.draw(self.rows[index])
