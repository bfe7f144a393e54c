r"""Write the columns that people wrote in without their personal data; the model reads them as they are.

A row that cannot be read has no columns, so it is masked as a whole, and more strictly: personal data may be in pieces
or escaped (``\u0631``), so escapes are undone first, and every number of five digits or more is masked as well. Reasons
of rejects, and errors, quote nothing of a table but the names of its columns; a table in which such a name holds
personal data is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.tables.errors import MissingColumnError, TableError
from tawasul_nlp.tables.io.cells import to_json
from tawasul_nlp.tables.io.chunk import Chunk, Reader
from tawasul_nlp.tables.io.fields import column_of
from tawasul_nlp.text import mask_personal_data

if TYPE_CHECKING:
    import pyarrow as pa


# What JSON escapes, and how bytes that are not text are shown.
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|x[0-9a-fA-F]{2}|([bfnrt"/\\]))')
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED_TIMES = 3  # JSON in a text of JSON in a text; without a limit, a line made for it would take long
_NUMBER = re.compile(r"\d(?:[\W_]{0,3}\d){4,}")
_NUMBER_PLACEHOLDER = "[رقم]"


Mask = Callable[[str], str]


def _mask_of(domain: Domain | None) -> Mask:
    """Return what masks the personal data of a country; None is Bahrain."""
    return lambda text: mask_personal_data(text, domain=domain).text


def check_names(reader: Reader, domain: Domain | None = None) -> None:
    """Raise :class:`~tawasul_nlp.tables.errors.TableError` if a column's name holds personal data."""
    mask = _mask_of(domain)
    for position, name in enumerate(reader.columns, 1):
        if _masked_unescaped(name, mask) != name:
            raise TableError(
                f"the name of column {position} holds personal data, and names of columns are written; rename it, or "
                "put a header before the first row if there is none"
            )


def checked_masks(reader: Reader, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns to mask: of a field, the whole column that holds it.

    Raises :class:`TableError` if a column holds no text (its subclass :class:`MissingColumnError` if there is none of
    its name).
    """
    if not reader.columns:
        return tuple(columns)
    holders = []
    for name in columns:
        holder = column_of(name, reader.columns)
        if holder is None:
            raise MissingColumnError(name, reader.columns, option="--mask-column")
        reader.check_text_column(holder)
        holders.append(holder)
    return tuple(dict.fromkeys(holders))


def masked(chunk: Chunk, columns: Sequence[str], domain: Domain | None = None) -> Chunk:
    """Return the chunk with personal data masked in the columns, and in the rejected rows as a whole."""
    mask = _mask_of(domain)
    rejects = [
        replace(reject, raw=None if reject.raw is None else _masked_raw(reject.raw, mask)) for reject in chunk.rejects
    ]
    chunk = replace(chunk, rejects=rejects)
    for name in columns:
        chunk = chunk.with_column(name, [_value(value, mask) for value in chunk.column(name)])
    return chunk


def masked_schema(reader: Reader, columns: Sequence[str]) -> pa.Schema:
    """Return the schema of a table with masked columns: what was a number may now be a placeholder."""
    import pyarrow as pa

    schema = reader.schema()
    for position, field in enumerate(schema):
        is_text = pa.types.is_dictionary(field.type) or pa.types.is_null(field.type) or "string" in str(field.type)
        if field.name in columns and not is_text:
            schema = schema.set(position, field.with_type(pa.string()))
    return schema


def _value(value: Any, mask: Mask) -> Any:
    """Mask a value; one that is not a string stays as it is unless its text has personal data."""
    if isinstance(value, str):
        return mask(value)
    if value is None:
        return None
    safe = _masked_parts(value, mask)
    text = to_json(safe)
    masked_text = _masked_unescaped(text, mask)  # a word before a number may be its key
    return safe if masked_text == text else masked_text


def _masked_parts(value: Any, mask: Mask) -> Any:
    """Mask the texts in lists and objects, names included; of names that become one, the JSON is masked instead."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list | tuple):
        return [_masked_parts(item, mask) for item in value]
    if isinstance(value, dict):
        safe = {mask(str(name)): _masked_parts(item, mask) for name, item in value.items()}
        return safe if len(safe) == len(value) else _masked_unescaped(to_json(value), mask)
    return value


def _masked_raw(raw: str, mask: Mask) -> str:
    """Mask a row as it is in a file, whatever is wrong with it."""
    return _masked_unescaped(raw, lambda text: _NUMBER.sub(_NUMBER_PLACEHOLDER, mask(text)))


def _masked_unescaped(text: str, mask: Mask) -> str:
    """Mask a text in which letters may be escaped; the escapes stay if nothing is to be masked."""
    plain = _unescaped(text)
    safe = mask(plain)
    return mask(text) if safe == plain else safe


def _unescaped(text: str) -> str:
    for _ in range(_ESCAPED_TIMES):
        plain = _ESCAPE.sub(_character, text)
        if plain == text:
            break
        text = plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # pairs become one character
    return text


def _character(escape: re.Match[str]) -> str:
    code, control = escape.groups()
    if code is not None:
        return chr(int(code, 16))
    return "\ufffd" if control is None else _CONTROLS.get(control, control)
