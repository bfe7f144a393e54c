"""Measure and calibrate a model on labelled tables, compare models and periods, and choose what to label next.

Needs scikit-learn and scipy (extra ``stats``).
"""

from __future__ import annotations

from tawasul_nlp.extras import require

require("stats", "evaluating a model", "scipy", "sklearn")

from tawasul_nlp.evaluation.comparison import ComparisonResult, compare
from tawasul_nlp.evaluation.evaluator import evaluate
from tawasul_nlp.evaluation.result import EvaluationResult

__all__ = ["ComparisonResult", "EvaluationResult", "compare", "evaluate"]
