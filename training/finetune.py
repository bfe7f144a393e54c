"""Fine-tune the encoder on all tasks at once, with masked-token prediction as a companion loss.

Every training text is seen with a share of its tokens masked. The classification heads must answer from what is left
(a regulariser: no single word may decide), and a masked-language head predicts the hidden tokens in the same forward
pass, which heals the 4-bit weights and teaches the encoder the vocabulary of cases at almost no extra cost.

A stage with ``incident_groups`` also draws reports of the same incident into every batch: their incident vectors are
pulled together and pushed away from those of every other text (a supervised contrastive loss, Khosla et al. 2020).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertModel, PreTrainedTokenizerFast, Trainer, TrainingArguments

from tawasul_nlp.model.network import INCIDENT_SIZE, MultiTaskNetwork
from tawasul_nlp.text import Normalizer
from training.corpus import Example, LabelSpace
from training.incidents import IncidentDraws, load_incidents, load_parallel
from training.noise import add_noise

TASKS = ("topic", "agency", "kind")
IGNORE = -100
STATE = "state.safetensors"
PARTS = 4


def soft_targets(example: Example, labels: LabelSpace, task: str, secondary: float) -> np.ndarray:
    """Return the label distribution of one example; all zero if the task is not defined for it.

    A secondary topic gets the share ``secondary`` (and its agency likewise).
    """
    names = labels.of(task)
    target = np.zeros(len(names), np.float32)
    first = getattr(example, task)
    if not first:
        return target
    target[names.index(first)] = 1.0
    if example.secondary_topic and task in ("topic", "agency"):
        second = example.secondary_topic if task == "topic" else labels.agency_of[example.secondary_topic]
        target *= 1.0 - secondary
        target[names.index(second)] += secondary
    return target


class TrainingTexts(torch.utils.data.Dataset[dict[str, Any]]):
    """Examples that are noised and tokenised afresh each time they are drawn."""

    def __init__(
        self,
        examples: list[Example],
        labels: LabelSpace,
        tokenizer: PreTrainedTokenizerFast,
        recipe: dict[str, Any],
        training: bool,
    ) -> None:
        self.normalizer = Normalizer("default")
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.training = training
        self.rng = random.Random(recipe["seed"])
        self.texts = [example.text for example in examples]
        self.incidents = [example.incident for example in examples]
        self.labels = labels
        self.targets = [self._targets(example) for example in examples]
        self.lengths = [len(ids) for ids in self._tokenize([self.normalizer(text) for text in self.texts])]

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(texts, truncation=True, max_length=self.recipe["max_tokens"]).input_ids
        return ids

    def _targets(self, example: Example) -> dict[str, np.ndarray]:
        return {task: soft_targets(example, self.labels, task, self.recipe["secondary"]) for task in TASKS}

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._row(self.texts[index], self.targets[index], self.incidents[index])

    def row(self, example: Example) -> dict[str, Any]:
        """Return the training row of a text that is not one of the numbered examples."""
        return self._row(example.text, self._targets(example), example.incident)

    def _row(self, text: str, targets: dict[str, np.ndarray], incident: str) -> dict[str, Any]:
        if self.training and self.rng.random() < self.recipe["noise_share"]:
            text = add_noise(text, self.rng, self.rng.choice((0.1, 0.3, 0.8)))
        ids = self._tokenize([self.normalizer(text)])[0]
        return {"input_ids": ids, "training": self.training, "incident": incident, **targets}


class MaskingCollator:
    """Pad a batch and, in training, mask tokens and remember what they were.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    mask_share : float
    seed : int
    draw : callable or None
        Returns the rows that join each training batch (reports of the same incidents).
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        mask_share: float,
        seed: int,
        draw: Callable[[], list[dict[str, Any]]] | None = None,
    ) -> None:
        self.pad = tokenizer.pad_token_id
        self.mask = tokenizer.mask_token_id
        self.special = set(tokenizer.all_special_ids)
        self.vocabulary = len(tokenizer)
        self.mask_share = mask_share
        self.draw = draw
        self.incident_numbers: dict[str, int] = {}
        self.rng = np.random.default_rng(seed)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return input_ids, attention_mask, mlm_labels, incident numbers and one soft-label matrix for each task.

        Texts that are not for training are never masked.
        """
        if self.draw is not None and rows[0]["training"]:
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
        chosen = (self.rng.random(ids.shape) < self.mask_share) & masked_rows[:, None] & (ids > 3)
        labels[chosen] = ids[chosen]
        action = self.rng.random(ids.shape)
        ids[chosen & (action < 0.8)] = self.mask
        swap = chosen & (action >= 0.9)
        ids[swap] = self.rng.integers(4, self.vocabulary - 1, swap.sum())
        batch = {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
            "mlm_labels": torch.from_numpy(labels),
            "incident": torch.tensor(
                [self.incident_numbers.setdefault(row["incident"], len(self.incident_numbers)) for row in rows]
            ),
        }
        for task in TASKS:
            batch[task] = torch.from_numpy(np.stack([row[task] for row in rows]))
        return batch


class TrainingNetwork(nn.Module):
    """The multi-task network together with its training losses."""

    def __init__(self, network: MultiTaskNetwork, recipe: dict[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        hidden = network.encoder.config.hidden_size
        self.transform = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden))
        self.bias = nn.Parameter(torch.zeros(network.encoder.config.vocab_size))
        self.recent = RecentVectors(recipe.get("recent_vectors", 0), INCIDENT_SIZE)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, mlm_labels: Tensor, incident: Tensor, **targets: Tensor
    ) -> dict[str, Any]:
        """Return the summed loss and the logits of each task."""
        network = self.network
        tokens, pooled, vectors = self._read(input_ids, attention_mask)
        loss = torch.zeros(())
        if self.training and self.recipe.get("incident_groups"):
            others, their_incidents = self.recent.all()
            loss = loss + self.recipe["incident_weight"] * contrastive_loss(
                vectors, incident, others, their_incidents, self.recipe["incident_temperature"]
            )
            self.recent.add(vectors.detach(), incident)
        out: dict[str, Any] = {}
        for task, head in network.heads.items():
            logits = head(network.dropout(pooled)).float()
            target = targets[task]
            smooth = self.recipe["smoothing"]
            smoothed = target * (1 - smooth) + smooth / target.shape[1]
            known = target.sum(1) > 0
            each = -(smoothed * logits.log_softmax(1)).sum(1)
            loss = loss + self.recipe["task_weights"][task] * (each * known).sum() / known.sum().clamp(min=1)
            out[task] = logits
        hidden = mlm_labels != IGNORE
        if self.training and self.recipe["mlm_weight"] and bool(hidden.any()):
            guesses = self.transform(tokens(hidden))
            vocabulary = nn.functional.linear(guesses, network.encoder.embeddings.word_embeddings.weight, self.bias)
            masked = nn.functional.cross_entropy(vocabulary.float(), mlm_labels[hidden])
            loss = loss + self.recipe["mlm_weight"] * masked
        return {"loss": loss, **out}

    def _read(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor]:
        """Read the batch in parts of similar length, so that little time goes into padding.

        Returns a function from a mask (batch, tokens) to the chosen tokens' states, the pooled states and the
        incident vectors, the latter two in the order of the batch.
        """
        lengths = attention_mask.sum(1)
        order = lengths.argsort()
        parts = order.chunk(PARTS if len(order) >= 2 * PARTS else 1)
        read = [
            self.network.read(input_ids[part, :width], attention_mask[part, :width])
            for part in parts
            for width in [int(lengths[part].max())]
        ]
        back = order.argsort()

        def tokens(chosen: Tensor) -> Tensor:
            # The mask is read row by row, so the states must be put in the order of the batch as well.
            rows = [row for states, _, _ in read for row in states]
            return torch.cat([rows[place][chosen[at, : len(rows[place])]] for at, place in enumerate(back.tolist())])

        return tokens, torch.cat([pooled for _, pooled, _ in read])[back], torch.cat([v for _, _, v in read])[back]


class RecentVectors:
    """The incident vectors of the last batches, as further negatives; they carry no gradient."""

    def __init__(self, size: int, width: int) -> None:
        self.size = size
        self.vectors = torch.zeros(0, width)
        self.incidents = torch.zeros(0, dtype=torch.long)

    def all(self) -> tuple[Tensor, Tensor]:
        """Return vectors (kept, width) and their incident numbers (kept,)."""
        return self.vectors, self.incidents

    def add(self, vectors: Tensor, incidents: Tensor) -> None:
        """Remember a batch, and forget the oldest beyond ``size``."""
        self.vectors = torch.cat([vectors.float().to(self.vectors.device), self.vectors])[: self.size]
        self.incidents = torch.cat([incidents.to(self.incidents.device), self.incidents])[: self.size]


def contrastive_loss(
    vectors: Tensor, incidents: Tensor, others: Tensor, their_incidents: Tensor, temperature: float
) -> Tensor:
    """Return the supervised contrastive loss of a batch (Khosla et al. 2020, L_out).

    Parameters
    ----------
    vectors : Tensor, shape (batch, width)
        Of length 1.
    incidents : Tensor of int, shape (batch,)
        Texts of one incident have one number.
    others, their_incidents : Tensor
        Further vectors, which serve as negatives only; those of an anchor's own incident are left out.
    temperature : float

    Returns
    -------
    Tensor
        A number: the mean over the texts that have another report of their incident in the batch; 0 if none has.
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


