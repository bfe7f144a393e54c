"""Logistic regression on the embeddings of the untuned base encoder, and a cache of what baselines computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.evaluation.baselines import spread


def base_embeddings(texts: Sequence[str], base: Path) -> np.ndarray:
    """Return the untuned base encoder's mean embeddings, (n_texts, hidden) float32 of length 1."""
    import torch
    from transformers import BertModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    encoder = BertModel.from_pretrained(base, add_pooling_layer=False).eval()
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    out = np.empty((len(texts), encoder.config.hidden_size), np.float32)
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        # e5's own prefix: its embeddings are meant to be used with it
        inputs = tokenizer(
            ["query: " + texts[row] for row in rows],
            padding=True,
            truncation=True,
            max_length=160,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            states = encoder(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        out[rows] = ((states * mask).sum(1) / mask.sum(1)).numpy()
    normed: np.ndarray = out / np.linalg.norm(out, axis=1, keepdims=True)
    return normed


def logistic(
    train: np.ndarray, labels: Sequence[str], unseen: np.ndarray, known: tuple[str, ...], C: float = 0.02
) -> np.ndarray:
    """Fit logistic regression on standardised vectors; return log-probabilities (unseen, known labels)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=300)).fit(train, labels)
    return spread(model.predict_log_proba(unseen), model.classes_, known)


def cached(name: str, key: str, compute: Callable[[], np.ndarray], cache: Path) -> np.ndarray:
    """Return an array that was computed once for the same data."""
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{name}-{key}.npy"
    if not path.exists():
        print(f"computing {name}", flush=True)
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            np.save(file, compute())
    found: np.ndarray = np.load(path)
    return found


def data_key(*groups: Sequence[Any]) -> str:
    """Return a short hash of texts, or of texts with their labels."""
    digest = hashlib.sha256()
    for group in groups:
        digest.update(json.dumps(group).encode())
    return digest.hexdigest()[:12]
