"""Run transformers' Trainer on the network: learning rates by layer, schedule, checkpoints, early stopping."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from tawasul_nlp._system import atomic_write
from tawasul_nlp.evaluation.fitting import best_threshold
from tawasul_nlp.training.config import Stage
from tawasul_nlp.training.losses import TrainingNetwork
from tawasul_nlp.training.rows import MaskingCollator
from tawasul_nlp.training.run_folder import tell

STATE = "state.safetensors"
SAVE_EVERY = 600.0
"""Seconds after which a checkpoint is left, whether an epoch has ended or not."""
Curve = list[tuple[float, float]]
"""After each epoch the share of a stage that is done, and the metric on validation."""
OnEpoch = Callable[[Curve], None]


def learning_rate_share(step: int, steps: int, warm: int, final: float) -> float:
    """Rise linearly to 1 over ``warm`` steps, then fall linearly to ``final`` at the last step."""
    if step < warm:
        return (step + 1) / warm
    # A training of one step has no step to fall in.
    return final + (1.0 - final) * max(0.0, (steps - step) / max(1, steps - warm))


def parameter_groups(model: TrainingNetwork, stage: Stage) -> list[dict[str, Any]]:
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
        rate = stage.head_learning_rate if depth < 0 else stage.learning_rate * stage.layer_decay**depth
        decay = 0.0 if parameter.ndim < 2 else stage.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def train_network(
    model: TrainingNetwork,
    train: Any,
    validation: Any,
    collator: MaskingCollator,
    out: Path,
    report_to: Sequence[str] = (),
    on_epoch: OnEpoch | None = None,
) -> Trainer:
    """Train ``model`` for its stage; :func:`save_state` is for what comes of it.

    Checkpoints lie in ``out`` after each epoch and every ten minutes, and a killed run resumes from the last one. With
    ``early_stopping`` the model ends as it was after the best epoch, by the mean of the stage's metric over the tasks.
    ``on_epoch`` is called after each epoch with the stage's curve; what it raises ends the training. ValueError if a
    tracker of ``report_to`` is not installed.
    """
    for tracker in report_to:
        if find_spec(tracker) is None:
            raise ValueError(f"report_to names {tracker}, which is not installed: pip install {tracker}")
    stage, tasks = model.stage, list(model.network.tasks)
    batches = -(-len(train) // stage.batch_size)
    steps = round(-(-batches // stage.gradient_accumulation) * stage.epochs)
    warm = max(1, int(stage.warmup_ratio * steps))
    optimizer = torch.optim.AdamW(parameter_groups(model, stage), betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_share(step, steps, warm, stage.final_learning_rate_ratio)
    )
    trainer = _LengthGroupedTrainer(
        model=model,
        args=_arguments(stage, out, steps, tasks, report_to),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=collator,
        compute_metrics=metrics_of(tasks, model.multi_label),
        optimizers=(optimizer, schedule),
        callbacks=[EarlyStoppingCallback(stage.early_stopping)] if stage.early_stopping else [],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Progress(model, on_epoch))
    checkpoint = last_checkpoint(out)
    if checkpoint is not None:
        tell(f"found {checkpoint}, resuming")
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def _arguments(
    stage: Stage, out: Path, steps: int, tasks: Sequence[str], report_to: Sequence[str]
) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out),
        num_train_epochs=stage.epochs,
        per_device_train_batch_size=stage.batch_size,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=stage.gradient_accumulation,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=min(50, max(1, steps // 20)),
        bf16=has_bf16() if stage.bf16 == "auto" else bool(stage.bf16),
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        remove_unused_columns=False,
        label_names=list(tasks),
        load_best_model_at_end=stage.early_stopping > 0,
        metric_for_best_model=stage.metric_for_best_model if stage.early_stopping else None,
        seed=stage.seed,
        report_to=list(report_to),
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def save_state(state: dict[str, Tensor], path: Path) -> None:
    """Write weights whole or not at all: the next run takes a file of this name for a finished training."""
    with atomic_write(path) as unfinished:
        save_file(state, unfinished)


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

    def __init__(self, model: TrainingNetwork, on_epoch: OnEpoch | None) -> None:
        self.model, self.on_epoch = model, on_epoch
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

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Pass on the curve, with the epochs before a kill."""
        if self.on_epoch is not None:
            stage = self.model.stage
            name = f"eval_{stage.metric_for_best_model}"
            self.on_epoch([(each["epoch"] / stage.epochs, each[name]) for each in state.log_history if name in each])

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