def learning_rate_share(step: int, steps: int, warm: int, final: float) -> float:
    """Rise linearly to 1 over ``warm`` steps, then fall linearly to ``final`` at the last step."""
    if step < warm:
        return (step + 1) / warm
    return final + (1.0 - final) * max(0.0, (steps - step) / (steps - warm))


def parameter_groups(model: TrainingNetwork, recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Give each encoder layer its own learning rate, falling from the top to the embeddings."""
    layers = model.network.encoder.config.num_hidden_layers
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if ".encoder.encoder.layer." in name:
            depth = layers - 1 - int(name.split(".layer.")[1].split(".")[0])
        elif ".encoder.embeddings." in name:
            depth = layers
        else:
            depth = -1
        rate = recipe["head_rate"] if depth < 0 else recipe["rate"] * recipe["layer_decay"] ** depth
        decay = 0.0 if parameter.ndim < 2 else recipe["weight_decay"]
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def fine_tune(
    train: list[Example],
    validation: list[Example],
    labels: LabelSpace,
    base: Path,
    out: Path,
    recipe: dict[str, Any],
    start: Path | MultiTaskNetwork | None = None,
) -> MultiTaskNetwork:
    """Train the network by ``recipe``; checkpoints lie in ``out``, and a killed run goes on from the last one.

    ``start`` is the saved state of an earlier stage, or a network, to go on from.
    """
    torch.manual_seed(recipe["seed"])
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    encoder = BertModel.from_pretrained(
        base,
        add_pooling_layer=False,
        # Dropout on attention forces a slow path on CPU (1.5 times the time); masking tokens regularises instead.
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=recipe["dropout"],
        attn_implementation="eager",
    )
    tasks = {task: len(labels.of(task)) for task in TASKS}
    model = TrainingNetwork(MultiTaskNetwork(encoder, tasks, recipe["dropout"]), recipe)
    if isinstance(start, Path):
        # A stage before incident vectors has no projection for them.
        missing = model.load_state_dict(load_file(start), strict=False)
        assert set(missing.missing_keys) <= {"network.incident.weight"} and not missing.unexpected_keys, missing
    elif start is not None:
        model.network.load_state_dict(start.state_dict())
    texts = TrainingTexts(train, labels, tokenizer, recipe, training=True)
    draw = None
    if recipe.get("incident_groups"):
        draws = IncidentDraws(load_incidents("train", labels), load_parallel(), labels.agency_of, recipe["seed"])

        def draw() -> list[dict[str, Any]]:
            return [texts.row(example) for example in draws.draw(recipe["incident_groups"])]

    arguments = TrainingArguments(
        output_dir=str(out),
        num_train_epochs=recipe["epochs"],
        per_device_train_batch_size=recipe["batch_size"],
        per_device_eval_batch_size=64,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=50,
        bf16=recipe["bf16"],
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        remove_unused_columns=False,
        label_names=[*TASKS],
        max_grad_norm=1.0,
        seed=recipe["seed"],
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    steps = round(-(-len(texts) // recipe["batch_size"]) * recipe["epochs"])
    warm = max(1, int(recipe["warmup"] * steps))
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe), betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_share(step, steps, warm, recipe["final_share"])
    )
    trainer = _LengthGroupedTrainer(
        model=model,
        args=arguments,
        train_dataset=texts,
        eval_dataset=TrainingTexts(validation, labels, tokenizer, recipe, training=False),
        data_collator=MaskingCollator(tokenizer, recipe["mask_share"], recipe["seed"], draw),
        compute_metrics=accuracy,
        optimizers=(optimizer, schedule),
    )
    trainer.train(resume_from_checkpoint=bool(list(out.glob("checkpoint-*"))) or None)
    save_file(model.state_dict(), out / STATE)
    return model.network.eval()


class _LengthGroupedTrainer(Trainer):
    """A Trainer that knows the lengths of texts that are tokenised when drawn."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        from transformers.trainer_pt_utils import LengthGroupedSampler

        dataset = train_dataset or self.train_dataset
        return LengthGroupedSampler(self.args.train_batch_size, dataset=dataset, lengths=list(dataset.lengths))


def accuracy(prediction: Any) -> dict[str, float]:
    """Return the top-1 accuracy of each task over the examples for which it is defined."""
    scores = {}
    for task, logits, target in zip(TASKS, prediction.predictions, prediction.label_ids, strict=True):
        known = target.sum(1) > 0
        scores[task] = round(float((logits.argmax(1) == target.argmax(1))[known].mean()), 4)
    return scores
