"""What an attack on one of the project's promises found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How often a promise was attacked and how often it did not hold.

    Attributes
    ----------
    promise : str
        What must hold, in a few words.
    attack : str
        What was done.
    trials : int
    failures : int
        Trials in which the promise did not hold.
    note : str
        What a reader should know beside the counts, such as the kinds of refusals that were met.
    """

    promise: str
    attack: str
    trials: int
    failures: int
    note: str = ""
