"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tawasul_nlp._system import sync_folder
from tawasul_nlp.tables.errors import TableError, reason_of
from tawasul_nlp.tables.io.chunk import Chunk, Writer
from tawasul_nlp.tables.io.layout import Layout

try:
    import fcntl
except ImportError:  # on Windows a file that is open cannot be removed, which does as well
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".tawasul-new"
_RANDOM = "[a-z0-9_]{8}"  # what tempfile puts into a name


class PendingFile:
    """A file that is written under a temporary name beside its target and renamed when it is complete.

    Those of the same target that killed processes left are removed, as no process holds their locks.

    Parameters
    ----------
    target : str or Path
        Where the finished file goes; a file that is there stays untouched until then. A symbolic link is followed.

    Raises
    ------
    TableError
        If the target cannot be a regular file in an existing folder that can be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with PendingFile(Path(folder) / "out.csv") as pending:
    ...         _ = pending.path.write_text("نص")
    ...         before = pending.target.exists()
    ...         pending.publish()
    ...     before, pending.target.exists()
    (False, True)
    """

    def __init__(self, target: str | Path) -> None:
        self.target = checked_target(target)
        try:
            for name in os.listdir(self.target.parent):
                if _is_temporary(name, self.target):
                    remove_abandoned(self.target.with_name(name))
            self._handle, self.path = self._held()
        except OSError as error:
            raise TableError(f"{self.target.parent} cannot be written: {reason_of(error)}") from error

    def __enter__(self) -> PendingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def _held(self) -> tuple[int | None, Path]:
        while True:
            handle, name = tempfile.mkstemp(dir=self.target.parent, prefix=f".{self.target.name}.", suffix=_SUFFIX)
            if hold(handle):
                return handle, Path(name)
            os.close(handle)

    def publish(self) -> None:
        """Give the complete file its name, with the permissions of an ordinary new file."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())  # the name must not survive a power cut that the content does not
        mask = os.umask(0)
        os.umask(mask)
        self.path.chmod(0o666 & ~mask)
        self._close()
        self.path.replace(self.target)
        sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove the temporary file, if it is still there."""
        self._close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def hold(handle: int) -> bool:
    """Lock a temporary file until it is closed, also by the end of its process; whether it still exists."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks; what cannot be locked there is not removed
            fcntl.flock(handle, fcntl.LOCK_EX)
    return os.fstat(handle).st_nlink > 0


def remove_abandoned(path: Path) -> bool:
    """Remove a temporary file of ours unless a process holds it; whether it was removed."""
    with contextlib.suppress(OSError):  # it is held, not ours, or gone
        handle = os.open(path, os.O_RDWR)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        finally:
            os.close(handle)
        if fcntl is None:
            path.unlink()
        return True
    return False


def _is_temporary(name: str, target: Path) -> bool:
    return re.fullmatch(re.escape(f".{target.name}.") + _RANDOM + re.escape(_SUFFIX), name) is not None


def check_apart(inputs: Iterable[Path], outputs: Mapping[str, Path]) -> None:
    """Raise :class:`TableError` if a run would write to a file that it reads, or to one file twice.

    Parameters
    ----------
    inputs : iterable of Path
        What the run reads; a file need not exist.
    outputs : mapping of str to Path
        What it writes, by what it is.
    """
    inputs = list(inputs)
    seen: dict[str, str] = {}  # by name only: a link of an unfinished run's rows is the output already
    for what, path in outputs.items():
        for read in inputs:
            if _same(path, read) or _is_temporary(read.resolve().name, path.resolve()):
                raise TableError(f"the {what} {path} is the input itself ({read}); write to another file")
        other = seen.setdefault(_name(path), what)
        if other != what:
            raise TableError(f"the {what} {path} is the {other} as well; write to another file")


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file, through links of either kind too."""
    try:
        return one.samefile(other)
    except OSError:  # one is not there yet
        return _name(one) == _name(other)


def _name(path: Path) -> str:
    """Return a file's name as a case-insensitive file system sees it."""
    return str(path.resolve()).casefold()


def checked_target(target: str | Path) -> Path:
    """Return where an output really goes; a symbolic link is followed.

    Raises
    ------
    TableError
        If that cannot be a regular file in an existing folder.
    """
    path = Path(target).resolve()
    if path.exists() and not path.is_file():
        raise TableError(f"{target} is not a regular file, so it cannot be replaced; use - for standard output")
    if not path.parent.is_dir():
        raise TableError(f"there is no folder {path.parent} for the output; make it first")
    return path


def publish(source: Path, target: Path) -> None:
    """Give a complete file the target's name too; what was there is replaced at once, and `source` stays.

    So a run that is killed before it has published everything can publish it again.
    """
    with PendingFile(target) as pending:
        if pending.target.exists() and pending.target.samefile(source):
            return  # a run that was killed came so far; a rename would do nothing
        try:
            pending.path.unlink()
            os.link(source, pending.path)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, pending.path)
        pending.publish()


def write_table(pending: PendingFile, layout: Layout, chunks: Iterable[tuple[Chunk, Sequence[list[Any]]]]) -> Writer:
    """Write a whole table to a pending file, each chunk with its added values, and return its writer."""
    with PendingFile(pending.target) as other:
        rows = pending if layout.format.build is None else other
        with rows.path.open("wb") as sink:
            writer = layout.format.append(sink, layout, None)
            for chunk, added in chunks:
                writer.write(chunk, added)
        if layout.format.build is not None:
            layout.format.build(rows.path, pending.path, layout)
    return writer
