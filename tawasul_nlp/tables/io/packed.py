"""Files compressed with gzip, and zip archives of one file, read as the file that is in them."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tawasul_nlp.tables.errors import OversizedTableError, TableError
from tawasul_nlp.tables.io.chunk import ROOM, ROOM_PER_BYTE

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_WORKBOOK = "xl/workbook.xml"
_NOT_TABLES = "__MACOSX/"  # what macOS adds to an archive
# Of an encrypted file zipfile raises a RuntimeError, and of an unknown compression a NotImplementedError.
_DAMAGED = (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, RuntimeError, NotImplementedError)


@contextmanager
def unpacked(raw: io.FileIO, path: Path, *, any_size: bool = False) -> Iterator[tuple[BinaryIO, str | None]]:
    """Open what is in a file: the file itself, with None, or the one that was compressed, with its name.

    The position of `raw` shows how much of the file was read.

    Raises
    ------
    TableError
        If it is damaged, or an archive of several files; its subclass :class:`OversizedTableError`, while it is read,
        if it unpacks to too much.
    """
    size = path.stat().st_size
    most = math.inf if any_size else ROOM + ROOM_PER_BYTE * size
    with ExitStack() as stack:
        plain = stack.enter_context(io.BufferedReader(raw))
        start = plain.peek(len(_ZIP))
        inner: Any = None
        name: str | None = None
        if start.startswith(_GZIP):
            inner, name = stack.enter_context(gzip.GzipFile(fileobj=plain)), path.stem
        elif (
            start.startswith(_ZIP) and (archive := _archive(plain)) is not None and _WORKBOOK not in archive.NameToInfo
        ):
            name = member = _only_file(archive, path)
            try:
                inner = stack.enter_context(archive.open(member))
            except (*_DAMAGED, ValueError) as error:  # the last of a name that is not in its encoding
                raise TableError(f"{path} cannot be unpacked: {error}") from error
        if inner is None:
            plain.seek(0)
            yield plain, name
        else:
            yield io.BufferedReader(_Unpacked(inner, path, size, most)), name


def is_workbook(path: Path) -> bool:
    """Whether a file is a zip archive with the parts of an Excel workbook."""
    with path.open("rb") as file:
        archive = _archive(file)
        return archive is not None and _WORKBOOK in archive.NameToInfo


def _archive(file: BinaryIO) -> zipfile.ZipFile | None:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # the last of a version that there is not yet
        return None


def _only_file(archive: zipfile.ZipFile, path: Path) -> str:
    tables = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith(_NOT_TABLES)]
    if len(tables) != 1:
        raise TableError(f"{path} is a zip archive of {len(tables):,} files, expected one table; unpack it")
    return tables[0]


class _Unpacked(io.RawIOBase):
    """The bytes of a compressed file, up to the most that it may unpack to."""

    def __init__(self, inner: Any, path: Path, size: int, most: float) -> None:
        self._inner = inner
        self._path = path
        self._size = size
        self._most = most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place: int = self._inner.seek(offset, whence)
        return place

    def readinto(self, buffer: Any) -> int:
        try:
            count: int = self._inner.readinto(buffer)
        except _DAMAGED as error:
            raise TableError(f"{self._path} cannot be unpacked, it is damaged or cut off: {error}") from error
        if self._inner.tell() > self._most:
            holds = f"unpacks to more than {self._most:,} bytes, the most for such a file"
            raise OversizedTableError(self._path, self._size, holds)
        return count
