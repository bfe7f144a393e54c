"""Fine-tune the encoder on all tasks at once, with masked-token prediction as a companion loss.

Every training text is seen with a share of its tokens masked. The classification heads must answer from what is left
(a regulariser: no single word may decide), and a masked-language head predicts the hidden tokens in the same forward
pass, which heals the 4-bit weights and teaches the encoder the vocabulary of cases at almost no extra cost.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertModel, PreTrainedTokenizerFast, Trainer, TrainingArguments

from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.text import Normalizer
from training.corpus import Example, LabelSpace
from training.noise import add_noise

TASKS = ("topic", "agency", "kind")
IGNORE = -100
STATE = "state.safetensors"


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
        self.targets = [
            {task: soft_targets(example, labels, task, recipe["secondary"]) for task in TASKS} for example in examples
        ]
        self.lengths = [len(ids) for ids in self._tokenize([self.normalizer(text) for text in self.texts])]

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(texts, truncation=True, max_length=self.recipe["max_tokens"]).input_ids
        return ids

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        text = self.texts[index]
        if self.training and self.rng.random() < self.recipe["noise_share"]:
            text = add_noise(text, self.rng, self.rng.choice((0.1, 0.3, 0.8)))
        ids = self._tokenize([self.normalizer(text)])[0]
        return {"input_ids": ids, "training": self.training, **self.targets[index]}


class MaskingCollator:
    """Pad a batch and, in training, mask tokens and remember what they were."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, mask_share: float, seed: int) -> None:
        self.pad = tokenizer.pad_token_id
        self.mask = tokenizer.mask_token_id
        self.special = set(tokenizer.all_special_ids)
        self.vocabulary = len(tokenizer)
        self.mask_share = mask_share
        self.rng = np.random.default_rng(seed)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Return input_ids, attention_mask, mlm_labels and one soft-label matrix for each task.

        Texts that are not for training are never masked.
        """
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

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, mlm_labels: Tensor, **targets: Tensor
    ) -> dict[str, Any]:
        """Return the summed loss and the logits of each task."""
        network = self.network
        states = network.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = network.pool(states, attention_mask)
        loss = torch.zeros(())
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
            guesses = self.transform(states[hidden])
            vocabulary = nn.functional.linear(guesses, network.encoder.embeddings.word_embeddings.weight, self.bias)
            masked = nn.functional.cross_entropy(vocabulary.float(), mlm_labels[hidden])
            loss = loss + self.recipe["mlm_weight"] * masked
        return {"loss": loss, **out}


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
    start: Path | None = None,
) -> MultiTaskNetwork:
    """Train the network by ``recipe``; checkpoints lie in ``out``, and a killed run goes on from the last one.

    ``start`` names the saved state of an earlier stage to go on from.
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
    if start is not None:
        model.load_state_dict(load_file(start))
    texts = TrainingTexts(train, labels, tokenizer, recipe, training=True)
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
    steps = -(-len(texts) // recipe["batch_size"]) * recipe["epochs"]
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
        data_collator=MaskingCollator(tokenizer, recipe["mask_share"], recipe["seed"]),
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
