"""What a table to be written looks like, and where its bytes go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tawasul_nlp.tables.added_columns import ADDED_COLUMNS, added_schema
from tawasul_nlp.tables.io.formats import TableFormat

if TYPE_CHECKING:
    import pyarrow as pa


class Sink(Protocol):
    """Where the bytes of a table go."""

    def write(self, data: bytes, /) -> Any:
        """Append the bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Layout:
    """What a table to be written looks like.

    Attributes
    ----------
    columns, schema : tuple of str, callable
        The table's own columns; the function that gives their Arrow schema is called for Parquet only.
    added, types : tuple of str, mapping of str to str
        Names of the added columns, and their plain names with their types.
    delimiter, bom, raw_cells
        For CSV: see :class:`~tawasul_nlp.tables.WriteOptions`.
    """

    format: TableFormat
    columns: tuple[str, ...]
    schema: Callable[[], pa.Schema]
    added: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=lambda: ADDED_COLUMNS)
    delimiter: str = ","
    bom: bool = False
    raw_cells: bool = False

    def whole_schema(self) -> pa.Schema:
        """Return the Arrow schema of the table's own and the added columns."""
        import pyarrow as pa

        own = self.schema()
        return pa.schema([*own, *added_schema(self.added, self.types)], metadata=own.metadata)
