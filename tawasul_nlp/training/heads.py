"""Start the heads from the encoder as it is, so that it is not moved about for heads that know nothing.

A head that starts from nothing has to move the encoder before it can tell labels apart, and the encoder forgets
(Kumar et al. 2022, who fit the head first as well). ``means`` is for a handful of texts a label: each label's weights
are the mean vector of its texts, so that the head is right from the first step as often as the nearest mean is.
``probe`` is for more: a logistic regression on the frozen vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch.nn.utils.rnn import pad_sequence

from tawasul_nlp.model.combine import log_softmax
from tawasul_nlp.model.network import MultiTaskNetwork, head_name

# Inverse strength of the probe's penalty: the larger it is, from 0.05 on, the worse the probe reads unseen texts of the
# project's corpus.
_PROBE_C = 0.017
# Pooling so many texts takes two minutes on two cores; the probe was tried with about as many.
MOST_TEXTS = 16_000
_BATCH = 64


def start_heads(
    network: MultiTaskNetwork,
    rows: Sequence[Sequence[int]],
    padding: int,
    targets: Mapping[str, np.ndarray],
    how: str = "means",
) -> None:
    """Set the heads' weights from the pooled vectors of each label's texts.

    Parameters
    ----------
    network : MultiTaskNetwork
        Changed in place.
    rows : sequence of sequence of int
        Token ids of each text.
    targets : mapping of str to ndarray of int, shape (n_rows,)
        Label index for each task; -1 where a text has none. Of a multi-label task, which labels each text has (n_rows,
        n_labels), all -1 where they are unknown.
    how : {"means", "probe"}
        A multi-label task always starts from a probe, of each label against the rest.
    """
    start = {"means": nearest_mean, "probe": linear_probe}[how]
    vectors = _pooled(network, rows, padding)
    for task, target in targets.items():
        if target.ndim == 2:
            labelled = target[:, 0] >= 0
            _set_head(network, task, *one_vs_rest_probe(vectors[labelled], target[labelled]))
            continue
        labelled = target >= 0
        if how == "probe" and len(np.unique(target[labelled])) < 2:
            continue  # nothing to tell apart
        _set_head(network, task, *start(vectors[labelled], target[labelled], network.tasks[task]))


def start_from_shares(network: MultiTaskNetwork, task: str, counts: np.ndarray, labelled: int) -> None:
    """Set the biases of a multi-label head to the log-odds of the labels' shares, so that rare ones begin as such."""
    bias = network.heads[head_name(task)].bias
    with torch.no_grad():
        bias.copy_(torch.from_numpy(_log_odds(counts, labelled)))


def _log_odds(counts: np.ndarray, total: int) -> np.ndarray:
    """Return the log-odds of shares, as if each label had been half once more."""
    return np.log((counts + 0.5) / (total - counts + 0.5)).astype(np.float32)


def _set_head(network: MultiTaskNetwork, task: str, weights: np.ndarray, bias: np.ndarray) -> None:
    head = network.heads[head_name(task)]
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weights))
        head.bias.copy_(torch.from_numpy(bias))


