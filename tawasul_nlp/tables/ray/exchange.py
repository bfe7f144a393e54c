"""A shuffle of plain Ray tasks: every part is cut into pieces, and each part gets its pieces of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray


def exchange(
    split: Callable[..., Sequence[Any]],
    merge: Callable[..., Any],
    sources: Sequence[tuple[Any, ...]],
    extras: Sequence[tuple[Any, ...]],
    **resources: float,
) -> list[Any]:
    """Cut every part into pieces, and make of the pieces for each part what it should be.

    Parameters
    ----------
    split : callable
        ``split(parts, *source)`` returns a sequence of pieces, one for each part.
    merge : callable
        ``merge(pieces, *extra)``, with the pieces in the order of the parts that they came from.
    sources, extras : sequence of tuple
        One a part; their items may be references.
    **resources
        What each merge takes of a node (``num_cpus``, ``num_gpus``), if not one CPU.

    Returns
    -------
    list of ray.ObjectRef
        What `merge` returned for each part.
    """
    parts = len(extras)
    cut = ray.remote(_cut).options(num_returns=parts)
    pieces = [cut.remote(split, parts, *source) for source in sources]
    rows = pieces if parts > 1 else [[piece] for piece in pieces]
    join = ray.remote(_join).options(**resources)
    return [join.remote(merge, len(sources), *(row[part] for row in rows), *extra) for part, extra in enumerate(extras)]


def _cut(split: Callable[..., Sequence[Any]], parts: int, *source: Any) -> Any:
    pieces = split(parts, *source)
    return pieces if parts > 1 else pieces[0]


def _join(merge: Callable[..., Any], pieces: int, *given: Any) -> Any:
    return merge(given[:pieces], *given[pieces:])
