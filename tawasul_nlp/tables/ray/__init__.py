"""A Ray cluster does the work: classify and group Ray datasets, or classify a table as ``--engine ray`` does.

Needs Ray, scikit-learn and scipy (extra ``ray``); every node has this package and the model. A program that has no Ray
yet starts with ``ray.init()``, on the head of a cluster or, for one machine, anywhere.
"""

from __future__ import annotations

from tawasul_nlp.extras import require

require("ray", "working on a Ray cluster", "ray", "sklearn", "scipy")

from tawasul_nlp.tables.ray.classification import classify
from tawasul_nlp.tables.ray.grouping import group
from tawasul_nlp.tables.ray.pool import RayPool, engine

__all__ = ["RayPool", "classify", "engine", "group"]
