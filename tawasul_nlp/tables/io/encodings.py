"""Find out the encoding of a text file."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import BinaryIO

from tawasul_nlp.tables.errors import TableError

# A well-formed multi-byte UTF-8 sequence, nearly: overlong forms and surrogates do not matter for a count.
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# In windows-1256 a letter before a comma, semicolon or question mark looks like one too: these say nothing either way.
_LETTER_BEFORE_MARK = re.compile(rb"[\xc2-\xf4][\xa1\xba\xbf]{1,3}")
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
        The codec's error handler: ``surrogateescape`` where lines can be told apart, so that a row with broken bytes is
        rejected alone; ``strict`` for UTF-16 and UTF-32, where one lost byte spoils all that follow.
    """

    codec: str
    errors: str = "surrogateescape"


def sniff_encoding(file: BinaryIO) -> Encoding:
    r"""Detect UTF-8, UTF-8 or UTF-16 with a byte-order mark, or windows-1256.

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
        well_formed = _SEQUENCE.findall(block)
        sequences += sum(_LETTER_BEFORE_MARK.fullmatch(sequence) is None for sequence in well_formed)
        strays += len(block) - len(block.translate(None, _HIGH_BYTES)) - sum(map(len, well_formed))
    return Encoding("cp1256") if strays > sequences else Encoding("utf-8")


def named_encoding(name: str) -> Encoding:
    """Return the encoding that a user named.

    Raises
    ------
    TableError
        If Python has no such codec, or it is not for text, such as base64.

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
