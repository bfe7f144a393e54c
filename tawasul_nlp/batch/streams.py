"""Standard input and output as files: a table is sniffed, read twice and published whole, which a pipe cannot be."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def spooled(stream: BinaryIO) -> Iterator[Path]:
    """Copy a stream to a temporary file, on disk so that memory stays bounded, and give the file's path.

    >>> import io
    >>> with spooled(io.BytesIO("نص".encode())) as path:
    ...     path.read_text(encoding="utf-8")
    'نص'
    """
    with tempfile.TemporaryDirectory(prefix="tawasul-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file)
        yield path


@contextmanager
def delivered(stream: BinaryIO) -> Iterator[Path]:
    """Give the path of a temporary file; when the block ends without an error, its content goes to the stream.

    >>> import io
    >>> stream = io.BytesIO()
    >>> with delivered(stream) as path:
    ...     _ = path.write_bytes(b"whole")
    >>> stream.getvalue()
    b'whole'
    """
    with tempfile.TemporaryDirectory(prefix="tawasul-") as folder:
        path = Path(folder) / "stdout"
        yield path
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, stream)
            stream.flush()
        except KeyboardInterrupt as error:
            error.add_note("standard output has a part of the table")
            raise