def nearest_mean(vectors: np.ndarray, target: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a linear layer whose logits fall with the squared distance from each label's mean.

    How steeply they fall is chosen by the likelihood of each text under means that leave it out.

    Parameters
    ----------
    vectors : ndarray of float, shape (n_texts, width)
    target : ndarray of int, shape (n_texts,)
    labels : int
        Each needs a text.

    Returns
    -------
    weights : ndarray of float32, shape (labels, width)
    bias : ndarray of float32, shape (labels,)
    """
    counts = np.bincount(target, minlength=labels)
    means = np.zeros((labels, vectors.shape[1]))
    np.add.at(means, target, vectors)
    means /= counts[:, None]
    middle = means.mean(0)
    # |v - m|^2 multiplied out: all differences at once would be texts x labels x width numbers, gigabytes for a corpus.
    # Around the middle, so that little is lost where near-equal numbers are subtracted.
    around, centres = vectors - middle, means - middle
    distances = (around**2).sum(1)[:, None] - 2 * around @ centres.T + (centres**2).sum(1)
    distances = np.maximum(distances, 0.0)
    rows = np.flatnonzero(counts[target] > 1)
    texts_of_label = counts[target[rows]]
    # Without the text itself, its mean is further away by the factor n / (n - 1).
    distances[rows, target[rows]] *= (texts_of_label / (texts_of_label - 1)) ** 2

    def loss(logarithm: float) -> float:
        scores = log_softmax(-distances[rows] * np.exp(logarithm))
        return float(-scores[np.arange(len(rows)), target[rows]].mean())

    typical = float(np.log(distances.mean()))
    steep = np.exp(minimize_scalar(loss, bounds=(-typical - 5, -typical + 8), method="bounded").x) if len(rows) else 1.0
    # Minus the distance to the means' mean, which is the same for all labels: small weights stand 8 bits better.
    weights, bias = 2 * steep * (means - middle), steep * ((middle**2).sum() - (means**2).sum(1))
    return weights.astype(np.float32), bias.astype(np.float32)


def linear_probe(vectors: np.ndarray, target: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a linear layer fitted by multinomial logistic regression.

    Parameters
    ----------
    vectors : ndarray of float, shape (n_texts, width)
    target : ndarray of int, shape (n_texts,)
        At least two different labels.
    labels : int
        One that no text has starts as hardly ever the likeliest.

    Returns
    -------
    weights : ndarray of float32, shape (labels, width)
    bias : ndarray of float32, shape (labels,)
    """
    from sklearn.linear_model import LogisticRegression

    # An encoder's vectors lie close together and far from 0: the penalty must see how they differ.
    middle, spread = vectors.mean(0), vectors.std(0) + 1e-6
    fitted = LogisticRegression(C=_PROBE_C, max_iter=200).fit((vectors - middle) / spread, target)
    slopes, offset = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # one row of weights, for the second label against the first
        slopes, offset = np.concatenate([-slopes, slopes]) / 2, np.concatenate([-offset, offset]) / 2
    weights = np.zeros((labels, vectors.shape[1]))
    bias = np.full(labels, offset.min() - 5.0)
    weights[fitted.classes_] = slopes / spread
    bias[fitted.classes_] = offset
    return weights.astype(np.float32), (bias - weights @ middle).astype(np.float32)


def one_vs_rest_probe(vectors: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a linear layer fitted by a logistic regression of each label against the rest.

    Parameters
    ----------
    vectors : ndarray of float, shape (n_texts, width)
    target : ndarray of int, shape (n_texts, labels)
        1 where a text has a label, else 0. A label that all or no texts have starts from its share alone.

    Returns
    -------
    weights : ndarray of float32, shape (labels, width)
    bias : ndarray of float32, shape (labels,)
    """
    counts = (target == 1).sum(0)
    weights = np.zeros((target.shape[1], vectors.shape[1]), np.float32)
    bias = _log_odds(counts, len(target))
    for label in np.flatnonzero((counts > 0) & (counts < len(target))).tolist():
        two, offsets = linear_probe(vectors, target[:, label].astype(np.int64), 2)
        weights[label], bias[label] = two[1] - two[0], offsets[1] - offsets[0]
    return weights, bias


def _pooled(network: MultiTaskNetwork, rows: Sequence[Sequence[int]], padding: int) -> np.ndarray:
    device = next(network.parameters()).device
    network.eval()
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    vectors = np.zeros((len(rows), network.encoder.config.hidden_size))
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            places = order[start : start + _BATCH]
            batch = [torch.tensor(rows[row], device=device) for row in places]
            ids = pad_sequence(batch, batch_first=True, padding_value=padding)
            mask = pad_sequence([torch.ones_like(row) for row in batch], batch_first=True)
            vectors[places] = network.encode(network.words(ids), mask).pooled.float().cpu().numpy()
    return vectors
