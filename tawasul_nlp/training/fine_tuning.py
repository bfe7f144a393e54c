"""Fine-tune the encoder, all tasks at once and stage by stage, with masked-token prediction as a companion loss.

Every training text is seen with a share of its tokens masked. The classification heads must answer from what is left
(a regulariser: no single word may decide), and a masked-language head predicts the hidden tokens in the same forward
pass, which heals the 4-bit weights and teaches the encoder the vocabulary of cases at almost no extra cost.

A stage with ``incident_groups`` also draws reports of the same incident into every batch: their incident vectors are
pulled together and pushed away from those of every other text (a supervised contrastive loss, Khosla et al. 2020).

Every finished stage leaves its weights, and an unfinished one a checkpoint at each epoch, so that a killed run resumes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from tawasul_nlp._system import atomic_write
from tawasul_nlp.evaluation.plots import figure
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.training.backbone import MOST_TEXTS, Backbone, load_backbone, start_from_shares, start_heads
from tawasul_nlp.training.config import Stage, TrainConfig
from tawasul_nlp.training.dataset import TrainingData, truth_of
from tawasul_nlp.training.incident_groups import IncidentDraws, Incidents, PairDraws
from tawasul_nlp.training.losses import TrainingNetwork, class_weights
from tawasul_nlp.training.rows import HeldTexts, MaskingCollator, RowEncoder
from tawasul_nlp.training.run_folder import tell
from tawasul_nlp.training.splitting import by_value
from tawasul_nlp.training.tables import CLAUSES, label_column
from tawasul_nlp.training.trainer import STATE, OnEpoch, last_checkpoint, save_state, train_network


def fine_tune(
    data: TrainingData, config: TrainConfig, output: Path, on_epoch: OnEpoch | None = None
) -> tuple[MultiTaskNetwork, PreTrainedTokenizerFast]:
    """Train the network through all stages, or load what an earlier call with this folder trained.

    ``on_epoch`` gets the curve of the first stage after each of its epochs; what it raises ends the training.

    Returns
    -------
    network : MultiTaskNetwork
        On the CPU, for evaluation.
    tokenizer : PreTrainedTokenizerFast
        Which also lies in ``tokenizer`` of the folder.

    Raises
    ------
    BackboneError
        If the encoder that the configuration starts from is unavailable.
    """
    stages = config.passes()
    finished = [number for number in range(1, len(stages) + 1) if (output / f"stage{number}" / STATE).exists()]
    done = max(finished, default=0)
    if done:
        tell(f"found {output / f'stage{done}' / STATE}, resuming")
    backbone, model = start_network(data, config, stages[max(done, 1) - 1])
    if done:
        model.load_state_dict(load_file(output / f"stage{done}" / STATE))
    backbone.tokenizer.save_pretrained(output / "tokenizer")
    for number, stage in enumerate(stages[done:], start=done + 1):
        if number > 1:
            weights = model.state_dict()
            backbone, model = start_network(data, config, stage)
            model.load_state_dict(weights)
        _run_stage(model, backbone, data, config, stage, output, number, on_epoch if number == 1 else None)
    return model.network.eval().cpu(), backbone.tokenizer


def start_network(data: TrainingData, config: TrainConfig, stage: Stage) -> tuple[Backbone, TrainingNetwork]:
    """Return the backbone and the network that a stage begins with, if there is none before it."""
    backbone = load_backbone(config.backbone, stage.dropout)
    if backbone.config is not None and backbone.config.profile["name"] != config.profile:
        theirs = backbone.config.profile["name"]
        raise ValueError(f"profile is {config.profile!r}, but {config.backbone} was trained with {theirs!r}; set that")
    torch.manual_seed(stage.seed)
    tasks = {task: len(names) for task, names in data.labels.items()}
    incident, clauses = data.incidents is not None, data.clauses
    separator = backbone.tokenizer.sep_token_id if any(each.pairs for each in config.passes()) else None
    if data.before is not None and backbone.model is not None:
        incident = incident or backbone.model.incident is not None
        clauses, separator = clauses or backbone.model.clauses, separator or backbone.model.separator
    network = MultiTaskNetwork(
        backbone.encoder, tasks, stage.dropout, incident=incident, clauses=clauses, separator=separator
    )
    counts, labelled = data.counts, data.labelled
    for task in data.multi_label:
        start_from_shares(network, task, counts[task], labelled[task])
    backbone.give_heads(network, data.labels)
    weights = class_weights(stage.class_weights, data)
    return backbone, TrainingNetwork(network, stage, weights, data.multi_label)


def _run_stage(
    model: TrainingNetwork,
    backbone: Backbone,
    data: TrainingData,
    config: TrainConfig,
    stage: Stage,
    output: Path,
    number: int,
    on_epoch: OnEpoch | None,
) -> None:
    """Train one stage in its folder, where its history and its weights are left."""
    out, tokenizer, tasks = output / f"stage{number}", backbone.tokenizer, list(data.labels)
    encoder = RowEncoder(tokenizer, data, config, stage, training=True)
    rows = _first_reports(data.learned) if stage.incident_groups else data.learned
    texts = HeldTexts(oversampled(rows, stage.oversample), encoder)
    held_out = HeldTexts(data.validation, RowEncoder(tokenizer, data, config, stage, training=False))
    if number == 1 and stage.head_start != "random" and last_checkpoint(out) is None:
        _start_heads(model.network, texts, data, stage, tokenizer.pad_token_id)
        backbone.give_heads(model.network, data.labels)
    draw = _draws(data.incidents, encoder, stage) if data.incidents is not None else None
    tell(f"stage {number}: {len(texts):,} texts, {stage.epochs:g} epochs")
    collator = MaskingCollator(tokenizer, tasks, stage.mask_share, stage.seed, draw)
    trainer = train_network(model, texts, held_out, collator, out, config.report_to, on_epoch)
    _write_history(output, number, trainer.state.log_history, tasks)
    save_state(model.state_dict(), out / STATE)  # last: a run that finds it does none of the above
    for checkpoint in out.glob("checkpoint-*"):  # they hold the optimiser's state too: three times the network
        shutil.rmtree(checkpoint)


def _draws(incidents: Incidents, encoder: RowEncoder, stage: Stage) -> Callable[[], list[dict[str, Any]]] | None:
    """Return what draws the rows that join each batch, reports of incidents and pairs; None if there are none."""
    groups = IncidentDraws(incidents, stage.seed) if stage.incident_groups else None
    pairs = PairDraws(incidents, stage.noise_share, stage.seed) if stage.pairs else None

    def draw() -> list[dict[str, Any]]:
        reports = groups.draw(stage.incident_groups) if groups is not None else []
        read_together = pairs.draw(stage.pairs) if pairs is not None else []
        return [*map(encoder.draw, reports), *map(encoder.draw_pair, read_together)]

    return draw if groups is not None or pairs is not None else None


def _first_reports(rows: Dataset) -> Dataset:
    """Leave out all but the first report of each incident: the others are drawn as groups."""
    first = np.unique(by_value(list(rows["incident"])), return_index=True)[1]
    return rows.select(np.sort(first))


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


def _start_heads(network: MultiTaskNetwork, texts: HeldTexts, data: TrainingData, stage: Stage, padding: int) -> None:
    rows = texts.rows
    if stage.head_start != "means":
        rows = rows.select(np.random.default_rng(stage.seed).permutation(len(texts))[:MOST_TEXTS])
    truth = truth_of(rows, data.labels, data.multi_label)
    start_heads(network, list(rows["input_ids"]), padding, truth, stage.head_start)


def _write_history(output: Path, number: int, history: list[dict[str, Any]], tasks: list[str]) -> None:
    """Add a stage to the run's history, with epochs that count on, and draw its curves."""
    path = output / "history.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    before = [entry for entry in before if entry["stage"] < number]
    passed = max((entry["epoch"] for entry in before), default=0)
    entries = before + [{**entry, "epoch": passed + entry["epoch"], "stage": number} for entry in history]
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(entries, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    draw_curves(entries, tasks, output / "curves.png")


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
