"""Standard input and output as files: a table is sniffed, read twice and published whole, which a pipe cannot be.

They are in a temporary folder that only its owner can read. One that a killed process left is removed when the next
command reads or writes a stream, as no process holds its lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tawasul_nlp.tables.io.output_file import hold, remove_abandoned

_PREFIX = "tawasul-"
_LOCK = "lock"
_FRESH = 60.0  # seconds; a folder that is younger may not be locked yet


@contextmanager
def spooled(stream: BinaryIO) -> Iterator[Path]:
    """Copy a stream to a temporary file, on disk so that memory stays bounded, and give the file's path.

    >>> import io
    >>> with spooled(io.BytesIO("نص".encode())) as path:
    ...     path.read_text(encoding="utf-8")
    'نص'
    """
    with _folder() as folder:
        path = folder / "stdin"
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
    with _folder() as folder:
        path = folder / "stdout"
        yield path
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, stream)
            stream.flush()
        except KeyboardInterrupt as error:
            error.add_note("standard output has a part of the table")
            raise


@contextmanager
def _folder() -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
                _remove_abandoned(entry)
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder, (Path(folder) / _LOCK).open("wb") as lock:
        hold(lock.fileno())
        yield Path(folder)


def _remove_abandoned(entry: os.DirEntry[str]) -> None:
    lock = Path(entry.path) / _LOCK
    try:
        ours = os.name == "nt" or entry.stat(follow_symlinks=False).st_uid == os.getuid()
        old = time.time() - lock.stat().st_mtime > _FRESH
    except OSError:  # gone, or it has no lock and is not ours
        return
    if ours and old and remove_abandoned(lock):
        shutil.rmtree(entry.path, ignore_errors=True)
