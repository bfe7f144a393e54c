"""Find out what a file is: its format, its encoding."""

from __future__ import annotations

import codecs
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from tawasul_nlp.tables.errors import TableError

Format = Literal["csv", "jsonl", "parquet", "xlsx"]

# How file names tell the format.
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}

# The first bytes of files that people take for tables of ours, and what to do with them.
_OTHERS = (
    (b"PK\x03\x04", "a zip archive or a damaged Excel workbook; unpack it, or save the sheet as 'CSV UTF-8'"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as 'CSV UTF-8'"),
    (b"\x1f\x8b", "compressed with gzip; unpack it, or pipe it: gunzip -c FILE | tawasul classify - ..."),
    (b"%PDF", "a PDF; export the table as CSV"),
)

# A well-formed multi-byte UTF-8 sequence, nearly: overlong forms and surrogates do not matter for a count.
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH_BYTES = bytes(range(0x80, 0x100))
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Encoding:
    """How to decode a file.

    Attributes
    ----------
    codec : str
        Python's name of the codec.
    errors : str
        The codec's error handler: ``surrogateescape`` where bytes can be told apart, so that a row with broken bytes is
        rejected alone; ``strict`` for UTF-16 and UTF-32, where one lost byte spoils all that follow.
    """

    codec: str
    errors: str = "surrogateescape"


def sniff_format(path: Path) -> Format:
    """Tell a table's format from the file's name, else from its first bytes.

    Parameters
    ----------
    path : Path
        An existing file.

    Raises
    ------
    TableError
        If the file is of a kind that is no table of ours; the message says how to convert it.
    """
    with path.open("rb") as file:
        start = file.read(512)
    named = SUFFIXES.get(path.suffix.lower())
    if start.startswith(b"PK\x03\x04") and _is_workbook(path):
        return "xlsx"
    for magic, advice in _OTHERS:
        if start.startswith(magic):
            raise TableError(f"{path} is {advice}")
    if start.startswith(b"PAR1"):
        return "parquet"
    if named in ("parquet", "xlsx"):
        kind = "a Parquet file" if named == "parquet" else "an Excel workbook"
        raise TableError(f"{path} is named as {kind} but does not begin as one; it may be damaged or cut off")
    begins = start.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if named == "jsonl" and path.suffix.lower() == ".json" and begins == b"[":
        raise TableError(f"{path} is one JSON array; write one JSON object a line instead (jq -c '.[]' {path.name})")
    return named or ("jsonl" if begins == b"{" else "csv")


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.NameToInfo
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # the last of a version that there is not yet
        return False


def sniff_encoding(file: BinaryIO) -> Encoding:
    r"""Tell UTF-8, UTF-8 or UTF-16 with a byte-order mark, and windows-1256 apart.

    A file that is not wholly UTF-8 is still UTF-8, with broken rows, when most of its non-ASCII bytes form UTF-8
    sequences: Arabic in windows-1256 forms such sequences only by rare chance.

    Parameters
    ----------
    file : binary file
        Open at its start; it is read to its end, a block at a time.

    Examples
    --------
    >>> import io
    >>> sniff_encoding(io.BytesIO("الماي مقطوع".encode("windows-1256"))).codec
    'cp1256'
    >>> sniff_encoding(io.BytesIO("الماي مقطوع".encode() + b"\xff")).codec
    'utf-8'
    """
    start = file.read(4)
    if start.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8-sig")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding("utf-16", "strict")
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        file.seek(0)
        return _encoding_by_count(file)
    return Encoding("utf-8")


def _encoding_by_count(file: BinaryIO) -> Encoding:
    sequences = strays = 0
    while block := file.read(_BLOCK):  # a sequence that a block's end cuts is counted as strays: one in a million bytes
        found = _SEQUENCE.findall(block)
        sequences += len(found)
        strays += len(block) - len(block.translate(None, _HIGH_BYTES)) - sum(map(len, found))
    return Encoding("cp1256") if strays > sequences else Encoding("utf-8")


def named_encoding(name: str) -> Encoding:
    """Return the encoding that a user named.

    Raises
    ------
    TableError
        If Python knows no such codec, or it is none of text, as base64 is.

    Examples
    --------
    >>> named_encoding("windows-1256").codec
    'cp1256'
    """
    try:
        codec = codecs.lookup(name).name
        "".encode(name)  # a codec of bytes, such as base64, raises the error here
    except (LookupError, UnicodeError):
        raise TableError(f"unknown encoding {name!r}; expected a name such as utf-8 or windows-1256") from None
    if codec.startswith(("utf-16", "utf-32")):
        return Encoding(codec, "strict")
    return Encoding("utf-8-sig" if codec == "utf-8" else codec)
