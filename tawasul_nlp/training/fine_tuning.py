"""Fine-tune the encoder, all tasks at once, with masked-token prediction as a companion loss.

Every training text is seen with a share of its tokens masked. The classification heads must answer from what is left
(a regulariser: no single word may decide), and a masked-language head predicts the hidden tokens in the same forward
pass, which heals the 4-bit weights and teaches the encoder the vocabulary of cases at almost no extra cost.

A finished training leaves its weights, and an unfinished one a checkpoint at each epoch, so that a killed run resumes.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from tawasul_nlp._system import atomic_write
from tawasul_nlp.evaluation.fitting import best_threshold
from tawasul_nlp.evaluation.plots import figure
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.training.backbone import MOST_TEXTS, Backbone, load_backbone, start_from_shares, start_heads
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData, truth_of
from tawasul_nlp.training.losses import TrainingNetwork, class_weights
from tawasul_nlp.training.rows import HeldTexts, MaskingCollator, RowEncoder
from tawasul_nlp.training.run_folder import STATE, tell, write_json


def fine_tune(data: TrainingData, config: TrainConfig, output: Path) -> MultiTaskNetwork:
    """Train the network, or load what an earlier call with this folder trained; on the CPU.

    The tokenizer lies in ``tokenizer`` of the folder.
    """
    backbone, network = start_network(data, config)
    tokenizer = backbone.tokenizer
    tokenizer.save_pretrained(output / "tokenizer")
    model = TrainingNetwork(network, config, class_weights(config.class_weights, data), data.multi_label)
    if not resumed(model, output):
        texts = HeldTexts(data.learned, RowEncoder(tokenizer, data, config, training=True))
        held_out = HeldTexts(data.validation, RowEncoder(tokenizer, data, config, training=False))
        if config.head_start != "random" and last_checkpoint(output) is None:
            _start_heads(network, texts, data, config, tokenizer.pad_token_id)
            backbone.give_heads(network, data.labels)
        collator = MaskingCollator(tokenizer, list(data.labels), config.mask_share, config.seed)
        train_network(model, texts, held_out, collator, output)
    return model.network.eval().cpu()


def start_network(
    data: TrainingData,
    config: TrainConfig,
    *,
    incident: bool = False,
    clauses: str | None = None,
) -> tuple[Backbone, MultiTaskNetwork]:
    """Return the backbone and the network that a training begins with.

    It has heads for incidents and clauses where these are asked for, or where an update must keep them, as it does that
    for pairs.
    """
    backbone = load_backbone(config.backbone, config.dropout)
    if backbone.config is not None and backbone.config.profile["name"] != config.profile:
        theirs = backbone.config.profile["name"]
        raise ValueError(f"profile is {config.profile!r}, but {config.backbone} was trained with {theirs!r}; set that")
    torch.manual_seed(config.seed)
    separator = None
    if data.before is not None and backbone.model is not None:
        incident, clauses = backbone.model.incident is not None, backbone.model.clauses
        separator = backbone.model.separator
    tasks = {task: len(names) for task, names in data.labels.items()}
    network = MultiTaskNetwork(
        backbone.encoder, tasks, config.dropout, incident=incident, clauses=clauses, separator=separator
    )
    counts, labelled = data.counts, data.labelled
    for task in data.multi_label:
        start_from_shares(network, task, counts[task], labelled[task])
    backbone.give_heads(network, data.labels)
    return backbone, network


def _start_heads(
    network: MultiTaskNetwork, texts: HeldTexts, data: TrainingData, config: TrainConfig, padding: int
) -> None:
    rows = texts.rows
    if config.head_start != "means":
        rows = rows.select(np.random.default_rng(config.seed).permutation(len(texts))[:MOST_TEXTS])
    truth = truth_of(rows, data.labels, data.multi_label)
    start_heads(network, list(rows["input_ids"]), padding, truth, config.head_start)


def draw_curves(history: Sequence[dict[str, Any]], tasks: Sequence[str], path: Path) -> None:
    """Write a PNG of the Trainer's log."""
    drawn, (losses, accuracies) = figure(9, 3.6, columns=2)
    trained = [(entry["epoch"], entry["loss"]) for entry in history if "loss" in entry]
    judged = [entry for entry in history if "eval_loss" in entry]
    epochs = [entry["epoch"] for entry in judged]
    losses.plot(*zip(*trained, strict=True), label="training (with masked tokens)") if trained else None
    losses.plot(epochs, [entry["eval_loss"] for entry in judged], "o-", label="validation")
    losses.set(xlabel="epoch", ylabel="loss", title="Loss")
    for task in tasks:
        accuracies.plot(epochs, [100 * entry[f"eval_{task}"] for entry in judged], "o-", label=task)
    accuracies.set(
        xlabel="epoch", ylabel="accuracy, or micro F1 of several labels, %", title="Encoder alone on validation"
    )
    for axes in (losses, accuracies):
        axes.legend(frameon=False)
    drawn.savefig(path, dpi=120)


