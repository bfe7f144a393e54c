"""What a table holds, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tawasul_nlp.training.dataset import TrainingData

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN = 20


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
        Least, median, 95th percentile and greatest length of a training text in characters.
    duplicates : int
        Training rows that belong together with another one.
    labelled : dict of str to int
        Of multi-label tasks, the training rows whose labels are known.
    """

    train: int
    validation: int
    left_out: int
    labels: dict[str, dict[str, int]]
    lengths: tuple[int, int, int, int]
    duplicates: int
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
        parts += [
            Text(f"{self.train:,} training rows, {self.validation:,} validation rows, {self.left_out:,} left out"),
            Text(f"text length in characters: {least}-{longest}, median {median}, 95% up to {most}"),
            Text(f"duplicates: {self.duplicates:,} training rows have one"),
        ]
        return Group(*parts)


def overview(data: TrainingData) -> DataOverview:
    """Count what the data holds."""
    lengths = (
        np.quantile([len(text) for text in data.train["text"]], (0, 0.5, 0.95, 1), method="nearest")
        .astype(int)
        .tolist()
    )
    return DataOverview(
        data.rows,
        len(data.validation),
        data.left_out,
        {task: dict(zip(names, data.counts[task].tolist(), strict=True)) for task, names in data.labels.items()},
        (lengths[0], lengths[1], lengths[2], lengths[3]),
        int((np.bincount(data.groups)[data.groups] > 1).sum()),
        data.multi_label,
    )
