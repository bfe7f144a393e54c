"""The multi-task network together with what it learns from: soft labels, masked tokens, reports of one incident."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tawasul_nlp.model.network import INCIDENT_SIZE, MultiTaskNetwork, head_name
from tawasul_nlp.training.config import Stage
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.rows import IGNORE

PARTS = 6  # of a batch with reports of incidents, whose lengths differ


class TrainingNetwork(nn.Module):
    """The multi-task network together with its training losses."""

    # The loss is a mean over the batch, so the Trainer has to divide it when it gathers gradients over several.
    accepts_loss_kwargs = False

    def __init__(
        self,
        network: MultiTaskNetwork,
        stage: Stage,
        class_weights: Mapping[str, np.ndarray] | None = None,
        multi_label: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.class_weights = {task: torch.from_numpy(weights) for task, weights in (class_weights or {}).items()}
        self.multi_label = frozenset(multi_label)
        self.network = network
        self.stage = stage
        hidden = network.encoder.config.hidden_size
        self.transform = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden))
        self.bias = nn.Parameter(torch.zeros(network.encoder.config.vocab_size))
        self.recent = RecentVectors(stage.recent_vectors if stage.incident_groups else 0, INCIDENT_SIZE)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        mlm_labels: Tensor,
        incident: Tensor,
        pair: Tensor | None = None,
        **targets: Tensor,
    ) -> dict[str, Any]:
        """Return the summed loss and the logits of each task.

        ``targets`` are those of the tasks, and of a batch with marked texts, of tokens and clauses
        (:class:`~tawasul_nlp.training.rows.MaskingCollator`).
        """
        network = self.network
        tokens, pooled, vectors, same_event = self._read(input_ids, attention_mask, pairs=pair is not None)
        loss = torch.zeros(())
        if self.training and self.stage.incident_groups:
            assert vectors is not None  # the network of such a stage has incident vectors
            # Two texts that are read together report no incident of their own.
            single = slice(None) if pair is None else pair < 0
            vectors, incident = vectors[single], incident[single]
            loss = loss + self.stage.incident_weight * contrastive_loss(
                vectors, incident, self.recent.vectors, self.recent.incidents, self.stage.incident_temperature
            )
            self.recent.add(vectors.detach(), incident)
        if pair is not None and same_event is not None:
            chosen = pair >= 0
            of_pairs = nn.functional.binary_cross_entropy_with_logits(same_event[chosen], pair[chosen])
            loss = loss + self.stage.pair_weight * of_pairs
        if "token_tags" in targets:
            loss = loss + self.stage.clause_weight * self._marks_loss(tokens, targets)
        out: dict[str, Any] = {}
        for task in network.tasks:
            logits = network.heads[head_name(task)](network.dropout(pooled)).float()
            of_task = binary_loss if task in self.multi_label else softmax_loss
            mean = of_task(logits, targets[task], self.stage.label_smoothing, self.class_weights.get(task))
            loss = loss + self.stage.task_weights.get(task, 1.0) * mean
            out[task] = logits
        hidden = mlm_labels != IGNORE
        if self.training and self.stage.mlm_weight and bool(hidden.any()):
            guesses = self.transform(tokens(hidden))
            vocabulary = nn.functional.linear(guesses, network.encoder.embeddings.word_embeddings.weight, self.bias)
            masked = nn.functional.cross_entropy(vocabulary.float(), mlm_labels[hidden])
            loss = loss + self.stage.mlm_weight * masked
        return {"loss": loss, **out}

    def _marks_loss(self, tokens: Callable[[Tensor], Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """Return the summed losses of the tags of tokens, of evidence, and of the labels of whole clauses."""
        tags, evidence = targets["token_tags"], targets["token_evidence"]
        clauses, clause_labels = targets["token_clauses"], targets["clause_labels"]
        network = self.network
        assert network.tags is not None and network.clauses is not None
        loss = torch.zeros(())
        marked = tags != IGNORE
        if bool(marked.any()):
            logits = network.tags(tokens(marked)).float()[:, :-1]
            loss = loss + nn.functional.cross_entropy(logits, tags[marked])
        marked = evidence != IGNORE
        if bool(marked.any()):
            logits = network.tags(tokens(marked)).float()[:, -1]
            loss = loss + nn.functional.binary_cross_entropy_with_logits(logits, evidence[marked].float())
        marked = clauses != IGNORE
        if bool((clause_labels != IGNORE).any()):
            means = mean_by(tokens(marked).float(), clauses[marked], len(clause_labels))
            logits = network.heads[head_name(network.clauses)](means)
            loss = loss + nn.functional.cross_entropy(
                logits, clause_labels, ignore_index=IGNORE, label_smoothing=self.stage.label_smoothing
            )
        return loss

    def _read(
        self, input_ids: Tensor, attention_mask: Tensor, pairs: bool
    ) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor | None, Tensor | None]:
        """Read the batch in parts of similar length, so that little time goes into padding.

        Returns what gives the states of the tokens that a mask (batch, tokens) chooses, the pooled vectors, the
        incident vectors, and the logits of the pair head, of use for pairs only.
        """
        lengths = attention_mask.sum(1)
        order = lengths.argsort()
        parts = order.chunk(PARTS if len(order) >= 2 * PARTS else 1)
        # Looked up once: every look-up has a gradient as large as the whole table.
        words = self.network.words(input_ids)
        read, same_event = [], []
        for part in parts:
            cut = part, slice(int(lengths[part].max()))
            read.append(self.network.encode(words[cut], attention_mask[cut]))
            if pairs and self.network.pair is not None:
                same_event.append(self.network.same_event(input_ids[cut], attention_mask[cut], read[-1])[:, 0])
        back = order.argsort()

        def tokens(chosen: Tensor) -> Tensor:
            # The mask is read row by row, so the states must be put in the order of the batch as well.
            rows = [row for encoded in read for row in encoded.states]
            return torch.cat([rows[place][chosen[row, : len(rows[place])]] for row, place in enumerate(back.tolist())])

        vectors = [encoded.incident for encoded in read if encoded.incident is not None]
        pooled = torch.cat([encoded.pooled for encoded in read])[back]
        incident, pair = (torch.cat(parts)[back] if parts else None for parts in (vectors, same_event))
        return tokens, pooled, incident, pair


def mean_by(states: Tensor, groups: Tensor, count: int) -> Tensor:
    """Average states (n, hidden) by their group number (n,): (count, hidden)."""
    sums = states.new_zeros(count, states.shape[1]).index_add(0, groups, states)
    sizes = torch.bincount(groups, minlength=count).clamp(min=1)
    return sums / sizes[:, None]


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
    """Return the weight of each label of each task, as ``Stage.class_weights`` says; nothing where all weigh the same.

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


