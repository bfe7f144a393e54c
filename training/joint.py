"""Train the encoder on labels, incidents and clauses at once, stage by stage.

A stage with ``incident_groups`` also draws reports of the same incident into every batch: their incident vectors are
pulled together and pushed away from those of every other text (a supervised contrastive loss, Khosla et al. 2020).
Marked texts teach which of their tokens report an issue, and which speak for the urgency (:mod:`training.marks`).

Every finished stage leaves its weights in a folder of its own, and an unfinished one its checkpoints, so that a killed
training resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.model.network import INCIDENT_SIZE, MultiTaskNetwork, head_name
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.fine_tuning import resumed, start_network, train_network
from tawasul_nlp.training.losses import TrainingNetwork, class_weights
from tawasul_nlp.training.rows import IGNORE, HeldTexts, MaskingCollator, RowEncoder
from tawasul_nlp.training.run_folder import tell
from tawasul_nlp.training.splitting import by_value
from tawasul_nlp.training.tables import label_column
from training.corpus import CLAUSE_TASK, TRAIN, Corpus, second_column
from training.incident_groups import IncidentDraws, Incidents
from training.marks import CLAUSES, encode_marks
from training.recipe import Recipe, Stage
from training.teacher import Teacher

# Of the target gets the label of the second of two labellers who disagree.
_OF_TWO = 0.5


def fine_tune(corpus: Corpus, recipe: Recipe, output: Path, teacher: Teacher | None = None) -> MultiTaskNetwork:
    """Train the network through all stages, or resume after those that are done in this folder; on the CPU.

    The tokenizer lies in ``tokenizer`` of the folder.
    """
    weights = None
    for number, stage in enumerate(recipe.stages, start=1):
        backbone, network = start_network(corpus.data, stage, incident=True, clauses=CLAUSE_TASK)
        model = JointNetwork(network, stage, class_weights(stage.class_weights, corpus.data))
        if weights is not None:
            model.load_state_dict(weights)
        out, tokenizer = output / f"stage{number}", backbone.tokenizer
        tokenizer.save_pretrained(output / "tokenizer")
        if not resumed(model, out):
            tell(f"stage {number}")
            encoder = JointRowEncoder(tokenizer, corpus.data, stage, teacher)
            texts = HeldTexts(rows_of_stage(corpus.data.learned, stage), encoder)
            held_out = HeldTexts(corpus.data.validation, RowEncoder(tokenizer, corpus.data, stage, training=False))
            collator = JointCollator(tokenizer, list(corpus.data.labels), stage, _draws(corpus.incidents, encoder))
            train_network(model, texts, held_out, collator, out)
        weights = model.state_dict()
    return model.network.eval().cpu()


def rows_of_stage(rows: Dataset, stage: Stage) -> Dataset:
    """Return the rows that a stage reads one by one; some of them several times.

    Where reports of incidents are drawn as groups, only the first of each incident is among them.
    """
    if stage.incident_groups:
        first = np.unique(by_value(list(rows["incident"])), return_index=True)[1]
        rows = rows.select(np.sort(first))
    return oversampled(rows, stage.oversample)


def oversampled(rows: Dataset, times: Mapping[str, int]) -> Dataset:
    """Repeat the rows that have a label of a task, or marked clauses, as often as given for it.

    >>> rows = Dataset.from_dict({"label.dept": ["water", "roads"], "label.urgency": ["", "normal"]})
    >>> oversampled(rows, {"urgency": 3})["label.dept"][:]
    ['water', 'roads', 'roads', 'roads']
    """
    repeats = np.ones(len(rows), np.int64)
    for name, often in times.items():
        column = CLAUSES if name == CLAUSES else label_column(name)
        labelled = np.array([bool(value) for value in rows[column]])
        repeats = np.where(labelled, np.maximum(repeats, often), repeats)
    return rows.select(np.repeat(np.arange(len(rows)), repeats)) if times else rows


class JointRowEncoder(RowEncoder):
    """Draw training rows with the incident that they report, second labels, and marks."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, data: TrainingData, stage: Stage, teacher: Teacher | None = None
    ) -> None:
        super().__init__(tokenizer, data, stage, training=True)
        self.stage, self.teacher = stage, teacher
        self.clause_labels = data.labels[CLAUSE_TASK]

    def draw(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the training row of a row; a marked one is never noised, which would move what is marked."""
        incident = row.get("incident") or ""
        marked = encode_marks(row, self.tokenizer, self.normalizer, self.max_tokens, labels=self.clause_labels)
        drawn = super().draw(row) if marked is None else {**marked, "training": True, **self.targets(row)}
        return {**drawn, "incident": incident}

    def targets(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the label distribution of each task.

        A second label gets ``secondary_share`` of it, and half where two labellers disagree on the urgency; the teacher
        gets ``teacher_share``.
        """
        targets = super().targets(row)
        for task, target in targets.items():
            second = row.get(second_column(task))
            if second and target.any():
                share = _OF_TWO if task == "urgency" else self.stage.secondary_share
                target *= 1.0 - share
                target[self.index[task][second]] += share
            if self.teacher is not None and row.get("file") == TRAIN:
                targets[task] = self.teacher.mixed(task, row["row"], target, self.stage.teacher_share)
        return targets


def _draws(incidents: Incidents, encoder: JointRowEncoder) -> Callable[[], list[dict[str, Any]]]:
    """Return what draws the reports of incidents that join each batch."""
    stage = encoder.stage
    if not stage.incident_groups:
        return list
    groups = IncidentDraws(incidents, stage.seed)
    return lambda: list(map(encoder.draw, groups.draw(stage.incident_groups)))


class JointCollator(MaskingCollator):
    """Pad a batch with the rows that join it, and add what is known of incidents and marked clauses."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        tasks: list[str],
        stage: Stage,
        draw: Callable[[], list[dict[str, Any]]],
    ) -> None:
        super().__init__(tokenizer, tasks, stage.mask_share, stage.seed)
        self.draw = draw
        self.incident_numbers: dict[str, int] = {}
        self.unknown_incidents = 0

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return a batch with incident numbers and its marks."""
        if not rows[0]["training"]:
            return super().__call__(rows)
        rows = rows + self.draw()
        batch = super().__call__(rows)
        batch["incident"] = torch.tensor([self._number(row["incident"]) for row in rows])
        return batch | _padded_marks(rows, batch["input_ids"].shape[1])

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


class JointNetwork(TrainingNetwork):
    """The multi-task network together with the losses of incidents and marks beside those of the labels."""

    settings: Stage

    def __init__(self, network: MultiTaskNetwork, stage: Stage, class_weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(network, stage, class_weights)
        self.recent = RecentVectors(stage.recent_vectors if stage.incident_groups else 0, INCIDENT_SIZE)

    def read(
        self, input_ids: Tensor, attention_mask: Tensor, targets: Mapping[str, Tensor]
    ) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor]:
        """Read a batch, and return also the losses of what its rows teach beside labels."""
        stage, incident = self.settings, targets.get("incident")
        tokens, pooled, vectors = self.read_in_parts(input_ids, attention_mask)
        loss = torch.zeros(())
        if incident is None:  # a batch of validation
            return tokens, pooled, loss
        if stage.incident_groups:
            assert vectors is not None
            loss = loss + stage.incident_weight * contrastive_loss(
                vectors, incident, self.recent.vectors, self.recent.incidents, stage.incident_temperature
            )
            self.recent.add(vectors.detach(), incident)
        loss = loss + stage.clause_weight * self._marks_loss(tokens, targets)
        return tokens, pooled, loss

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
                logits, clause_labels, ignore_index=IGNORE, label_smoothing=self.settings.label_smoothing
            )
        return loss


def mean_by(states: Tensor, groups: Tensor, count: int) -> Tensor:
    """Average states (n, hidden) by their group number (n,): (count, hidden)."""
    sums = states.new_zeros(count, states.shape[1]).index_add(0, groups, states)
    sizes = torch.bincount(groups, minlength=count).clamp(min=1)
    return sums / sizes[:, None]


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
