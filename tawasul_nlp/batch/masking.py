"""Write the columns that people wrote in without their personal data; the model reads them as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tawasul_nlp.batch.errors import MissingColumnError
from tawasul_nlp.batch.rows import Chunk, Reader, to_json
from tawasul_nlp.batch.tables import values_of
from tawasul_nlp.text import mask_personal_data

if TYPE_CHECKING:
    import pyarrow as pa


def check_masked(reader: Reader, columns: Sequence[str]) -> None:
    """Raise :class:`~tawasul_nlp.batch.errors.TableError` if a column is not there or holds no text."""
    for name in columns:
        if reader.columns and name not in reader.columns:
            raise MissingColumnError(name, reader.columns, option="--mask-column")
        if reader.columns:
            reader.check_text_column(name)


def masked(chunk: Chunk, columns: Sequence[str]) -> Chunk:
    """Return the chunk with personal data masked in the columns, and in the rejected rows as a whole."""
    rejects = [
        replace(reject, reason=_masked(reject.reason), raw=_masked(reject.raw) if reject.raw is not None else None)
        for reject in chunk.rejects
    ]
    return replace(chunk, rows=_rows(chunk, columns), rejects=rejects)


def masked_schema(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """Return the schema of a table with masked columns: what was a number may now be a placeholder."""
    import pyarrow as pa

    for position, field in enumerate(schema):
        kept = pa.types.is_dictionary(field.type) or pa.types.is_null(field.type) or "string" in str(field.type)
        if field.name in columns and not kept:
            schema = schema.set(position, field.with_type(pa.string()))
    return schema


def _rows(chunk: Chunk, columns: Sequence[str]) -> list[dict[str, Any]] | pa.RecordBatch:
    rows = chunk.rows
    if isinstance(rows, list):
        return [row | {name: _value(row[name]) for name in columns if name in row} for row in rows]
    import pyarrow as pa

    for name in columns:
        position = rows.schema.get_field_index(name)
        field = rows.schema.field(position)
        if not pa.types.is_null(field.type):  # a column without values stays so
            values = pa.array([_value(value) for value in values_of(chunk, name)], field.type)
            rows = rows.set_column(position, field, values)
    return rows


def _value(value: Any) -> Any:
    """Mask a value; one that is no text stays what it is unless its text has personal data."""
    if isinstance(value, str):
        return _masked(value)
    if value is None:
        return None
    if isinstance(value, bytes):  # a string that is not valid UTF-8, which no column of text may be made of
        return _masked(value.decode("utf-8", "backslashreplace"))
    text = to_json(value)
    safe = _masked(text)
    return value if safe == text else safe


def _masked(text: str) -> str:
    return mask_personal_data(text).text