class RecentVectors:
    """The incident vectors of the last batches, as further negatives; they carry no gradient."""

    def __init__(self, size: int, width: int) -> None:
        self.size = size
        self.vectors = torch.zeros(0, width)
        self.incidents = torch.zeros(0, dtype=torch.long)

    def add(self, vectors: Tensor, incidents: Tensor) -> None:
        """Remember a batch, and forget the oldest beyond ``size``."""
        self.vectors = torch.cat([vectors.float().to(self.vectors.device), self.vectors])[: self.size]
        self.incidents = torch.cat([incidents.to(self.incidents.device), self.incidents])[: self.size]


def contrastive_loss(
    vectors: Tensor, incidents: Tensor, others: Tensor, their_incidents: Tensor, temperature: float
) -> Tensor:
    """Return the supervised contrastive loss of a batch (Khosla et al. 2020, L_out).

    It is the mean over the texts that have another report of their incident in the batch; 0 if none has. ``vectors``
    (batch, width) are of length 1, and texts of one incident have one number. ``others`` serve as negatives only; those
    of an anchor's own incident are left out.
    """
    same = incidents[:, None] == incidents[None, :]
    itself = torch.eye(len(incidents), dtype=torch.bool, device=same.device)
    positive = same & ~itself
    anchors = positive.any(1)
    if not bool(anchors.any()):
        return vectors.sum() * 0.0
    vectors = vectors.float()
    within = (vectors @ vectors.T / temperature).masked_fill(itself, -torch.inf)
    outside = vectors @ others.to(vectors.device).T / temperature
    outside = outside.masked_fill(incidents[:, None] == their_incidents.to(incidents.device)[None, :], -torch.inf)
    log_share = within - torch.cat([within, outside], 1).logsumexp(1, keepdim=True)
    each = -log_share.masked_fill(~positive, 0.0).sum(1)[anchors] / positive.sum(1)[anchors]
    return each.mean()
