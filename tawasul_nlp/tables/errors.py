"""The named errors of tables; all are ValueErrors except the one that would mean a fault of ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from tawasul_nlp.errors import TawasulError


class TableError(TawasulError, ValueError):
    """A table cannot be read or written as a whole."""


class MissingColumnError(TableError):
    """A column is not named, or the table has no such column.

    Parameters
    ----------
    wanted : str or None
        The name that was asked for; None when no name was given.
    columns : sequence of str
        What the table has.
    likely : str or None
        The column that looks most like text, when the caller found one; the nearest spelling of `wanted` goes first.
    option : str
        The option that names the column.
    hint : str
        What else may be the reason, and what to do then.
    """

    def __init__(
        self,
        wanted: str | None,
        columns: Sequence[str],
        likely: str | None = None,
        option: str = "--text-column",
        hint: str = "",
    ) -> None:
        self.wanted = wanted
        self.columns = tuple(columns)
        near = get_close_matches(wanted.casefold(), [c.casefold() for c in columns], n=1) if wanted else []
        guess = next((c for c in columns if near and c.casefold() == near[0]), likely)
        problem = "the text column is not named" if wanted is None else f"the table has no column {wanted!r}"
        listed = ", ".join(repr(c) for c in columns)
        advice = f"; did you mean {option} {guess!r}?" if guess else f"; name one with {option}"
        super().__init__(f"{problem}; its columns are {listed}{advice}{hint and '; '}{hint}")


class InputChangedError(TableError):
    """The input was changed while it was read: nothing is published."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was changed while it was read, so nothing is published; run it again when nobody writes to it"
        )


class OversizedTableError(TableError):
    """A small file holds so much that it would take very long, or fill a disk: it was not read."""


def reason_of(error: BaseException) -> str:
    r"""Return what an error of the system, or of a library, says is wrong, in one line.

    >>> reason_of(OSError(28, "No space left on device")), reason_of(OSError("Corrupt data.\n")), reason_of(EOFError())
    ('No space left on device', 'Corrupt data.', 'EOFError')
    """
    said = (getattr(error, "strerror", None) or str(error)).strip()
    return said.splitlines()[0] if said else type(error).__name__


@contextmanager
def disk_errors() -> Iterator[None]:
    """Give :class:`TableError` for what the file system raises."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise TableError(f"reading or writing failed: {reason_of(error)}{where}") from error


class RowsLostError(TawasulError, RuntimeError):
    """The rows written and rejected do not add up to the rows read: nothing is published."""
