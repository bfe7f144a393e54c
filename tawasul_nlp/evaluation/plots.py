"""Plots of trainings.

matplotlib 3.11 shapes and orders Arabic itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, GREEN = "#2868a8", "#c8641e", "#8a8f98", "#3b8650"


def figure(width: float = 6.0, height: float = 4.0, columns: int = 1) -> tuple[Figure, Any]:
    """Return an empty figure that no window or global state knows of, and its axes."""
    require("train", "a plot", "matplotlib")
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    axes = made.subplots(1, columns)
    for axis in np.atleast_1d(axes):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.set_axisbelow(True)
    return made, axes
