"""What each setting of a training may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Final

from tawasul_nlp.text import PROFILES

# Least and largest value of each number.
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "epochs": (0.001, 1000),
    "learning_rate": (0, 1),
    "head_learning_rate": (0, 1),
    "layer_decay": (0.1, 1),
    "warmup_ratio": (0, 0.9),
    "final_learning_rate_ratio": (0, 1),
    "weight_decay": (0, 1),
    "dropout": (0, 0.9),
    "label_smoothing": (0, 0.9),
    "secondary_share": (0, 0.5),
    "confusable_share": (0, 0.9),
    "noise_share": (0, 1),
    "mask_share": (0, 0.9),
    "mlm_weight": (0, 10),
    "batch_size": (1, 4096),
    "gradient_accumulation": (1, 4096),
    "early_stopping": (0, 1000),
    "incident_groups": (0, 4096),
    "incident_weight": (0, 10),
    "incident_temperature": (0.001, 10),
    "recent_vectors": (0, 1_000_000),
    "pairs": (0, 4096),
    "pair_weight": (0, 10),
    "clause_weight": (0, 10),
    "layers": (1, 1000),
    "whole_words": (0, 1_000_000),
    "seed": (0, 2**32 - 1),
    "max_tokens": (8, 512),
    "inference_max_tokens": (8, 512),
    "validation_share": (0.01, 0.5),
    "calibration_prior": (0, 1000),
    "C": (1e-6, 1e6),
    "features": (1, 10_000_000),
}

# Settings that have a number for each of something, and what that is.
MAPPINGS: Final[Mapping[str, str]] = {
    "task_weights": "TASK",
    "class_weights": "LABEL",
    "least_recall": "LABEL",
    "oversample": "TASK",
}


def _is_number(value: object, *, whole: bool) -> bool:
    return isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)


def _is_weight(value: object) -> bool:
    return _is_number(value, whole=False) and 0 <= value < float("inf")  # type: ignore[operator]


_WHOLE: Final = frozenset(
    ("batch_size", "gradient_accumulation", "early_stopping", "incident_groups", "recent_vectors", "pairs", "seed")
    + ("max_tokens", "inference_max_tokens", "features", "layers", "whole_words")
)
_OPTIONAL: Final = frozenset(("inference_max_tokens", "features", "layers"))
_CLASS_WEIGHTS: Final = ("none", "balanced")
_HEAD_STARTS: Final = ("random", "means", "probe")
_BEST: Final = ("accuracy", "macro_f1")


def problem_of(name: str, value: object) -> str:
    """Return what was expected of a setting, or nothing if the value is one."""
    if value is None and name in _OPTIONAL:
        return ""
    if name in RANGES:
        least, most = RANGES[name]
        whole = name in _WHOLE
        sound = _is_number(value, whole=whole) and least <= value <= most  # type: ignore[operator]
        return "" if sound else f"a {'whole ' if whole else ''}number from {least} to {most}"
    if name not in _OTHERS:  # a part with settings of its own
        return ""
    sound, expected = _OTHERS[name](value)
    return "" if sound else expected


def _are_weights(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) and _is_weight(each) for key, each in value.items())


def _are_shares(value: object) -> bool:
    return _are_weights(value) and all(0 < share <= 1 for share in value.values())  # type: ignore[attr-defined]


def _are_repeats(value: object) -> bool:
    return _are_weights(value) and all(_is_number(v, whole=True) and 1 <= v <= 1000 for v in value.values())  # type: ignore[attr-defined]


def _counts(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_number(v, whole=True) and v >= 1 for v in value)


_OTHERS: Final[Mapping[str, Callable[[Any], tuple[bool, str]]]] = {
    "backbone": lambda v: (isinstance(v, str) and v != "", "bundled, a folder, or an id on the Hub"),
    "profile": lambda v: (isinstance(v, str) and v in PROFILES, f"one of {', '.join(PROFILES)}"),
    "head_start": lambda v: (isinstance(v, str) and v in _HEAD_STARTS, f"one of {', '.join(_HEAD_STARTS)}"),
    "metric_for_best_model": lambda v: (isinstance(v, str) and v in _BEST, f"one of {', '.join(_BEST)}"),
    "bf16": lambda v: (isinstance(v, bool) or v == "auto", "true, false or auto"),
    "keep_torch": lambda v: (isinstance(v, bool), "true or false"),
    "label_issues": lambda v: (isinstance(v, bool), "true or false"),
    "min_df": lambda v: (_counts(v), "two counts, for characters and for words, as in [3, 2]"),
    "task_weights": lambda v: (_are_weights(v), "a number of 0 or more for each task"),
    "class_weights": lambda v: (
        _are_weights(v) or (isinstance(v, str) and v in _CLASS_WEIGHTS),
        "none, balanced, or a number of 0 or more for each label",
    ),
    "least_recall": lambda v: (_are_shares(v), "a share above 0 and up to 1 for each label"),
    "oversample": lambda v: (_are_repeats(v), "a whole number from 1 to 1000 for each task, or for clauses"),
    "report_to": lambda v: (
        isinstance(v, tuple) and all(isinstance(name, str) for name in v),
        "a list of names, as in [tensorboard]",
    ),
}


def setting_names(kind: type) -> tuple[str, ...]:
    """Return the names of the settings of a class."""
    return tuple(item.name for item in fields(kind))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question about the nearest name, or nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def check_names(given: Iterable[str], known: Sequence[str]) -> None:
    """Raise ValueError for a setting that is not known, with the nearest of those that are."""
    for name in given:
        if name not in known:
            raise ValueError(f"unknown setting {name!r}" + (nearest(name, known) or f"; known are {', '.join(known)}"))
