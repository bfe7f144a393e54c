"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from tawasul_nlp.batch.errors import TableError


class PendingFile:
    """A file that is written under a temporary name beside its target and renamed when it is complete.

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
    ...     pending = PendingFile(Path(folder) / "out.csv")
    ...     _ = pending.path.write_text("نص")
    ...     before = pending.target.exists()
    ...     pending.publish()
    ...     before, pending.target.exists()
    (False, True)
    """

    def __init__(self, target: str | Path) -> None:
        self.target = checked_target(target)
        try:
            handle, name = tempfile.mkstemp(dir=self.target.parent, prefix=f".{self.target.name}.", suffix=".partial")
        except OSError as error:
            raise TableError(f"{self.target.parent} cannot be written: {error.strerror or error}") from error
        os.close(handle)
        self.path = Path(name)

    def publish(self) -> None:
        """Give the complete file its name, with the permissions of an ordinary new file."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())  # the name must not survive a power cut that the content does not
        mask = os.umask(0)
        os.umask(mask)
        self.path.chmod(0o666 & ~mask)
        self.path.replace(self.target)
        sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove the temporary file, if it is still there."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


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
    """Give a complete file the target's name too: what was there is replaced at once, and `source` stays.

    So a run that is killed before it has put everything in place can do it all again.
    """
    target = target.resolve()
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    if target.exists() and target.samefile(source):  # a run that was killed came so far; a rename would do nothing
        return
    try:
        os.link(source, fresh)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())  # the name must not survive a power cut that the content does not
    fresh.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder have reached the disk, on systems that can tell."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
