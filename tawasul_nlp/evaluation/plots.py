"""Plots of evaluations.

matplotlib 3.11 shapes and orders Arabic itself.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.evaluation.metrics import BINS, ReliabilityBin
from tawasul_nlp.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, GREEN = "#2868a8", "#c8641e", "#8a8f98", "#3b8650"


def figure(width: float = 6.0, height: float = 4.0, columns: int = 1) -> tuple[Figure, Any]:
    """Return an empty figure that no window or global state knows of, and its axes."""
    require("train", "a page with plots", "matplotlib")
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    axes = made.subplots(1, columns)
    for axis in np.atleast_1d(axes):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.set_axisbelow(True)
    return made, axes


def svg(made: Figure) -> str:
    """Return the figure as an SVG element to stand inside a page: text as shapes, so that no font is needed."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "tawasul", "svg.fonttype": "path"}):
        made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def reliability_plot(bins: Sequence[ReliabilityBin], ece: float) -> Figure:
    """Draw accuracy against confidence, and how many answers each bin has."""
    made, axis = figure(5.2, 4.6)
    counts = np.array([each.n for each in bins])
    left, shares = [each.start for each in bins], counts / counts.sum()
    confidence, accuracy = [each.confidence for each in bins], [each.accuracy for each in bins]
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect calibration")
    axis.bar(left, shares, width=1 / BINS, align="edge", color=BLUE, alpha=0.18, label="share of the answers")
    axis.plot(confidence, accuracy, color=BLUE, linewidth=1.2)
    # Dots by their number of answers: a bin of three tells little.
    axis.scatter(confidence, accuracy, s=6 + 120 * np.sqrt(shares), color=BLUE, label="accuracy")
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy", title=f"Reliability (ECE {ece:.3f})")
    axis.legend(loc="upper left", frameon=False, fontsize=8)
    return made
