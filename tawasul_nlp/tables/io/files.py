"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tawasul_nlp._system import sync_folder
from tawasul_nlp.tables.errors import InputChangedError, TableError, reason_of

try:
    import fcntl
except ImportError:  # on Windows a file that is open cannot be removed, which does as well
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".tawasul-new"
_RANDOM = "[a-z0-9_]{8}"  # what tempfile puts into a name


class PendingFile:
    """A file that is written under a temporary name beside its target and renamed when it is complete.

    Those of the same target that killed processes left are removed, as no process holds their locks.

    Raises :class:`TableError` if the target cannot be a regular file in an existing folder that can be written.

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
    """Raise :class:`TableError` if a run would write to a file that it reads, or to one file twice."""
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

    Raises :class:`TableError` if that cannot be a regular file in an existing folder.
    """
    path = Path(target).resolve()
    if path.exists() and not path.is_file():
        raise TableError(f"{target} is not a regular file, so it cannot be replaced")
    if not path.parent.is_dir():
        raise TableError(f"there is no folder {path.parent} for the output; make it first")
    return path


_CLOCK = 0.02  # seconds; the clocks of file systems tick every 10 ms at the slowest


class InputFile:
    """The file that a run reads, as it is when the run begins.

    That is which file it is, its size, and the times of the last change of its content and of anything else. Programs
    can restore the first of these times, but not the second: so a file that was overwritten and restored, with size and
    time, is known to have been changed. That is not noticed on Windows, which has no such time, where a file system
    reports other machines' writes late or never, or when a folder above the file is renamed and renamed back.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     source = InputFile(file.name)
    ...     source.check()
    ...     _ = Path(file.name).write_text("نص")
    ...     source.check()
    Traceback (most recent call last):
    ...
    tawasul_nlp.tables.errors.InputChangedError: ...
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        resolved = path.resolve()
        self.name = path.name  # as the user knows it
        # A symbolic link is followed only once, since it may be set to another file and back.
        self.path = path if path.absolute() == resolved else resolved
        self._stamp = self._read_stamp()
        if self._stamp is not None and abs(time.time() - self._stamp[-1] / 1e9) < _CLOCK:
            time.sleep(_CLOCK)  # or a change within the same tick of the clock would have the same time
            self._stamp = self._read_stamp()

    def check(self) -> None:
        """Raise :class:`~tawasul_nlp.tables.errors.InputChangedError` if the file has been changed since."""
        if self._read_stamp() != self._stamp:
            raise InputChangedError(self.path)

    def _read_stamp(self) -> tuple[int, ...] | None:
        try:
            now = os.stat(self.path)
        except OSError:
            return None
        return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