SAVE_EVERY = 600.0
"""Seconds after which a checkpoint is left, whether an epoch has ended or not."""


def learning_rate_share(step: int, steps: int, warm: int, final: float) -> float:
    """Rise linearly to 1 over ``warm`` steps, then fall linearly to ``final`` at the last step."""
    if step < warm:
        return (step + 1) / warm
    # A training of one step has no step to fall in.
    return final + (1.0 - final) * max(0.0, (steps - step) / max(1, steps - warm))


class Rates(Protocol):
    """The learning rates of a training."""

    @property
    def learning_rate(self) -> float:
        """That of the encoder's top layer."""

    @property
    def head_learning_rate(self) -> float:
        """That of what is not the encoder."""

    @property
    def layer_decay(self) -> float:
        """That of a layer relative to the one above."""

    @property
    def weight_decay(self) -> float:
        """Of matrices."""


def parameter_groups(model: nn.Module, config: Rates, layers: int) -> list[dict[str, Any]]:
    """Give each of the encoder's layers its own learning rate, falling from the top to the embeddings."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if ".encoder.encoder.layer." in name:
            depth = layers - 1 - int(name.split(".layer.")[1].split(".")[0])
        elif ".encoder.embeddings." in name:
            depth = layers
        else:
            depth = -1
        rate = config.head_learning_rate if depth < 0 else config.learning_rate * config.layer_decay**depth
        decay = 0.0 if parameter.ndim < 2 else config.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def resumed(model: nn.Module, out: Path) -> bool:
    """Load the weights that a finished training left in its folder; False if it is not finished."""
    path = out / STATE
    if path.exists():
        tell(f"found {path}, resuming")
        model.load_state_dict(load_file(path))
    return path.exists()


def leave_weights(model: nn.Module, out: Path) -> None:
    """Write the weights of a finished training, which :func:`resumed` loads, and delete its checkpoints."""
    with atomic_write(out / STATE) as unfinished:  # a run that finds it does nothing of the training again
        save_file(model.state_dict(), unfinished)
    for folder in out.glob("checkpoint-*"):  # they hold the optimiser's state too: three times the network
        shutil.rmtree(folder)


def train_network(
    model: TrainingNetwork,
    train: HeldTexts,
    validation: HeldTexts,
    collator: MaskingCollator,
    out: Path,
) -> None:
    """Train ``model`` in the folder ``out``, which gets its weights, its history and curves.

    Checkpoints lie there after each epoch and every ten minutes, and a killed run resumes from the last one. With
    ``early_stopping`` the model ends as it was after the best epoch, by the mean of the metric over the tasks.
    ValueError if a tracker of ``report_to`` is not installed.
    """
    config, tasks = model.settings, list(model.network.tasks)
    for tracker in config.report_to:
        if find_spec(tracker) is None:
            raise ValueError(f"report_to names {tracker}, which is not installed: pip install {tracker}")
    tell(f"{len(train):,} texts, {config.epochs:g} epochs")
    batches = -(-len(train) // config.batch_size)
    steps = round(-(-batches // config.gradient_accumulation) * config.epochs)
    warm = max(1, int(config.warmup_ratio * steps))
    groups = parameter_groups(model, config, model.network.encoder.config.num_hidden_layers)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_share(step, steps, warm, config.final_learning_rate_ratio)
    )
    trainer = _LengthGroupedTrainer(
        model=model,
        args=_arguments(config, out, steps, tasks),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=collator,
        compute_metrics=metrics_of(tasks, model.multi_label),
        optimizers=(optimizer, schedule),
        callbacks=[EarlyStoppingCallback(config.early_stopping)] if config.early_stopping else [],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Progress(model))
    checkpoint = last_checkpoint(out)
    if checkpoint is not None:
        tell(f"found {checkpoint}, resuming")
    trainer.train(resume_from_checkpoint=checkpoint)
    write_json(out / "history.json", trainer.state.log_history)
    draw_curves(trainer.state.log_history, tasks, out / "curves.png")
    leave_weights(model, out)


def _arguments(config: TrainConfig, out: Path, steps: int, tasks: Sequence[str]) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=config.gradient_accumulation,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=min(50, max(1, steps // 20)),
        bf16=has_bf16() if config.bf16 == "auto" else bool(config.bf16),
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        remove_unused_columns=False,
        label_names=list(tasks),
        load_best_model_at_end=config.early_stopping > 0,
        metric_for_best_model=config.metric_for_best_model if config.early_stopping else None,
        seed=config.seed,
        report_to=list(config.report_to),
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def last_checkpoint(out: Path) -> str | None:
    """Return the last complete checkpoint, and delete what a kill left of an unfinished one."""
    complete = {}
    for folder in out.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_bytes())  # the Trainer writes it last
            complete[int(folder.name.split("-")[1])] = str(folder)
        except (OSError, ValueError):
            shutil.rmtree(folder)
    return complete[max(complete)] if complete else None


class _Progress(TrainerCallback):
    """Tells how far the training is, and asks for a checkpoint within an epoch, which may take an hour."""

    def __init__(self, model: TrainingNetwork) -> None:
        self.model = model
        self.last_save = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
        """Tell what is new."""
        logs = logs or {}
        if "loss" in logs:
            steps = f"step {state.global_step:,} of {state.max_steps:,}"
            tell(f"{steps}, epoch {state.epoch:.2f}, loss {logs['loss']:.4g}")
        elif "eval_loss" in logs:
            scores = [
                f"{task} {logs[f'eval_{task}']:.1%}{' (micro F1)' if task in self.model.multi_label else ''}"
                for task in self.model.network.tasks
                if f"eval_{task}" in logs
            ]
            tell(f"epoch {state.epoch:g}: accuracy on validation {', '.join(scores)}")

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Ask for a checkpoint if the last is long ago."""
        if time.monotonic() - self.last_save >= SAVE_EVERY:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Count from here."""
        self.last_save = time.monotonic()


def has_bf16() -> bool:
    """Tell whether the GPU, or else the CPU, computes in bfloat16 by itself (AVX-512 BF16 or AMX)."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


