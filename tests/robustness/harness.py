"""What the attacks on the project's promises share: how an attack is repeated, and how what came of it is counted."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

REFUSED = "refused"
"""What a trial came to in which the promise held, because what was made to mislead was refused."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How often a promise was attacked and how often it did not hold."""

    promise: str  # what must hold, in a few words
    attack: str  # what was done
    trials: int
    failures: int  # trials in which the promise did not hold
    note: str = ""  # what the trials came to, other than that the promise simply held


def count(promise: str, attack: str, results: Iterable[str], harmless: Iterable[str] = (REFUSED,)) -> Outcome:
    """Count what each trial came to: "" where the promise held, and what is not harmless is a failure."""
    counts = Counter(results)
    failures = sum(number for word, number in counts.items() if word and word not in harmless)
    note = ", ".join(f"{number} {word}" for word, number in counts.most_common() if word)
    return Outcome(promise, attack, counts.total(), failures, note)


def repeat(
    promise: str, attack: str, trials: int, trial: Callable[[Path], str], refusal: tuple[type[Exception], ...] = ()
) -> Outcome:
    """Try something so many times, each time in a new folder, and count what it came to, or that it was refused."""

    def result(_: int) -> str:
        with tempfile.TemporaryDirectory() as folder:
            try:
                return trial(Path(folder))
            except refusal:
                return REFUSED

    return count(promise, attack, map(result, range(trials)))
