"""The lines of a text file, in whichever encoding."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import is_text
from tawasul_nlp.tables.io.chunk import Reader

BROKEN_BYTES = "holds bytes that are not valid in the file's encoding"
_SAMPLE_LINES = 200
_SAMPLE_CHARS = 4 * 1024 * 1024
_LINE_LIMIT = 1 << 26  # memory is bounded even for a file that has no line ends


class TextReader(Reader):
    """A text file as its lines."""

    def __init__(self, path: Path, encoding: str | None) -> None:
        self.path = path
        self._size = path.stat().st_size
        with path.open("rb") as self._file:
            self.encoding: str = sniff_encoding(self._file) if encoding is None else named_encoding(encoding)
        # Exports that were pasted together have rows of two encodings.
        self._by_line = encoding is None and not self.encoding.startswith(("utf-16", "utf-32"))

    def lines(self) -> Generator[str, None, None]:
        """Yield the lines, each with its end as it is in the file."""
        with self.path.open("rb") as self._file:
            # A row with broken bytes is rejected alone, but in UTF-16 and UTF-32 a lost byte spoils all that follow.
            errors = "strict" if self.encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
            text = io.TextIOWrapper(self._file, self.encoding, errors, newline="")
            try:
                while line := text.readline(_LINE_LIMIT):
                    if len(line) == _LINE_LIMIT:
                        raise TableError(
                            f"{self.path} has a line of more than {_LINE_LIMIT:,} characters, so it is not a table"
                        )
                    yield line_decoded(line, self.encoding) if self._by_line else line
            except UnicodeError as error:
                raise TableError(f"{self.path} is not valid {self.encoding}; name another --encoding") from error

    def sample(self) -> list[str]:
        """Return the first lines."""
        sample = []
        chars = 0
        with closing(self.lines()) as lines:
            for line in islice(lines, _SAMPLE_LINES):
                sample.append(line)
                chars += len(line)
                if chars >= _SAMPLE_CHARS:
                    break
        return sample

    def fraction_read(self) -> float:
        """Return the share of the file's bytes that were read."""
        return 1.0 if self._file.closed else self._file.tell() / self._size

    def shown(self, raw: str) -> str:
        r"""Return raw text with the bytes that could not be decoded as ``\xNN``."""
        if is_text(raw):
            return raw
        codec = "utf-8" if self._by_line else self.encoding.removesuffix("-sig")
        return raw.encode(codec, "surrogateescape").decode(codec, "backslashreplace")


# A well-formed multi-byte UTF-8 sequence, nearly: overlong forms and surrogates do not matter for a count.
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# In windows-1256 a letter before a comma, semicolon or question mark looks like one too: these say nothing either way.
_LETTER_BEFORE_MARK = re.compile(rb"[\xc2-\xf4][\xa1\xba\xbf]{1,3}")
# An Arabic letter in UTF-8, but for those that look like one before a mark.
_ARABIC = re.compile(rb"[\xd8\xd9][\x80-\xa0\xa2-\xb9\xbc-\xbe]")
_ASCII = bytes(range(0x80))
# Encodings of Arabic in one byte a letter. In enough letters, these are the most frequent ones.
_LEGACY = ("cp1256", "iso8859_6", "cp720")
_FREQUENT = "اليمونةرتبعد"
_ENOUGH = 30
_BLOCK = 1 << 20


def sniff_encoding(file: BinaryIO) -> str:
    r"""Return Python's name of a file's encoding by its bytes: of Unicode, or of Arabic in one byte a letter.

    A file that is not wholly UTF-8 is still UTF-8, with broken rows, when most of its non-ASCII bytes form UTF-8
    sequences: Arabic in windows-1256 forms such sequences only by rare chance.

    Examples
    --------
    >>> import io
    >>> sniff_encoding(io.BytesIO("الماي مقطوع".encode("windows-1256")))
    'cp1256'
    >>> sniff_encoding(io.BytesIO("الماي مقطوع".encode() + b"\xff"))
    'utf-8'
    """
    start = file.read(4)
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        file.seek(0)
        return _encoding_by_count(file)
    return "utf-8"


def _encoding_by_count(file: BinaryIO) -> str:
    sequences, strays = 0, np.zeros(256, np.int64)
    while block := file.read(_BLOCK):  # a sequence that a block's end cuts is counted as strays: one in a million bytes
        sequences += sum(_LETTER_BEFORE_MARK.fullmatch(sequence) is None for sequence in _SEQUENCE.findall(block))
        strays += _counts(_strays(block))
    return _legacy_encoding(strays) if strays.sum() > sequences else "utf-8"


def _strays(raw: bytes) -> bytes:
    """Return the bytes that are neither ASCII nor of a UTF-8 sequence."""
    return _SEQUENCE.sub(b"", raw).translate(None, _ASCII)


def _counts(raw: bytes) -> np.ndarray:
    """Return how often each byte occurs: (256,)."""
    return np.bincount(np.frombuffer(raw, np.uint8), minlength=256)


def _legacy_encoding(strays: np.ndarray) -> str:
    """Return the encoding in one byte a letter in which bytes, by their counts (256,), are most frequent letters."""
    if strays.sum() < _ENOUGH:
        return "cp1256"
    return max(_LEGACY, key=lambda codec: int(strays[list(_FREQUENT.encode(codec))].sum()))


def line_decoded(line: str, encoding: str) -> str:
    """Return a line as it is in its own encoding, which may be another than that of the file.

    Where parts of it are in two encodings, it is decoded as broken UTF-8.

    Examples
    --------
    >>> line_decoded("الماي مقطوع".encode().decode("cp1256"), "cp1256")
    'الماي مقطوع'
    """
    of_file = encoding.removesuffix("-sig")
    if line.isascii() or (of_file == "utf-8" and is_text(line)):
        return line
    raw = line.encode(of_file, "surrogateescape")
    letters, strays = len(_ARABIC.findall(raw)), _strays(raw)
    if letters > (max(1, len(strays) // 20) if strays else 0):
        return raw.decode("utf-8", "surrogateescape")
    if of_file == "utf-8" and len(strays) > 2:
        return raw.decode(_legacy_encoding(_counts(strays)), "surrogateescape")
    return line


def named_encoding(name: str) -> str:
    """Return the encoding that a user named.

    Raises :class:`TableError` if Python has no such codec, or it is not for text, such as base64.

    Examples
    --------
    >>> named_encoding("windows-1256")
    'cp1256'
    """
    try:
        codec = codecs.lookup(name).name
        "".encode(name)  # a codec of bytes, such as base64, raises the error here
    except (LookupError, UnicodeError):
        raise TableError(f"unknown encoding {name!r}; expected a name such as utf-8 or windows-1256") from None
    return "utf-8-sig" if codec == "utf-8" else codec
