"""What a model has to beat: the most frequent label, a linear model on TF-IDF, one on frozen embeddings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import atomic_write


def majority(labels: Sequence[str], known: tuple[str, ...], n_texts: int) -> np.ndarray:
    """Return the share of each label of ``known`` in the training labels, for every text: (n_texts, labels)."""
    shares = np.array([labels.count(label) for label in known], dtype=float) / max(1, len(labels))
    return np.tile(shares, (n_texts, 1))


def tfidf_features(char_ngrams: tuple[int, int] = (2, 5), min_df: int = 2) -> Any:
    """Return the unfitted features: TF-IDF of characters within words and of words (1-2)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    return make_union(
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=char_ngrams, sublinear_tf=True, min_df=min_df, dtype=np.float32
        ),
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32),
    )


def tfidf_svm(texts: Sequence[str], labels: Sequence[str], known: tuple[str, ...], unseen: Sequence[str]) -> np.ndarray:
    """Fit character (2-5) and word (1-2) TF-IDF with a linear SVM; return its scores (unseen texts, known labels).

    Labels of ``known`` that the training labels lack get the lowest score of all.

    Raises
    ------
    ValueError
        If there are fewer than two labels to tell apart.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    if len(set(labels)) < 2:
        raise ValueError(f"the training labels are all {labels[0]!r}; a classifier needs at least two labels")
    model = make_pipeline(tfidf_features(), LinearSVC(C=0.5, random_state=0)).fit(texts, labels)
    return spread(model.decision_function(unseen), model.classes_, known)


def spread(scores: np.ndarray, classes: Sequence[str], known: tuple[str, ...]) -> np.ndarray:
    """Put a fitted model's scores (n, classes) into the columns of ``known``; one column means two classes."""
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    found = np.full((len(scores), len(known)), scores.min() - 1.0)
    at = {label: column for column, label in enumerate(known)}
    for column, label in enumerate(classes):
        if label in at:
            found[:, at[label]] = scores[:, column]
    return found


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
