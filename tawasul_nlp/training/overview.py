"""What a table holds and how long training on it would take, before anything is trained."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset

from tawasul_nlp.training.batches import MaskingCollator
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.fine_tuning import start_network
from tawasul_nlp.training.progress import duration
from tawasul_nlp.training.rows import RowEncoder
from tawasul_nlp.training.trainer import parameter_groups, use_bf16

if TYPE_CHECKING:
    from rich.console import RenderableType

_MEASURED = 3
_SAMPLE = 10_000
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class TimeEstimate:
    """How long fine-tuning would take on this machine, as busy as it was.

    Attributes
    ----------
    steps : int
        Of all stages, if none stops early.
    step_seconds : float
        Median of a few steps that were made on texts of the table.
    seconds : float
        All steps, and the passes over the validation rows.
    """

    steps: int
    step_seconds: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"fine-tuning: about {duration(self.seconds)} for {self.steps:,} steps of {self.step_seconds:.2g} s; an "
            f"estimate from {_MEASURED} steps on this machine as busy as it is. Early stopping may end it sooner; the "
            "n-gram scorer, the export and the figures come on top"
        )


@dataclass(frozen=True, slots=True)
class DataOverview:
    """What a table holds. ``rich.print`` shows it as tables.

    Attributes
    ----------
    train, validation, left_out : int
        Rows.
    labels : dict of str to dict of str to int
        Training rows with each label of each task.
    lengths : tuple of int
        Least, median, 95th percentile and greatest length of a training text in characters; of a stream, of its first
        10,000 rows.
    duplicates : int or None
        Training rows that belong together with another one; None for a stream, where they are not looked for.
    labelled : dict of str to int
        Of multi-label tasks, the training rows whose labels are known.
    """

    train: int
    validation: int
    left_out: int
    labels: dict[str, dict[str, int]]
    lengths: tuple[int, int, int, int]
    duplicates: int | None
    labelled: dict[str, int] = field(default_factory=dict)

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts: list[RenderableType] = []
        for task, counts in self.labels.items():
            total = self.labelled.get(task, sum(counts.values()))
            several = f", {sum(counts.values()) / max(1, total):.2f} labels a row" if task in self.labelled else ""
            title = Text(f"{task}: {len(counts)} labels{several}")
            table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
            for heading in ("training rows", "share"):
                table.add_column(heading, justify="right", no_wrap=True)
            table.add_column("label")
            ordered = sorted(counts.items(), key=lambda item: -item[1])
            for label, count in ordered[:_SHOWN]:
                table.add_row(f"{count:,}", f"{count / total:.1%}", Text(" ".join(label.split())))
            if len(ordered) > _SHOWN:
                rest = sum(count for _, count in ordered[_SHOWN:])
                share = "" if task in self.labelled else f"{rest / total:.1%}"
                table.add_row(f"{rest:,}", share, f"({len(ordered) - _SHOWN} more labels)")
            parts.append(table)
        least, median, most, longest = self.lengths
        together = "not looked for" if self.duplicates is None else f"{self.duplicates:,} training rows have one"
        parts += [
            Text(f"{self.train:,} training rows, {self.validation:,} validation rows, {self.left_out:,} left out"),
            Text(f"text length in characters: {least}-{longest}, median {median}, 95% up to {most}"),
            Text(f"duplicates: {together}"),
        ]
        return Group(*parts)


def overview(data: TrainingData) -> DataOverview:
    """Count what the data holds."""
    texts = [row["text"] for row in islice(data.train, _SAMPLE)] if data.streamed else list(data.train["text"])
    lengths = np.quantile([len(text) for text in texts], (0, 0.5, 0.95, 1), method="nearest").astype(int).tolist()
    return DataOverview(
        data.rows,
        len(data.validation),
        data.left_out,
        {task: dict(zip(names, data.counts[task].tolist(), strict=True)) for task, names in data.labels.items()},
        (lengths[0], lengths[1], lengths[2], lengths[3]),
        None if data.streamed else int((np.bincount(data.groups)[data.groups] > 1).sum()),
        data.multi_label,
    )


def estimate_time(data: TrainingData, config: TrainConfig) -> TimeEstimate:
    """Make a few steps of the first stage, which are thrown away, and multiply.

    Raises
    ------
    BackboneError
        If the encoder that the configuration starts from is unavailable.
    """
    stage, device = config.passes()[0], torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        backbone, model = start_network(data, config, stage, Path(scratch))
    model.to(device).train()
    encoder = RowEncoder(backbone.tokenizer, data, config, stage, training=True)
    wanted = stage.batch_size * (_MEASURED + 1)
    if isinstance(data.train, Dataset):
        order = np.random.default_rng(stage.seed).permutation(data.rows)[:wanted]
        rows = [encoder.draw(data.train[at]) for at in order.tolist()]
    else:
        rows = [encoder.draw(row) for row in islice(data.train, wanted)]
    collator = MaskingCollator(backbone.tokenizer, list(data.labels), stage.mask_share, stage.seed)
    optimizer = torch.optim.AdamW(parameter_groups(model, stage), fused=True)
    taken = []
    for number in range(_MEASURED + 1):
        chosen: list[dict[str, Any]] = [
            rows[(number * stage.batch_size + at) % len(rows)] for at in range(stage.batch_size)
        ]
        start = time.perf_counter()
        batch = {name: tensor.to(device) for name, tensor in collator(chosen).items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16(stage)):
            loss = model(**batch)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # a GPU is done only now
        taken.append(time.perf_counter() - start)
    return _multiplied(data, config, statistics.median(taken[1:]))


def _multiplied(data: TrainingData, config: TrainConfig, seconds: float) -> TimeEstimate:
    """Return the time for all stages, if a step of the first one takes ``seconds``."""
    stages = config.passes()
    text_seconds = seconds / stages[0].batch_size
    steps, total = 0, 0.0
    for stage in stages:
        batches = -(-data.rows // stage.batch_size) * stage.epochs
        read = stage.batch_size + 3 * stage.incident_groups  # some groups are of two reports, some of more
        # Validation goes forwards only, which is about a third of a step.
        total += text_seconds * (batches * read + len(data.validation) * stage.epochs / 3)
        steps += round(batches / stage.gradient_accumulation)
    return TimeEstimate(steps, seconds * stages[0].gradient_accumulation, total)
