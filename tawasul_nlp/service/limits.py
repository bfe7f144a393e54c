"""How much the service takes on at once."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the service takes on at once.

    Attributes
    ----------
    batch_texts : int
        Texts of waiting requests that the model reads together; 1 reads every request by itself.
    max_waiting : int
        Texts that may wait for the model, questions for the index, and changes of it, before new requests are refused
        with 503.
    max_body : int
        Bytes of a request's body.

    Raises
    ------
    ValueError
        If a number is below 1.

    Examples
    --------
    >>> Limits(max_waiting=100).batch_texts
    64
    """

    batch_texts: int = 64
    max_waiting: int = 1_024
    max_body: int = 1_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}, expected at least 1")
