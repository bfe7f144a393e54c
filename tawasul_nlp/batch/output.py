"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import contextlib
import os
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
        self.target = Path(target).resolve()
        if self.target.exists() and not self.target.is_file():
            raise TableError(f"{target} is not a regular file, so it cannot be replaced; use - for standard output")
        if not self.target.parent.is_dir():
            raise TableError(f"there is no folder {self.target.parent} for the output; make it first")
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

    def discard(self) -> None:
        """Remove the temporary file, if it is still there."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
