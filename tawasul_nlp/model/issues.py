"""The issues of a text, as the encoder finds them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundIssue:
    """An issue that a text reports.

    Attributes
    ----------
    label : int
        Index of its topic.
    probability : float
        That the text reports it.
    start, end : int
        The clause that reports it, in characters of the original text.
    """

    label: int
    probability: float
    start: int
    end: int
