"""Start the heads from the encoder as it is: each label's weights are the mean vector of its texts.

With a handful of texts a label, a head that starts from nothing has to move the encoder before it can tell labels
apart, and the encoder forgets. A head of means is right from the first step as often as the nearest mean is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from tawasul_nlp.model.combine import log_softmax
from tawasul_nlp.model.network import MultiTaskNetwork, head_name


def start_heads(
    network: MultiTaskNetwork,
    rows: Sequence[Sequence[int]],
    padding: int,
    targets: Mapping[str, np.ndarray],
    batch_size: int = 64,
) -> None:
    """Set the heads' weights from the mean pooled vector of each label's texts.

    Parameters
    ----------
    network : MultiTaskNetwork
        Changed in place.
    rows : sequence of sequence of int
        Token ids of each text.
    padding : int
    targets : mapping of str to ndarray of int, shape (n_rows,)
        Label index for each task; -1 where a text has none.
    batch_size : int
    """
    vectors = _pooled(network, rows, padding, batch_size)
    for task, target in targets.items():
        known = target >= 0
        weights, bias = nearest_mean(vectors[known], target[known], network.tasks[task])
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
    own = counts[target[rows]]
    # Without the text itself, its mean is further away by the factor n / (n - 1).
    distances[rows, target[rows]] *= (own / (own - 1)) ** 2

    def loss(logarithm: float) -> float:
        scores = log_softmax(-distances[rows] * np.exp(logarithm))
        return float(-scores[np.arange(len(rows)), target[rows]].mean())

    typical = float(np.log(distances.mean()))
    steep = np.exp(minimize_scalar(loss, bounds=(-typical - 5, -typical + 8), method="bounded").x) if len(rows) else 1.0
    # Minus the distance to the means' mean, which is the same for all labels: small weights stand 8 bits better.
    weights, bias = 2 * steep * (means - middle), steep * ((middle**2).sum() - (means**2).sum(1))
    return weights.astype(np.float32), bias.astype(np.float32)


def _pooled(network: MultiTaskNetwork, rows: Sequence[Sequence[int]], padding: int, batch_size: int) -> np.ndarray:
    device = next(network.parameters()).device
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            width = max(map(len, batch))
            ids = torch.tensor([[*row, *[padding] * (width - len(row))] for row in batch], device=device)
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch], device=device)
            parts.append(network.read(network.words(ids), mask)[1].cpu().numpy())
    return np.concatenate(parts).astype(np.float64)
