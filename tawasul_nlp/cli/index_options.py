"""The index that a command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.options import domain_of

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateIndex

IndexFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the index.")]


@contextmanager
def opened_index(
    folder: Path,
    model: str | None,
    domain: Path | None,
    threshold: float | None = None,
    verify: bool | None = None,
    reopen_days: float | None = None,
) -> Iterator[DuplicateIndex]:
    """Open the index of a command, which must exist; an unknown id becomes an error that names it."""
    from tawasul_nlp.duplicates import DuplicateGrouper, DuplicateIndex

    grouper = DuplicateGrouper.from_pretrained(model, threshold=threshold, domain=domain_of(domain), verify=verify)
    with DuplicateIndex.open(folder, grouper, create=False, reopen_days=reopen_days) as index:
        try:
            yield index
        except KeyError as error:  # which prints as the repr of its message
            raise ValueError(error.args[0]) from error
