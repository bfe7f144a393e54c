"""The lines of a text file, read from its start or from any line's first byte."""

from __future__ import annotations

import codecs
import io
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import START, Position, is_text
from tawasul_nlp.tables.io.encodings import named_encoding, sniff_encoding
from tawasul_nlp.tables.io.options import ReadOptions
from tawasul_nlp.tables.io.packed import unpacked

BROKEN_BYTES = "holds bytes that are not valid in the file's encoding"
_SAMPLE_LINES = 200
_SAMPLE_CHARS = 4 * 1024 * 1024
_LINE_LIMIT = 1 << 26  # memory is bounded even for a file that has no line ends
# Encodings in which a line's bytes follow from its characters, so that a place in the file can be found again.
_SEEKABLE = {"utf-8", "cp1256"}


class TextFile:
    """The lines of a text file, which may be compressed, with how much of it was read."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path = path
        self._any_size = options.any_size
        self._size = path.stat().st_size
        self._raw: io.FileIO | None = None
        with self._opened() as file:
            self.encoding = named_encoding(options.encoding) if options.encoding is not None else sniff_encoding(file)
            self._codec = self.encoding.codec
            self._first = 0
            if self._codec == "utf-8-sig":
                self._codec = "utf-8"
                file.seek(0)
                self._first = len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0
        self._seekable = self._codec in _SEEKABLE

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with io.FileIO(self.path) as self._raw, unpacked(self._raw, self.path, any_size=self._any_size) as (file, _):
            yield file

    def lines(self, start: Position = START) -> Generator[str, None, None]:
        """Yield the lines from `start` on, each with its end as it is in the file."""
        with self._opened() as file:
            file.seek(self._first + start.byte if self._seekable else 0)
            text = io.TextIOWrapper(file, self._codec, self.encoding.errors, newline="")
            skip = 0 if self._seekable else start.line
            try:
                while line := text.readline(_LINE_LIMIT):
                    if len(line) == _LINE_LIMIT:
                        raise TableError(
                            f"{self.path} has a line of more than {_LINE_LIMIT:,} characters, so it is not a table"
                        )
                    if skip:
                        skip -= 1
                    else:
                        yield line
            except UnicodeError as error:
                raise TableError(f"{self.path} is not valid {self.encoding.codec}; name another --encoding") from error

    def sample(self) -> list[str]:
        """Return the first lines."""
        found = []
        chars = 0
        with closing(self.lines()) as lines:
            for line in islice(lines, _SAMPLE_LINES):
                found.append(line)
                chars += len(line)
                if chars >= _SAMPLE_CHARS:
                    break
        return found

    def size(self, line: str) -> int:
        """Return how many bytes of the file a line is; 0 where a place is found by its line instead."""
        if not self._seekable:
            return 0
        return len(line) if line.isascii() else len(line.encode(self._codec, self.encoding.errors))

    def fraction_read(self) -> float:
        """Return the share of the file's bytes that were read."""
        if self._raw is None or self._size == 0:
            return 0.0
        return 1.0 if self._raw.closed else min(1.0, self._raw.tell() / self._size)

    def shown(self, raw: str) -> str:
        r"""Return raw text with the bytes that could not be decoded as ``\xNN``."""
        if is_text(raw):
            return raw
        return raw.encode(self._codec, "surrogateescape").decode(self._codec, "backslashreplace")
