"""Measure a model on labelled tables, compare models and periods, and choose what to label next."""

from tawasul_nlp.extras import require

require("train", "evaluating a model", "scipy", "sklearn")