class _LengthGroupedTrainer(Trainer):
    """A Trainer that knows the lengths of texts that are tokenised when drawn."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        from transformers.trainer_pt_utils import LengthGroupedSampler

        dataset = train_dataset or self.train_dataset
        order = torch.Generator().manual_seed(self.args.seed)  # a resumed epoch skips what it had drawn
        return LengthGroupedSampler(
            self.args.train_batch_size, dataset=dataset, lengths=list(dataset.lengths), generator=order
        )


def metrics_of(tasks: Sequence[str], multi_label: Collection[str] = ()) -> Callable[[Any], dict[str, float]]:
    """Return a function that gives the top-1 accuracy of each task where it is defined, and the means over the tasks.

    For a multi-label task it is micro F1 at the threshold, one for all labels, at which that is highest.

    The means are those of ``accuracy`` and of ``macro_f1``, over the labels that a task's rows have.
    """

    def metrics(prediction: Any) -> dict[str, float]:
        # With one task, the Trainer unpacks what would be tuples of one.
        several = len(tasks) > 1
        logits = prediction.predictions if several else (prediction.predictions,)
        targets = prediction.label_ids if several else (prediction.label_ids,)
        scores, macro_f1 = {}, []
        for task, scored, target in zip(tasks, logits, targets, strict=True):
            rows = target[:, 0] >= 0 if task in multi_label else target.sum(1) > 0
            scored, target = scored[rows], target[rows]
            if task in multi_label:
                truth = target == 1
                threshold, score = best_threshold(scored.ravel(), truth.ravel())
                answered = scored >= threshold
            else:
                truth, answered = (np.eye(scored.shape[1], dtype=bool)[each.argmax(1)] for each in (target, scored))
                score = float((truth & answered).any(1).mean())
            scores[task] = round(score, 4)
            present = truth.any(0)
            both, said_or_true = (truth & answered).sum(0), truth.sum(0) + answered.sum(0)
            macro_f1.append((2 * both / np.maximum(said_or_true, 1))[present].mean())
        accuracy = sum(scores.values()) / len(scores)
        return {**scores, "accuracy": round(accuracy, 4), "macro_f1": round(float(np.mean(macro_f1)), 4)}

    return metrics
