"""Draw how a training run went: losses and validation accuracy over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def draw_curves(history: Sequence[dict[str, Any]], tasks: Sequence[str], path: Path) -> None:
    """Write a PNG of the Trainer's log.

    Parameters
    ----------
    history : sequence of dict
        ``trainer.state.log_history``.
    tasks : sequence of str
    path : Path
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    losses, accuracies = figure.subplots(1, 2)
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
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
